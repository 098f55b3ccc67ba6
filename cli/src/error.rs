//! Why a command fails: an exit code and one sentence for the user.

use std::fmt;

/// The exit codes. 0 is for a command that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something is left to do: entries of a job failed, or the output could not be written.
    Incomplete = 1,
    /// The command is wrong: an unknown option, name or id. Nothing was sent, or nothing was done.
    WrongUse = 2,
    /// Not logged in, or not allowed.
    Refused = 3,
    /// The service, or the identity service, is away or does not work.
    Away = 4,
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Everything is done.
    All,
    /// Some entries of a job failed.
    SomeFailed,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened and what to do next, without the program's name.
    pub sentence: String,
}

/// The result of everything that can fail.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// The command is wrong.
    pub fn wrong_use(sentence: impl Into<String>) -> Self {
        Self::new(Exit::WrongUse, sentence)
    }

    /// The user is not logged in, or not allowed.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Refused, sentence)
    }

    /// A service does not answer, or not as it should.
    pub fn away(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Away, sentence)
    }

    /// A failure with this exit code.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { exit, sentence }
    }

    /// The same failure, with more to do next.
    #[must_use]
    pub fn and(mut self, more: impl fmt::Display) -> Self {
        self.sentence = format!("{}; {more}", self.sentence);
        self
    }
}

/// A number and its noun: "1 image", "2 images".
pub fn count(number: usize, noun: &str) -> String {
    let grouped = grouped(number);
    match number {
        1 => format!("1 {noun}"),
        _ if noun.ends_with('y') => format!("{grouped} {}ies", noun.trim_end_matches('y')),
        _ if noun.ends_with("ch") => format!("{grouped} {noun}es"),
        _ => format!("{grouped} {noun}s"),
    }
}

/// A number with a comma between thousands.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Words in one line: "a", "a or b", "a, b or c".
pub fn either(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// A character that is safe to print: no control, and none that is unseen or turns the direction of
/// writing, so that no name looks like another one.
pub fn visible(character: char) -> char {
    let unseen = matches!(
        character,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    if character.is_control() || unseen {
        '\u{fffd}'
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_hides_or_turns_others() {
        let shown: String = "a\u{1b}\u{202e}b\u{200b}é 図\u{feff}"
            .chars()
            .map(visible)
            .collect();
        assert_eq!(shown, "a\u{fffd}\u{fffd}b\u{fffd}é 図\u{fffd}");
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (number, noun, text) in [
            (0, "entry", "0 entries"),
            (1, "entry", "1 entry"),
            (1000, "project", "1,000 projects"),
            (25_000, "batch", "25,000 batches"),
            (1_234_567, "image", "1,234,567 images"),
        ] {
            assert_eq!(count(number, noun), text);
        }
    }

    #[test]
    fn words_are_joined_as_they_are_said() {
        let words = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(either(&words), "a, b or c");
        assert_eq!(either(&words[..2]), "a or b");
        assert_eq!(either(&words[..1]), "a");
    }
}
