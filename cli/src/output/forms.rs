//! Output for programs: JSON, YAML, CSV and plain values.

use serde_json::{Map, Value};

use super::rows::{Table, plain};

fn record_of(table: &Table, row: &[Value]) -> Value {
    let names = table.columns.iter().map(|name| (*name).to_owned());
    Value::Object(names.zip(row.iter().cloned()).collect::<Map<_, _>>())
}

/// The rows as records.
pub fn records(table: &Table) -> Value {
    Value::Array(table.rows.iter().map(|row| record_of(table, row)).collect())
}

/// The first row as a record.
pub fn first_record(table: &Table) -> Value {
    let first = table.rows.first();
    first.map_or(Value::Null, |row| record_of(table, row))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A JSON array of records.
pub fn json_list(table: &Table) -> String {
    pretty(&records(table))
}

/// A JSON object.
pub fn json_record(table: &Table) -> String {
    pretty(&first_record(table))
}

/// YAML.
pub fn yaml(value: &Value) -> String {
    // A JSON value is always YAML.
    yaml_serde::to_string(value).unwrap_or_default()
}

/// CSV with a header. Texts have quotes and numbers have none, as in OpenStack's commands.
pub fn csv(table: &Table) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let header: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
    let mut text = header.join(",") + "\n";
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match cell {
                Value::Number(number) => number.to_string(),
                cell => quoted(&plain(cell)),
            })
            .collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// A value as OpenStack's commands write it among others: what is not there is `None`. Scripts take each line for a
/// value or a row, so a line break within a value becomes a space.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        value => plain(value).replace(['\n', '\r'], " "),
    }
}

/// A line for each row, its values with spaces between them.
pub fn values(table: &Table) -> String {
    let line = |row: &Vec<Value>| row.iter().map(word).collect::<Vec<_>>().join(" ") + "\n";
    table.rows.iter().map(line).collect()
}

/// A line for each value.
pub fn lines(table: &Table) -> String {
    let values = table.rows.iter().flatten();
    values.map(|value| word(value) + "\n").collect()
}
