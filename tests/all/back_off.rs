//! A store that is away: messages come again with longer and longer pauses, and jobs end when it is back.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::queue::{BATCHES, DEAD_LETTERS, Queue, Settings};
use local::table::{self, Upgrade};
use local::transport;
use serde_json::json;
use shared::domain::batch::Batch;
use shared::domain::entries::Entries;
use shared::domain::id::{OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::job::{DEADLINE_SECONDS, JobStatus};
use shared::domain::policy::{Caller, Role};
use shared::domain::task::Task;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{Source, SqsAttributes, SqsEvent, SqsRecord, each};
use shared::store::Indexes;
use shared::store::jobs::Created;

use crate::harness::ManualClock;
use crate::log::Log;

/// How the store answers.
#[derive(Clone, Copy, Debug, Default)]
enum Condition {
    /// As the engine does.
    #[default]
    Well,
    /// It throttles everything.
    Away,
    /// Whoever writes to it panics.
    Panics,
}

#[derive(Clone, Debug)]
struct Store {
    engine: Engine,
    condition: Arc<Mutex<Condition>>,
}

impl HttpConnector for Store {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let condition = *self.condition.lock().unwrap();
        let writes =
            || transport::parts(&request).is_some_and(|(it, _)| it == "TransactWriteItems");
        match condition {
            Condition::Away => {
                let error =
                    json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"});
                HttpConnectorFuture::ready(transport::response((400, error.to_string())))
            }
            Condition::Panics if writes() => panic!("by a test"),
            Condition::Panics | Condition::Well => self.engine.call(request),
        }
    }
}

/// The service with a clock that only the test moves, and its worker, which the test runs.
struct Stage {
    app: App,
    sqs: aws_sdk_sqs::Client,
    queue: Queue,
    clock: ManualClock,
    condition: Arc<Mutex<Condition>>,
    /// Deliveries so far.
    received: usize,
}

impl Stage {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let store = Store {
            engine: Engine::in_memory().unwrap(),
            condition: Arc::default(),
        };
        let condition = store.condition.clone();
        let dynamodb = Clients::dynamodb_through(store);
        table::make(&dynamodb, "imshare", Upgrade::Refuse)
            .await
            .unwrap();
        let queue = Queue::in_memory(Settings::default(), clock.clock()).unwrap();
        let sqs = Clients::sqs_in_process(queue.clone());
        let config = Config {
            table: "imshare".to_owned(),
            queue_url: BATCHES.to_owned(),
            dead_letters_url: Some(DEAD_LETTERS.to_owned()),
            indexes: Indexes::Immediate,
            ..Config::default()
        };
        let authentication = shared::auth::Authentication::default();
        let app = App::new(config, dynamodb, sqs.clone(), authentication, clock.clock());
        Self {
            app,
            sqs,
            queue,
            clock,
            condition,
            received: 0,
        }
    }

    fn store_is(&self, condition: Condition) {
        *self.condition.lock().unwrap() = condition;
    }

    /// Accepts a job of several chunks, and sends its messages.
    async fn accept(&self) -> Batch {
        let (app, project) = (&self.app, |id: &str| ProjectId::parse(id).unwrap());
        let owner = Caller {
            user: "u-owner".to_owned(),
            project: project("owner"),
            role: Role::Member,
        };
        let mut images = Vec::new();
        for _ in 0..3 {
            let (op, now) = (OperationId::now(), app.now());
            let image = Image::from_request(json!({}), app.policy(), &owner, op, now).unwrap();
            assert!(app.store().create_image(&image).await.unwrap());
            images.push(image.id.to_string());
        }
        let members: Vec<_> = (0..40).map(|at| project(&format!("m{at}"))).collect();
        let entries = Entries::of_request(&images, &members);
        let (op, now) = (app.operation(), app.now());
        let batch = Batch::new(&owner, Task::Share, entries, op, now, "req".to_owned());
        let created = app.store().create_job(&batch, None).await.unwrap();
        assert_eq!(created, Created::New);
        let messages = batch.messages();
        assert!(messages.len() > 1);
        let unsent = app.queue().send(&messages, &owner.project, "req").await;
        assert_eq!(unsent, Ok(Vec::new()));
        app.store().messages_sent(batch.job.id).await.unwrap();
        batch
    }

    /// Delivers what is visible.
    async fn deliver(&mut self) {
        let received = self
            .sqs
            .receive_message()
            .queue_url(BATCHES)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send();
        let messages = received.await.unwrap().messages.unwrap_or_default();
        self.received += messages.len();
        for message in messages {
            let count = &message.attributes().unwrap()
                [&MessageSystemAttributeName::ApproximateReceiveCount];
            let receipt = message.receipt_handle().unwrap().to_owned();
            let record = SqsRecord {
                message_id: message.message_id().unwrap().to_owned(),
                receipt_handle: receipt.clone(),
                body: message.body().unwrap().to_owned(),
                attributes: SqsAttributes {
                    approximate_receive_count: count.clone(),
                    message_group_id: None,
                },
                ..SqsRecord::default()
            };
            let event = SqsEvent {
                records: vec![record],
            };
            let until = self.app.now().plus_seconds(25);
            let app = self.app.clone();
            let response = each(Source::Batches, app, event, until, run_batch::handle).await;
            if response.batch_item_failures.is_empty() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id("0")
                    .receipt_handle(receipt);
                let delete = self.sqs.delete_message_batch().queue_url(BATCHES);
                let delete = delete.entries(entry.build().unwrap());
                delete.send().await.unwrap();
            }
        }
    }

    /// Lets time pass, in steps of 15 seconds.
    async fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds / 15 {
            self.deliver().await;
            self.clock.forward(15);
        }
    }

    async fn status(&self, batch: &Batch) -> JobStatus {
        let found = self.app.store().job(batch.job.id, self.app.now()).await;
        found.unwrap().unwrap().status(self.app.now())
    }
}

