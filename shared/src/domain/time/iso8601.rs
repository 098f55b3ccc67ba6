//! The forms of ISO 8601 that Glance takes in filters.

use time::{Date, Month, PrimitiveDateTime, Time};

/// Microseconds since the Unix epoch; `None` for what is not a time in one of the forms.
pub(super) fn parse(text: &str) -> Option<i64> {
    // As in Glance, one line end behind the time is not part of it.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (year, rest) = number(text, 4)?;
    if rest.is_empty() {
        return moment(year, 1, 1, TimeOfDay::default());
    }
    if let Some(after) = rest.strip_prefix('-') {
        // A month may have one digit: of `2020-101` that is the only reading.
        return [2, 1].into_iter().find_map(|digits| {
            let (month, rest) = number(after, digits)?;
            match rest {
                "" => moment(year, month, 1, TimeOfDay::default()),
                rest => in_month(year, month, rest),
            }
        });
    }
    // `YYYYMM` alone would look like `YYMMDD`.
    let (month, rest) = number(rest, 2)?;
    in_month(year, month, rest)
}

fn in_month(year: i32, month: i32, rest: &str) -> Option<i64> {
    let digits: &[usize] = if rest.starts_with('-') { &[2, 1] } else { &[2] };
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    digits.iter().find_map(|digits| {
        let (day, rest) = number(rest, *digits)?;
        let time = match rest.strip_prefix(['T', ' ']) {
            Some(time) => time_of_day(time)?,
            None if rest.is_empty() => TimeOfDay::default(),
            None => return None,
        };
        moment(year, month, day, time)
    })
}

/// A time of day and its offset from UTC in minutes.
#[derive(Clone, Copy, Default)]
struct TimeOfDay {
    hour: i32,
    minute: i32,
    second: i32,
    micros: i32,
    offset: i32,
}

/// `HH[[:]MM][[:]SS[.fraction]][zone]`
fn time_of_day(text: &str) -> Option<TimeOfDay> {
    let (hour, rest) = number(text, 2)?;
    let mut time = TimeOfDay {
        hour,
        ..TimeOfDay::default()
    };
    let mut rest = rest;
    if let Some((minute, after)) = number(without_colon(rest), 2) {
        // Only seconds have a fraction: of `T00:30.5` they are the 30.
        if !after.starts_with(['.', ',']) {
            time.minute = minute;
            rest = after;
        }
    }
    let seconds = without_colon(rest);
    if let Some((second, after)) = number(seconds, 2).or_else(|| number(seconds, 1)) {
        time.second = second;
        rest = after;
        if let Some(fraction) = after.strip_prefix(['.', ',']) {
            (time.micros, rest) = micros(fraction)?;
        }
    }
    time.offset = offset(rest)?;
    Some(time)
}

fn without_colon(text: &str) -> &str {
    text.strip_prefix(':').unwrap_or(text)
}

/// The digits of a fraction as microseconds, cut off behind the sixth, and what follows them.
fn micros(text: &str) -> Option<(i32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let six = format!("{digits:0<6}").get(..6)?.parse().ok()?;
    (!digits.is_empty()).then_some((six, rest))
}

/// `Z`, `±HH`, `±HHMM`, `±HH:MM` or nothing, in minutes.
fn offset(text: &str) -> Option<i32> {
    let sign = match text.chars().next() {
        None => return Some(0),
        Some('Z') => return (text.len() == 1).then_some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let (hours, rest) = number(text.get(1..)?, 2)?;
    let minutes = match without_colon(rest) {
        "" => 0,
        rest => number(rest, 2).filter(|(_, rest)| rest.is_empty())?.0,
    };
    let offset = hours * 60 + minutes;
    (offset < 24 * 60).then_some(sign * offset)
}

/// A number of exactly so many ASCII digits, and what follows it.
fn number(text: &str, digits: usize) -> Option<(i32, &str)> {
    let (head, rest) = text.split_at_checked(digits)?;
    let all = head.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| head.parse().ok())
        .flatten()
        .map(|number| (number, rest))
}

