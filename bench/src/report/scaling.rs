//! The table on paper: what the hottest keys carry on AWS, from the counted units.

use std::fmt::Write as _;

use super::figures::Figures;
use super::words::number;
use crate::data::Cost;

/// Requests per second by call: a cloud whose clients mostly read. 10,000 in all.
pub const MIX: [(&str, f64); 10] = [
    ("show an image", 4500.0),
    ("own images", 1500.0),
    ("shared with me, accepted", 1000.0),
    ("own images, name=", 1000.0),
    ("show a member", 500.0),
    ("list 10 members", 400.0),
    ("accept", 400.0),
    ("add a member", 300.0),
    ("create an image", 200.0),
    ("read a job", 200.0),
];

/// The share of all requests that the busiest project makes, and of all shows that go to the most used
/// image.
const BUSIEST: f64 = 0.05;
/// Partitions of the index of due records.
const DUE_KEYS: f64 = 16.0;
/// What DynamoDB serves for one partition key each second.
const READS_MAX: f64 = 3000.0;
const WRITES_MAX: f64 = 1000.0;

/// A place, its units each second, and those of its hottest key.
struct Row {
    place: String,
    key: &'static str,
    all: (f64, f64),
    hottest: (f64, f64),
}

/// The table in Markdown; `None` without figures.
pub fn table(figures: &Figures) -> Option<String> {
    let mut text = String::from(
        "| | all keys: read, write units/s | the hottest key | its read, write units/s | of its limit |\n\
         |---|---|---|---|---|\n",
    );
    for row in rows(figures)? {
        let of_limit = (row.hottest.0 / READS_MAX).max(row.hottest.1 / WRITES_MAX);
        let _ = writeln!(
            text,
            "| {} | {}, {} | {} | {}, {} | {} % |",
            match row.place.as_str() {
                "table" => "the table".to_owned(),
                index => format!("`{index}`"),
            },
            number(row.all.0),
            number(row.all.1),
            row.key,
            number(row.hottest.0),
            number(row.hottest.1),
            number(of_limit * 100.0)
        );
    }
    Some(text)
}

fn rows(figures: &Figures) -> Option<Vec<Row>> {
    let mut places: Vec<&str> = Vec::new();
    for cost in &figures.costs.as_ref()?.figures {
        for place in cost.reads.keys().chain(cost.writes.keys()) {
            if !places.contains(&place.as_str()) {
                places.push(place);
            }
        }
    }
    places.sort_by_key(|place| (*place != "table", (*place).to_owned()));
    let units = |place: &str, calls: &[&str]| {
        let mut sum = (0.0, 0.0);
        for (call, rate) in MIX
            .iter()
            .filter(|(call, _)| calls.is_empty() || calls.contains(call))
        {
            let of = |cost: &Cost| {
                let reads = cost.reads.get(place).copied().unwrap_or_default();
                (reads, cost.writes.get(place).copied().unwrap_or_default())
            };
            let (reads, writes) = figures.cost(call).map(of).unwrap_or_default();
            sum = (sum.0 + rate * reads, sum.1 + rate * writes);
        }
        sum
    };
    let rows = places.into_iter().map(|place| {
        let all = units(place, &[]);
        let share = |part: f64| (all.0 * part, all.1 * part);
        let (key, hottest) = match place {
            "table" => {
                let shows = units(place, &["show an image", "add a member"]);
                let key = "`IMAGE#…`: 5 % of all shows and adds go to one image";
                (key, (shows.0 * BUSIEST, shows.1 * BUSIEST))
            }
            "by_visibility" => {
                let key = "`VISIBILITY#public` is read by every list, `VISIBILITY#shared` is written by every create";
                (key, all)
            }
            "by_due" => ("`DUE#…`: one of 16", share(1.0 / DUE_KEYS)),
            _ => ("the busiest project makes 5 % of all requests", share(BUSIEST)),
        };
        Row {
            place: place.to_owned(),
            key,
            all,
            hottest,
        }
    });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_ten_thousand_requests_a_second() {
        let all: f64 = MIX.iter().map(|(_, rate)| rate).sum();
        assert_eq!(all, 10_000.0);
    }
}
