//! The service in this process, without sockets: its clock only moves when it is told to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lambda_http::Body;
use local::engine::Engine;
use local::queue::{self, Queue, Settings};
use local::storage::Health;
use local::table::{self, Upgrade};
use serde_json::Value;
use shared::auth::Authentication;
use shared::auth::principal::Principal;
use shared::domain::id::ProjectId;
use shared::domain::policy::Role;
use shared::domain::time::Clock;
use shared::http::{Handled, Request, Response};
use shared::runtime::api;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{SqsAttributes, SqsRecord};
use shared::store::Indexes;
use tokio::runtime::Runtime;

const TABLE: &str = "imshare";
/// Microseconds between two operations.
const STEP: i64 = 1_000;

/// A running service.
pub struct Service {
    runtime: Runtime,
    app: App,
    sqs: aws_sdk_sqs::Client,
    clock: Arc<AtomicI64>,
}

/// What a client sends: method, path with query, body.
pub type Call = (&'static str, String, Option<Value>);

impl Service {
    /// Starts it on this thread alone, so that nothing depends on the timing of threads. Its table is in
    /// memory, or in a file of this directory.
    pub fn new(directory: Option<&Path>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let engine = match directory {
            None => Engine::in_memory(),
            Some(directory) => Engine::in_file(&directory.join("table"), Health::of(directory)),
        };
        let engine = engine.expect("an engine");
        let dynamodb = Clients::dynamodb_in_process(engine);
        let settings = Settings {
            // Messages are taken once, however slowly this runs.
            visibility_timeout: Duration::from_secs(24 * 60 * 60),
            // And all at once.
            in_flight: 1_000,
            ..Settings::default()
        };
        let sqs =
            Clients::sqs_in_process(Queue::in_memory(settings, Clock::System).expect("a queue"));
        runtime
            .block_on(table::make(&dynamodb, TABLE, Upgrade::Refuse))
            .expect("a table");
        let config = Config {
            table: TABLE.to_owned(),
            queue_url: queue::BATCHES.to_owned(),
            indexes: Indexes::Immediate,
            ..Config::default()
        };
        let clock = Arc::new(AtomicI64::new(1_760_000_000_000_000));
        let app = App::new(
            config,
            dynamodb,
            sqs.clone(),
            Authentication::default(),
            Clock::Manual(clock.clone()),
        );
        Self {
            runtime,
            app,
            sqs,
            clock,
        }
    }

    /// Moves the clock: a later operation has a later time.
    fn tick(&self) {
        self.clock.fetch_add(STEP, Ordering::Relaxed);
    }

    /// Answers one request. It must succeed.
    pub fn answer<H, F>(&self, request: Request, handler: H) -> Response
    where
        H: FnOnce(App, Request) -> F,
        F: Future<Output = Handled>,
    {
        self.tick();
        let answered = Box::pin(api::answer(self.app.clone(), request, handler));
        let response = self.runtime.block_on(answered);
        let (status, body) = (response.status(), response.body());
        assert!(status.is_success(), "{status}: {body:?}");
        response
    }

    /// Handles one message. It must succeed.
    pub fn run(&self, message: SqsRecord) {
        self.tick();
        let until = self.app.now().plus_seconds(60);
        let done = Box::pin(run_batch::handle(self.app.clone(), message, until));
        self.runtime
            .block_on(done)
            .expect("a chunk that is applied");
    }

    /// Takes all messages of the queue.
    pub fn messages(&self) -> Vec<SqsRecord> {
        let mut all = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(queue::BATCHES);
            let receive = receive.max_number_of_messages(10).send();
            let received = self.runtime.block_on(receive).expect("the queue");
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            all.extend(messages.into_iter().map(|message| SqsRecord {
                message_id: message.message_id.unwrap_or_default(),
                receipt_handle: message.receipt_handle.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                attributes: SqsAttributes {
                    approximate_receive_count: "1".to_owned(),
                    message_group_id: None,
                },
                message_attributes: Default::default(),
            }));
        }
    }
}

/// A request of a project, as the gateway hands it to a function.
pub fn request(project: &str, (method, path, body): Call) -> Request {
    let body = body.map_or(Body::Empty, |body| Body::Text(body.to_string()));
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = path.parse().expect("a path");
    request.extensions_mut().insert(Principal {
        user: "user".to_owned(),
        project: ProjectId::parse(project).expect("a project"),
        role: Role::Member,
        expires_at: None,
        access_rules: None,
    });
    request
}