fn moment(year: i32, month: i32, day: i32, time: TimeOfDay) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let part = |part: i32| u8::try_from(part).ok();
    let (hour, minute, second) = (part(time.hour)?, part(time.minute)?, part(time.second)?);
    let time_of_day =
        Time::from_hms_micro(hour, minute, second, u32::try_from(time.micros).ok()?).ok()?;
    let nanos = PrimitiveDateTime::new(date, time_of_day)
        .assume_utc()
        .unix_timestamp_nanos();
    let micros = i64::try_from(nanos / 1_000).ok()?;
    micros.checked_sub(i64::from(time.offset) * 60_000_000)
}

#[cfg(test)]
mod tests {
    use crate::domain::time::Timestamp;

    /// As Glance 33 reads them.
    #[test]
    fn every_form_that_glance_takes() {
        for (text, instant) in [
            ("2020", "2020-01-01T00:00:00"),
            ("2020-02", "2020-02-01T00:00:00"),
            ("2020-2", "2020-02-01T00:00:00"),
            ("2020-02-03", "2020-02-03T00:00:00"),
            ("2020-2-3", "2020-02-03T00:00:00"),
            ("20200203", "2020-02-03T00:00:00"),
            ("2020-0203", "2020-02-03T00:00:00"),
            ("202002-03", "2020-02-03T00:00:00"),
            ("2020-101", "2020-01-01T00:00:00"),
            ("2020-02-03T04", "2020-02-03T04:00:00"),
            ("2020-02-03T04Z", "2020-02-03T04:00:00"),
            ("2020-02-03T04+01", "2020-02-03T03:00:00"),
            ("2020-02-03T04:05Z", "2020-02-03T04:05:00"),
            ("2020-02-03 04:05:06", "2020-02-03T04:05:06"),
            ("2020-02-03T04:05:6Z", "2020-02-03T04:05:06"),
            ("20200203T040506Z", "2020-02-03T04:05:06"),
            ("2020-02-03T04:0506Z", "2020-02-03T04:05:06"),
            ("2020-02-03T0405:06Z", "2020-02-03T04:05:06"),
            ("2020-02-03T04056Z", "2020-02-03T04:05:06"),
            ("2020-02-03T04:05:06,7Z", "2020-02-03T04:05:06.7"),
            (
                "2020-02-03T04:05:06.123456789Z",
                "2020-02-03T04:05:06.123456",
            ),
            ("2020-02-03T04:06.5Z", "2020-02-03T04:00:06.5"),
            ("2020-02-03T04:05:06+0100", "2020-02-03T03:05:06"),
            ("2020-02-03T04:05:06-01:30", "2020-02-03T05:35:06"),
            ("2020-02-03T04:05:06+23:59", "2020-02-02T04:06:06"),
            ("2020-02-03T04:05:06-00:00", "2020-02-03T04:05:06"),
            ("2020-02-03T04:05:06Z\n", "2020-02-03T04:05:06"),
            ("0001-01-01", "0001-01-01T00:00:00"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59"),
        ] {
            let expected = Timestamp::parse(&format!("{instant}Z"));
            assert!(expected.is_some());
            assert_eq!(Timestamp::parse_iso8601(text), expected, "{text:?}");
        }
        for text in [
            "",
            "202001",
            "20201",
            "2020011",
            "2020-",
            "2020-13",
            "2020-02-30",
            "2020Z",
            "-2020",
            "2020-02-03Z",
            "2020-02-03T",
            "2020-02-03t04:05:06Z",
            "2020-02-03T04:05:06z",
            "2020-02-03T04:05:60Z",
            "2020-02-03T24:00:00Z",
            "2020-02-03T04:60:00Z",
            "2020-02-03T04:05:06.Z",
            "2020-02-03T4:05:06Z",
            "2020-02-03T04:5:06Z",
            "2020-02-03T04:05:06 Z",
            " 2020-02-03",
            "2020-02-03 ",
            "2020-02-03T04:05:06+",
            "2020-02-03T04:05:06+1",
            "2020-02-03T04:05:06+24:00",
            "2020-02-03T04:05:06+23:60",
            "2020-02-03T04:05:06UTC",
            "2020-02-03T04:05:006Z",
            "2020-02-03_04:05",
            "10000-01-01",
            "2020-001",
            "2020-W01",
            "\u{ff12}\u{ff10}\u{ff12}\u{ff10}",
            "0000-01-01",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert_eq!(Timestamp::parse_iso8601(text), None, "{text:?}");
        }
    }
}
