//! Numbers as the arguments of a list may write them: those that Glance takes. Pure.

/// An integer as Python reads one: white space around it, a sign, underscores between digits. One that
/// is too large for anything here is the largest or smallest that there is.
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

/// The whole number that a text means, as a database with numeric columns compares it: `10`, `+10`,
/// ` 10`, `10.0` and `1e1` are ten. `None` for what no column of whole numbers is equal to.
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
    // Beyond this, not every whole number has a float of its own.
    let exact = number.fract() == 0.0 && (0.0..9e15).contains(&number);
    exact.then_some(number as u64)
}
