//! The contract with Glance's clients: every exchange that was observed on a real Glance, replayed.
//!
//! Each row finds an image in the state that the row was recorded in: nothing depends on the order
//! of the rows. `differences.toml` lists the rows that we answer differently on purpose, with the reason and
//! our whole answer; a row that is listed without need fails the test as well.

mod row;
mod stage;

use row::{Difference, Row};
use serde::Deserialize;
use stage::Stage;

const OBSERVED: &str = include_str!("../../contract/glance-33-observed.jsonl");
const DIFFERENCES: &str = include_str!("../../contract/differences.toml");

#[derive(Deserialize)]
struct Differences {
    exchange: Vec<Difference>,
}

#[tokio::test]
async fn every_observed_exchange() {
    let rows: Vec<Row> = OBSERVED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let Differences { exchange: known } = toml::from_str(DIFFERENCES).unwrap();
    let unknown = known
        .iter()
        .filter(|known| !rows.iter().any(|row| row.id == known.id));
    let mut wrong: Vec<String> = unknown
        .map(|known| format!("{} is listed and no row", known.id))
        .collect();
    // Lists show all that there is: the rows about them have stages of their own.
    let (common, empty, listed) = (
        Stage::new().await,
        Stage::new().await,
        Stage::with_list().await,
    );
    let (mut agree, mut differ) = (0, 0);
    for observed in &rows {
        let difference = known.iter().find(|known| known.id == observed.id);
        let ours = difference.map(|difference| observed.with(difference));
        let row = ours.as_ref().unwrap_or(observed);
        let stage = match row.group.as_str() {
            "versions" => &empty,
            "image-list" => &listed,
            _ => &common,
        };
        let names = stage.prepare(row).await;
        let answer = stage.send(row, &names).await;
        match difference {
            None => agree += 1,
            Some(_) if observed.differences(&answer, names.clone()).is_empty() => {
                wrong.push(format!("{} agrees now: it need not be listed", row.id));
            }
            Some(_) => differ += 1,
        }
        let differences = row.differences(&answer, names);
        if !differences.is_empty() {
            let reason = difference.map_or("", |difference| difference.reason.as_str());
            let differences = differences.join("\n    ");
            wrong.push(format!("{} {reason}\n    {differences}", row.id));
        }
    }
    println!("{agree} as observed, {differ} different on purpose");
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
