//! The OpenAPI document, the routes and what the service answers hold together; and the local server
//! serves it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::ims_code::ImsCode;
use shared::domain::job::{JobKind, JobStatus};
use shared::domain::member::MemberStatus;
use shared::domain::visibility::Visibility;
use shared::http::routes::{Family, Path, ROUTES};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Answer, MEMBER, OWNER, Who, World};

const DOCUMENT: &str = include_str!("../../docs/openapi.json");
/// What is no route, and is answered without a token: where clients begin.
const DISCOVERY: [&str; 3] = ["/", "/healthcheck", "/versions"];
/// What every operation answers that needs a token.
const ERRORS: [&str; 5] = ["400", "401", "413", "500", "503"];

struct Operation<'a> {
    method: String,
    path: &'a str,
    item: &'a Value,
    operation: &'a Value,
}

impl Operation<'_> {
    fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path,
                    item,
                    operation,
                });
            }
        }
    }
    operations
}

/// What stands where a reference points.
fn target<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

fn resolved<'a>(document: &'a Value, mut node: &'a Value) -> &'a Value {
    while let Some(reference) = node["$ref"].as_str() {
        node = target(document, reference).unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    node
}

fn references<'a>(node: &'a Value, found: &mut BTreeSet<&'a str>) {
    match node {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            for member in members.values() {
                references(member, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                references(item, found);
            }
        }
        _ => {}
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

fn words(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn each_route_is_an_operation_and_each_operation_a_route() {
    let document = document();
    let documented: BTreeSet<String> = operations(&document)
        .iter()
        .map(|operation| operation.label())
        .collect();
    let routes = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path));
    let open = DISCOVERY.iter().map(|path| format!("GET {path}"));
    let expected: BTreeSet<String> = routes.chain(open).collect();
    assert_eq!(documented, expected);
}

#[test]
fn each_path_has_its_parameters() {
    let document = document();
    for operation in operations(&document) {
        let in_path: BTreeSet<&str> = operation
            .path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let lists = [
            &operation.item["parameters"],
            &operation.operation["parameters"],
        ];
        let parameters: Vec<&Value> = lists
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|parameter| resolved(&document, parameter))
            .collect();
        let named: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(in_path, named, "{}", operation.label());
        let distinct: BTreeSet<_> = parameters
            .iter()
            .map(|parameter| (parameter["in"].as_str(), parameter["name"].as_str()))
            .collect();
        assert_eq!(distinct.len(), parameters.len(), "{}", operation.label());
    }
}

#[test]
fn each_operation_has_a_name_a_tag_security_and_the_errors_of_its_family() {
    let document = document();
    let tags: BTreeSet<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .map(|name| name.as_str().unwrap())
        .collect();
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let label = operation.label();
        let id = operation.operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{label}: {id} is another's, too");
        assert!(operation.operation["summary"].is_string(), "{label}");
        assert!(
            words(&operation.operation["tags"]).is_subset(&tags),
            "{label}"
        );

        let security = operation.operation.get("security");
        let security = security.unwrap_or(&document["security"]);
        let open = DISCOVERY.contains(&operation.path);
        assert_eq!(security.as_array().unwrap().is_empty(), open, "{label}");

        let responses = operation.operation["responses"].as_object().unwrap();
        for status in ERRORS {
            assert_eq!(responses.contains_key(status), !open, "{label}: {status}");
        }
        for (status, response) in responses {
            let label = format!("{label}: {status}");
            let response = resolved(&document, response);
            let headers = keys(&response["headers"]);
            assert!(headers.contains("X-Openstack-Request-Id"), "{label}");
            if status.as_str() < "400" {
                continue;
            }
            let (schema, media) = match Path::parse(operation.path).unwrap().family() {
                Family::Glance => (
                    "#/components/schemas/Error",
                    BTreeSet::from(["application/json", "text/html", "text/plain"]),
                ),
                Family::Ims => (
                    "#/components/schemas/ImsError",
                    BTreeSet::from(["application/json"]),
                ),
            };
            assert_eq!(keys(&response["content"]), media, "{label}");
            let found = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(found, schema, "{label}");
            for (of, header) in [
                ("401", "WWW-Authenticate"),
                ("415", "Accept-Patch"),
                ("503", "Retry-After"),
            ] {
                assert_eq!(headers.contains(header), status == of, "{label}: {header}");
            }
        }
    }
    for operation in operations(&document) {
        for response in operation.operation["responses"]
            .as_object()
            .unwrap()
            .values()
        {
            for link in response["links"]
                .as_object()
                .into_iter()
                .flat_map(|links| links.values())
            {
                let leads_to = link["operationId"].as_str().unwrap();
                assert!(ids.contains(leads_to), "{}: {leads_to}", operation.label());
            }
        }
    }
}

