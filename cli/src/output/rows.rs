//! Rows and columns: choosing and sorting.

use serde_json::Value;

use super::options::OutputOptions;
use crate::error::{Failure, Outcome, either};
use crate::names::nearest;

/// Rows of values under the names of their columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, a value for each column.
    pub fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The same table without some columns.
    #[must_use]
    pub fn without(self, names: &[&str]) -> Self {
        let kept = |place: &usize| {
            !self
                .columns
                .get(*place)
                .is_some_and(|name| names.contains(name))
        };
        let kept: Vec<usize> = (0..self.columns.len()).filter(kept).collect();
        self.select(&kept)
    }

    fn select(&self, places: &[usize]) -> Self {
        let columns = places
            .iter()
            .filter_map(|place| self.columns.get(*place).copied());
        let rows = self.rows.iter().map(|row| {
            let cells = places
                .iter()
                .map(|place| row.get(*place).cloned().unwrap_or_default());
            cells.collect()
        });
        Self {
            columns: columns.collect(),
            rows: rows.collect(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns that were asked for, sorted as asked.
    ///
    /// # Errors
    /// If one does not exist.
    pub fn arrange(self, options: &OutputOptions) -> Outcome<Self> {
        let mut table = self;
        // The last column first: the sort keeps the order of what is equal.
        for name in options.sort_column.iter().rev() {
            let place = place(&table.columns, name)?;
            table.rows.sort_by(|a, b| {
                let order = compare(a.get(place), b.get(place));
                if options.sort_descending {
                    order.reverse()
                } else {
                    order
                }
            });
        }
        if options.columns.is_empty() {
            return Ok(table);
        }
        let places: Vec<usize> = options
            .columns
            .iter()
            .map(|name| place(&table.columns, name))
            .collect::<Outcome<_>>()?;
        // In the order in which the command shows them, as OpenStack's commands do.
        let kept = |place: &usize| places.contains(place);
        let kept: Vec<usize> = (0..table.columns.len()).filter(kept).collect();
        Ok(table.select(&kept))
    }
}

/// Finds a column by its name, whatever its case and its dashes.
fn place(columns: &[&'static str], name: &str) -> Outcome<usize> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let found = columns
        .iter()
        .position(|column| plain(column) == plain(name));
    found.ok_or_else(|| {
        let known: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        let hint = nearest::words(name, &known).unwrap_or_else(|| {
            let quoted: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            either(&quoted)
        });
        Failure::wrong_use(format!("there is no column {name:?}: use {hint}"))
    })
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => plain(a.unwrap_or(&Value::Null)).cmp(&plain(b.unwrap_or(&Value::Null))),
    }
}

/// A value as text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pairs = fields.iter();
            let pairs = pairs.map(|(name, value)| format!("{name}={}", plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", "Created At", "Size"]);
        table.push([json!("b"), json!("2026"), json!(9)]);
        table.push([json!("a"), json!("2026"), json!(10)]);
        table.push([json!("c"), json!("2025"), json!(null)]);
        table
    }

    fn ids(options: &OutputOptions) -> Vec<String> {
        let table = table().arrange(options).unwrap();
        table.rows.iter().map(|row| plain(&row[0])).collect()
    }

    #[test]
    fn rows_are_sorted_by_columns_in_any_spelling() {
        let sort = |names: &[&str], sort_descending| OutputOptions {
            sort_column: names.iter().map(|name| (*name).to_owned()).collect(),
            sort_descending,
            ..OutputOptions::default()
        };
        assert_eq!(ids(&sort(&["created_at", "id"], false)), ["c", "a", "b"]);
        assert_eq!(ids(&sort(&["size"], true)), ["a", "b", "c"]);
        assert_eq!(ids(&sort(&["created-at", "size"], false)), ["c", "b", "a"]);
    }

    #[test]
    fn an_unknown_column_is_told_with_the_nearest() {
        let options = OutputOptions {
            columns: vec!["Siez".to_owned()],
            ..OutputOptions::default()
        };
        let told = table().arrange(&options).unwrap_err().sentence;
        assert_eq!(told, "there is no column \"Siez\": use \"Size\"");
        let options = OutputOptions {
            columns: vec!["x".to_owned()],
            ..OutputOptions::default()
        };
        let told = table().arrange(&options).unwrap_err().sentence;
        assert!(
            told.ends_with("use \"ID\", \"Created At\" or \"Size\""),
            "{told}"
        );
    }
}
