//! The upper bound: bare loops that make the same DynamoDB requests on the same engine in this
//! process, without the service's logic. They reach the engine over a socket, as a program reaches
//! DynamoDB, or without one, as the local server does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};
use local::engine::Engine;
use local::storage::Health;
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::member::MemberStatus;
use shared::domain::time::{Clock, Timestamp};
use shared::runtime::clients::Clients;
use shared::store::Client;
use shared::store::expression::names;
use shared::store::keys::{self as at, Item, n, s};
use shared::store::members::TOMBSTONE_SECONDS;

use crate::client as http;
use crate::interleave::{WINDOW_LENGTH, Window};
use crate::server::Server;
use crate::{MEMBER, functions, process};

/// The table of a local server.
const TABLE: &str = "imshare";
/// Tasks of a pass: as many images as `run-batch` works on at once.
const AT_ONCE: usize = 16;

/// A kind of loop.
#[derive(Clone, Copy, Debug)]
pub enum Loop {
    /// `TransactWriteItems`: the image's count and a new membership.
    Add,
    /// `BatchGetItem` of image and membership, `UpdateItem` of the membership.
    Accept,
    /// `BatchGetItem` of image and membership.
    Show,
    /// `Query` of an image with ten members.
    List,
}

/// What a batch writes for each of its images.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// `TransactWriteItems`: the image's count and the membership.
    Share,
    /// `UpdateItem` of the membership.
    Accept,
    /// `TransactWriteItems`: the image's count and the membership's tombstone.
    Unshare,
}

/// The engine, with images that have some members each.
#[derive(Clone)]
pub struct Limit {
    client: Client,
    /// An image and a membership as the service wrote them; the others are copies under other ids.
    written: Arc<Written>,
    images: Arc<Vec<ImageId>>,
    members: Arc<Vec<ProjectId>>,
    /// How many answers each task has written.
    answers: Arc<Vec<AtomicUsize>>,
    now: Timestamp,
}

struct Written {
    id: String,
    image: Item,
    membership: Item,
}

impl Written {
    /// Who has written it.
    fn by(&self) -> AttributeValue {
        self.membership[at::BY].clone()
    }
}

impl Limit {
    /// Opens an engine on a file of this directory and creates so many images with so many members
    /// each. Returns two ways to it: over a socket, and without one.
    ///
    /// The first image and its member are written by the service itself, so that all items and index
    /// entries have the size of the service's.
    pub async fn new(
        binary: &Path,
        directory: &Path,
        images: usize,
        members: usize,
    ) -> (Self, Self) {
        let engine = Engine::in_file(&directory.join("limit.sqlite"), Health::of(directory))
            .expect("an engine");
        let endpoint = format!(
            "http://{}",
            tests::serve(functions::answers(engine.clone())).await
        );
        let id = write_first(binary, directory, &endpoint).await;
        let client = Clients::dynamodb_in_process(engine);
        let image = ImageId::canonical(&id).expect("an image's id");
        let written = Written {
            image: read(&client, at::image_key(image)).await,
            membership: read(&client, at::member_key(image, &project(MEMBER))).await,
            id,
        };
        let limit = Self {
            client,
            written: Arc::new(written),
            images: Arc::new((0..images).map(|_| ImageId::random()).collect()),
            members: Arc::new((0..members).map(|k| project(&format!("{k:032}"))).collect()),
            answers: Arc::new((0..images).map(|_| AtomicUsize::new(0)).collect()),
            now: Clock::System.now(),
        };
        let filling: Vec<_> = (0..AT_ONCE)
            .map(|task| tokio::spawn(limit.clone().fill(task)))
            .collect();
        for task in filling {
            task.await.expect("a task");
        }
        let over_socket = Self {
            client: Clients::local().dynamodb(Some(endpoint)).into(),
            ..limit.clone()
        };
        (over_socket, limit)
    }

    /// Creates one of so many parts of the images.
    async fn fill(self, task: usize) {
        for image in self.images.iter().skip(task).step_by(AT_ONCE) {
            self.put(self.copy(&self.written.image, *image, None)).await;
            for member in self.members.iter() {
                self.put(self.membership(*image, member)).await;
            }
        }
    }

