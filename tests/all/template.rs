//! The template, the functions, the events, the routes and the names of the table hold together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shared::domain::id::{ImageId, JobId};
use shared::http::routes::{Function, ROUTES};
use shared::store::keys as at;

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

/// What `cargo lambda watch` serves is the table of routes, and discovery for all else.
#[test]
fn each_route_is_in_the_router_of_the_manifest() {
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let router = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let mut found = BTreeSet::new();
    for (path, functions) in router.as_table().unwrap() {
        match functions.as_array() {
            None => {
                assert_eq!(functions.as_str(), Some("discovery"), "{path}");
                assert!(["/", "/{*path}"].contains(&path.as_str()), "{path}");
            }
            Some(functions) => found.extend(functions.iter().map(|one| {
                let text = |name: &str| one[name].as_str().unwrap();
                (text("method"), path.as_str(), text("function"))
            })),
        }
    }
    let routes = ROUTES
        .iter()
        .map(|route| (route.method, route.path, route.operation.function().name()));
    assert_eq!(found, routes.collect());
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
        let name = route.operation.function().name();
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
        .filter(|route| route.operation.function() != Function::Discovery)
        .map(|r| (r.method, r.path))
        .collect::<BTreeSet<_>>()
        .len();
    assert!(events >= known, "{events} events for {known} routes");
}

/// The events of a function: method, path, and whether they need no token.
fn events(text: &str) -> Vec<(&str, &str, bool)> {
    text.lines()
        .filter_map(|line| line.split_once(", Method: "))
        .map(|(_, rest)| {
            let (method, rest) = rest.split_once(", Path: \"").unwrap();
            let (path, rest) = rest.split_once('"').unwrap();
            (method, path, rest.contains("Auth: {Authorizer: NONE}"))
        })
        .collect()
}

#[test]
fn only_discovery_answers_without_a_token_and_only_where_clients_begin() {
    for name in names("functions") {
        let text = function(&name);
        for (method, path, open) in events(&text) {
            let begins = matches!(path, "/" | "/versions" | "/healthcheck" | "/{proxy+}");
            let expected = name == "discovery" && (begins || method == "OPTIONS");
            assert_eq!(open, expected, "{name}: {method} {path}");
        }
    }
}

#[test]
fn each_path_has_a_405_and_a_preflight() {
    let discovery = function("discovery");
    let events = events(&discovery);
    for route in ROUTES {
        // What is below /v2 and discovery's own needs no event of its own.
        let path = match (route.operation.function(), route.path.starts_with("/v2/")) {
            (Function::Discovery, true) => "/v2/{proxy+}",
            _ => route.path,
        };
        for (method, open) in [("ANY", false), ("OPTIONS", true)] {
            assert!(
                events.contains(&(method, path, open)),
                "{method} {}",
                route.path
            );
        }
    }
    // Each is a statement of some 450 bytes in the function's own policy, which has at most 20 KB.
    assert!(events.len() <= 40, "{} events", events.len());
}

