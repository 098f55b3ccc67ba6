//! Parses numbers in query arguments as Glance does.

/// Parses an integer as Python does: with white space around it, a sign, and underscores between
/// digits. Too large ones saturate.
pub fn integer(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<&str> = digits.split('_').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !parts.iter().all(numeric) {
        return None;
    }
    let number = parts.concat().parse().unwrap_or(i128::MAX);
    Some(if negative { -number } else { number })
}

/// Parses a whole number as a database compares a text with a numeric column: `10`, `+10`, ` 10`, `10.0`
/// and `1e1` are ten. `None` for a text that equals no whole number.
pub fn whole(text: &str) -> Option<u64> {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let of_a_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: f64 = text
        .bytes()
        .all(of_a_number)
        .then(|| text.parse().ok())
        .flatten()?;
    // Beyond this, floats do not represent every whole number.
    let exact = number.fract() == 0.0 && (0.0..9e15).contains(&number);
    exact.then_some(number as u64)
}
