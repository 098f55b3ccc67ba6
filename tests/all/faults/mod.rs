//! Fault injection: batches and direct calls over a store that throttles, loses responses and has
//! conflicts, a queue that redelivers, reorders and gives up, and workers that are killed. The
//! store and the workers are the real ones; a seeded generator injects the faults.
//! `IMSHARE_FAULT_SEEDS` and `IMSHARE_FAULT_ENTRIES` set the number of seeds and of entries in
//! each.

mod check;
mod seeds;
mod store;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use shared::domain::batch::Batch;
use shared::domain::change::Change;
use shared::domain::entries::Entries;
use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::job::Job;
use shared::domain::member::MemberStatus;
use shared::domain::policy::Caller;
use shared::domain::task::{Answer, Task};
use shared::domain::time::Clock;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::Config;
use shared::runtime::messages::{Handled, SqsAttributes, SqsRecord};
use shared::store::Indexes;
use shared::store::jobs::Created;
use shared::store::members::{Changed, Stamp};

use self::store::SENT;
use super::harness::origin;
use super::model::{Intent, Reported};

const IMAGES: usize = 12;
const MEMBERS: usize = 6;
const WORKERS: usize = 6;
/// Receives before a message becomes a dead letter: fewer than in production, so that many do.
const RECEIVES: u32 = 2;

async fn pause(most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..=most_ms))).await;
}

fn app(http: impl HttpConnector + 'static) -> App {
    let config = Config {
        table: "imshare".to_owned(),
        queue_url: local::queue::BATCHES.to_owned(),
        member_quota: -1,
        indexes: Indexes::Immediate,
        ..Config::default()
    };
    let queue = local::queue::Queue::in_memory(Default::default(), Clock::System).unwrap();
    App::new(
        config,
        Clients::dynamodb_through(http),
        Clients::sqs_in_process(queue),
        shared::auth::Authentication::default(),
        Clock::System,
    )
}

/// A message of the test's queue.
#[derive(Clone, Debug)]
struct QueuedMessage {
    number: usize,
    body: String,
    receives: u32,
}

#[derive(Debug, Default)]
struct FakeQueue {
    messages: Vec<QueuedMessage>,
    /// In flight, or not yet sent.
    open: usize,
    deliveries: usize,
    repeated: usize,
    killed: usize,
    dead: usize,
}

type Key = (ImageId, ProjectId);
type Requests = HashMap<Key, Vec<(OperationId, Intent, Reported)>>;

/// One run.
#[derive(Clone)]
struct Run {
    app: App,
    images: Vec<Image>,
    members: Vec<ProjectId>,
    owner: Caller,
    post: Arc<Mutex<FakeQueue>>,
    jobs: Arc<Mutex<Vec<(Job, Intent)>>>,
    direct: Arc<Mutex<Requests>>,
}

impl Run {
    fn intent(&self) -> Intent {
        match fastrand::usize(..4) {
            0 => Intent::Share,
            1 => Intent::Answer(MemberStatus::Accepted),
            2 => Intent::Answer(MemberStatus::Rejected),
            _ => Intent::Unshare,
        }
    }

    /// Accepts a batch as the service does: first its record, then its messages.
    async fn batch(&self, most: usize) -> usize {
        if fastrand::usize(..4) == 0 {
            return self.declaration().await;
        }
        let intent = self.intent();
        let images = 1 + fastrand::usize(..IMAGES);
        let members = match intent {
            Intent::Answer(_) => 1,
            Intent::Share | Intent::Unshare | Intent::Declare(_) => 1 + fastrand::usize(..MEMBERS),
        };
        let pick = |count: usize, of: usize| {
            let from = fastrand::usize(..of);
            (0..count).map(move |at| (from + at) % of)
        };
        let images: Vec<_> = pick(images, IMAGES)
            .map(|at| self.images[at].id.to_string())
            .collect();
        let members: Vec<_> = pick(members, MEMBERS)
            .map(|at| self.members[at].clone())
            .collect();
        let mut entries = Entries::of_request(&images, &members);
        if entries.rows > most {
            entries = entries.part(0, most);
        }
        let task = match intent {
            Intent::Share => Task::Share,
            Intent::Unshare | Intent::Declare(_) => Task::Unshare,
            Intent::Answer(status) => Task::Answer(Answer {
                status,
                vault_id: None,
            }),
        };
        let (op, now) = (self.app.operation(), self.app.now());
        let mut batch = Batch::new(&self.owner, task, entries, op, now, "req".to_owned());
        batch.job.chunk_rows = members.len() * (1 + fastrand::usize(..8));
        let created = self.app.store().create_job(&batch, None).await;
        self.send_if_created(created, batch, intent).await
    }

    /// Sends the messages of a job that exists, and returns how many entries it has.
    async fn send_if_created(
        &self,
        created: Result<Created, ApiError>,
        batch: Batch,
        intent: Intent,
    ) -> usize {
        match created {
            Ok(Created::New) => self.send(batch, intent),
            Ok(_) => 0,
            // The answer may have been lost: a job that was accepted is due.
            Err(_) => loop {
                match self.app.store().job(batch.job.id, self.app.now()).await {
                    Ok(None) => return 0,
                    Ok(Some(_)) => return self.send(batch, intent),
                    Err(_) => {}
                }
            },
        }
    }

