//! Fault injection: batches and direct calls over a store that throttles, loses responses and has
//! conflicts, a queue that redelivers, reorders and gives up, and workers that are killed. The
//! store and the workers are the real ones; a seeded generator injects the faults.
//! `IMSHARE_FAULT_SEEDS` and `IMSHARE_FAULT_ENTRIES` set the number of seeds and of entries in
//! each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use local::engine::Engine;
use local::table::{self, Upgrade};
use local::transport;
use serde_json::json;
use shared::domain::batch::Batch;
use shared::domain::change::Change;
use shared::domain::entries::Entries;
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::job::{Job, JobStatus};
use shared::domain::member::MemberStatus;
use shared::domain::outcome::Outcome;
use shared::domain::policy::{Caller, Role};
use shared::domain::task::{Answer, Task};
use shared::domain::time::Clock;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{SqsAttributes, SqsRecord};
use shared::store::Indexes;
use shared::store::jobs::Created;
use shared::store::members::{Changed, Order, Stamp};

use super::model::{Told, Wish, possible, unjust};
use super::world::OWNER;

const IMAGES: usize = 12;
const MEMBERS: usize = 6;
const WORKERS: usize = 6;
/// Receives before a message becomes a dead letter: fewer than in production, so that many do.
const RECEIVES: u32 = 2;

tokio::task_local! {
    /// The operation ids that direct calls have sent to the store, each once.
    static SENT: RefCell<Vec<OperationId>>;
}

/// The store's transport: the engine with injected faults.
#[derive(Clone, Debug)]
struct Trouble {
    engine: Engine,
    /// Makes the store evaluate one condition as another.
    confuses: Option<Confused>,
    conflicts: Arc<AtomicUsize>,
}

impl Trouble {
    async fn perform(
        self,
        operation: String,
        body: String,
    ) -> Result<transport::JsonResponse, ConnectorError> {
        let error = |kind: &str, more: serde_json::Value| {
            let mut body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{kind}")});
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().cloned().unwrap_or_default());
            Ok((400, body.to_string()))
        };
        let lost = |why: &str| ConnectorError::io(why.into());
        pause(15).await;
        match fastrand::usize(..100) {
            0..20 => return error("ThrottlingException", json!({"message": "slow down"})),
            20..22 => return Err(lost("the request was lost")),
            22..30 if operation == "TransactWriteItems" => {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
                let reasons = json!([{"Code": "TransactionConflict", "Message": "again"}]);
                let more = json!({"message": "cancelled", "CancellationReasons": reasons});
                return error("TransactionCanceledException", more);
            }
            22..30 if matches!(&*operation, "UpdateItem" | "PutItem" | "DeleteItem") => {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
                return error("TransactionConflictException", json!({"message": "again"}));
            }
            _ => {}
        }
        let body = match self.confuses {
            Some((condition, another)) => body.replace(condition, another),
            None => body,
        };
        let answer = self.engine.perform(&operation, &body).await;
        pause(15).await;
        if fastrand::usize(..100) < 5 {
            Err(lost("the answer was lost"))
        } else {
            Ok(answer)
        }
    }
}

impl HttpConnector for Trouble {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some((operation, body)) = transport::parts(&request) else {
            return HttpConnectorFuture::ready(transport::response(transport::unreadable()));
        };
        note(body);
        let work = self.clone().perform(operation.to_owned(), body.to_owned());
        HttpConnectorFuture::new(async move { transport::response(work.await?) })
    }
}

impl HttpClient for Trouble {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Records the operation id of a direct call's write.
fn note(body: &str) {
    let op = body
        .split_once("\":op\":{\"S\":\"")
        .and_then(|(_, rest)| OperationId::parse(rest.get(..32)?));
    let _ = SENT.try_with(|sent| {
        let mut sent = sent.borrow_mut();
        if let Some(op) = op.filter(|op| !sent.contains(op)) {
            sent.push(op);
        }
    });
}

async fn pause(most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..=most_ms))).await;
}

fn app(http: impl HttpClient + 'static) -> App {
    let config = Config {
        table: "imshare".to_owned(),
        queue_url: local::queue::BATCHES.to_owned(),
        member_quota: -1,
        indexes: Indexes::Immediate,
        ..Config::default()
    };
    let queue = local::queue::Queue::in_memory(local::queue::Settings::default()).unwrap();
    let clients = Clients::in_process();
    App::new(
        config,
        clients.dynamodb_over(http, None),
        clients.sqs_over(queue, None),
        shared::auth::Authentication::default(),
        Clock::System,
    )
}

/// A message of the test's queue.
#[derive(Clone, Debug)]
struct Letter {
    number: usize,
    body: String,
    receives: u32,
}

#[derive(Debug, Default)]
struct Post {
    letters: Vec<Letter>,
    /// In flight, or not yet sent.
    open: usize,
    deliveries: usize,
    repeated: usize,
    killed: usize,
    dead: usize,
}

