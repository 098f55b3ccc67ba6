//! The upper bound: bare loops that make the same DynamoDB requests on the same engine in this
//! process, without the service's logic. They reach the engine over a socket, as a program reaches
//! DynamoDB, or without one, as the local server does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update,
};
use local::engine::Engine;
use local::storage::Health;
use local::table::{self, Upgrade};
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::member::MemberStatus;
use shared::domain::time::{Clock, Timestamp};
use shared::runtime::clients::Clients;
use shared::store::keys::{self as at, Item, n, s};

use crate::interleave::{WINDOW_LENGTH, Window};
use crate::{functions, process};

const TABLE: &str = "limit";

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
    /// `UpdateItem` of the membership alone: what an entry of a batch costs.
    Entry,
}

/// The engine, with an image and some members for each task.
#[derive(Clone)]
pub struct Limit {
    client: Client,
    images: Arc<Vec<ImageId>>,
    members: Arc<Vec<ProjectId>>,
    /// How many answers each task has written.
    answers: Arc<Vec<AtomicUsize>>,
    now: Timestamp,
}

impl Limit {
    /// Opens an engine on a file of this directory and creates so many images with so many members
    /// each. Returns two ways to it: over a socket, and without one.
    pub async fn new(directory: &Path, images: usize, members: usize) -> (Self, Self) {
        let engine = Engine::in_file(&directory.join("limit.sqlite"), Health::of(directory))
            .expect("an engine");
        let address = tests::serve(functions::answers(engine.clone())).await;
        let client = Clients::dynamodb_in_process(engine);
        table::make(&client, TABLE, Upgrade::Refuse)
            .await
            .expect("a table");
        let limit = Self {
            client,
            images: Arc::new((0..images).map(|_| ImageId::random()).collect()),
            members: Arc::new(
                (0..members)
                    .map(|k| project(&format!("member-{k}")))
                    .collect(),
            ),
            answers: Arc::new((0..images).map(|_| AtomicUsize::new(0)).collect()),
            now: Clock::System.now(),
        };
        for image in limit.images.iter() {
            limit.put(limit.image(*image)).await;
            for member in limit.members.iter() {
                limit.put(limit.membership(*image, member)).await;
            }
        }
        let over_socket = Self {
            client: Clients::local().dynamodb(Some(format!("http://{address}"))),
            ..limit.clone()
        };
        (over_socket, limit)
    }

    async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(TABLE);
        put.set_item(Some(item)).send().await.expect("put");
    }

    fn image(&self, image: ImageId) -> Item {
        let mut item = at::image_key(image);
        item.insert(at::MEMBER_COUNT.to_owned(), n(0));
        item.insert(at::VISIBILITY.to_owned(), s("shared"));
        item
    }

    fn membership(&self, image: ImageId, member: &ProjectId) -> Item {
        let mut item = at::member_key(image, member);
        let gpk = at::status_gpk(MemberStatus::Pending, member);
        for (name, value) in [
            (at::STATUS, s("pending")),
            (at::OP, s(OperationId::now().to_string())),
            (at::CREATED_AT, s(self.now.stored())),
            (at::UPDATED_AT, s(self.now.stored())),
            (at::GPK, s(gpk)),
            (at::GSK, s(at::image_gsk(self.now, image))),
        ] {
            item.insert(name.to_owned(), value);
        }
        item
    }

    /// Runs the loop for one window in so many tasks, at most one for each image.
    pub async fn window(&self, which: Loop, tasks: usize) -> Window {
        let began = Instant::now();
        self.run(which, tasks, move |_| began.elapsed() < WINDOW_LENGTH)
            .await
    }

    /// Runs the loop so many times in total in so many tasks, at most one for each image.
    pub async fn rounds(&self, which: Loop, tasks: usize, rounds: usize) -> Window {
        self.run(which, tasks, move |done| done < rounds / tasks)
            .await
    }

    /// Runs the loop in so many tasks, each while `more` agrees to its number of rounds.
    async fn run(
        &self,
        which: Loop,
        tasks: usize,
        more: impl Fn(usize) -> bool + Copy + Send + 'static,
    ) -> Window {
        let cpu = process::cpu(std::process::id());
        let began = Instant::now();
        let running: Vec<_> = (0..tasks)
            .map(|task| {
                let limit = self.clone();
                tokio::spawn(async move {
                    let mut rounds = Vec::new();
                    while more(rounds.len()) {
                        let round = Instant::now();
                        limit.once(which, task, tasks).await;
                        rounds.push(round.elapsed());
                    }
                    rounds
                })
            })
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
            Loop::Add => self.add(image).await,
            Loop::Accept => {
                self.read(next, member).await;
                self.update(next, member, status).await;
            }
            Loop::Show => self.read(image, member).await,
            Loop::List => {
                let query = self.client.query().table_name(TABLE).consistent_read(true);
                let query = query
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", at::PK)
                    .expression_attribute_values(":pk", s(at::image_pk(image)))
                    .limit(self.members.len() as i32 + 1);
                query.send().await.expect("query");
            }
            Loop::Entry => self.update(next, member, status).await,
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
        read.send().await.expect("batch get");
    }

    async fn update(&self, image: ImageId, member: &ProjectId, status: MemberStatus) {
        let update = self
            .client
            .update_item()
            .table_name(TABLE)
            .set_key(Some(at::member_key(image, member)))
            .update_expression(
                "SET #status = :status, #op = :op, #updated = :updated, #gpk = :gpk, #gsk = :gsk",
            )
            .condition_expression("attribute_exists(#pk) AND #op < :op")
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#status", at::STATUS)
            .expression_attribute_names("#op", at::OP)
            .expression_attribute_names("#updated", at::UPDATED_AT)
            .expression_attribute_names("#gpk", at::GPK)
            .expression_attribute_names("#gsk", at::GSK)
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":op", s(OperationId::now().to_string()))
            .expression_attribute_values(":updated", s(self.now.stored()))
            .expression_attribute_values(":gpk", s(at::status_gpk(status, member)))
            .expression_attribute_values(":gsk", s(at::image_gsk(self.now, image)))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        update.send().await.expect("update");
    }

    async fn add(&self, image: ImageId) {
        let member = project(&uuid::Uuid::new_v4().simple().to_string());
        let count = Update::builder()
            .table_name(TABLE)
            .set_key(Some(at::image_key(image)))
            .update_expression("ADD #count :one")
            .condition_expression("attribute_exists(#pk) AND #visibility = :shared")
            .expression_attribute_names("#pk", at::PK)
            .expression_attribute_names("#count", at::MEMBER_COUNT)
            .expression_attribute_names("#visibility", at::VISIBILITY)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":shared", s("shared"))
            .build()
            .expect("an update");
        let put = Put::builder()
            .table_name(TABLE)
            .set_item(Some(self.membership(image, &member)))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", at::PK)
            .build()
            .expect("a put");
        let add = self
            .client
            .transact_write_items()
            .client_request_token(uuid::Uuid::new_v4().to_string())
            .transact_items(TransactWriteItem::builder().update(count).build())
            .transact_items(TransactWriteItem::builder().put(put).build());
        add.send().await.expect("transaction");
    }
}

fn project(text: &str) -> ProjectId {
    ProjectId::parse(text).expect("a project id")
}
