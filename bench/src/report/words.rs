//! Writes numbers as people read them.

/// A number with three digits that count, and separators between thousands.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 2,
        small if small < 10.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match text.split_once('.') {
        Some(_) => text,
        None => thousands(&text),
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many, with `k` and `M` on a plot.
pub fn count(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", number(value / 1e6)),
        1e4.. => format!("{}k", number(value / 1e3)),
        _ => number(value),
    }
}

/// How many entries, images or memberships, on an axis.
pub fn entries(value: usize) -> String {
    match value {
        1_000_000.. => format!("{}M", value / 1_000_000),
        1000.. => format!("{}k", value / 1000),
        _ => value.to_string(),
    }
}

/// A time given in milliseconds.
pub fn duration(milliseconds: f64) -> String {
    match milliseconds {
        0.0 => "0".to_owned(),
        1000.0.. => format!("{} s", number(milliseconds / 1e3)),
        small if small < 0.1 => format!("{} µs", number(small * 1e3)),
        _ => format!("{} ms", number(milliseconds)),
    }
}

/// A size given in MB.
pub fn bytes(megabytes: f64) -> String {
    match megabytes {
        1000.0.. => format!("{} GB", number(megabytes / 1e3)),
        small if small < 1.0 => format!("{} KB", number(small * 1e3)),
        _ => format!("{} MB", number(megabytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let numbers = [0.0, 0.044, 0.5, 2.0, 9.96, 12.3, 1234.5, 1_234_567.0].map(number);
        let expected = ["0", "0.04", "0.5", "2", "10", "12", "1,234", "1,234,567"];
        assert_eq!(numbers, expected);
        assert_eq!(
            [0.05, 0.44, 16.0, 1500.0].map(duration),
            ["50 µs", "0.44 ms", "16 ms", "1.5 s"]
        );
        assert_eq!(
            [0.2, 23.0, 1300.0].map(bytes),
            ["200 KB", "23 MB", "1.3 GB"]
        );
        assert_eq!([999.0, 12_345.0, 2e6].map(count), ["999", "12k", "2M"]);
        assert_eq!([10, 10_000, 1_000_000].map(entries), ["10", "10k", "1M"]);
    }
}