type Key = (ImageId, ProjectId);
type Requests = HashMap<Key, Vec<(OperationId, Wish, Told)>>;

/// One run.
#[derive(Clone)]
struct Run {
    app: App,
    images: Vec<Image>,
    members: Vec<ProjectId>,
    owner: Caller,
    post: Arc<Mutex<Post>>,
    jobs: Arc<Mutex<Vec<(Job, Wish)>>>,
    direct: Arc<Mutex<Requests>>,
}

impl Run {
    fn wish(&self) -> Wish {
        match fastrand::usize(..4) {
            0 => Wish::Share,
            1 => Wish::Answer(MemberStatus::Accepted),
            2 => Wish::Answer(MemberStatus::Rejected),
            _ => Wish::Unshare,
        }
    }

    /// Accepts a batch as the service does: first its record, then its messages.
    async fn batch(&self, most: usize) -> usize {
        let wish = self.wish();
        let images = 1 + fastrand::usize(..IMAGES);
        let members = match wish {
            Wish::Answer(_) => 1,
            Wish::Share | Wish::Unshare => 1 + fastrand::usize(..MEMBERS),
        };
        let pick = |count: usize, of: usize| {
            let from = fastrand::usize(..of);
            (0..count).map(move |at| (from + at) % of)
        };
        let images: Vec<_> = pick(images, IMAGES)
            .map(|at| self.images[at].id.to_string())
            .collect();
        let members: Vec<_> = pick(members, MEMBERS)
            .map(|at| self.members[at].to_string())
            .collect();
        let mut entries = Entries::of_request(&images, &members);
        if entries.rows > most {
            entries = entries.part(0, most);
        }
        let task = match wish {
            Wish::Share => Task::Share,
            Wish::Unshare => Task::Unshare,
            Wish::Answer(status) => Task::Answer(Answer {
                status,
                vault_id: None,
            }),
        };
        let (op, now) = (self.app.operation(), self.app.now());
        let mut batch = Batch::new(&self.owner, task, entries, op, now, "req".to_owned());
        batch.job.chunk_rows = members.len() * (1 + fastrand::usize(..8));
        // A 503 means that no job exists.
        if !matches!(
            self.app.store().create_job(&batch, None).await,
            Ok(Created::New)
        ) {
            return 0;
        }
        let mut post = self.post.lock().unwrap();
        for message in batch.messages() {
            let body = serde_json::to_string(&message).unwrap();
            let number = post.letters.len() + post.deliveries;
            post.letters.push(Letter {
                number,
                body,
                receives: 0,
            });
            post.open += 1;
        }
        drop(post);
        let rows = batch.entries.rows;
        self.jobs.lock().unwrap().push((batch.job, wish));
        rows
    }

    /// Makes a direct call by the functions that its handler uses.
    async fn call(&self) {
        let wish = self.wish();
        let image = &self.images[fastrand::usize(..IMAGES)];
        let member = self.members[fastrand::usize(..MEMBERS)].clone();
        let work = async {
            let (store, members) = (self.app.store(), [member.clone()]);
            let stamp = Stamp {
                op: self.app.operation(),
                now: self.app.now(),
                order: Order::Direct,
            };
            let done = match wish {
                Wish::Share => {
                    store
                        .add_members(&self.owner, image.id, &members, -1, stamp)
                        .await
                }
                Wish::Unshare => {
                    store
                        .remove_members(&self.owner, image.id, &members, false, stamp)
                        .await
                }
                Wish::Answer(status) => {
                    let Ok(facts) = store.facts(image.id, &[&member]).await else {
                        return Told::Refused;
                    };
                    let seen = facts.membership(&member).cloned();
                    let Some(seen) = seen.and_then(|found| found.present()) else {
                        return Told::Refused;
                    };
                    let answer = Answer {
                        status,
                        vault_id: None,
                    };
                    let done = store
                        .update_member(seen, image.created_at, &answer, stamp)
                        .await;
                    return match done {
                        Ok(Some(_)) => Told::Succeeded,
                        Ok(None) => Told::Refused,
                        Err(_) => Told::GaveUp,
                    };
                }
            };
            match done {
                Ok(Changed::Members(done)) if done == [Change::Applied] => Told::Succeeded,
                Ok(_) => Told::Refused,
                Err(_) => Told::GaveUp,
            }
        };
        let (told, mut sent) = SENT
            .scope(RefCell::default(), async {
                let told = work.await;
                (told, SENT.with(|sent| sent.take()))
            })
            .await;
        // Only the last try has reported success, but an earlier one may have been applied.
        let last = sent.pop();
        let mut direct = self.direct.lock().unwrap();
        let requests = direct.entry((image.id, member)).or_default();
        requests.extend(sent.into_iter().map(|op| (op, wish, Told::GaveUp)));
        requests.extend(last.map(|op| (op, wish, told)));
    }

