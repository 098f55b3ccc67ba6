//! The word, the sign and the colour of a status: nobody has to see colours, or know the words.

use anstyle::{AnsiColor, Style};

/// What a status means for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Good: accepted, done.
    Good,
    /// Not decided yet: pending, running.
    Waiting,
    /// Bad: rejected, failed.
    Bad,
}

impl Meaning {
    /// The meaning of a word, if it is a status.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "accepted" | "success" | "SUCCESS" | "active" | "added" | "accept" => Some(Self::Good),
            "pending" | "running" | "INIT" | "RUNNING" | "queued" | "saving" | "importing" => {
                Some(Self::Waiting)
            }
            "rejected" | "failed" | "FAIL" | "killed" | "deactivated" | "removed" | "reject" => {
                Some(Self::Bad)
            }
            _ => None,
        }
    }

    /// The sign.
    pub const fn sign(self, unicode: bool) -> &'static str {
        match (self, unicode) {
            (Self::Good, true) => "✓",
            (Self::Waiting, true) => "◌",
            (Self::Bad, true) => "✗",
            (Self::Good, false) => "+",
            (Self::Waiting, false) => ".",
            (Self::Bad, false) => "x",
        }
    }

    /// The colour.
    pub const fn style(self) -> Style {
        let colour = match self {
            Self::Good => AnsiColor::Green,
            Self::Waiting => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
        };
        colour.on_default()
    }
}

/// Whether a column has statuses.
pub fn is_status(column: &str) -> bool {
    matches!(column, "Status" | "Result" | "Mode")
}