#[test]
fn each_reference_leads_somewhere_and_each_component_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        assert!(target(&document, reference).is_some(), "{reference}");
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in keys(components) {
            let reference = format!("#/components/{kind}/{name}");
            let known = kind == "securitySchemes" || used.contains(reference.as_str());
            assert!(known, "{reference} is of no use");
        }
    }
    let schemes = keys(&document["components"]["securitySchemes"]);
    let alternatives = document["security"].as_array().unwrap();
    let asked: BTreeSet<&str> = alternatives.iter().flat_map(keys).collect();
    assert_eq!(schemes, asked);
}

#[test]
fn its_words_are_those_of_the_code() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = &document["components"]["schemas"];
    for (schema, expected) in [
        (
            "Visibility",
            Visibility::ALL.map(Visibility::as_str).to_vec(),
        ),
        (
            "MemberStatus",
            MemberStatus::ALL.map(MemberStatus::as_str).to_vec(),
        ),
        ("JobStatus", JobStatus::ALL.map(JobStatus::as_str).to_vec()),
        ("JobType", JobKind::ALL.map(JobKind::job_type).to_vec()),
        ("ImsCode", ImsCode::ALL.map(ImsCode::as_str).to_vec()),
    ] {
        let expected: BTreeSet<&str> = expected.into_iter().collect();
        assert_eq!(words(&schemas[schema]["enum"]), expected, "{schema}");
    }

    // An image has the properties of the schema that clients validate against, but for those that
    // only a store of data has.
    let glance = shared::domain::json_schema::document("image").unwrap();
    let mut names = keys(&glance["properties"]);
    for of_data in ["direct_url", "locations", "stores"] {
        assert!(names.remove(of_data));
    }
    assert_eq!(keys(&schemas["Image"]["properties"]), names);
    assert_eq!(words(&schemas["Image"]["required"]), names);
    let sorted = |list: &Value| {
        let mut list: Vec<_> = list.as_array().into_iter().flatten().collect();
        list.sort_by_key(|word| word.to_string());
        json!(list)
    };
    for schema in ["Image", "NewImage"] {
        for (name, ours) in schemas[schema]["properties"].as_object().unwrap() {
            let ours = resolved(&document, ours);
            let theirs = &glance["properties"][name];
            assert_eq!(
                sorted(&ours["enum"]),
                sorted(&theirs["enum"]),
                "{schema}: {name}"
            );
            assert_eq!(ours["maxLength"], theirs["maxLength"], "{schema}: {name}");
        }
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}

/// Where a value is not as its schema says. Patterns and bounds are left to `checks/openapi.sh`.
fn differences(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = resolved(document, schema);
    let of = |schema: &Value| differences(document, schema, value, at);
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let mut rules = rule.as_array().into_iter().flatten();
        let holds = match keyword.as_str() {
            "type" => match rule.as_str() {
                Some(name) => is_type(name, value),
                None => words(rule).into_iter().any(|name| is_type(name, value)),
            },
            "const" => rule == value,
            "enum" => rules.any(|allowed| allowed == value),
            "anyOf" => rules.any(|rule| of(rule).is_empty()),
            "oneOf" => rules.filter(|rule| of(rule).is_empty()).count() == 1,
            "allOf" => {
                found.extend(rules.flat_map(of));
                true
            }
            "required" => rules.all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" | "additionalProperties" => {
                let named = &schema["properties"];
                for (name, member) in value.as_object().into_iter().flatten() {
                    let rule = match keyword.as_str() {
                        "properties" => rule.get(name),
                        _ => Some(rule).filter(|_| named.get(name).is_none()),
                    };
                    if let Some(rule) = rule {
                        found.extend(differences(document, rule, member, &format!("{at}/{name}")));
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    found.extend(differences(document, rule, item, &format!("{at}/-")));
                }
                true
            }
            "description" | "format" | "pattern" | "minLength" | "maxLength" | "minimum"
            | "maximum" | "minItems" | "maxItems" | "uniqueItems" => true,
            other => panic!("what does {other} say of an answer?"),
        };
        if !holds {
            found.push(format!("{at}: {value} against {keyword} {rule}"));
        }
    }
    found
}

