//! The template, the functions, the events, the routes and the names of the table hold together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shared::routes::ROUTES;
use shared::store::schema as at;

const TEMPLATE: &str = include_str!("../../template.yaml");

fn names(directory: &str) -> BTreeSet<String> {
    std::fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(directory),
    )
    .unwrap()
    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
    .collect()
}

/// The text of each resource, by its name.
fn resources() -> BTreeMap<&'static str, String> {
    let mut resources: BTreeMap<&str, String> = BTreeMap::new();
    let mut current = "";
    for line in TEMPLATE
        .lines()
        .skip_while(|line| *line != "Resources:")
        .skip(1)
    {
        let name = line
            .strip_prefix("  ")
            .and_then(|rest| rest.strip_suffix(':'));
        if let Some(name) = name.filter(|name| !name.starts_with([' ', '#'])) {
            current = name;
        }
        resources
            .entry(current)
            .or_default()
            .push_str(&format!("{line}\n"));
    }
    resources
}

/// The text of the function that is built from this binary.
fn function(name: &str) -> String {
    let binary = format!("Binary: {name}\n");
    let mut found = resources()
        .into_values()
        .filter(|text| text.contains(&binary));
    let text = found
        .next()
        .unwrap_or_else(|| panic!("the template has no {name}"));
    assert!(found.next().is_none());
    text
}

#[test]
fn each_function_is_a_directory_a_resource_and_has_events() {
    let functions = names("functions");
    assert_eq!(functions, names("events"));
    for name in functions {
        function(&name);
    }
}

#[test]
fn each_route_leads_to_its_function() {
    for route in ROUTES {
        let event = format!("Method: {}, Path: \"{}\"", route.method, route.path);
        let name = route.function.name();
        // Schemas come with everything else that discovery answers.
        let text = function(name);
        assert!(
            text.contains(&event) || name == "discovery" && text.contains("Path: \"/v2/{proxy+}\""),
            "{name} has no {event}"
        );
    }
    let events = TEMPLATE.matches("Type: Api, Properties:").count();
    let known = ROUTES
        .iter()
        .map(|r| (r.method, r.path))
        .collect::<BTreeSet<_>>()
        .len();
    assert!(events >= known, "{events} events for {known} routes");
}

#[test]
fn the_table_has_the_names_of_the_schema() {
    let table = resources().remove("Table").unwrap();
    for name in [at::PK, at::SK, at::GPK, at::GSK, at::VPK] {
        assert!(table.contains(&format!("AttributeName: {name}")), "{name}");
    }
    assert!(table.contains(&format!("AttributeName: {}", at::EXPIRES_AT)));
    for index in [at::BY_PROJECT, at::BY_VISIBILITY] {
        assert!(table.contains(&format!("IndexName: {index}")), "{index}");
    }
    assert!(at::PROJECTED.len() <= 20, "DynamoDB's limit for one index");
    for name in at::PROJECTED {
        let count = table
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| w == name)
            .count();
        assert!(
            count >= 2 || table.contains('&'),
            "{name} is projected by both indexes"
        );
    }
}

#[test]
fn the_queue_keeps_what_jobs_rely_on() {
    let queue = resources().remove("Queue").unwrap();
    let kept = format!("MessageRetentionPeriod: {}", shared::job::DEADLINE_SECONDS);
    assert!(queue.contains(&kept), "a job is over when its messages are");
}
