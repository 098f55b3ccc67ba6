//! Makes a list fit the window. Ids, times and statuses are never wrapped: they become shorter where a
//! shorter one says the same, then columns are left out, then names are wrapped.

use serde_json::Value;

use super::cell::{self, Cell};
use super::rows::Table;
use super::status::is_status;
use super::terminal::Terminal;
use crate::jobs::started::short;

/// The spaces between columns.
pub const GAP: usize = 2;
/// The widths that names are wrapped to: while columns can be left out, and at last.
const READABLE: usize = 20;
const NARROWEST: usize = 8;
/// The columns that can be left out, in this order. The first column of a list always stays.
const LEFT_OUT: [&str; 11] = [
    "Owner",
    "Visibility",
    "Updated At",
    "Ended At",
    "Disabled By",
    "Created By",
    "Result",
    "Changed",
    "Succeeded",
    "Shared At",
    "Project",
];

/// A list that fits.
pub struct Fitted {
    /// What is left of it.
    pub table: Table,
    /// The widths of its columns.
    pub widths: Vec<usize>,
    /// The columns that are left out.
    pub left_out: Vec<&'static str>,
}

/// Makes a list fit; `None` if it cannot. Columns that the user chose are not left out.
pub fn fit(table: &Table, terminal: &Terminal, chosen: bool) -> Option<Fitted> {
    let fitted = |table: Table, widths, left_out| Fitted {
        table,
        widths,
        left_out,
    };
    let natural = |table: &Table| cell::widths(table, &Cell::rows(table, terminal));
    let widths = natural(table);
    let Some(window) = terminal.width.filter(|window| total(&widths) > *window) else {
        return Some(fitted(table.clone(), widths, Vec::new()));
    };
    let mut table = shorter(table.clone());
    let mut left_out = Vec::new();
    let candidates = match chosen {
        true => Vec::new(),
        false => candidates(&table),
    };
    for next in candidates {
        if let Some(widths) = wrapped(&table, natural(&table), window, READABLE) {
            return Some(fitted(table, widths, left_out));
        }
        table = table.without(&[next]);
        left_out.push(next);
    }
    let widths = natural(&table);
    let narrow = |least| wrapped(&table, widths.clone(), window, least);
    let widths = narrow(READABLE).or_else(|| narrow(NARROWEST))?;
    Some(fitted(table, widths, left_out))
}

/// The columns that can be left out of a list. A project's id can where its name is shown.
fn candidates(table: &Table) -> Vec<&'static str> {
    let rest = table.columns.get(1..).unwrap_or_default();
    let named = rest.contains(&"Project Name");
    let has = |column: &&str| rest.contains(column) && (named || *column != "Project");
    LEFT_OUT.into_iter().filter(has).collect()
}

/// The width of a line.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn is_time(column: &str) -> bool {
    column.ends_with(" At") || column == "Last Used"
}

/// Whether the cells of a column lose their use when they are wrapped.
fn stays_whole(column: &str) -> bool {
    let id = matches!(
        column,
        "ID" | "Image" | "Project" | "Owner" | "Job" | "Access Key"
    );
    id || is_time(column) || is_status(column)
}

/// The widths of columns in a window, none of them wrapped to less than this; `None` if they do not fit.
fn wrapped(
    table: &Table,
    mut widths: Vec<usize>,
    window: usize,
    least: usize,
) -> Option<Vec<usize>> {
    while total(&widths) > window {
        let columns = widths.iter_mut().zip(&table.columns);
        let flexible = columns.filter(|(_, column)| !stays_whole(column));
        let widest = flexible.map(|(width, _)| width).max()?;
        if *widest <= least {
            return None;
        }
        *widest -= 1;
    }
    Some(widths)
}

