//! A cell of a table: its text and style.

use anstyle::Style;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::rows::{Table, plain};
use super::status::{Meaning, is_status};
use super::terminal::Terminal;
use crate::visible::visible_line;

/// A cell: its text and style.
pub struct Cell {
    /// What it shows.
    pub text: String,
    /// How.
    pub style: Style,
}

impl Cell {
    /// A value of a column. A control character, such as one of a name, would move the cursor.
    fn new(column: &str, value: &Value, terminal: &Terminal) -> Self {
        let text = visible_line(&plain(value));
        match Meaning::of(&text).filter(|_| is_status(column)) {
            Some(meaning) => Self {
                text: format!("{} {text}", meaning.sign(terminal.unicode)),
                style: meaning.style(),
            },
            None => Self {
                text,
                style: Style::new(),
            },
        }
    }

    /// The cells of a table's rows.
    pub fn rows(table: &Table, terminal: &Terminal) -> Vec<Vec<Self>> {
        let row = |row: &Vec<Value>| {
            let cells = table.columns.iter().zip(row);
            cells
                .map(|(column, value)| Self::new(column, value, terminal))
                .collect()
        };
        table.rows.iter().map(row).collect()
    }
}

/// The width of each column when nothing is wrapped.
pub fn widths(table: &Table, rows: &[Vec<Cell>]) -> Vec<usize> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(place, column)| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            let widest = cells.map(|cell| cell.text.width()).max().unwrap_or(0);
            widest.max(column.width())
        })
        .collect()
}
