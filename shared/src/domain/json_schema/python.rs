//! Formats values as Python does, for Glance's sentences about properties that do not match.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_general_category::{GeneralCategory, get_general_category};

/// A value as Python writes it.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => repr_float(float),
            None => number.to_string(),
        },
        Value::String(text) => repr_str(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let entries: Vec<_> = object
                .iter()
                .map(|(key, value)| format!("{}: {}", repr_str(key), repr(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A float: from 1e16 on and below 1e-4 with an exponent, which has a sign and two digits.
fn repr_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (number, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{number}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{float:?}"),
    }
}

/// Whether Python writes a character as it is: `str.isprintable`.
fn is_printable(c: char) -> bool {
    use GeneralCategory as Is;
    // The usual ones need no table.
    matches!(c, ' '..='~')
        || !matches!(
            get_general_category(c),
            Is::Control
                | Is::Format
                | Is::Surrogate
                | Is::PrivateUse
                | Is::Unassigned
                | Is::LineSeparator
                | Is::ParagraphSeparator
                | Is::SpaceSeparator
        )
}

/// A text as Python writes it, in quotes.
pub fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if !is_printable(c) => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Columns of a pretty-printed schema, its margin of four included.
const COLUMNS: usize = 76;

/// A schema as Python pretty-prints it, with room for what follows it on its last line.
pub fn pretty(value: &Value, indent: usize, room: usize) -> String {
    let line = repr(value);
    if line.chars().count() + indent + room <= COLUMNS {
        return line;
    }
    let last_of = |place: usize, count: usize| if place + 1 == count { room + 1 } else { 1 };
    let (parts, open, close): (Vec<String>, _, _) = match value {
        Value::Object(object) => (
            object
                .iter()
                .enumerate()
                .map(|(place, (key, value))| {
                    let key = repr_str(key);
                    let indent = indent + key.chars().count() + 3;
                    let inner = pretty(value, indent, last_of(place, object.len()));
                    format!("{key}: {inner}")
                })
                .collect(),
            '{',
            '}',
        ),
        Value::Array(items) => (
            items
                .iter()
                .enumerate()
                .map(|(place, item)| pretty(item, indent + 1, last_of(place, items.len())))
                .collect(),
            '[',
            ']',
        ),
        Value::String(text) => return wrapped(text, indent, room),
        Value::Null | Value::Bool(_) | Value::Number(_) => return line,
    };
    let separator = format!(",\n{}", " ".repeat(indent + 1));
    format!("{open}{}{close}", parts.join(&separator))
}

/// A text that is too long for a line, cut behind words.
fn wrapped(text: &str, indent: usize, room: usize) -> String {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let mut chunks: Vec<String> = Vec::new();
    let mut current = String::new();
    for (place, word) in words.iter().enumerate() {
        let candidate = format!("{current}{word}");
        let room = if place + 1 == words.len() { room } else { 0 };
        if repr_str(&candidate).chars().count() + indent + room > COLUMNS && !current.is_empty() {
            chunks.push(repr_str(&current));
            (*word).clone_into(&mut current);
        } else {
            current = candidate;
        }
    }
    chunks.push(repr_str(&current));
    chunks.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests;
