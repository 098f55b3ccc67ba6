//! Lists over indexes that lag behind the table, as DynamoDB's do: a caller's next list contains
//! its own writes, and no list contains what was hidden.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::queue::{Queue, Settings};
use local::table::{self, Upgrade};
use local::transport;
use serde_json::{Value, json};
use shared::domain::time::{Clock, Timestamp};
use shared::http::Request;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::metrics;
use shared::store::Indexes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::fixtures::{ask, function_of};
use crate::harness::{ADMIN, MEMBER, ManualClock, OWNER, THIRD};

/// How far the indexes lag.
const LAG: Duration = Duration::from_millis(300);

/// A table whose indexes belong to a copy that receives each write later.
#[derive(Clone, Debug)]
struct Lagging {
    table: Engine,
    indexes: Engine,
    writes: Arc<mpsc::UnboundedSender<(Instant, String, String)>>,
}

impl Lagging {
    fn start(table: Engine, indexes: Engine) -> Self {
        let (writes, mut written) = mpsc::unbounded_channel::<(Instant, String, String)>();
        let copy = indexes.clone();
        tokio::spawn(async move {
            while let Some((at, operation, body)) = written.recv().await {
                tokio::time::sleep_until(at + LAG).await;
                copy.perform(&operation, &body).await;
            }
        });
        Self {
            table,
            indexes,
            writes: Arc::new(writes),
        }
    }
}

impl HttpConnector for Lagging {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (operation, body) = transport::parts(&request).unwrap();
        let (operation, body) = (operation.to_owned(), body.to_owned());
        let lagging = self.clone();
        HttpConnectorFuture::new(async move {
            let of_index = match operation.as_str() {
                "Query" => body.contains("\"IndexName\""),
                statement => statement == "ExecuteStatement",
            };
            let engine = if of_index {
                &lagging.indexes
            } else {
                &lagging.table
            };
            let answer = engine.perform(&operation, &body).await;
            let writes = ["PutItem", "UpdateItem", "TransactWriteItems"];
            if writes.contains(&&*operation) && answer.0 == 200 {
                lagging
                    .writes
                    .send((Instant::now(), operation, body))
                    .unwrap();
            }
            transport::response(answer)
        })
    }
}

async fn app() -> App {
    app_with(Clock::System).await.0
}

/// The service, and the engine that has the table without the indexes.
async fn app_with(clock: Clock) -> (App, Engine) {
    let ([app, _], table) = instances(clock).await;
    (app, table)
}

/// Two instances of the service over one table.
async fn instances(clock: Clock) -> ([App; 2], Engine) {
    let engines = [Engine::in_memory().unwrap(), Engine::in_memory().unwrap()];
    for engine in &engines {
        let client = Clients::dynamodb_in_process(engine.clone());
        table::make(&client, "imshare", Upgrade::Refuse)
            .await
            .unwrap();
    }
    let [table, indexes] = engines;
    let config = Config {
        table: "imshare".to_owned(),
        queue_url: local::queue::BATCHES.to_owned(),
        indexes: Indexes::Eventual,
        ..Config::default()
    };
    let queue = Queue::in_memory(Settings::default(), Clock::System).unwrap();
    let dynamodb = Clients::dynamodb_through(Lagging::start(table.clone(), indexes));
    let app = || {
        App::new(
            config.clone(),
            dynamodb.clone(),
            Clients::sqs_in_process(queue.clone()),
            shared::auth::Authentication::default(),
            clock.clone(),
        )
    };
    ([app(), app()], table)
}