    /// Declares all members of an image as the service does, on top of those that are read.
    async fn declaration(&self) -> usize {
        let store = self.app.store();
        let image = self.images[fastrand::usize(..IMAGES)].id;
        let Ok(Some(image)) = store.image(image).await else {
            return 0;
        };
        let Ok(Some(members)) = store.members_at(&image, MEMBERS).await else {
            return 0;
        };
        let from = fastrand::usize(..MEMBERS);
        let declared: Vec<_> = (0..1 + fastrand::usize(..MEMBERS - 1))
            .map(|at| self.members[(from + at) % MEMBERS].clone())
            .collect();
        let (op, now) = (self.app.operation(), self.app.now());
        let of = (&image, &members[..]);
        let (mut batch, changes) =
            Batch::replacing(&self.owner, of, &declared, (op, now), "req".to_owned());
        batch.job.chunk_rows = 1 + fastrand::usize(..MEMBERS);
        let created = store.create_replacement(&batch, None, &image, changes);
        let created = created.await;
        self.send_if_created(created, batch, Intent::Share).await
    }

    fn send(&self, batch: Batch, intent: Intent) -> usize {
        let mut post = self.post.lock().unwrap();
        for message in batch.messages() {
            let body = message.to_body().unwrap();
            let number = post.messages.len() + post.deliveries;
            post.messages.push(QueuedMessage {
                number,
                body,
                receives: 0,
            });
            post.open += 1;
        }
        drop(post);
        let rows = batch.entries.rows;
        self.jobs.lock().unwrap().push((batch.job, intent));
        rows
    }

    /// Makes a direct call by the functions that its handler uses.
    async fn call(&self) {
        let intent = self.intent();
        let image = &self.images[fastrand::usize(..IMAGES)];
        let member = self.members[fastrand::usize(..MEMBERS)].clone();
        let work = async {
            let (store, members) = (self.app.store(), [member.clone()]);
            let stamp = Stamp::direct(self.app.operation(), self.app.now(), origin());
            let done = match intent {
                Intent::Share => {
                    store
                        .add_members(&self.owner, image.id, &members, -1, stamp)
                        .await
                }
                Intent::Unshare | Intent::Declare(_) => {
                    store
                        .remove_members(&self.owner, image.id, &members, false, stamp)
                        .await
                }
                Intent::Answer(status) => {
                    let Ok(facts) = store.facts(image.id, &[&member]).await else {
                        return Reported::Refused;
                    };
                    let seen = facts.membership(&member).cloned();
                    let Some(seen) = seen.and_then(|found| found.present()) else {
                        return Reported::Refused;
                    };
                    let answer = Answer {
                        status,
                        vault_id: None,
                    };
                    let done = store
                        .update_member(seen, image.created_at, &answer, stamp)
                        .await;
                    return match done {
                        Ok(Some(_)) => Reported::Succeeded,
                        Ok(None) => Reported::Refused,
                        Err(_) => Reported::GaveUp,
                    };
                }
            };
            match done {
                Ok(Changed::Members(done)) => match done[..] {
                    [Change::Applied | Change::Answered(_)] => Reported::Succeeded,
                    _ => Reported::Refused,
                },
                Ok(Changed::Image(_)) => Reported::Refused,
                Err(_) => Reported::GaveUp,
            }
        };
        let (reported, mut sent) = SENT
            .scope(RefCell::default(), async {
                let reported = work.await;
                (reported, SENT.with(|sent| sent.take()))
            })
            .await;
        // Only the last try has reported success, but an earlier one may have been applied.
        let last = sent.pop();
        let mut direct = self.direct.lock().unwrap();
        let requests = direct.entry((image.id, member)).or_default();
        requests.extend(sent.into_iter().map(|op| (op, intent, Reported::GaveUp)));
        requests.extend(last.map(|op| (op, intent, reported)));
    }

    /// Delivers a random message, sometimes twice, to a worker that may be killed.
    async fn work(self) {
        loop {
            let taken = {
                let mut post = self.post.lock().unwrap();
                match post.messages.len() {
                    0 if post.open == 0 => return,
                    0 => None,
                    count => {
                        let message = post.messages.swap_remove(fastrand::usize(..count));
                        post.deliveries += 1;
                        if fastrand::usize(..100) < 10 {
                            post.messages.push(QueuedMessage {
                                receives: message.receives + 1,
                                ..message.clone()
                            });
                            post.open += 1;
                            post.repeated += 1;
                        }
                        Some(message)
                    }
                }
            };
            match taken {
                None => pause(50).await,
                Some(message) => self.deliver(message).await,
            }
        }
    }

    async fn deliver(&self, mut message: QueuedMessage) {
        let is_dead = message.receives >= RECEIVES;
        message.receives += 1;
        let record = SqsRecord {
            message_id: message.number.to_string(),
            receipt_handle: String::new(),
            body: message.body.clone(),
            attributes: SqsAttributes {
                approximate_receive_count: message.receives.to_string(),
                message_group_id: None,
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
        let acknowledged = matches!(handled, Ok(Ok(Handled::Done))) && fastrand::usize(..100) >= 5;
        pause(30).await;
        let mut post = self.post.lock().unwrap();
        post.killed += usize::from(handled.is_err());
        post.dead += usize::from(is_dead && acknowledged);
        match acknowledged {
            true => post.open -= 1,
            false => post.messages.push(message),
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
