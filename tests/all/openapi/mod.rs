//! The OpenAPI document: made from the route table and the types of bodies and answers, compared with
//! `docs/openapi.json`, and with what the service answers.
//!
//! | module | what it has |
//! |---|---|
//! | [`document`] | the whole: paths from the route table, components |
//! | [`describe`] | what is said of an operation; one arm for each |
//! | [`images`], [`members`], [`batches`], [`discovery`] | the words |
//! | [`parameters`], [`responses`], [`examples`] | the components that are no schema |
//! | [`served`] | that the local server shows it |

mod batches;
mod describe;
mod discovery;
mod document;
mod examples;
mod images;
mod members;
mod parameters;
mod responses;
mod served;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Harness, HttpResponse, MEMBER, OWNER, Who};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

fn document() -> Value {
    serde_json::to_value(document::document()).unwrap()
}

/// Set `UPDATE_GOLDEN=1` to write the file anew, and read the difference.
#[test]
fn the_document_is_made_from_the_routes_and_types() {
    let made = document::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, &made).unwrap();
    }
    let golden = std::fs::read_to_string(FILE).unwrap();
    for (golden, made) in golden.lines().zip(made.lines()) {
        assert_eq!(golden, made, "docs/openapi.json");
    }
    assert_eq!(golden, made);
}

struct Operation<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(method, _)| *method != "parameters");
        methods.map(move |(method, operation)| Operation {
            method: method.to_uppercase(),
            path,
            operation,
        })
    });
    all.collect()
}

fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => node,
    }
}

fn references<'a>(node: &'a Value, found: &mut BTreeSet<&'a str>) {
    match node {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn each_reference_leads_somewhere_and_each_component_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let mut known = BTreeSet::new();
    for (kind, components) in document["components"].as_object().unwrap() {
        let names = components.as_object().unwrap().keys();
        known.extend(names.map(|name| format!("#/components/{kind}/{name}")));
    }
    known.retain(|name| !name.starts_with("#/components/securitySchemes/"));
    assert!(used.iter().eq(known.iter()), "{used:#?} {known:#?}");
}

#[test]
fn each_link_leads_to_an_operation_and_no_two_have_one_id() {
    let document = document();
    let operations = operations(&document);
    let ids = operations
        .iter()
        .map(|it| it.operation["operationId"].as_str().unwrap());
    let ids: BTreeSet<&str> = ids.collect();
    assert_eq!(ids.len(), operations.len());
    for operation in &operations {
        for response in operation.operation["responses"]
            .as_object()
            .unwrap()
            .values()
        {
            for link in response["links"].as_object().into_iter().flatten() {
                assert!(
                    ids.contains(link.1["operationId"].as_str().unwrap()),
                    "{link:?}"
                );
            }
        }
    }
}

