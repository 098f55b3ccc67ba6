//! What functions ask of the table, each with all that its callers can ask of it: their roles permit it.
//!
//! Keys are left to the deployed stack, which refuses what a policy does not permit.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::queue::{BATCHES, Queue, Settings};
use local::table::{self, Upgrade};
use local::transport;
use serde_json::{Value, json};
use shared::http::routes::Function;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::store::Indexes;

use super::{function, items, properties};
use crate::fixtures::{ask, function_of};
use crate::harness::{ADMIN, MEMBER, MEMBER2, ManualClock, OWNER};
use crate::lag::request;

/// An action, and the index that it is about; `None` for the table.
type Asked = (String, Option<String>);

/// The engine, and what was asked of it.
#[derive(Clone, Debug)]
struct Listening {
    engine: Engine,
    asked: Arc<Mutex<BTreeSet<Asked>>>,
}

impl HttpConnector for Listening {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let listening = self.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            listening
                .asked
                .lock()
                .unwrap()
                .extend(asked(operation, body));
            transport::response(listening.engine.perform(operation, body).await)
        })
    }
}

/// What a request needs permission for.
fn asked(operation: &str, body: &str) -> Vec<Asked> {
    let body: Value = serde_json::from_str(body).unwrap();
    let action = |action: &str| format!("dynamodb:{action}");
    match operation {
        "TransactWriteItems" => {
            let parts = items(&body["TransactItems"]).iter();
            let parts = parts.flat_map(|part| part.as_object().unwrap().keys());
            let of = |part: &str| match part {
                "ConditionCheck" => action("ConditionCheckItem"),
                write => action(&format!("{write}Item")),
            };
            parts.map(|part| (of(part), None)).collect()
        }
        "ExecuteStatement" => {
            let words = body["Statement"].as_str().unwrap();
            assert!(words.starts_with("SELECT "), "{words}");
            let index = words.split('"').nth(3).unwrap().to_owned();
            vec![(action("PartiQLSelect"), Some(index))]
        }
        _ => {
            let index = body["IndexName"].as_str().map(str::to_owned);
            vec![(action(operation), index)]
        }
    }
}

/// What the role of a function may do with the table.
fn permitted(of: Function) -> BTreeSet<Asked> {
    let role = function(of.name())["Role"]["Fn::GetAtt"].as_str().unwrap();
    let role = properties(role.strip_suffix(".Arn").unwrap());
    let statements = items(&role["Policies"]).iter();
    let statements = statements.flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]));
    let mut permitted = BTreeSet::new();
    for statement in statements {
        let on = &statement["Resource"];
        let places = match on.as_array() {
            Some(several) => several.as_slice(),
            None => std::slice::from_ref(on),
        };
        for place in places {
            let index = place["Fn::Sub"].as_str();
            let index = index.and_then(|it| it.strip_prefix("${Table.Arn}/index/"));
            if index.is_none() && place["Fn::GetAtt"] != "Table.Arn" {
                continue;
            }
            let actions = items(&statement["Action"]).iter();
            let actions = actions.map(|action| action.as_str().unwrap().to_owned());
            permitted.extend(actions.map(|action| (action, index.map(str::to_owned))));
        }
    }
    permitted
}

struct Stage {
    app: App,
    asked: Arc<Mutex<BTreeSet<Asked>>>,
    /// By function, everything that it has asked.
    all: BTreeSet<(&'static str, Asked)>,
}

impl Stage {
    async fn new() -> Self {
        let asked: Arc<Mutex<BTreeSet<Asked>>> = Arc::default();
        let store = Listening {
            engine: Engine::in_memory().unwrap(),
            asked: asked.clone(),
        };
        let dynamodb = Clients::dynamodb_through(store);
        table::make(&dynamodb, "imshare", Upgrade::Refuse)
            .await
            .unwrap();
        let clock = ManualClock::default().clock();
        let queue = Queue::in_memory(Settings::default(), clock.clone()).unwrap();
        let config = Config {
            table: "imshare".to_owned(),
            queue_url: BATCHES.to_owned(),
            indexes: Indexes::Eventual,
            ..Config::default()
        };
        let authentication = shared::auth::Authentication::default();
        let sqs = Clients::sqs_in_process(queue);
        Self {
            app: App::new(config, dynamodb, sqs, authentication, clock),
            asked,
            all: BTreeSet::new(),
        }
    }

