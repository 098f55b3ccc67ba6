//! Functions, their events, and the routes of the API.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::http::routes::{Function, ROUTES};

use super::{attribute, function, items, names, properties, reference};

/// What leads to a function through the API.
#[derive(Debug, PartialEq)]
struct Event {
    method: &'static str,
    path: &'static str,
    /// Whether it needs no token.
    open: bool,
}

fn events(function: &'static Value) -> Vec<Event> {
    let events = function["Events"].as_object().into_iter().flatten();
    events
        .filter(|(_, event)| event["Type"] == "Api")
        .map(|(_, event)| {
            let of = &event["Properties"];
            assert_eq!(of["RestApiId"], reference("Api"));
            let auth = &of["Auth"];
            assert!(auth.is_null() || *auth == json!({"Authorizer": "NONE"}));
            Event {
                method: of["Method"].as_str().unwrap(),
                path: of["Path"].as_str().unwrap(),
                open: !auth.is_null(),
            }
        })
        .collect()
}

/// What `cargo lambda watch` serves is the table of routes, and discovery for all else.
#[test]
fn each_route_is_in_the_router_of_the_manifest() {
    let manifest: toml::Table = toml::from_str(include_str!("../../../Cargo.toml")).unwrap();
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
        let name = route.operation.function().name();
        // Schemas come with everything else that discovery answers.
        let found = events(function(name)).iter().any(|event| {
            let own = (event.method, event.path) == (route.method, route.path);
            own || name == "discovery" && event.path == "/v2/{proxy+}"
        });
        assert!(found, "{name}: {} {}", route.method, route.path);
    }
    // And no event leads anywhere else, but to the console, which is no part of the API.
    for name in names("functions")
        .iter()
        .filter(|name| !["discovery", "console"].contains(&name.as_str()))
    {
        for event in events(function(name)) {
            let known = ROUTES.iter().any(|route| {
                let own = (route.method, route.path) == (event.method, event.path);
                own && route.operation.function().name() == name
            });
            assert!(known, "{name}: {event:?}");
        }
    }
}

#[test]
fn only_where_clients_begin_is_no_token_needed() {
    for name in names("functions") {
        for event in events(function(&name)) {
            let begins = matches!(event.path, "/" | "/{proxy+}");
            let expected = match name.as_str() {
                "discovery" => begins || event.method == "OPTIONS",
                // A page is loaded before somebody signs in.
                "console" => true,
                _ => false,
            };
            assert_eq!(event.open, expected, "{name}: {event:?}");
        }
    }
}

/// Whatever the page is made to do, its function can reach nothing.
#[test]
fn the_console_has_its_paths_and_no_right_but_its_log() {
    let console = function("console");
    let paths: Vec<&str> = events(console).iter().map(|event| event.path).collect();
    assert_eq!(paths, ["/console", "/console/{proxy+}"]);
    assert_eq!(console["Role"], attribute("ConsoleRole.Arn"));
    let policies = items(&properties("ConsoleRole")["Policies"]);
    let statements = policies
        .iter()
        .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]));
    let statements: Vec<&Value> = statements.collect();
    let log = json!({
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": attribute("ConsoleLogs.Arn"),
    });
    assert_eq!(statements, [&log]);
    assert!(!items(&properties("ReadAccessKeys")["Roles"]).contains(&reference("ConsoleRole")));
}

#[test]
fn each_path_has_a_405_and_a_preflight() {
    let events = events(function("discovery"));
    for route in ROUTES {
        // What is below /v2 and discovery's own needs no event of its own.
        let path = match (route.operation.function(), route.path.starts_with("/v2/")) {
            (Function::Discovery, true) => "/v2/{proxy+}",
            _ => route.path,
        };
        for (method, open) in [("ANY", false), ("OPTIONS", true)] {
            let expected = Event { method, path, open };
            assert!(events.contains(&expected), "{expected:?}");
        }
    }
    // Each is a statement of some 450 bytes in the function's own policy, which has at most 20 KB.
    assert!(events.len() <= 45, "{} events", events.len());
}

/// A path that an authorizer is asked about may have 1,600 bytes: the gateway answers 414 to a longer
/// one. The longest ids that need no encoding stay far below.
#[test]
fn the_longest_plain_path_is_within_the_gateways_limit() {
    let id = "x".repeat(255);
    let longest = ROUTES.iter().map(|route| {
        let segments = route.path.split('/').map(|segment| match segment {
            parameter if parameter.starts_with('{') => id.len(),
            plain => plain.len(),
        });
        segments.map(|length| length + 1).sum::<usize>()
    });
    let longest = longest.max().unwrap() + "/v".len();
    assert!((600..1600).contains(&longest), "{longest}");
}

/// With a name of its own the API has no other address, by which a firewall could be passed.
#[test]
fn a_custom_domain_is_the_only_one() {
    let disabled = json!({"Fn::If": ["HasDomain", true, false]});
    assert_eq!(properties("Api")["DisableExecuteApiEndpoint"], disabled);
}
