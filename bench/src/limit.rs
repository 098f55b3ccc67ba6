//! The limit: bare loops that make the same DynamoDB requests on the same engine, in this process,
//! with neither HTTP nor any logic around them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update,
};
use local::engine::{self, Engine};
use shared::app::Clients;
use shared::id::{ImageId, OperationId, ProjectId};
use shared::member::MemberStatus;
use shared::store::schema::{self as at, Item, n, s};
use shared::time::{Clock, Timestamp};

const TABLE: &str = "limit";
/// Members of the image that is listed.
const LISTED: usize = 10;

/// One kind of loop.
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
    /// `UpdateItem` of the membership alone: what a batch's entry costs.
    Entry,
}

/// The engine with an image and some members for each of the tasks.
#[derive(Clone)]
pub struct Limit {
    client: Client,
    images: Arc<Vec<ImageId>>,
    members: Arc<Vec<ProjectId>>,
    now: Timestamp,
}

impl Limit {
    /// An engine over a file of this directory, with a record set for each of so many tasks.
    pub async fn new(directory: &Path, tasks: usize) -> Self {
        let engine = Engine::in_file(&directory.join("limit.sqlite")).expect("an engine");
        let client = Clients::local().dynamodb_over(engine, None);
        engine::create_table(&client, TABLE).await.expect("a table");
        let limit = Self {
            client,
            images: Arc::new((0..tasks).map(|_| ImageId::random()).collect()),
            members: Arc::new(
                (0..LISTED)
                    .map(|k| project(&format!("member-{k}")))
                    .collect(),
            ),
            now: Clock::System.now(),
        };
        for image in limit.images.iter() {
            limit.put(limit.image(*image)).await;
            for member in limit.members.iter() {
                limit.put(limit.membership(*image, member)).await;
            }
        }
        limit
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

    /// Runs the loop in so many tasks for so long; rounds a second.
    pub async fn run(&self, which: Loop, tasks: usize, time: Duration) -> f64 {
        let rounds = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let tasks = (0..tasks).map(|task| {
            let (limit, rounds) = (self.clone(), rounds.clone());
            tokio::spawn(async move {
                while began.elapsed() < time {
                    limit.once(which, task).await;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        futures::future::join_all(tasks).await;
        rounds.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
    }

    async fn once(&self, which: Loop, task: usize) {
        let image = self.images.get(task).copied().expect("an image a task");
        let member = self.members.first().expect("members");
        match which {
            Loop::Add => self.add(image).await,
            Loop::Accept => {
                self.read(image, member).await;
                self.update(image, member).await;
            }
            Loop::Show => self.read(image, member).await,
            Loop::List => {
                let query = self.client.query().table_name(TABLE).consistent_read(true);
                let query = query
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", at::PK)
                    .expression_attribute_values(":pk", s(at::image_pk(image)))
                    .limit(LISTED as i32 + 1);
                query.send().await.expect("query");
            }
            Loop::Entry => self.update(image, member).await,
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

    async fn update(&self, image: ImageId, member: &ProjectId) {
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
            .expression_attribute_values(":status", s("accepted"))
            .expression_attribute_values(":op", s(OperationId::now().to_string()))
            .expression_attribute_values(":updated", s(self.now.stored()))
            .expression_attribute_values(":gpk", s(at::status_gpk(MemberStatus::Accepted, member)))
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