    async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(TABLE);
        let put = put.set_item(Some(item));
        self.client.send(&put).await.expect("put");
    }

    fn membership(&self, image: ImageId, member: &ProjectId) -> Item {
        self.copy(&self.written.membership, image, Some(member))
    }

    /// An item of the service under the ids of another image and member.
    fn copy(&self, item: &Item, image: ImageId, member: Option<&ProjectId>) -> Item {
        let mut copy = item.clone();
        for value in copy.values_mut() {
            if let AttributeValue::S(text) = value {
                *text = text.replace(&self.written.id, &image.to_string());
                if let Some(member) = member {
                    *text = text.replace(MEMBER, member.as_str());
                }
            }
        }
        copy
    }

    /// Writes what a batch of so many images writes, each once.
    pub async fn pass(&self, entry: Entry, images: usize) -> Window {
        let tasks = AT_ONCE.min(images);
        in_tasks(tasks, |task| {
            let limit = self.clone();
            async move {
                let mut rounds = Vec::new();
                for image in limit.images[..images].iter().skip(task).step_by(tasks) {
                    let round = Instant::now();
                    limit.write(entry, *image).await;
                    rounds.push(round.elapsed());
                }
                rounds
            }
        })
        .await
    }

    async fn write(&self, entry: Entry, image: ImageId) {
        let member = &self.members[0];
        match entry {
            Entry::Share => self.add(image, member).await,
            Entry::Accept => {
                let old = ReturnValue::UpdatedOld;
                self.update(image, member, MemberStatus::Accepted, old)
                    .await;
            }
            Entry::Unshare => self.remove(image, member).await,
        }
    }

    /// Runs the loop for one window in so many tasks, at most one for each image.
    pub async fn window(&self, which: Loop, tasks: usize) -> Window {
        let began = Instant::now();
        self.run(which, tasks, move |_| began.elapsed() < WINDOW_LENGTH)
            .await
    }

    /// Runs the loop in so many tasks, each while `more` agrees to its number of rounds.
    async fn run(
        &self,
        which: Loop,
        tasks: usize,
        more: impl Fn(usize) -> bool + Copy + Send + 'static,
    ) -> Window {
        in_tasks(tasks, |task| {
            let limit = self.clone();
            async move {
                let mut rounds = Vec::new();
                while more(rounds.len()) {
                    let round = Instant::now();
                    limit.once(which, task, tasks).await;
                    rounds.push(round.elapsed());
                }
                rounds
            }
        })
        .await
    }

    async fn once(&self, which: Loop, task: usize, tasks: usize) {
        let image = self.images[task];
        let member = &self.members[0];
        // As in a batch, each answer differs from the stored one and is for another image than the
        // last.
        let answers = self.answers[task].fetch_add(1, Ordering::Relaxed);
        let own = self.images.iter().skip(task).step_by(tasks);
        let next = self.images[task + answers % own.len() * tasks];
        let status = [MemberStatus::Accepted, MemberStatus::Rejected][answers / own.len() % 2];
        match which {
            Loop::Add => {
                let member = project(&uuid::Uuid::new_v4().simple().to_string());
                self.add(image, &member).await;
            }
            Loop::Accept => {
                self.read(next, member).await;
                self.update(next, member, status, ReturnValue::None).await;
            }
            Loop::Show => self.read(image, member).await,
            Loop::List => {
                let query = self.client.query().table_name(TABLE).consistent_read(true);
                let condition = "#pk = :pk";
                let query = query
                    .set_expression_attribute_names(names(&[condition]))
                    .key_condition_expression(condition)
                    .expression_attribute_values(":pk", s(at::image_pk(image)))
                    .limit(self.members.len() as i32 + 1);
                self.client.send(&query).await.expect("query");
            }
        }
    }

    async fn read(&self, image: ImageId, member: &ProjectId) {
        let keys = KeysAndAttributes::builder()
            .keys(at::image_key(image))
            .keys(at::member_key(image, member))
            .consistent_read(true)
            .build()
            .expect("keys");
        let read = self.client.batch_get_item().request_items(TABLE, keys);
        self.client.send(&read).await.expect("batch get");
    }

    /// Writes an answer with the indexes that it moves a membership in, as the service does.
    async fn update(
        &self,
        image: ImageId,
        member: &ProjectId,
        status: MemberStatus,
        returned: ReturnValue,
    ) {
        let by_name = match status {
            MemberStatus::Accepted => ", #npk = #named",
            MemberStatus::Pending | MemberStatus::Rejected => " REMOVE #npk",
        };
        let update = format!(
            "SET #status = :status, #op = :op, #updated_at = :updated, #by = :by, #gpk = :gpk{by_name}"
        );
        let condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #op < :op \
                         AND attribute_exists(#gpk)";
        let request = self
            .client
            .update_item()
            .table_name(TABLE)
            .set_key(Some(at::member_key(image, member)))
            .set_expression_attribute_names(names(&[&update, condition]))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":op", s(OperationId::now().to_string()))
            .expression_attribute_values(":updated", s(self.now.stored()))
            .expression_attribute_values(":by", self.written.by())
            .expression_attribute_values(":gpk", s(at::status_gpk(status, member)))
            .return_values(returned)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        self.client.send(&request).await.expect("update");
    }

    async fn add(&self, image: ImageId, member: &ProjectId) {
        let condition = "attribute_not_exists(#pk) OR (attribute_exists(#gone) AND #op < :op)";
        let put = Put::builder()
            .table_name(TABLE)
            .set_item(Some(self.membership(image, member)))
            .set_expression_attribute_names(names(&[condition]))
            .condition_expression(condition)
            .expression_attribute_values(":op", s(OperationId::now().to_string()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .expect("a put");
        let put = TransactWriteItem::builder().put(put).build();
        self.transact(image, 1, put).await;
    }

    async fn remove(&self, image: ImageId, member: &ProjectId) {
        let expires = self.now.unix_seconds() + TOMBSTONE_SECONDS;
        let update = "SET #gone = :true, #op = :op, #expires_at = :expires, #by = :by \
                      REMOVE #gpk, #gsk, #npk, #named, #opk, #osk, #projection, #status, #vault_id, \
                      #created_at, #updated_at, #shared, #shared_as, #ended";
        let condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) AND #added <= :op \
                         AND (attribute_not_exists(#shared) OR #shared <= :op)";
        let update = Update::builder()
            .table_name(TABLE)
            .set_key(Some(at::member_key(image, member)))
            .set_expression_attribute_names(names(&[update, condition]))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":op", s(OperationId::now().to_string()))
            .expression_attribute_values(":expires", n(expires))
            .expression_attribute_values(":by", self.written.by())
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .expect("an update");
        let update = TransactWriteItem::builder().update(update).build();
        self.transact(image, -1, update).await;
    }

    /// Changes a membership and the image's count of members in one transaction.
    async fn transact(&self, image: ImageId, change: i64, membership: TransactWriteItem) {
        let update = "ADD #member_count :change, #member_version :one";
        let condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) \
                         AND #visibility = :shared AND #member_count >= :zero";
        let count = Update::builder()
            .table_name(TABLE)
            .set_key(Some(at::image_key(image)))
            .set_expression_attribute_names(names(&[update, condition]))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":change", n(change))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":shared", s("shared"))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build()
            .expect("an update");
        let transaction = self
            .client
            .transact_write_items()
            .client_request_token(uuid::Uuid::new_v4().to_string())
            .transact_items(TransactWriteItem::builder().update(count).build())
            .transact_items(membership);
        let sent = self.client.send(&transaction).await;
        sent.expect("transaction");
    }
}

