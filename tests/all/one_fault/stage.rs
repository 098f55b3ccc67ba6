//! The service over a store of which one request fails, and what it leaves behind.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use local::engine::Engine;
use local::queue::{BATCHES, Queue, Settings};
use local::table::{self, Upgrade};
use local::transport::{self, JsonResponse};
use serde_json::{Value, json};
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::limits::ProjectLimits;
use shared::domain::policy::{Caller, Role};
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{SqsAttributes, SqsRecord};
use shared::store::Indexes;
use shared::store::members::Stamp;

use super::paths::IMAGE;
use crate::fixtures::{ask, function_of};
use crate::harness::{ManualClock, OWNER, origin};
use crate::lag::request;
use crate::log::Log;

/// How a request to the store fails, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is throttled.
    Throttled,
    /// A part of it is: one index of a transaction, or all keys of a read of several items.
    PartThrottled,
    /// Another transaction is writing the same items.
    Conflict,
    /// DynamoDB fails, and nothing is applied.
    Broken,
    /// It is applied, and the answer is lost.
    Lost,
}

/// The faults of a request that make a difference to those who send it. What the SDK does about reads is its own.
pub fn faults_of(operation: &str) -> &'static [Fault] {
    use Fault::{Broken, Conflict, Lost, PartThrottled, Throttled};
    match operation {
        "TransactWriteItems" => &[Throttled, PartThrottled, Conflict, Broken, Lost],
        "UpdateItem" | "PutItem" | "DeleteItem" => &[Throttled, Conflict, Broken, Lost],
        "BatchGetItem" => &[Throttled, PartThrottled],
        "GetItem" | "Query" | "ExecuteStatement" => &[Throttled],
        other => panic!("{other}"),
    }
}

/// Which request of those that are counted fails.
#[derive(Debug, Default)]
struct Plan {
    /// The operations of the requests so far; `None` while they are not counted.
    requests: Option<Vec<String>>,
    strike: Option<(usize, Fault)>,
    struck: bool,
}

#[derive(Clone, Debug)]
struct Store {
    engine: Engine,
    plan: Arc<Mutex<Plan>>,
}

impl Store {
    /// The fault of the next request, if it has one.
    fn next(&self, operation: &str) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        let requests = plan.requests.as_mut()?;
        let number = requests.len();
        requests.push(operation.to_owned());
        let (_, fault) = plan.strike.filter(|(at, _)| *at == number)?;
        plan.struck = true;
        Some(fault)
    }

    async fn perform(self, operation: &str, body: &str) -> Result<JsonResponse, ConnectorError> {
        let error = |status: u16, kind: &str, more: Value| {
            let mut error = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{kind}")});
            let more = more.as_object().unwrap().clone();
            error.as_object_mut().unwrap().extend(more);
            Ok((status, error.to_string()))
        };
        let cancelled = |code: &str| {
            let request: Value = serde_json::from_str(body).unwrap();
            let parts = request["TransactItems"].as_array().unwrap().len();
            let reason = |part| match part + 1 == parts {
                true => json!({"Code": code, "Message": "again"}),
                false => json!({"Code": "None"}),
            };
            let reasons: Vec<Value> = (0..parts).map(reason).collect();
            let more = json!({"message": "cancelled", "CancellationReasons": reasons});
            error(400, "TransactionCanceledException", more)
        };
        match (self.next(operation), operation) {
            (Some(Fault::PartThrottled), "TransactWriteItems") => cancelled("ThrottlingError"),
            (Some(Fault::PartThrottled), "BatchGetItem") => {
                let request: Value = serde_json::from_str(body).unwrap();
                let rest = &request["RequestItems"];
                let answer = json!({"Responses": {}, "UnprocessedKeys": rest});
                Ok((200, answer.to_string()))
            }
            (Some(Fault::Throttled), _) => {
                error(400, "ThrottlingException", json!({"message": "slow down"}))
            }
            (Some(Fault::Conflict), "TransactWriteItems") => cancelled("TransactionConflict"),
            (Some(Fault::Conflict), "UpdateItem" | "PutItem" | "DeleteItem") => error(
                400,
                "TransactionConflictException",
                json!({"message": "again"}),
            ),
            (Some(Fault::Broken), _) => error(500, "InternalServerError", json!({})),
            (Some(Fault::Lost), _) => {
                self.engine.perform(operation, body).await;
                Err(ConnectorError::io("the answer was lost".into()))
            }
            (None, _) => Ok(self.engine.perform(operation, body).await),
            (Some(fault), other) => panic!("{other} has no {fault:?}"),
        }
    }
}

impl HttpConnector for Store {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let store = self.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            transport::response(store.perform(operation, body).await?)
        })
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request of a project.
    Call(&'static str, &'static str, String, Value),
    /// All waiting messages are delivered to `run-batch`, the newest first if so.
    Deliver { newest_first: bool },
    /// They are dead letters.
    Settle,
    /// They are lost.
    Drop,
    /// A request that deletes the image has died before it has ended the memberships.
    Die,
    /// Time passes.
    Wait(i64),
    /// The sweep runs.
    Sweep,
}

pub struct Stage {
    app: App,
    sqs: aws_sdk_sqs::Client,
    engine: Engine,
    clock: ManualClock,
    plan: Arc<Mutex<Plan>>,
}