/// A request as the gateway hands it to a function.
pub fn request(project: &str, method: &str, path: &str, body: Option<Value>) -> Request {
    let fixture = include_str!("../../events/images/list.json");
    let mut event: Value = serde_json::from_str(fixture).unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.split('/').collect();
    let names = match path.starts_with("/v1/") {
        true => [("project_id", 2), ("image_id", 4)],
        false => [("image_id", 3), ("member_id", 5)],
    };
    let parameters = names.map(|(name, at)| (name, segments.get(at)));
    let parameters = parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name, *value?)));
    event["pathParameters"] = parameters.map(|(n, v)| (n.to_owned(), json!(v))).collect();
    let pairs = form_urlencoded::parse(query.as_bytes());
    event["queryStringParameters"] = pairs.map(|(n, v)| (n.into_owned(), json!(v))).collect();
    event["multiValueQueryStringParameters"] =
        pairs.map(|(n, v)| (n.into_owned(), json!([v]))).collect();
    event["httpMethod"] = json!(method);
    event["path"] = json!(path);
    event["body"] = body.map_or(Value::Null, |body| json!(body.to_string()));
    event["headers"]["content-type"] = json!("application/openstack-images-v2.1-json-patch");
    event["multiValueHeaders"]["content-type"] =
        json!(["application/openstack-images-v2.1-json-patch"]);
    let context = &mut event["requestContext"]["authorizer"];
    context["project_id"] = json!(project);
    let admin = project == ADMIN;
    context["roles"] = json!(if admin {
        "admin,member,reader"
    } else {
        "member,reader"
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

async fn send(app: &App, project: &str, method: &str, path: &str, body: Option<Value>) -> Value {
    let request = request(project, method, path, body);
    let response = ask(app.clone(), function_of(method, path), request).await;
    assert!(
        response.status().is_success(),
        "{method} {path}: {response:?}"
    );
    match response.into_body() {
        lambda_http::Body::Text(text) => serde_json::from_str(&text).unwrap(),
        _ => Value::Null,
    }
}

async fn listed(app: &App, project: &str, query: &str) -> Vec<String> {
    let list = send(app, project, "GET", &format!("/v2/images{query}"), None).await;
    let ids = list["images"].as_array().unwrap().iter();
    ids.map(|image| image["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The names and the statuses of the member's invitations.
async fn invitations(app: &App) -> Vec<(String, String)> {
    let path = format!("/v1/{MEMBER}/cloudimages/invitations?status=all");
    let found = send(app, MEMBER, "GET", &path, None).await;
    let rows = found["invitations"].as_array().unwrap().iter();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.map(|row| (text(row, "image_name"), text(row, "status")))
        .collect()
}

/// How many invitations the member has, and how many shares the owner.
async fn memberships(app: &App) -> [usize; 2] {
    let count = async |project: &str, list: &str| {
        let path = format!("/v1/{project}/cloudimages/{list}?status=all");
        let found = send(app, project, "GET", &path, None).await;
        found[list].as_array().unwrap().len()
    };
    [
        count(MEMBER, "invitations").await,
        count(OWNER, "shares").await,
    ]
}

async fn create(app: &App, project: &str, body: Value) -> String {
    let image = send(app, project, "POST", "/v2/images", Some(body)).await;
    image["id"].as_str().unwrap().to_owned()
}

async fn change(app: &App, project: &str, image: &str, name: &str, value: &str) {
    let body = json!([{"op": "replace", "path": format!("/{name}"), "value": value}]);
    send(
        app,
        project,
        "PATCH",
        &format!("/v2/images/{image}"),
        Some(body),
    )
    .await;
}

#[tokio::test]
async fn what_a_caller_has_written_is_in_its_next_list() {
    let app = app().await;
    let image = create(&app, OWNER, json!({"name": "old"})).await;
    assert_eq!(
        listed(&app, OWNER, "").await,
        [image.clone()],
        "create, then list"
    );
    change(&app, OWNER, &image, "name", "new").await;
    assert_eq!(
        listed(&app, OWNER, "?name=new").await,
        [image.clone()],
        "rename, then list"
    );
    assert!(listed(&app, OWNER, "?name=old").await.is_empty());

    let members = format!("/v2/images/{image}/members");
    send(
        &app,
        OWNER,
        "POST",
        &members,
        Some(json!({"member": MEMBER})),
    )
    .await;
    tokio::time::sleep(2 * LAG).await;
    let row = format!("{members}/{MEMBER}");
    for status in ["accepted", "rejected", "pending", "accepted"] {
        send(&app, MEMBER, "PUT", &row, Some(json!({"status": status}))).await;
        let list = listed(&app, MEMBER, &format!("?member_status={status}")).await;
        assert_eq!(list, [image.clone()], "{status}, then list");
        let invited = invitations(&app).await;
        assert_eq!(invited, [("new".to_owned(), status.to_owned())]);
        for other in ["accepted", "rejected", "pending"] {
            let list = listed(&app, MEMBER, &format!("?member_status={other}")).await;
            assert_eq!(
                list.len(),
                usize::from(other == status),
                "{other} after {status}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_hidden_is_in_nobodys_list() {
    let app = app().await;
    let by_admin = |visibility: &str| json!({"visibility": visibility});
    let made_private = create(&app, ADMIN, by_admin("public")).await;
    let deleted = create(&app, ADMIN, by_admin("public")).await;
    let shared = create(&app, OWNER, json!({})).await;
    let members = format!("/v2/images/{shared}/members");
    send(
        &app,
        OWNER,
        "POST",
        &members,
        Some(json!({"member": MEMBER})),
    )
    .await;
    let row = format!("{members}/{MEMBER}");
    send(
        &app,
        MEMBER,
        "PUT",
        &row,
        Some(json!({"status": "accepted"})),
    )
    .await;
    tokio::time::sleep(2 * LAG).await;
    assert_eq!(listed(&app, THIRD, "").await.len(), 2);
    assert_eq!(listed(&app, MEMBER, "").await.len(), 3);
    assert_eq!(memberships(&app).await, [1, 1]);

    change(&app, ADMIN, &made_private, "visibility", "private").await;
    assert_eq!(
        listed(&app, THIRD, "?visibility=public").await,
        [deleted.clone()]
    );
    send(
        &app,
        ADMIN,
        "DELETE",
        &format!("/v2/images/{deleted}"),
        None,
    )
    .await;
    for query in ["", "?visibility=public", "?sort=name:asc"] {
        assert!(listed(&app, THIRD, query).await.is_empty(), "{query}");
    }
    change(&app, OWNER, &shared, "visibility", "private").await;
    assert!(listed(&app, MEMBER, "").await.is_empty());
    assert_eq!(memberships(&app).await, [0, 0]);
}

/// The member sees nothing of what its owner has ended, and what it has as it is, while the indexes and
/// its membership still hold what was.
#[tokio::test]
async fn what_an_owner_has_ended_or_changed_does_not_show_as_it_was() {
    let app = app().await;
    let mut images = Vec::new();
    for name in ["unshared", "deleted", "renamed", "kept"] {
        let image = create(&app, OWNER, json!({"name": name})).await;
        let members = format!("/v2/images/{image}/members");
        let body = Some(json!({"member": MEMBER}));
        send(&app, OWNER, "POST", &members, body).await;
        let row = format!("{members}/{MEMBER}");
        let body = Some(json!({"status": "accepted"}));
        send(&app, MEMBER, "PUT", &row, body).await;
        images.push(image);
    }
    let [unshared, deleted, changed, kept] = images.try_into().unwrap();
    tokio::time::sleep(2 * LAG).await;
    assert_eq!(listed(&app, MEMBER, "").await.len(), 4);

    let row = format!("/v2/images/{unshared}/members/{MEMBER}");
    send(&app, OWNER, "DELETE", &row, None).await;
    for query in ["", "?name=unshared", "?sort=name:asc"] {
        let list = listed(&app, MEMBER, query).await;
        assert!(!list.contains(&unshared), "{query}");
    }
    send(
        &app,
        ADMIN,
        "DELETE",
        &format!("/v2/images/{deleted}"),
        None,
    )
    .await;
    assert_eq!(listed(&app, MEMBER, "").await, [&*kept, &changed]);
    change(&app, OWNER, &changed, "name", "new").await;
    let list = send(&app, MEMBER, "GET", "/v2/images", None).await;
    assert_eq!(list["images"][1]["name"], "new");
    let of = |name: &str| (name.to_owned(), "accepted".to_owned());
    assert_eq!(invitations(&app).await, [of("kept"), of("new")]);
}

/// An admin may end access through an instance that knows an image under an owner that it no longer has. The
/// lists of its members are right nevertheless. Each way on a table of its own: a mark of one would hide the other.
#[tokio::test]
async fn what_an_admin_ends_after_a_change_of_owner_does_not_show() {
    for is_deleted in [false, true] {
        let ([app, other], _) = instances(Clock::System).await;
        let image = create(&app, OWNER, json!({"name": "n"})).await;
        let members = format!("/v2/images/{image}/members");
        for member in [MEMBER, "another"] {
            let body = Some(json!({"member": member}));
            send(&other, ADMIN, "POST", &members, body).await;
        }
        let row = format!("{members}/{MEMBER}");
        let body = Some(json!({"status": "accepted"}));
        send(&app, MEMBER, "PUT", &row, body).await;
        change(&app, ADMIN, &image, "owner", THIRD).await;
        tokio::time::sleep(2 * LAG).await;
        assert_eq!(listed(&app, MEMBER, "").await, [image.clone()]);
        let ended = match is_deleted {
            false => row,
            true => format!("/v2/images/{image}"),
        };
        send(&other, ADMIN, "DELETE", &ended, None).await;
        assert_eq!(listed(&app, MEMBER, "").await, [""; 0], "{ended}");
        assert_eq!(invitations(&app).await, [], "{ended}");
    }
}

/// Without a recent change a list reads no images: its streams, and the marks of the projects on it. An
/// instance that knows the marks reads the images together with them.
#[tokio::test]
async fn a_list_that_nobody_has_changed_reads_no_images() {
    let clock = ManualClock::at(Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
    let ([app, other], engine) = instances(clock.clock()).await;
    for i in 0..30 {
        let image = create(&app, OWNER, json!({"name": format!("n{i}")})).await;
        let members = format!("/v2/images/{image}/members");
        let body = Some(json!({"member": MEMBER}));
        send(&app, OWNER, "POST", &members, body).await;
        let row = format!("{members}/{MEMBER}");
        let body = Some(json!({"status": "accepted"}));
        send(&app, MEMBER, "PUT", &row, body).await;
    }
    let image = create(&app, OWNER, json!({"name": "short-lived"})).await;
    tokio::time::sleep(2 * LAG).await;
    // A list with `id=` reads the image from the table, and only once.
    let before = engine.requests()["BatchGetItem"];
    let by_id = listed(&app, OWNER, &format!("?id={image}")).await;
    assert_eq!(by_id, [image.clone()]);
    assert_eq!(engine.requests()["BatchGetItem"] - before, 1);
    // The reads of a page, and their units.
    let units = async |app: &App, path: &str, rows: &str| {
        let before = engine.requests()["BatchGetItem"];
        let asked = request(MEMBER, "GET", path, None);
        let (list, usage) = match rows {
            "images" => metrics::measured(images::handle(app.clone(), asked)).await,
            _ => metrics::measured(read_members::handle(app.clone(), asked)).await,
        };
        let lambda_http::Body::Text(list) = list.unwrap().unwrap().into_body() else {
            panic!("no text");
        };
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list[rows].as_array().unwrap().len(), 25);
        (engine.requests()["BatchGetItem"] - before, usage.units)
    };
    let invited = format!("/v1/{MEMBER}/cloudimages/invitations?status=accepted");
    let lists = [("/v2/images", "images"), (&*invited, "invitations")];
    let mut calm = Vec::new();
    for (path, rows) in lists {
        calm.push(units(&app, path, rows).await);
    }
    // DynamoDB's own prices: 0.125 dollars a million units, besides 3.73 for the gateway and the
    // function. A list is to cost 5 dollars a million at most.
    for (reads, units) in &calm {
        assert!(
            *reads == 1 && *units <= 10.0,
            "{reads} reads, {units} units"
        );
    }
    send(&app, OWNER, "DELETE", &format!("/v2/images/{image}"), None).await;
    for (who, instance, expected) in [
        ("who marked", &app, 1),
        ("who finds the mark", &other, 2),
        ("who has found it", &other, 1),
    ] {
        let (path, rows) = lists[0];
        let (reads, after) = units(instance, path, rows).await;
        assert!(
            reads == expected && after >= 50.0,
            "{who}: {reads} reads, {after} units"
        );
    }
    let (path, rows) = lists[1];
    assert!(units(&app, path, rows).await.1 >= 50.0, "{rows}");
    clock.forward(3600);
    for ((path, rows), calm) in lists.into_iter().zip(calm) {
        for instance in [&app, &other] {
            assert_eq!(units(instance, path, rows).await, calm, "{rows}");
        }
    }
}
