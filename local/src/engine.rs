//! DynamoDB on this machine: an embedded engine in the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::storage::{Fault, Health, cannot_open};
use crate::transport::{self, Answer};

/// The engine: cheap to clone, and an HTTP client for the SDK.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    /// What brings its writes to the disk; none in memory.
    log: Option<Arc<Log>>,
    health: Option<Health>,
    requests: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine that forgets everything when it is dropped.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn in_memory() -> Result<Self, String> {
        let database = Database::memory().map_err(|error| error.to_string())?;
        Ok(Self {
            database,
            log: None,
            health: None,
            requests: Arc::default(),
        })
    }

    /// An engine whose data is in this file.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn in_file(path: &Path, health: Health) -> Result<Self, String> {
        let name = path.to_str().ok_or("the path of the data is not UTF-8")?;
        let why = |error: &dyn std::fmt::Display| cannot_open(path, &error.to_string());
        let database = Database::new(name).map_err(|error| why(&error))?;
        // SQLite's "synchronous = NORMAL" (the other settings are as they were): a commit is
        // written to the log but does not wait for the disk. `perform` does, for many at once.
        database
            .disable_bulk_loading()
            .map_err(|error| why(&error))?;
        let log = Log::open(&format!("{name}-wal")).map_err(|error| why(&error))?;
        Ok(Self {
            database,
            log: Some(Arc::new(log)),
            health: Some(health),
            requests: Arc::default(),
        })
    }

    /// What is wrong with the files, if writes failed and still would.
    pub fn fault(&self) -> Option<Fault> {
        self.health.as_ref()?.check()
    }

    /// How many requests of each operation were made; for tests of the budget.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Removes what has expired. DynamoDB does so by itself; nothing of ours relies on when.
    pub fn remove_expired(&self) {
        if let Err(error) = self.database.sweep_ttl() {
            tracing::warn!(error.why = %error, "expired records stay");
        }
    }

    /// Performs one operation of the DynamoDB API. What it wrote is on the disk when it answers. A
    /// transaction that comes again under its client token is not applied again.
    pub async fn perform(&self, operation: &str, body: &str) -> Answer {
        self.durably(operation, body, |_| {}).await
    }

    /// The same for who is in this process, where no answer is lost and no transaction comes again:
    /// the database goes through all tokens of the last ten minutes for each one that has a token.
    async fn perform_once(&self, operation: &str, body: &str) -> Answer {
        self.durably(operation, body, |transaction| {
            transaction.client_request_token = None;
        })
        .await
    }

    async fn durably(
        &self,
        operation: &str,
        body: &str,
        prepare: impl FnOnce(&mut TransactWriteItemsRequest),
    ) -> Answer {
        self.count(operation);
        let answer = self.at_once(operation, body, prepare);
        let Some(log) = self.log.as_ref().filter(|_| writes(operation)) else {
            return answer;
        };
        match log.flush().await {
            Ok(()) => answer,
            Err(_) => self.broken(Fault::Io),
        }
    }

    /// The answer to a request that the files did not let succeed. Neither the SDK nor the store
    /// tries it again: its status and its code are of no kind that they repeat.
    fn broken(&self, fault: Fault) -> Answer {
        let words = match &self.health {
            Some(health) => health.failed(fault),
            None => fault.sentence().to_owned(),
        };
        let body = json!({"__type": transport::UNUSABLE, "message": words});
        (transport::UNUSABLE_STATUS, body.to_string())
    }

    fn at_once(
        &self,
        operation: &str,
        body: &str,
        prepare: impl FnOnce(&mut TransactWriteItemsRequest),
    ) -> Answer {
        let db = &self.database;
        let outcome = match operation {
            "GetItem" => call(body, |request| db.get_item(request)),
            "BatchGetItem" => call(body, |request| db.batch_get_item(request)),
            "Query" => call(body, |request| db.query(request)),
            "Scan" => call(body, |request| db.scan(request)),
            "PutItem" => call(body, |request| db.put_item(request)),
            "UpdateItem" => call(body, |request| db.update_item(request)),
            "DeleteItem" => call(body, |request| db.delete_item(request)),
            "TransactWriteItems" => call(body, |mut request| {
                prepare(&mut request);
                db.transact_write_items(request)
            }),
            "CreateTable" => call(body, |request| db.create_table(request)),
            "DescribeTable" => call(body, |request| db.describe_table(request)),
            "UpdateTable" => call(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
            other => Err(DynoxideError::ValidationException(format!(
                "no operation {other} here"
            ))),
        };
        match outcome {
            Ok(body) => (200, body),
            Err(error) => match fault(&error) {
                Some(fault) => self.broken(fault),
                None => (error.status_code(), error.to_json()),
            },
        }
    }

    fn count(&self, operation: &str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match requests.get_mut(operation) {
            Some(count) => *count += 1,
            None => {
                requests.insert(operation.to_owned(), 1);
            }
        }
    }
}

/// The fault of the files that an error tells of, if it is one.
fn fault(error: &DynoxideError) -> Option<Fault> {
    match error.status_code() {
        500.. => Fault::of(&error.to_string()),
        _ => None,
    }
}

/// Whether an operation may write, and so has to wait for the disk.
fn writes(operation: &str) -> bool {
    !matches!(
        operation,
        "GetItem" | "BatchGetItem" | "Query" | "Scan" | "DescribeTable"
    )
}

/// The database's write-ahead log. Who waits for the disk waits together: while one flush is
/// under way, others write, and the next flush is for all of them.
struct Log {
    file: Arc<File>,
    /// How many operations have written.
    written: AtomicU64,
    /// How many of them the disk has.
    flushed: tokio::sync::Mutex<u64>,
}

impl Log {
    fn open(name: &str) -> std::io::Result<Self> {
        Ok(Self {
            file: Arc::new(File::open(name)?),
            written: AtomicU64::new(0),
            flushed: tokio::sync::Mutex::new(0),
        })
    }

    /// Called when an operation has written; returns when the disk has what it wrote.
    async fn flush(&self) -> std::io::Result<()> {
        let write = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let mut flushed = self.flushed.lock().await;
        if *flushed >= write {
            return Ok(());
        }
        let all = self.written.load(Ordering::SeqCst);
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || file.sync_data()).await??;
        *flushed = all;
        Ok(())
    }
}

fn call<Q: DeserializeOwned, R: Serialize>(
    body: &str,
    operation: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_str(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            transport::response(match transport::parts(&request) {
                Some((operation, body)) => engine.perform_once(operation, body).await,
                None => transport::unreadable(),
            })
        })
    }
}

impl HttpClient for Engine {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
