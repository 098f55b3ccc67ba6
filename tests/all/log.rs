//! The log of what a test calls in its own process.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use serde_json::Value;
use shared::runtime::log;

/// What the tests look at.
const LEVELS: &str = "off,change=info,shared::runtime::messages=warn,sweep=error";

thread_local!(static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) });

/// The log of this thread's calls, from the beginning of a test on. One subscriber serves all threads: with one for
/// each, a call of another thread could turn a line off for all.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let lines = tracing_subscriber::fmt::layer().json();
            log::start(LEVELS, lines.with_writer(|| Self)).unwrap();
        });
        LINES.set(Some(Vec::new()));
        Self
    }

    /// The lines since the last call, each as these fields, sorted.
    pub fn lines<const N: usize>(&self, fields: [&str; N]) -> Vec<[String; N]> {
        let bytes = LINES.replace(Some(Vec::new())).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            fields.map(|name| {
                let found = match name {
                    "level" => &line[name],
                    field => &line["fields"][field],
                };
                found.as_str().unwrap_or("-").to_owned()
            })
        };
        let mut lines: Vec<_> = text.lines().map(line).collect();
        lines.sort();
        lines
    }
}