/// A number in a resource's text.
fn number(text: &str, name: &str) -> Option<i64> {
    let (_, rest) = text.split_once(&format!("{name}: "))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[test]
fn no_message_comes_again_while_it_is_worked_on() {
    let resources = resources();
    for (queue, name) in [("Queue", "run-batch"), ("DeadLetters", "settle-batch")] {
        let hidden = number(&resources[queue], "VisibilityTimeout").unwrap();
        let worked_on = number(&function(name), "Timeout").unwrap();
        assert!(
            hidden >= 6 * worked_on,
            "{queue}: {hidden} s for {worked_on} s"
        );
    }
}

#[test]
fn policies_have_the_keys_of_the_schema() {
    let id = "11111111-1111-4111-8111-111111111111";
    let image = at::image_pk(ImageId::canonical(id).unwrap());
    let job = at::job_pk(JobId::parse("0199c6a1b2c37def8123456789abcdef").unwrap());
    let mut count = 0;
    for line in TEMPLATE
        .lines()
        .filter(|line| line.contains("dynamodb:LeadingKeys"))
    {
        let (_, list) = line.split_once("LeadingKeys: [").unwrap();
        for pattern in list.split('"').filter(|part| part.contains('#')) {
            let prefix = pattern.strip_suffix('*').unwrap();
            assert!(
                image.starts_with(prefix) || job.starts_with(prefix),
                "{pattern}"
            );
        }
        count += 1;
    }
    // Every statement about items of the table has such a condition.
    let statements = TEMPLATE.matches("Resource: !GetAtt Table.Arn\n").count();
    assert_eq!(count, statements);
}

#[test]
fn access_keys_have_a_table_of_their_own() {
    let table = resources().remove("AccessKeys").unwrap();
    assert!(table.contains("Condition: TakesSignatures\n"));
    let keys = table.split_once("KeySchema:\n").unwrap().1;
    assert_eq!(
        keys.trim(),
        format!("- {{AttributeName: {}, KeyType: HASH}}", at::PK)
    );
}

#[test]
fn the_table_has_the_names_of_the_schema() {
    let table = resources().remove("Table").unwrap();
    for name in [at::PK, at::SK, at::GPK, at::GSK, at::VPK, at::DPK, at::DSK] {
        assert!(table.contains(&format!("AttributeName: {name}")), "{name}");
    }
    assert!(table.contains(&format!("AttributeName: {}", at::EXPIRES_AT)));
    for index in [at::BY_PROJECT, at::BY_VISIBILITY, at::BY_DUE] {
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
    let kept = format!(
        "MessageRetentionPeriod: {}",
        shared::domain::job::DEADLINE_SECONDS
    );
    assert!(queue.contains(&kept), "a job is over when its messages are");
}

/// The promise of AuthCacheSeconds: the gateway remembers a token, or the function does, never both.
#[test]
fn a_token_is_remembered_once() {
    let api = resources().remove("Api").unwrap();
    let authorizers = api.split_once("Authorizers:\n").unwrap().1;
    let of_gateway = |signed: &str| {
        let block = authorizers
            .split_once(&format!("\"{signed}\":\n"))
            .unwrap()
            .1;
        let (_, rest) = block.split_once("ReauthorizeEvery: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    assert!(api.contains("DefaultAuthorizer: !Ref SignedRequests\n"));
    let text = function("authorizer");
    let (_, of_function) = text
        .split_once("AUTH_CACHE_TTL: !If [TakesSignatures, ")
        .unwrap();
    let (of_function, _) = of_function.split_once(']').unwrap();
    let (signed, plain) = of_function.split_once(", ").unwrap();
    let whole = "!Ref AuthCacheSeconds";
    assert_eq!((of_gateway("false").as_str(), plain), (whole, "\"0\""));
    assert_eq!((of_gateway("true").as_str(), signed), ("0", whole));
}

/// Whoever checks a signature or a token calls the roles by the same names.
#[test]
fn every_function_knows_what_roles_are_called() {
    let globals = TEMPLATE.split_once("\nGlobals:\n").unwrap().1;
    let globals = globals.split_once("\nResources:\n").unwrap().0;
    for (variable, parameter) in [
        ("ROLE_ADMIN", "RoleAdmin"),
        ("ROLE_MEMBER", "RoleMember"),
        ("ROLE_READER", "RoleReader"),
    ] {
        let line = format!("{variable}: !Join [\",\", !Ref {parameter}]\n");
        assert!(globals.contains(&line), "{line}");
        assert_eq!(TEMPLATE.matches(variable).count(), 1, "{variable}");
    }
}

/// A new account has ten invocations at once, of which none can be reserved.
#[test]
fn concurrency_is_reserved_only_on_request() {
    for (name, condition, parameter) in [
        (
            "authorizer",
            "BoundsAuthorizer",
            "AuthorizerReservedConcurrency",
        ),
        ("run-batch", "ReservesWorkers", "WorkerReservedConcurrency"),
    ] {
        let reserved = format!(
            "ReservedConcurrentExecutions: !If [{condition}, !Ref {parameter}, !Ref AWS::NoValue]\n"
        );
        assert!(function(name).contains(&reserved), "{name}");
        let off = format!("  {condition}: !Not [!Equals [!Ref {parameter}, \"0\"]]\n");
        assert!(TEMPLATE.contains(&off), "{off}");
        let declared = TEMPLATE.split_once(&format!("  {parameter}:\n")).unwrap().1;
        assert!(
            declared.starts_with("    Type: String\n    Default: \"0\"\n"),
            "{parameter}"
        );
    }
}