impl Stage {
    /// An empty service. `limited` counts images.
    pub async fn new(limited: bool) -> Self {
        let clock = ManualClock::default();
        let engine = Engine::in_memory().unwrap();
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let store = Store {
            engine: engine.clone(),
            plan: plan.clone(),
        };
        let dynamodb = Clients::dynamodb_through(store);
        table::make(&dynamodb, "imshare", Upgrade::Refuse)
            .await
            .unwrap();
        let queue = Queue::in_memory(Settings::default(), clock.clock()).unwrap();
        let sqs = Clients::sqs_in_process(queue);
        let config = Config {
            table: "imshare".to_owned(),
            queue_url: BATCHES.to_owned(),
            // Those of DynamoDB: what ends access is marked.
            indexes: Indexes::Eventual,
            limits: ProjectLimits {
                images: if limited { 10 } else { -1 },
                ..ProjectLimits::default()
            },
            ..Config::default()
        };
        let authentication = shared::auth::Authentication::default();
        let app = App::new(config, dynamodb, sqs.clone(), authentication, clock.clock());
        Self {
            app,
            sqs,
            engine,
            clock,
            plan,
        }
    }

    /// Counts requests from now on, one of which fails.
    pub fn arm(&self, strike: Option<(usize, Fault)>) {
        *self.plan.lock().unwrap() = Plan {
            requests: Some(Vec::new()),
            strike,
            struck: false,
        };
    }

    /// The operations of the requests that were counted, and whether one has failed.
    pub fn disarm(&self) -> (Vec<String>, bool) {
        let plan = std::mem::take(&mut *self.plan.lock().unwrap());
        (plan.requests.unwrap(), plan.struck)
    }

    /// Does one step, and says how it has ended.
    pub async fn does(&self, step: &Step) -> String {
        match step {
            Step::Call(project, method, path, body) => {
                self.call(project, method, path, body.clone()).await
            }
            Step::Deliver { newest_first } => {
                let mut records = self.receive().await;
                if *newest_first {
                    records.reverse();
                }
                let mut handled = Vec::new();
                for record in records {
                    let until = self.app.now().plus_seconds(3600);
                    handled.push(run_batch::handle(self.app.clone(), record, until).await);
                }
                format!("{handled:?}")
            }
            Step::Settle => {
                let mut handled = Vec::new();
                for record in self.receive().await {
                    let until = self.app.now().plus_seconds(3600);
                    handled.push(settle_batch::handle(self.app.clone(), record, until).await);
                }
                format!("{handled:?}")
            }
            Step::Drop => {
                self.receive().await;
                String::new()
            }
            Step::Die => {
                let owner = Caller {
                    user: "u-1".to_owned(),
                    project: ProjectId::parse(OWNER).unwrap(),
                    role: Role::Member,
                };
                let (op, now) = (self.app.operation(), self.app.now());
                let stamp = Stamp::direct(op, now, origin());
                let image = ImageId::canonical(IMAGE).unwrap();
                let deleted = self.app.store().delete_image(&owner, image, stamp).await;
                format!("{deleted:?}")
            }
            Step::Wait(seconds) => {
                self.clock.forward(*seconds);
                String::new()
            }
            Step::Sweep => {
                let until = self.app.now().plus_seconds(3600);
                let swept = sweep::handle(self.app.clone(), until).await;
                format!("{:?}", swept.map(|_| "swept"))
            }
        }
    }

    async fn call(&self, project: &str, method: &str, path: &str, body: Value) -> String {
        let body = (!body.is_null()).then_some(body);
        let request = request(project, method, path, body);
        let response = ask(self.app.clone(), function_of(method, path), request).await;
        let status = response.status();
        let ended = if status.is_success() { "Ok" } else { "Err" };
        format!("{ended} {status} {:?}", response.into_body())
    }

    /// Takes all messages out of the queue.
    async fn receive(&self) -> Vec<SqsRecord> {
        let mut records = Vec::new();
        loop {
            let received = self
                .sqs
                .receive_message()
                .queue_url(BATCHES)
                .max_number_of_messages(10)
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
                .send();
            let messages = received.await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return records;
            }
            for message in messages {
                records.push(SqsRecord {
                    message_id: message.message_id().unwrap().to_owned(),
                    body: message.body().unwrap().to_owned(),
                    attributes: SqsAttributes {
                        approximate_receive_count: "1".to_owned(),
                        message_group_id: None,
                    },
                    ..SqsRecord::default()
                });
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id("0")
                    .receipt_handle(message.receipt_handle().unwrap())
                    .build();
                let delete = self.sqs.delete_message_batch().queue_url(BATCHES);
                delete.entries(entry.unwrap()).send().await.unwrap();
            }
        }
    }

    /// All that is left: the records, the changes that were logged, and how many messages wait.
    pub async fn rest(&self, log: &Log) -> Vec<String> {
        let scan = json!({"TableName": "imshare", "ConsistentRead": true}).to_string();
        let (status, body) = self.engine.perform("Scan", &scan).await;
        assert_eq!(status, 200, "{body}");
        let mut found: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(found.get("LastEvaluatedKey"), None);
        let items = found["Items"].as_array_mut().unwrap();
        // The id of a request is new each time.
        for item in items.iter_mut() {
            item.as_object_mut().unwrap().remove("request_id");
        }
        let mut rest: Vec<String> = items.iter().map(sorted).collect();
        rest.sort();
        let changes = log.lines(["what", "image", "member", "from", "to", "user", "automatic"]);
        rest.extend(changes.into_iter().map(|line| line.join(" ")));
        rest.push(format!("{} messages", self.receive().await.len()));
        rest
    }
}

/// The text of a value with the names of each object in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries = entries.iter();
            let mut entries: Vec<String> = entries
                .map(|(name, value)| format!("{name}: {}", sorted(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(sorted).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}
