//! Texts of others on a terminal: no name moves its cursor, and none looks like another one.

/// A character that is safe to print: no control, and none that is unseen or turns the direction of writing. The
/// console shows names by the same rule.
fn visible(character: char) -> char {
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

/// A text as one line that is safe to print.
pub fn visible_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// A text of which every line is safe to print.
pub fn visible_lines(text: &str) -> String {
    let visible = |c: char| if c == '\n' { c } else { visible(c) };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_hides_or_turns_others() {
        let shown = visible_lines("a\u{1b}\u{202e}b\u{200b}\né 図\u{feff}");
        assert_eq!(shown, "a\u{fffd}\u{fffd}b\u{fffd}\né 図\u{fffd}");
        assert_eq!(visible_line("a\nb"), "a\u{fffd}b");
    }
}
