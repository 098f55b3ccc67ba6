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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_written_as_in_python() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("007", 7),
            ("+10", 10),
            ("-10", -10),
            (" 10\n", 10),
            ("1_000", 1_000),
            ("-1_0", -10),
            (&"9".repeat(50), i128::MAX),
            (&format!("-{}", "9".repeat(50)), -i128::MAX),
        ] {
            assert_eq!(integer(text), Some(number), "{text:?}");
        }
        for text in [
            "", " ", "-", "+", "--1", "+-1", "- 1", "1.0", "1e1", "0x1", "_1", "1_", "1__0", "1 0",
            "\u{661}", "one",
        ] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_whole_number_is_what_a_numeric_column_is_equal_to() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("+10", 10),
            (" \t10\r\n", 10),
            ("10.0", 10),
            ("10.", 10),
            ("1e1", 10),
            ("1E+1", 10),
            ("100e-1", 10),
            ("-0", 0),
            ("18446744073709551615", u64::MAX),
            ("8999999999999999.0", 8_999_999_999_999_999),
        ] {
            assert_eq!(whole(text), Some(number), "{text:?}");
        }
        for text in [
            "",
            "x",
            "1_0",
            "-1",
            "-1.0",
            "1.5",
            "0.5",
            "1e-1",
            "9e15",
            "9000000000000000.0",
            "18446744073709551616",
            "1e400",
            "inf",
            "NaN",
            "infinity",
            "0x10",
            "1 0",
            "\u{a0}10",
        ] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }
}