    /// Makes a request, which must succeed and be permitted.
    async fn call(
        &mut self,
        project: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        self.asked.lock().unwrap().clear();
        let function = function_of(method, path);
        let request = request(project, method, path, body);
        let response = ask(self.app.clone(), function, request).await;
        assert!(
            response.status().is_success(),
            "{method} {path}: {response:?}"
        );
        let permitted = permitted(function);
        for asked in self.asked.lock().unwrap().iter() {
            let name = function.name();
            assert!(
                permitted.contains(asked),
                "{name} may not {asked:?}: {method} {path}"
            );
            self.all.insert((name, asked.clone()));
        }
        match response.into_body() {
            lambda_http::Body::Text(text) => serde_json::from_str(&text).unwrap(),
            _ => Value::Null,
        }
    }
}

#[tokio::test]
async fn roles_permit_what_their_functions_ask_of_the_table() {
    let mut stage = Stage::new().await;
    let long: Value = (0..40)
        .map(|i| (format!("p{i}"), json!("x".repeat(200))))
        .collect();
    let mut images = Vec::new();
    for (name, visibility) in [
        ("a", "shared"),
        ("b", "public"),
        ("c", "community"),
        ("d", "private"),
    ] {
        let mut body = long.clone();
        body["name"] = json!(name);
        body["visibility"] = json!(visibility);
        let created = stage.call(ADMIN, "POST", "/v2/images", Some(body)).await;
        images.push(created["id"].as_str().unwrap().to_owned());
    }
    // More images of a name than one statement finds.
    for visibility in ["private", "public"].repeat(5) {
        let body = json!({"name": "many", "visibility": visibility});
        stage.call(ADMIN, "POST", "/v2/images", Some(body)).await;
    }
    let many = "/v2/images?name=many&limit=1";
    stage.call(ADMIN, "GET", many, None).await;
    let shared = &images[0];
    let members = format!("/v2/images/{shared}/members");
    for member in [MEMBER, MEMBER2] {
        stage
            .call(ADMIN, "POST", &members, Some(json!({"member": member})))
            .await;
    }
    let accept = Some(json!({"status": "accepted"}));
    stage
        .call(MEMBER, "PUT", &format!("{members}/{MEMBER}"), accept)
        .await;
    let rules = format!("/v1/{MEMBER2}/cloudimages/trusted-owners");
    let accepts = json!({"rules": [{"owner": OWNER, "mode": "accept"}]});
    stage.call(MEMBER2, "PUT", &rules, Some(accepts)).await;
    stage.call(MEMBER2, "GET", &rules, None).await;
    let rename = json!([{"op": "replace", "path": "/name", "value": "e"}]);
    stage
        .call(
            ADMIN,
            "PATCH",
            &format!("/v2/images/{shared}"),
            Some(rename),
        )
        .await;
    let batch = json!({"images": [shared], "projects": [MEMBER, OWNER]});
    let job = stage
        .call(ADMIN, "POST", "/v1/cloudimages/members", Some(batch))
        .await;
    let job = format!("/v1/cloudimages/job/{}", job["job_id"].as_str().unwrap());
    stage.call(ADMIN, "GET", &job, None).await;
    stage
        .call(ADMIN, "GET", &format!("/v1/{ADMIN}/jobs"), None)
        .await;

    // Each filter of a list, with each set of images that it may be asked of.
    let filters = [
        "",
        "&name=e",
        "&name=in:a,b,e",
        "&owner={owner}",
        "&sort=name:asc",
        "&sort=size:desc",
        "&p1=x",
        "&tag=t",
        "&size_min=1",
        "&marker={image}",
        "&limit=1",
        "&status=active",
        "&created_at=gt:2020-01-01T00:00:00Z",
        "&id={image}",
    ];
    let sets = [
        "",
        "&visibility=public",
        "&visibility=community",
        "&visibility=shared",
        "&visibility=private",
        "&visibility=all",
        "&member_status=pending",
        "&member_status=accepted",
        "&member_status=all",
    ];
    for filter in filters {
        let filter = filter.replace("{owner}", ADMIN).replace("{image}", shared);
        for set in sets {
            for project in [MEMBER, ADMIN] {
                // The member does not see the image before it has accepted it anew.
                let path = format!("/v2/images?{filter}{set}");
                stage.call(project, "GET", &path, None).await;
            }
        }
    }
    for filter in [
        "",
        "&name=e",
        "&owner={owner}",
        "&name=e&owner={owner}",
        "&limit=1",
    ] {
        let filter = filter.replace("{owner}", ADMIN);
        for status in [
            "",
            "&status=pending",
            "&status=accepted",
            "&status=rejected",
            "&status=all",
        ] {
            let path = format!("/v1/{MEMBER}/cloudimages/invitations?{filter}{status}");
            stage.call(MEMBER, "GET", &path, None).await;
        }
    }
    for filter in [
        "",
        "&image={image}",
        "&member={member}",
        "&image={image}&member={member}",
        "&status=pending",
    ] {
        let filter = filter
            .replace("{image}", shared)
            .replace("{member}", MEMBER);
        let path = format!("/v1/{ADMIN}/cloudimages/shares?{filter}");
        stage.call(ADMIN, "GET", &path, None).await;
    }
    for query in [
        "",
        "?name=e",
        "?__imagetype=shared",
        "?__imagetype=gold",
        "?__imagetype=private",
    ] {
        let path = format!("/v2/cloudimages{query}");
        stage.call(MEMBER, "GET", &path, None).await;
    }
    for path in [
        members.clone(),
        format!("{members}/{MEMBER}"),
        format!("/v2/images/{shared}"),
    ] {
        stage.call(MEMBER, "GET", &path, None).await;
    }
    let declared = format!("/v1/{ADMIN}/cloudimages/{shared}/members");
    stage
        .call(ADMIN, "PUT", &declared, Some(json!({"projects": [MEMBER]})))
        .await;
    stage
        .call(ADMIN, "DELETE", &format!("{members}/{MEMBER}"), None)
        .await;
    stage
        .call(ADMIN, "DELETE", &format!("/v2/images/{shared}"), None)
        .await;

    // And they ask for all that they may: permissions of indexes that nobody needs would be seen here.
    let indexes = stage.all.iter().filter(|(_, (_, index))| index.is_some());
    let asked: BTreeSet<_> = indexes.cloned().collect();
    let mut may = BTreeSet::new();
    for function in [Function::Images, Function::ReadMembers, Function::GetJob] {
        let of_indexes = permitted(function)
            .into_iter()
            .filter(|(_, index)| index.is_some());
        may.extend(of_indexes.map(|permitted| (function.name(), permitted)));
    }
    let unasked: Vec<_> = may.difference(&asked).collect();
    assert!(unasked.is_empty(), "nobody asks: {unasked:?}");
}
