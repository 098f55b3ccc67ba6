//! Tables that fit the window: columns become narrower, and in a very narrow one each record gets
//! lines of its own.
//!
//! Our own, because a library would have to be told where colours are: those that know (comfy-table,
//! tabled) bring a terminal library or a parser of escape codes, for less than is written here.

use anstyle::Style;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::rows::{Table, plain};
use super::status::{Meaning, is_status};
use super::terminal::{Terminal, visible};

/// The spaces between columns.
const GAP: usize = 2;
/// The narrowest that a column becomes.
const COLUMN_MIN: usize = 12;
/// The style of headers.
const HEADER: Style = Style::new().bold();

/// A cell: its text and style.
struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text. A control character, such as one of a name, would move the cursor.
    fn plain(text: String) -> Self {
        let text = text.chars().map(visible).collect();
        Self {
            text,
            style: Style::new(),
        }
    }

    fn new(column: &str, value: &Value, terminal: &Terminal) -> Self {
        let cell = Self::plain(plain(value));
        match Meaning::of(&cell.text).filter(|_| is_status(column)) {
            Some(meaning) => Self {
                text: format!("{} {}", meaning.sign(terminal.unicode), cell.text),
                style: meaning.style(),
            },
            None => cell,
        }
    }
}

/// A list.
pub fn list(table: &Table, terminal: &Terminal) -> String {
    let rows: Vec<Vec<Cell>> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().zip(row);
            cells
                .map(|(column, value)| Cell::new(column, value, terminal))
                .collect()
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let natural: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            let widest = cells.map(|cell| cell.text.width()).max().unwrap_or(0);
            widest.max(column.width())
        })
        .collect();
    let Some(widths) = fit(&natural, terminal.width) else {
        return records(table, &rows, terminal);
    };
    let mut text = String::new();
    let header: Vec<Cell> = table
        .columns
        .iter()
        .map(|column| Cell {
            text: (*column).to_owned(),
            style: HEADER,
        })
        .collect();
    for row in std::iter::once(&header).chain(&rows) {
        line(&mut text, row, &widths);
    }
    text
}

/// One record: a line for each field.
pub fn record(table: &Table, terminal: &Terminal) -> String {
    let Some(row) = table.rows.first() else {
        return String::new();
    };
    let cells = table.columns.iter().zip(row);
    let cells = cells
        .map(|(column, value)| Cell::new(column, value, terminal))
        .collect();
    records(table, &[cells], terminal)
}

/// The widths of columns in a window; `None` if they do not fit.
fn fit(natural: &[usize], window: Option<usize>) -> Option<Vec<usize>> {
    let mut widths = natural.to_vec();
    let Some(window) = window else {
        return Some(widths);
    };
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > window {
        let widest = widths.iter_mut().max()?;
        if *widest <= COLUMN_MIN {
            return None;
        }
        *widest -= 1;
    }
    Some(widths)
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
fn records(table: &Table, rows: &[Vec<Cell>], terminal: &Terminal) -> String {
    let names = table.columns.iter().map(|column| column.width());
    let name = names.max().unwrap_or(0);
    let rest = terminal.width.map_or(usize::MAX, |width| {
        width.saturating_sub(name + GAP).max(COLUMN_MIN)
    });
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for (column, cell) in table.columns.iter().zip(row) {
            let pair = [
                Cell {
                    text: (*column).to_owned(),
                    style: HEADER,
                },
                Cell {
                    text: cell.text.clone(),
                    style: cell.style,
                },
            ];
            line(&mut text, &pair, &[name, rest]);
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
        anstream::adapter::strip_str(&list(&table(), &terminal(width))).to_string()
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
Image                  Name       Status
118fe33f-c0b7-4eb0-    debian-12  ✓ accepted
a986-42cfca70d3be
118fe33f-c0b7-4eb0-    日本       ◌ pending
a986-42cfca70d3be
";
        assert_eq!(shown(Some(44)), narrow);
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
        let text = list(&table, &terminal(None));
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row, "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert_eq!(text.lines().count(), 2);
    }
}