/// The same list with jobs by the start of their ids, and times to the second.
fn shorter(mut table: Table) -> Table {
    for row in &mut table.rows {
        for (column, value) in table.columns.iter().zip(row) {
            let Value::String(text) = value else { continue };
            if *column == "Job" {
                *text = short(text).to_owned();
            } else if is_time(column)
                && let Some((seconds, _)) = text.split_once('.')
            {
                *text = format!("{seconds}Z");
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IMAGE: &str = "118fe33f-c0b7-4eb0-a986-42cfca70d3be";
    const PROJECT: &str = "edc89b490d7d4392898e19b2deb34797";
    const TIME: &str = "2026-11-26T09:26:13.837Z";

    fn list(columns: &[&'static str], row: &[&str]) -> Table {
        let mut table = Table::new(columns);
        table.push(row.iter().map(|text| json!(text)));
        table
    }

    fn fitted(table: &Table, window: usize, chosen: bool) -> Option<Fitted> {
        let terminal = Terminal {
            width: Some(window),
            unicode: true,
            progress: false,
            notes: false,
        };
        fit(table, &terminal, chosen)
    }

    fn inbox() -> Table {
        list(
            &["Image", "Name", "Owner", "Status", "Shared At"],
            &[IMAGE, "debian-12", PROJECT, "pending", TIME],
        )
    }

    #[test]
    fn columns_are_left_out_before_anything_is_wrapped() {
        assert!(fitted(&inbox(), 200, false).unwrap().left_out.is_empty());
        // Times are shorter first.
        let whole = fitted(&inbox(), 116, false).unwrap();
        assert_eq!(whole.left_out.len(), 0);
        assert_eq!(whole.table.rows[0][4], "2026-11-26T09:26:13Z");
        let narrow = fitted(&inbox(), 80, false).unwrap();
        assert_eq!(narrow.left_out, ["Owner"]);
        assert_eq!(narrow.widths, [36, 9, 9, 20]);
        let narrow = fitted(&inbox(), 70, false).unwrap();
        assert_eq!(narrow.left_out, ["Owner", "Shared At"]);
        let columns = ["Image", "Name", "Project", "Project Name", "Shared At"];
        let row = [IMAGE, "debian-12", PROJECT, "member", TIME];
        let pending = fitted(&list(&columns, &row), 80, false).unwrap();
        assert_eq!(pending.left_out, ["Shared At", "Project"]);
        // The first column is what a list is of.
        let trusted = list(&["Owner", "Mode"], &[PROJECT, "accept"]);
        assert_eq!(fitted(&trusted, 44, false).unwrap().left_out.len(), 0);
        assert!(fitted(&trusted, 30, false).is_none());
        // What was asked for is shown, or each record gets lines of its own.
        assert!(fitted(&inbox(), 80, true).is_none());
    }

    #[test]
    fn a_job_is_named_by_the_start_of_its_id() {
        let id = "01a2154123450000a000000000000000";
        let columns = [
            "Job",
            "Kind",
            "Status",
            "Entries",
            "Succeeded",
            "Failed",
            "Begun At",
            "Ended At",
        ];
        let row = [id, "set-members", "SUCCESS", "3", "3", "0", TIME, TIME];
        let jobs = fitted(&list(&columns, &row), 80, false).unwrap();
        assert_eq!(jobs.table.rows[0][0], "01a215412345");
        assert_eq!(jobs.left_out, ["Ended At", "Succeeded"]);
        assert!(total(&jobs.widths) <= 80);
    }

    /// In no window an id, a time or a status is cut.
    #[test]
    fn names_alone_are_wrapped() {
        let mut table = inbox();
        table.rows[0][1] = json!("ubuntu-24.04-server-of-the-web-team");
        for window in 20..160 {
            let Some(fitted) = fitted(&table, window, false) else {
                continue;
            };
            assert!(total(&fitted.widths) <= window);
            for (column, width) in fitted.table.columns.iter().zip(&fitted.widths) {
                let least = match *column {
                    "Name" => NARROWEST,
                    "Image" => IMAGE.len(),
                    "Owner" => PROJECT.len(),
                    "Status" => "- pending".len(),
                    _ => TIME.len() - 4,
                };
                assert!(*width >= least, "{column} at {window}");
            }
        }
    }
}
