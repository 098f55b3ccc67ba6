//! The table, the queues, and the limits of projects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::store::keys as at;

use super::{TEMPLATE, function, items, properties, reference};

/// The hash key and the range key of the table or of an index.
fn keys(of: &Value) -> Vec<(&str, &str)> {
    let keys = items(&of["KeySchema"]).iter();
    keys.map(|key| {
        let text = |name: &str| key[name].as_str().unwrap();
        (text("AttributeName"), text("KeyType"))
    })
    .collect()
}

#[test]
fn the_table_has_the_names_of_the_schema() {
    let table = properties("Table");
    let declared: BTreeSet<&str> = items(&table["AttributeDefinitions"])
        .iter()
        .map(|attribute| attribute["AttributeName"].as_str().unwrap())
        .collect();
    let known = [
        at::PK,
        at::SK,
        at::GPK,
        at::GSK,
        at::VPK,
        at::NPK,
        at::ONPK,
        at::DPK,
        at::DSK,
        at::OPK,
        at::OSK,
    ];
    assert_eq!(declared, BTreeSet::from(known));
    assert_eq!(keys(table), [(at::PK, "HASH"), (at::SK, "RANGE")]);
    let ttl = &table["TimeToLiveSpecification"];
    assert_eq!(
        *ttl,
        json!({"AttributeName": at::EXPIRES_AT, "Enabled": true})
    );

    // DynamoDB's limits for one index and for all of a table. What an index holds is fixed once the
    // table is in use, so both need room for what is to come.
    assert!(at::PROJECTED.len() <= 20 - 4);
    assert!(at::PROJECTED.len() + at::IMAGES_PROJECTED.len() <= 100);
    let whole = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": at::PROJECTED});
    let images = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": at::IMAGES_PROJECTED});
    let keys_only = json!({"ProjectionType": "KEYS_ONLY"});
    let expected = [
        (at::BY_PROJECT, (at::GPK, at::GSK), &whole),
        (at::BY_VISIBILITY, (at::VPK, at::GSK), &images),
        (at::BY_NAME, (at::NPK, at::GSK), &keys_only),
        (at::BY_OPEN_NAME, (at::ONPK, at::GSK), &keys_only),
        (at::BY_DUE, (at::DPK, at::DSK), &keys_only),
        (at::BY_OWNER, (at::OPK, at::OSK), &keys_only),
    ];
    let indexes = items(&table["GlobalSecondaryIndexes"]);
    assert_eq!(indexes.len(), expected.len());
    for (index, (name, (hash, range), projected)) in indexes.iter().zip(expected) {
        assert_eq!(index["IndexName"], name);
        assert_eq!(keys(index), [(hash, "HASH"), (range, "RANGE")], "{name}");
        assert_eq!(index["Projection"], *projected, "{name}");
    }
}

#[test]
fn the_queue_keeps_what_jobs_rely_on() {
    let kept = &properties("Queue")["MessageRetentionPeriod"];
    let needed = shared::domain::job::DEADLINE_SECONDS;
    assert_eq!(*kept, needed, "a job is over when its messages are");
    let receives = &properties("Queue")["RedrivePolicy"]["maxReceiveCount"];
    let expected = shared::runtime::messages::MAX_RECEIVE_COUNT;
    assert_eq!(*receives, expected, "pauses are reckoned for it");
    // A message whose invocation dies each time is settled before its job's deadline.
    let hidden = properties("Queue")["VisibilityTimeout"].as_i64().unwrap();
    assert!(i64::from(expected) * hidden < needed);
}

#[test]
fn no_message_comes_again_while_it_is_worked_on() {
    for (queue, name) in [("Queue", "run-batch"), ("DeadLetters", "settle-batch")] {
        let hidden = properties(queue)["VisibilityTimeout"].as_u64().unwrap();
        let worked_on = function(name)["Timeout"].as_u64().unwrap();
        assert!(
            hidden >= 6 * worked_on,
            "{queue}: {hidden} s for {worked_on} s"
        );
    }
}

/// The limits of projects are those of `imshare serve`, unless the operator sets others.
#[test]
fn the_limits_of_projects_are_the_same_everywhere() {
    let limits = shared::domain::limits::ProjectLimits::default();
    for (function_name, variable, parameter, default) in [
        ("batch-update", "JOB_QUOTA", "JobQuota", limits.jobs),
        ("batch-update", "ENTRY_QUOTA", "EntryQuota", limits.entries),
        ("images", "IMAGE_QUOTA", "ImageQuota", limits.images),
    ] {
        let variables = &function(function_name)["Environment"]["Variables"];
        assert_eq!(variables[variable], reference(parameter));
        assert_eq!(TEMPLATE["Parameters"][parameter]["Default"], default);
    }
}
