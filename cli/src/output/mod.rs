//! What commands print: a list or one record, in the form that the user asks for.
//!
//! | module | what it knows |
//! |---|---|
//! | [`options`] | the forms of output, and the options about them |
//! | [`rows`] | rows and columns: choosing and sorting |
//! | [`forms`] | JSON, YAML, CSV and plain values |
//! | [`cell`] | the text and style of a cell |
//! | [`fit`] | makes a list fit the window |
//! | [`table`] | tables for people |
//! | [`status`] | the word, sign and colour of a status |
//! | [`terminal`] | where output goes, its width, and whether it has colours |

pub mod cell;
pub mod fit;
pub mod forms;
pub mod options;
pub mod rows;
pub mod status;
pub mod table;
pub mod terminal;

pub use options::{Form, OutputOptions};
pub use rows::Table;
use serde_json::Value;
use terminal::Terminal;

use crate::error::{Outcome, count};

/// Prints a list.
///
/// # Errors
/// If a column that was asked for does not exist, or the output cannot be written.
pub fn list(terminal: &Terminal, options: &OutputOptions, table: Table) -> Outcome<()> {
    let table = table.arrange(options)?;
    let text = match options.format {
        Form::Table => {
            let chosen = !options.columns.is_empty();
            let (text, left_out) = table::list(&table, terminal, chosen);
            terminal.print(&text)?;
            note_left_out(terminal, &left_out);
            return Ok(());
        }
        Form::Json => forms::json_list(&table),
        Form::Yaml => forms::yaml(&forms::records(&table)),
        Form::Csv => forms::csv(&table),
        Form::Value => forms::values(&table),
    };
    terminal.print_data(&text)
}

/// Says which columns the window is too narrow for.
fn note_left_out(terminal: &Terminal, columns: &[&str]) {
    let (are, them) = match columns.len() {
        0 => return,
        1 => ("is", "it"),
        _ => ("are", "them"),
    };
    terminal.note(&format!(
        "{} {are} left out: {} (-c shows {them})",
        count(columns.len(), "column"),
        columns.join(", ")
    ));
}

/// Prints one record: its fields and their values.
///
/// # Errors
/// If a field that was asked for does not exist, or the output cannot be written.
pub fn record(
    terminal: &Terminal,
    options: &OutputOptions,
    fields: Vec<(&'static str, Value)>,
) -> Outcome<()> {
    let (columns, row): (Vec<&'static str>, Vec<Value>) = fields.into_iter().unzip();
    let table = Table {
        columns,
        rows: vec![row],
    }
    .arrange(options)?;
    let text = match options.format {
        Form::Table => return terminal.print(&table::records(&table, terminal)),
        Form::Json => forms::json_record(&table),
        Form::Yaml => forms::yaml(&forms::first_record(&table)),
        Form::Csv => forms::csv(&table),
        Form::Value => forms::lines(&table),
    };
    terminal.print_data(&text)
}