/// With a tokio clock that skips every wait: a write that is throttled is retried for seconds.
fn on_stage<F: Future<Output = ()>>(test: impl FnOnce(Stage) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test(Stage::new().await).await });
}

#[test]
fn jobs_outlive_twenty_minutes_without_the_table() {
    on_stage(async |mut stage: Stage| {
        let batch = stage.accept().await;
        stage.store_is(Condition::Away);
        stage.pass(20 * 60).await;
        // Each message was tried at 1, 2, 4 … 256 seconds, and then each five minutes or later.
        let chunks = batch.job.chunks();
        assert!(stage.received >= 5 * chunks, "{}", stage.received);
        assert!(stage.received <= 14 * chunks, "{}", stage.received);
        stage.store_is(Condition::Well);
        stage.pass(375 + 15).await;
        assert_eq!(stage.status(&batch).await, JobStatus::Success);
        assert_eq!(stage.queue.len(BATCHES), Ok(0));
        assert_eq!(stage.queue.len(DEAD_LETTERS), Ok(0));
        let open = stage.app.store().open_jobs(&batch.job.project).await;
        assert_eq!(open, Ok((0, 0)));
    });
}

/// An operator has nothing to mend in a message that waits for the store. A panic is a fault of ours.
#[test]
fn a_message_that_waits_is_a_warning_and_one_that_panics_is_an_error() {
    on_stage(async |mut stage: Stage| {
        let log = Log::begin();
        let batch = stage.accept().await;
        let each = |line: [&str; 2]| vec![line.map(str::to_owned); batch.job.chunks()];
        for (condition, expected) in [
            (Condition::Away, each(["WARN", "message comes again"])),
            (Condition::Panics, each(["ERROR", "message comes again"])),
            (Condition::Panics, each(["ERROR", "message comes again"])),
            (Condition::Panics, each(["ERROR", "message comes again"])),
            // The fifth delivery.
            (
                Condition::Panics,
                each(["ERROR", "poison: a dead letter at once"]),
            ),
        ] {
            stage.store_is(condition);
            stage.pass(15).await;
            assert_eq!(log.lines(["level", "message"]), expected, "{condition:?}");
        }
        assert_eq!(stage.queue.len(DEAD_LETTERS), Ok(batch.job.chunks() as u64));
    });
}

/// Entries are tasks of their own; a panic of one is a panic of its message's handler.
#[test]
fn a_chunk_with_an_entry_that_panics_comes_again() {
    on_stage(async |mut stage: Stage| {
        let batch = stage.accept().await;
        stage.store_is(Condition::Panics);
        stage.pass(15).await;
        let chunks = batch.job.chunks();
        assert_eq!(stage.received, chunks);
        assert_eq!(stage.queue.len(BATCHES), Ok(chunks as u64));
        assert_eq!(stage.queue.len(DEAD_LETTERS), Ok(0));
        stage.store_is(Condition::Well);
        stage.pass(15).await;
        assert_eq!(stage.status(&batch).await, JobStatus::Success);
        assert_eq!(stage.queue.len(BATCHES), Ok(0));
    });
}

/// Only its deadline ends a job whose store stays away: no count of receives does.
#[test]
fn jobs_end_at_their_deadline_and_not_before() {
    on_stage(async |mut stage: Stage| {
        let batch = stage.accept().await;
        stage.store_is(Condition::Away);
        stage.pass(DEADLINE_SECONDS - 120).await;
        assert_eq!(stage.queue.len(DEAD_LETTERS), Ok(0));
        let chunks = batch.job.chunks();
        assert_eq!(stage.queue.len(BATCHES), Ok(chunks as u64));
        assert!(stage.received < 300 * chunks, "{}", stage.received);
        stage.store_is(Condition::Well);
        assert_eq!(stage.status(&batch).await, JobStatus::Init);
        stage.clock.forward(120);
        assert_eq!(stage.status(&batch).await, JobStatus::Fail);
        // What comes after that is no longer applied.
        stage.pass(375 + 15).await;
        assert_eq!(stage.queue.len(BATCHES), Ok(0));
        // The sweep gives back what the job counts, and tells an operator once that it has ended so.
        let log = Log::begin();
        for told in [1, 0] {
            let until = stage.app.now().plus_seconds(60);
            sweep::handle(stage.app.clone(), until).await.unwrap();
            let open = stage.app.store().open_jobs(&batch.job.project).await;
            assert_eq!(open, Ok((0, 0)));
            let line = ["ERROR", "the job ended at its deadline, unfinished"].map(str::to_owned);
            assert_eq!(log.lines(["level", "message"]), vec![line; told]);
            stage.clock.forward(60);
        }
    });
}