/// An image has the properties of the schema that clients validate answers against, but for those
/// that only a store of data has; and what may be sent has the limits of that schema.
#[test]
fn images_are_those_of_glances_schema() {
    let document = document();
    let glance = shared::domain::json_schema::document("image").unwrap();
    let names = |properties: &Value| -> BTreeSet<String> {
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let mut expected = names(&glance["properties"]);
    for of_data in ["direct_url", "locations", "stores"] {
        assert!(expected.remove(of_data));
    }
    let schemas = &document["components"]["schemas"];
    let image = &schemas["Image"];
    assert_eq!(names(&image["properties"]), expected);
    assert_eq!(image["required"].as_array().unwrap().len(), expected.len());
    for properties in [&image["properties"], &schemas["NewImage"]["properties"]] {
        for (name, ours) in properties.as_object().unwrap() {
            let theirs = glance["properties"][name]["maxLength"].as_u64();
            let ours = resolved(&document, ours)["maxLength"].as_u64();
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

/// Panics if a value does not match a schema of the document.
fn validate(document: &Value, schema: &Value, value: &Value, label: &str) {
    let schema = json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let wrong: Vec<_> = validator
        .iter_errors(value)
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{label}: {wrong:#?}");
}

#[test]
fn each_example_matches_its_schema() {
    let document = document();
    let mut seen = 0;
    let mut check = |holder: &Value, label: &str| {
        for (_, media) in holder["content"].as_object().into_iter().flatten() {
            let example = match &media["examples"]["example"] {
                Value::Null => media.get("example"),
                named => resolved(&document, named).get("value"),
            };
            if let (Some(schema), Some(example)) = (media.get("schema"), example) {
                validate(&document, schema, example, label);
                seen += 1;
            }
        }
    };
    for operation in operations(&document) {
        check(&operation.operation["requestBody"], operation.path);
        for response in operation.operation["responses"]
            .as_object()
            .unwrap()
            .values()
        {
            check(resolved(&document, response), operation.path);
        }
    }
    assert!(seen > 50, "only {seen} examples");
}

/// Checks an answer against what the document says of that operation.
fn check(document: &Value, operation: &Operation<'_>, answer: &HttpResponse) {
    let label = format!("{} {}: {}", operation.method, operation.path, answer.status);
    let responses = &operation.operation["responses"];
    let response = responses
        .get(answer.status.to_string())
        .unwrap_or_else(|| panic!("{label} is not documented: {}", answer.body));
    let response = resolved(document, response);
    for name in response["headers"].as_object().unwrap().keys() {
        assert!(answer.header(name).is_some(), "{label} has no {name}");
    }
    let Some(found) = answer.header("content-type") else {
        assert!(response["content"].is_null(), "{label} has no content");
        return;
    };
    let media = response["content"].get(found.split(';').next().unwrap());
    let media = media.unwrap_or_else(|| panic!("{label} is {found}"));
    if let Some(schema) = media.get("schema") {
        validate(document, schema, &answer.json(), &label);
    }
}

#[tokio::test]
async fn the_details_of_the_health_are_what_the_document_says() {
    let document = document();
    let harness = Harness::new().await;
    let operations = operations(&document);
    let health = operations.iter().find(|it| it.path == "/healthcheck");
    let json = [("accept", "application/json")];
    for (who, status) in [(Who::Admin, 200), (Who::Owner, 403), (Who::NoToken, 401)] {
        let path = "/healthcheck?detailed";
        let answer = harness.send_with(who, "GET", path, &json, None).await;
        check(&document, health.unwrap(), &answer);
        let details = json!({"$ref": "#/components/schemas/HealthDetails"});
        match answer.status {
            200 => validate(&document, &details, &answer.json(), path),
            refused => assert_eq!(refused, status),
        }
    }
}

/// Each operation, with the document's own example for a body.
#[tokio::test]
async fn what_is_answered_is_what_the_document_says() {
    let document = document();
    let harness = Harness::new().await;
    let image = harness
        .image(json!({"name": "n", "os_distro": "debian"}))
        .await;
    let batch = json!({"images": [image, "no image"], "projects": ["p"]});
    let job = harness
        .post(Who::Owner, "/v1/cloudimages/members", batch)
        .await;
    let job = job.expect(200).text("/job_id");
    harness.ended(Who::Owner, &job).await;

    let mut operations = operations(&document);
    let order = ["POST", "GET", "PUT", "PATCH", "DELETE"];
    operations.sort_by_key(|operation| {
        let place = order.iter().position(|method| *method == operation.method);
        (place, Reverse(operation.path.len()))
    });
    for operation in &operations {
        let path = operation
            .path
            .replace("{image_id}", &image)
            .replace("{member_id}", MEMBER)
            .replace("{job_id}", &job)
            .replace("{project_id}", OWNER)
            .replace("{schema}", "images")
            .replace("{tag}", "lts")
            .replace("{task_id}", "x");
        let content = operation.operation["requestBody"]["content"].as_object();
        let sent = content.and_then(|content| content.iter().next());
        for (who, accept) in [
            (Who::Owner, "application/json"),
            (Who::Member, "*/*"),
            (Who::NoToken, "application/json"),
            (Who::NoToken, "text/html"),
            (Who::NoToken, "text/plain"),
        ] {
            let mut headers = vec![("accept", accept)];
            headers.extend(sent.map(|(media, _)| ("content-type", media.as_str())));
            let body = sent.map(|(_, media)| media["example"].to_string().into_bytes());
            let answer = harness
                .send_with(who, &operation.method, &path, &headers, body)
                .await;
            check(&document, operation, &answer);
            // The owner may do everything but answer for the member, what only an admin may do, and
            // deactivate an image that is not active.
            let others = ["/v2/tasks", "/actions/", "/detail"];
            let of_others = others.iter().any(|part| operation.path.contains(part))
                || operation.method == "PUT" && operation.path.contains("/members");
            if who == Who::Owner && !of_others {
                assert!(answer.status < 400, "{}: {}", operation.path, answer.body);
            }
        }
    }
}