    /// Delivers a random message, sometimes twice, to a worker that may be killed.
    async fn work(self) {
        loop {
            let taken = {
                let mut post = self.post.lock().unwrap();
                match post.letters.len() {
                    0 if post.open == 0 => return,
                    0 => None,
                    count => {
                        let letter = post.letters.swap_remove(fastrand::usize(..count));
                        post.deliveries += 1;
                        if fastrand::usize(..100) < 10 {
                            post.letters.push(Letter {
                                receives: letter.receives + 1,
                                ..letter.clone()
                            });
                            post.open += 1;
                            post.repeated += 1;
                        }
                        Some(letter)
                    }
                }
            };
            match taken {
                None => pause(50).await,
                Some(letter) => self.deliver(letter).await,
            }
        }
    }

    async fn deliver(&self, mut letter: Letter) {
        let is_dead = letter.receives >= RECEIVES;
        letter.receives += 1;
        let record = SqsRecord {
            message_id: letter.number.to_string(),
            body: letter.body.clone(),
            attributes: SqsAttributes {
                approximate_receive_count: letter.receives.to_string(),
            },
            message_attributes: std::collections::BTreeMap::new(),
        };
        let app = self.app.clone();
        let until = app.now().plus_seconds(3600);
        let handled = async move {
            if is_dead {
                settle_batch::handle(app, record, until).await
            } else {
                run_batch::handle(app, record, until).await
            }
        };
        let life = if fastrand::usize(..100) < 25 {
            fastrand::usize(..600)
        } else {
            3_600_000
        };
        let handled = tokio::time::timeout(Duration::from_millis(life as u64), handled).await;
        let acknowledged = matches!(handled, Ok(Ok(()))) && fastrand::usize(..100) >= 5;
        pause(30).await;
        let mut post = self.post.lock().unwrap();
        post.killed += usize::from(handled.is_err());
        post.dead += usize::from(is_dead && acknowledged);
        match acknowledged {
            true => post.open -= 1,
            false => post.letters.push(letter),
        }
    }

    async fn produce(self, entries: usize) {
        let mut sent = 0;
        while sent < entries {
            sent += self.batch(entries - sent).await;
            pause(400).await;
        }
        self.post.lock().unwrap().open -= 1;
    }

    async fn direct_calls(self, calls: usize) {
        for _ in 0..calls {
            self.call().await;
            pause(200).await;
        }
    }
}

/// Compares the stored records with the responses.
async fn check(run: &Run, app: &App) {
    let store = app.store();
    let mut requests = run.direct.lock().unwrap().clone();
    let mut entries = Requests::default();
    let jobs = run.jobs.lock().unwrap().clone();
    for (sent, wish) in jobs {
        let job = store.job(sent.id, app.now()).await.unwrap().unwrap();
        let ended = matches!(job.status(app.now()), JobStatus::Success | JobStatus::Fail);
        assert!(
            ended && job.end(app.now()) != Some(job.deadline),
            "a job did not end: {job:?}"
        );
        let rows = store.results(&job, 0, job.total).await.unwrap();
        assert_eq!(rows.len(), job.total, "rows of the results");
        let mut good = 0;
        for (image, project, outcome) in rows {
            let outcome = outcome.unwrap_or_else(|| panic!("an entry has no result: {job:?}"));
            let key = (
                ImageId::any_spelling(&image).unwrap(),
                ProjectId::parse(project).unwrap(),
            );
            let of_key = requests.entry(key.clone()).or_default();
            assert!(
                of_key.iter().all(|(op, _, _)| *op != job.id),
                "two results of one entry"
            );
            let told = match outcome {
                Outcome::Changed | Outcome::Unchanged => Told::Succeeded,
                Outcome::Failed(code) if code == job.kind.gave_up() => Told::GaveUp,
                Outcome::Failed(_) => Told::Refused,
            };
            of_key.push((job.id, wish, told));
            entries.entry(key).or_default().push((job.id, wish, told));
            good += usize::from(told == Told::Succeeded);
        }
        assert_eq!(
            (job.succeeded, job.failed),
            (good, job.total - good),
            "the counters of {job:?}"
        );
    }
    for image in &run.images {
        let facts = store
            .facts(image.id, &run.members.iter().collect::<Vec<_>>())
            .await
            .unwrap();
        let mut present = 0;
        for member in &run.members {
            let stored = facts.membership(member).cloned();
            let seen = stored
                .clone()
                .and_then(|found| found.present())
                .map(|member| member.status);
            present += u64::from(seen.is_some());
            let requests = requests
                .remove(&(image.id, member.clone()))
                .unwrap_or_default();
            let of_batches = entries
                .remove(&(image.id, member.clone()))
                .unwrap_or_default();
            assert_eq!(
                unjust(None, &of_batches, &requests),
                None,
                "a refusal without a cause: {requests:#?}"
            );
            assert!(
                possible(None, requests.clone()).contains(&seen),
                "image {} member {member:?} is {stored:#?} after {requests:#?}",
                image.id
            );
        }
        assert_eq!(
            facts.image.unwrap().member_count,
            present,
            "the count of image {}",
            image.id
        );
    }
}