/// Lets the service create an image and share it, with its table in the engine behind the endpoint.
/// Returns the image's id.
async fn write_first(binary: &Path, directory: &Path, endpoint: &str) -> String {
    let server = Server::imshare_on(binary, &directory.join("queue"), endpoint);
    let mut client = http::Client::new(&server).await;
    let image = crate::new_image(&mut client).await;
    let path = format!("/v2/images/{image}/members");
    let body = serde_json::json!({"member": MEMBER});
    client
        .ask(http::Request::new(http::Who::Owner, "POST", path, body))
        .await;
    image
}

/// Runs so many tasks at once. Each returns how long its rounds took.
async fn in_tasks<F>(tasks: usize, task: impl Fn(usize) -> F) -> Window
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let cpu = process::cpu(std::process::id());
    let began = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|number| tokio::spawn(task(number)))
        .collect();
    let mut rounds = Vec::new();
    for task in running {
        rounds.extend(task.await.expect("a task"));
    }
    Window {
        rounds,
        took: began.elapsed(),
        cpu: process::cpu(std::process::id()) - cpu,
    }
}

async fn read(client: &Client, key: Item) -> Item {
    let found = client.get_item().table_name(TABLE).set_key(Some(key));
    let found = client.send(&found.consistent_read(true)).await;
    let found = found.expect("get");
    found.item.expect("what the service has written")
}

fn project(text: &str) -> ProjectId {
    ProjectId::parse(text).expect("a project id")
}
