//! Instants, the three ways they are written, and the clock that is passed in.

mod iso8601;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// An instant in UTC, in microseconds since the Unix epoch.
///
/// A message carries it as that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

const BASIC: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// The first and the last microsecond of the years 1 to 9999 of UTC.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch: the unit of the table's TTL attribute.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant and the given number of seconds.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, as Glance writes times.
    pub fn seconds(self) -> String {
        self.format(SECONDS)
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`, as IMS writes times.
    pub fn millis(self) -> String {
        self.format(MILLIS)
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmmmmZ`: the stored form, whose text order is the order in time.
    pub fn stored(self) -> String {
        self.format(MICROS)
    }

    /// Parses RFC 3339 in UTC or with an offset; `None` if it is anything else, or outside the years
    /// 1 to 9999 of UTC, which no other form here could write.
    pub fn parse(text: &str) -> Option<Self> {
        let nanos = OffsetDateTime::parse(text, &Rfc3339)
            .ok()?
            .unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000))
            .ok()
            .and_then(Self::in_range)
    }

    /// Parses any form of ISO 8601 that Glance takes in a filter: a date or a date and time, basic or
    /// extended, whole or cut short, in UTC if it names no offset. `None` if it is anything else, or
    /// outside the years 1 to 9999 of UTC.
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        iso8601::parse(text).and_then(Self::in_range)
    }

    /// The instant, if it is within the years 1 to 9999 of UTC.
    fn in_range(micros: i64) -> Option<Self> {
        (FIRST..=LAST).contains(&micros).then_some(Self(micros))
    }

    /// Parses `YYYYMMDDTHHMMSSZ`, as signed requests write times; `None` if it is anything else.
    pub fn parse_basic(text: &str) -> Option<Self> {
        let instant = PrimitiveDateTime::parse(text, BASIC).ok()?.assume_utc();
        instant.unix_timestamp().checked_mul(1_000_000).map(Self)
    }

    fn format(self, form: &[BorrowedFormatItem<'_>]) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .ok()
            .and_then(|instant| instant.format(form).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
    }
}

/// An instant in UTC as Glance writes it, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        as = Time,
        value_type = String,
        format = DateTime,
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    )
)]
pub struct Seconds(pub Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.seconds())
    }
}

/// An instant in UTC as IMS writes it, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(
        as = TimeWithMillis,
        value_type = String,
        format = DateTime,
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
    )
)]
pub struct Millis(pub Timestamp);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seconds())
    }
}

/// Where "now" comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The host's clock.
    #[default]
    System,
    /// A clock that a test moves: microseconds since the Unix epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
                Timestamp(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX))
            }
            Self::Manual(micros) => Timestamp(micros.load(Ordering::SeqCst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_three_ways_and_read_back() {
        let instant = Timestamp::from_micros(1_730_874_262_925_417);
        assert_eq!(instant.seconds(), "2024-11-06T06:24:22Z");
        assert_eq!(instant.millis(), "2024-11-06T06:24:22.925Z");
        assert_eq!(instant.stored(), "2024-11-06T06:24:22.925417Z");
        assert_eq!(Timestamp::parse(&instant.stored()), Some(instant));
        assert_eq!(Timestamp::parse("yesterday"), None);
        // A record with such a time could be written, and never read again.
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00+23:00"), None);
        assert_eq!(Timestamp::parse("0000-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59-00:01"), None);
        for limit in ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"] {
            assert_eq!(Timestamp::parse(limit).unwrap().stored(), limit);
        }
        let second = Timestamp::parse_basic("20241106T062422Z").unwrap();
        assert_eq!(second.seconds(), "2024-11-06T06:24:22Z");
        assert_eq!(Timestamp::parse_basic("2024-11-06T06:24:22Z"), None);
    }

    #[test]
    fn seconds_are_whole_and_rounded_down() {
        for (micros, seconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_999_999, 1, "1970-01-01T00:00:01Z"),
            (-1, -1, "1969-12-31T23:59:59Z"),
        ] {
            let instant = Timestamp::from_micros(micros);
            assert_eq!(
                (instant.micros(), instant.unix_seconds()),
                (micros, seconds)
            );
            assert_eq!(instant.to_string(), text);
        }
        let later = Timestamp::from_micros(5).plus_seconds(2);
        assert_eq!(later.micros(), 2_000_005);
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.plus_seconds(1), end);
        assert_eq!(Timestamp::from_micros(0).plus_seconds(i64::MAX), end);
    }

    #[test]
    fn a_clock_is_the_hosts_or_a_tests() {
        let host = std::time::SystemTime::now();
        let host = host.duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Clock::default().now().micros();
        let away = now.abs_diff(i64::try_from(host.as_micros()).unwrap());
        assert!(away < 60_000_000, "{away}");
        let micros = Arc::new(AtomicI64::new(7));
        let clock = Clock::Manual(micros.clone());
        assert_eq!(clock.now(), Timestamp::from_micros(7));
        micros.store(8, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp::from_micros(8));
    }
}