/// A condition, and what a broken store evaluates instead.
type Confused = (&'static str, &'static str);

/// How often each fault occurred, so that a test can check that it did.
#[derive(Clone, Copy, Debug, Default)]
struct Happened {
    repeated: usize,
    killed: usize,
    dead: usize,
    conflicts: usize,
}

async fn run(entries: usize, confuses: Option<Confused>) -> Happened {
    let engine = Engine::in_memory().unwrap();
    let client = Clients::in_process().dynamodb_over(engine.clone(), None);
    table::make(&client, "imshare", Upgrade::Refuse)
        .await
        .unwrap();
    let calm = app(engine.clone());
    let owner = Caller {
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Admin,
    };
    let mut images = Vec::new();
    for _ in 0..IMAGES {
        let body = json!({"visibility": "shared"});
        let image = Image::from_request(
            body,
            shared::domain::policy::Policy::default(),
            &owner,
            calm.operation(),
            calm.now(),
        )
        .unwrap();
        assert!(calm.store().create_image(&image).await.unwrap());
        images.push(image);
    }
    let conflicts = Arc::new(AtomicUsize::new(0));
    let run = Run {
        app: app(Trouble {
            engine,
            confuses,
            conflicts: conflicts.clone(),
        }),
        images,
        members: (0..MEMBERS)
            .map(|at| ProjectId::parse(format!("member-{at}")).unwrap())
            .collect(),
        owner,
        // Open until everything has been sent.
        post: Arc::new(Mutex::new(Post {
            open: 1,
            ..Post::default()
        })),
        jobs: Arc::default(),
        direct: Arc::default(),
    };
    let mut tasks: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(run.clone().work()))
        .collect();
    tasks.push(tokio::spawn(run.clone().produce(entries)));
    tasks.push(tokio::spawn(run.clone().direct_calls(entries / 40)));
    tasks.push(tokio::spawn(run.clone().direct_calls(entries / 40)));
    for task in tasks {
        task.await.unwrap();
    }
    let happened = {
        let post = run.post.lock().unwrap();
        Happened {
            repeated: post.repeated,
            killed: post.killed,
            dead: post.dead,
            conflicts: conflicts.load(Ordering::Relaxed),
        }
    };
    check(&run, &calm).await;
    happened
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Runs one seed; `None` if the stored records contradict the responses.
fn outcome_of(seed: u64, entries: usize, confuses: Option<Confused>) -> Option<Happened> {
    // On one thread, with a clock that skips every wait, so that backing off takes no time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let run = || {
        // Decisions come from this thread's generator, and so do the product's random pauses.
        fastrand::seed(seed);
        runtime.block_on(run(entries, confuses))
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

#[test]
fn nothing_is_lost_or_done_twice() {
    let started = std::time::Instant::now();
    let seeds = number("IMSHARE_FAULT_SEEDS", 20);
    let entries = usize::try_from(number("IMSHARE_FAULT_ENTRIES", 300)).unwrap();
    let mut all = Happened::default();
    let mut failed = Vec::new();
    for seed in 0..seeds {
        match outcome_of(seed, entries, None) {
            Some(happened) => {
                all.repeated += happened.repeated;
                all.killed += happened.killed;
                all.dead += happened.dead;
                all.conflicts += happened.conflicts;
            }
            None => failed.push(seed),
        }
    }
    println!(
        "{seeds} seeds x {entries} entries in {:.1?}: {all:?}",
        started.elapsed()
    );
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    // A run without faults would prove nothing.
    let all = [all.repeated, all.killed, all.dead, all.conflicts];
    assert!(all.iter().all(|happened| *happened > 0), "{all:?}");
}

/// The check detects a store that ignores the order of requests, or that forgets what a late
/// removal depends on.
#[test]
fn a_broken_store_is_found() {
    let broken: [Confused; 2] = [
        // An older answer overwrites a newer one.
        (
            "AND attribute_not_exists(#gone) AND #op < :op",
            "AND attribute_not_exists(#gone) AND #op <> :op",
        ),
        // An older removal ends a membership that was shared again.
        ("OR #shared < :op)", "OR #shared <> :op)"),
    ];
    for confused in broken {
        let found = (0..20).any(|seed| outcome_of(seed, 300, Some(confused)).is_none());
        assert!(found, "a store with {confused:?} passes");
    }
}
