//! Where output goes: its width, its colours and its characters.

use std::io::{ErrorKind, Write as _};

use anstream::{AutoStream, ColorChoice};
use console::Term;

use crate::error::{Exit, Failure, Outcome};
use crate::login::settings::Variables;
use crate::visible::visible_lines;

/// The narrowest window that tables are made for.
const NARROWEST: usize = 20;

/// Standard output and standard error.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// The columns of standard output; `None` if it is no terminal, where lines have no end.
    pub width: Option<usize>,
    /// Whether signs may be other than ASCII.
    pub unicode: bool,
    /// Whether progress is shown: standard error is a terminal.
    pub progress: bool,
    /// Whether notes are printed.
    pub notes: bool,
}

impl Terminal {
    /// Looks at the process's terminal and environment.
    pub fn of_process(variables: &Variables, quiet: bool) -> Self {
        let (out, err) = (Term::stdout(), Term::stderr());
        let columns = variables.get("COLUMNS").and_then(|text| text.parse().ok());
        let width = out
            .is_term()
            .then(|| columns.unwrap_or_else(|| usize::from(out.size().1)));
        let dumb = variables.get("TERM") == Some("dumb");
        Self {
            width: width.map(|width| width.max(NARROWEST)),
            unicode: unicode(variables),
            progress: err.is_term() && !dumb && !quiet,
            notes: !quiet,
        }
    }

    /// Prints to standard output; colours go only where they are wanted.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn print(&self, text: &str) -> Outcome<()> {
        let mut out = AutoStream::new(std::io::stdout().lock(), choice());
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Prints what is for programs: as it is, but for control characters on a terminal, which would
    /// move its cursor.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn print_data(&self, text: &str) -> Outcome<()> {
        let shown: String;
        let text = match self.width.is_some() {
            true => {
                shown = visible_lines(text);
                &shown
            }
            false => text,
        };
        write(text.as_bytes())
    }

    /// Prints a note to standard error, unless it shall be quiet.
    pub fn note(&self, text: &str) {
        if self.notes {
            say(text);
        }
    }
}

/// Writes to standard error, where what is said may repeat names that others have chosen.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", visible_lines(text));
}

/// Writes to standard output as it is.
///
/// # Errors
/// If it cannot be written. A reader that has seen enough, as `head` has, is no failure.
pub fn write(bytes: &[u8]) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

fn written(done: std::io::Result<()>) -> Outcome<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let text = error.to_string();
            let words = text.split(" (os error").next().unwrap_or_default();
            Err(Failure::new(
                Exit::Incomplete,
                format!("cannot write the output: {words}"),
            ))
        }
        _ => Ok(()),
    }
}

/// Colours as NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM and the terminal have it.
fn choice() -> ColorChoice {
    AutoStream::choice(&std::io::stdout())
}

/// Whether the locale has characters beyond ASCII: it says UTF-8, or nothing.
fn unicode(variables: &Variables) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variables.get(name));
    locale.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