/// Checks an answer against what the document says of that operation.
fn check(document: &Value, operation: &Operation<'_>, answer: &Answer) {
    let label = format!("{}: {}", operation.label(), answer.status);
    let responses = &operation.operation["responses"];
    let response = responses
        .get(answer.status.to_string())
        .unwrap_or_else(|| panic!("{label} is not documented: {}", answer.body));
    let response = resolved(document, response);
    for name in keys(&response["headers"]) {
        assert!(answer.header(name).is_some(), "{label} has no {name}");
    }
    let Some(found) = answer.header("content-type") else {
        assert!(response["content"].is_null(), "{label} has no content");
        return;
    };
    let media = found.split(';').next().unwrap();
    let media = response["content"]
        .get(media)
        .unwrap_or_else(|| panic!("{label} is {found}"));
    if let Some(schema) = media.get("schema") {
        let differences = differences(document, schema, &answer.json(), "");
        assert!(differences.is_empty(), "{label}: {differences:#?}");
    }
}

/// Each operation, with the document's own example for a body.
#[tokio::test]
async fn what_is_answered_is_what_the_document_says() {
    let document = document();
    let world = World::new().await;
    let image = world
        .image(json!({"name": "n", "os_distro": "debian"}))
        .await;
    let batch = json!({"images": [image, "no image"], "projects": ["p"]});
    let job = world
        .post(Who::Owner, "/v1/cloudimages/members", batch)
        .await
        .expect(200)
        .text("/job_id");
    world.ended(Who::Owner, &job).await;

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
            let answer = world
                .send_with(who, &operation.method, &path, &headers, body)
                .await;
            check(&document, operation, &answer);
            // The owner may do everything but answer for the member, what is an admin's, and take out of
            // use what is not in use yet.
            let others = ["/v2/tasks", "/actions/", "/detail"];
            let path = operation.path;
            let of_others = others.iter().any(|part| path.contains(part))
                || operation.method == "PUT" && path.contains("/members");
            if who == Who::Owner && !of_others {
                let label = operation.label();
                assert!(answer.status < 400, "{label}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn the_local_server_serves_the_document_and_a_page() {
    let world = World::new().await;
    let served = world.get(Who::NoToken, "/openapi.json").await.expect(200);
    assert_eq!(served.header("content-type"), Some("application/json"));
    let mut expected = document();
    expected["servers"] = json!([{"url": world.server.url()}]);
    assert_eq!(served.json(), expected);

    let page = world.get(Who::BadToken, "/docs").await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    for of_elsewhere in ["http", "//", "*"] {
        assert!(!policy.contains(of_elsewhere), "{policy}");
        assert!(!page.body.contains(&format!("src=\"{of_elsewhere}")));
    }
    let (_, script) = page.body.split_once("src=\"").unwrap();
    let (script, _) = script.split_once('"').unwrap();
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let request = format!("GET {script} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/javascript"), "{head}");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert_eq!(answer[end + 4..end + 6], [0x1f, 0x8b]);

    for path in ["/openapi.json", "/docs", script] {
        for method in ["POST", "PUT", "DELETE", "HEAD"] {
            let refused = world.send(Who::NoToken, method, path, None).await;
            assert_eq!(refused.expect(405).header("allow"), Some("GET"));
        }
        world
            .send(Who::NoToken, "OPTIONS", path, None)
            .await
            .expect(200);
        // What only begins like them is nobody's, as ever.
        let more = world.get(Who::NoToken, &format!("{path}/")).await;
        assert!(more.expect(300).json()["versions"].is_array());
    }
}
