//! The contract with Glance's clients: every exchange that was observed on a real Glance, replayed.
//!
//! Each row finds an image in the state that the row was recorded in: nothing depends on the order
//! of the rows. Rows that we answer differently on purpose are listed with the reason, and a row
//! that is listed without need fails the test as well.

mod row;
mod stage;

use row::Row;
use stage::Stage;

const OBSERVED: &str = include_str!("../../contract/glance-33-observed.jsonl");

/// Rows that we answer differently on purpose, our status and the reason.
const DIFFERENT: &[(&str, u16, &str)] = &[
    (
        "add.member.int",
        400,
        "a member is a string; a number would be stored as something else",
    ),
    (
        "add.member.float",
        400,
        "a member is a string; a number would be stored as something else",
    ),
    (
        "add.member.list",
        400,
        "a member is a string, and anything else no error of the server",
    ),
    (
        "add.member.object",
        400,
        "a member is a string, and anything else no error of the server",
    ),
    (
        "add.member.256",
        400,
        "a member's id has at most 255 characters, whatever the store takes",
    ),
    (
        "add.member.1000",
        400,
        "a member's id has at most 255 characters, whatever the store takes",
    ),
    (
        "add.member.emoji",
        200,
        "a member's id may have any character",
    ),
    ("add.nan", 400, "NaN is not JSON"),
    ("add.body.10mib", 413, "a body has at most 1 MiB"),
    (
        "add.body.deep",
        400,
        "a body that nests too deep is no error of the server",
    ),
    (
        "add.badimageid.unicode",
        404,
        "a path is UTF-8: the message shows the id that was sent",
    ),
    (
        "add.badimageid.badutf8",
        400,
        "a path that is not UTF-8 gets an answer",
    ),
    (
        "add.readd.list",
        200,
        "a membership that is made again is a new one: the last of the list",
    ),
    (
        "get.unicode",
        200,
        "a path is UTF-8: a member with such an id can be found",
    ),
    (
        "http.reqid.65",
        200,
        "a long request id is cut, and no error of the server",
    ),
    ("http.chunked", 200, "a chunked body is read"),
    (
        "img.create.list",
        400,
        "a list is no image, and no error of the server",
    ),
];

/// Rows about what this service does not serve: nobody has recorded one yet.
const NOT_SERVED: &[(&str, u16, &str)] = &[];

#[tokio::test]
async fn every_observed_exchange() {
    let rows: Vec<Row> = OBSERVED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let known: Vec<_> = DIFFERENT.iter().chain(NOT_SERVED).collect();
    let unknown = known
        .iter()
        .filter(|(id, ..)| !rows.iter().any(|row| row.id == *id));
    let mut wrong: Vec<String> = unknown
        .map(|(id, ..)| format!("{id} is listed and no row"))
        .collect();
    // Lists show all that there is: the rows about them have stages of their own.
    let (common, empty, listed) = (
        Stage::new().await,
        Stage::new().await,
        Stage::with_list().await,
    );
    let mut agree = 0;
    for row in &rows {
        let stage = match row.group.as_str() {
            "versions" => &empty,
            "image-list" => &listed,
            _ => &common,
        };
        let names = stage.prepare(row).await;
        let answer = stage.send(row, &names).await;
        let differences = row.differences(&answer, names);
        match known.iter().find(|(id, ..)| *id == row.id) {
            None if differences.is_empty() => agree += 1,
            None => wrong.push(format!("{}\n    {}", row.id, differences.join("\n    "))),
            Some(_) if differences.is_empty() => {
                wrong.push(format!("{} agrees now: it need not be listed", row.id));
            }
            Some((id, status, reason)) if answer.status != *status => {
                wrong.push(format!("{id}: {}, not {status}: {reason}", answer.status));
            }
            Some(_) => {}
        }
    }
    println!(
        "{agree} agree, {} differ on purpose, {} not served",
        DIFFERENT.len(),
        NOT_SERVED.len()
    );
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
