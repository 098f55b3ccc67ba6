//! Tables that fit the window; in a very narrow one each record gets lines of its own.
//!
//! Our own, because a library would have to be told where colours are: those that know (comfy-table,
//! tabled) bring a terminal library or a parser of escape codes, for less than is written here.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::cell::Cell;
use super::fit::{GAP, fit};
use super::rows::Table;
use super::terminal::Terminal;

/// The narrowest that a field of a record becomes.
const COLUMN_MIN: usize = 12;
/// The style of headers.
const HEADER: Style = Style::new().bold();

/// A list, and the columns that are left out of it because the window is narrow. Those that the user
/// chose are not left out.
pub fn list(table: &Table, terminal: &Terminal, chosen: bool) -> (String, Vec<&'static str>) {
    if table.is_empty() {
        return (String::new(), Vec::new());
    }
    let Some(fitted) = fit(table, terminal, chosen) else {
        return (records(table, terminal), Vec::new());
    };
    let header = fitted.table.columns.iter().map(|column| header(column));
    let mut text = String::new();
    line(&mut text, &header.collect::<Vec<_>>(), &fitted.widths);
    for row in Cell::rows(&fitted.table, terminal) {
        line(&mut text, &row, &fitted.widths);
    }
    (text, fitted.left_out)
}

fn header(column: &str) -> Cell {
    Cell {
        text: column.to_owned(),
        style: HEADER,
    }
}

/// Writes a row, in as many lines as its longest cell needs.
fn line(text: &mut String, row: &[Cell], widths: &[usize]) {
    let wrapped: Vec<Vec<String>> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap(&cell.text, *width))
        .collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let mut padding = 0;
        for ((cell, lines), width) in row.iter().zip(&wrapped).zip(widths) {
            let part = lines.get(number).map_or("", String::as_str);
            if !part.is_empty() {
                // Padding only before more text, so that no line ends with spaces.
                text.push_str(&" ".repeat(padding));
                padding = 0;
                text.push_str(&styled(part, cell.style));
            }
            let rest = width.saturating_sub(part.width());
            padding = padding.saturating_add(rest).saturating_add(GAP);
        }
        text.push('\n');
    }
}

fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// Cuts a text into lines of a width, between words where it can.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive([' ', '-', '_', '/']) {
        let fits = |used: usize| used + word.trim_end().width() <= width;
        if used > 0 && !fits(used) {
            lines.push(String::new());
            used = 0;
        }
        for character in word.chars() {
            let columns = character.width().unwrap_or(0);
            if used + columns > width && character != ' ' {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(character);
            }
            used += columns;
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Records, each with a line for each field.
pub fn records(table: &Table, terminal: &Terminal) -> String {
    let names = table.columns.iter().map(|column| column.width());
    let name = names.max().unwrap_or(0);
    let rest = terminal.width.map_or(usize::MAX, |width| {
        width.saturating_sub(name + GAP).max(COLUMN_MIN)
    });
    let mut text = String::new();
    for (number, row) in Cell::rows(table, terminal).into_iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for (column, cell) in table.columns.iter().zip(row) {
            line(&mut text, &[header(column), cell], &[name, rest]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terminal(width: Option<usize>) -> Terminal {
        Terminal {
            width,
            unicode: true,
            progress: false,
            notes: false,
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&["Image", "Name", "Status"]);
        let id = "118fe33f-c0b7-4eb0-a986-42cfca70d3be";
        table.push([json!(id), json!("debian-12"), json!("accepted")]);
        table.push([json!(id), json!("日本"), json!("pending")]);
        table
    }

    fn shown(width: Option<usize>) -> String {
        anstream::adapter::strip_str(&list(&table(), &terminal(width), false).0).to_string()
    }

    #[test]
    fn a_table_takes_the_room_that_there_is() {
        let wide = "\
Image                                 Name       Status
118fe33f-c0b7-4eb0-a986-42cfca70d3be  debian-12  ✓ accepted
118fe33f-c0b7-4eb0-a986-42cfca70d3be  日本       ◌ pending
";
        assert_eq!(shown(None), wide);
        assert_eq!(shown(Some(80)), wide);
        let narrow = "\
Image                                 Name      Status
118fe33f-c0b7-4eb0-a986-42cfca70d3be  debian-   ✓ accepted
                                      12
118fe33f-c0b7-4eb0-a986-42cfca70d3be  日本      ◌ pending
";
        assert_eq!(shown(Some(58)), narrow);
        let narrowest = "\
Image   118fe33f-
        c0b7-4eb0-
        a986-
        42cfca70d3be
Name    debian-12
Status  ✓ accepted
";
        assert!(
            shown(Some(20)).starts_with(narrowest),
            "{}",
            shown(Some(20))
        );
        for width in 20..80 {
            let text = shown(Some(width));
            assert!(
                text.lines().all(|line| line.width() <= width),
                "{width}: {text}"
            );
        }
    }

    #[test]
    fn nothing_in_a_name_moves_the_cursor() {
        let mut table = Table::new(&["Name"]);
        table.push([json!("a\u{1b}[2J\nb\u{202e}c")]);
        let text = list(&table, &terminal(None), false).0;
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row, "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert_eq!(text.lines().count(), 2);
    }
}
