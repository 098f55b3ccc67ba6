//! The embedded DynamoDB: an engine in this process.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dynoxide::Database;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::execute_statement::{ExecuteStatementRequest, ExecuteStatementResponse};
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::readers::Readers;
use crate::storage::{Fault, Health, cannot_open};
use crate::transport::{self, JsonResponse};

/// The engine; cheap to clone. [`crate::in_process`] makes it an HTTP client for the SDK.
#[derive(Clone)]
pub struct Engine {
    /// The connection that writes.
    database: Database,
    /// Read beside it; `None` in memory, where there is one connection.
    readers: Option<Arc<Readers>>,
    /// Held by the write that the engine performs. Others wait for it without keeping a thread of the
    /// server from what can be done meanwhile.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Brings writes to the disk; `None` in memory.
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
    /// Creates an engine in memory.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_memory() -> Result<Self, String> {
        let database = Database::memory().map_err(|error| error.to_string())?;
        Ok(Self {
            database,
            readers: None,
            writing: Arc::default(),
            log: None,
            health: None,
            requests: Arc::default(),
        })
    }

    /// Opens the engine whose data is in this file.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn in_file(path: &Path, health: Health) -> Result<Self, String> {
        let name = path.to_str().ok_or("the path of the data is not UTF-8")?;
        let why = |error: &dyn std::fmt::Display| cannot_open(path, &error.to_string());
        let database = Database::new(name).map_err(|error| why(&error))?;
        // This sets SQLite's "synchronous = NORMAL" (and keeps its other settings): a commit is
        // written to the log but does not wait for the disk. `perform` waits instead, for many
        // commits at once.
        database
            .disable_bulk_loading()
            .map_err(|error| why(&error))?;
        let log = Log::open(&format!("{name}-wal")).map_err(|error| why(&error))?;
        Ok(Self {
            database,
            readers: Some(Arc::new(Readers::of(name))),
            writing: Arc::default(),
            log: Some(Arc::new(log)),
            health: Some(health),
            requests: Arc::default(),
        })
    }

    /// The fault of the files, if writes have failed and still fail.
    pub fn fault(&self) -> Option<Fault> {
        self.health.as_ref()?.check()
    }

    /// Like `fault`, without finding out whether it has ended.
    pub fn known_fault(&self) -> Option<Fault> {
        self.health.as_ref()?.known()
    }

    /// Writes to the data directory, whether or not writes have failed, and returns the fault if it
    /// cannot be written. `None` in memory.
    pub fn examine(&self) -> Option<Option<Fault>> {
        self.health.as_ref().map(Health::examine)
    }

    /// Numbers of requests by operation, for tests of the request budget.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Removes expired items. DynamoDB does so by itself, and nothing relies on when.
    pub fn remove_expired(&self) {
        match self.database.sweep_ttl() {
            Ok(records) => tracing::info!(records, "expired records are removed"),
            Err(error) => tracing::warn!(error.why = %error, "expired records stay"),
        }
    }

    /// Performs one operation of the DynamoDB API. Its writes are on the disk when this returns. A
    /// transaction that is sent again under its client token is not applied again.
    pub async fn perform(&self, operation: &str, body: &str) -> JsonResponse {
        self.durably(operation, body, |_| {}).await
    }

    /// Like `perform`, without idempotency tokens: in-process calls are never retried, and the
    /// engine scans ten minutes of tokens for each.
    pub(crate) async fn perform_once(&self, operation: &str, body: &str) -> JsonResponse {
        self.durably(operation, body, |transaction| {
            transaction.client_request_token = None;
        })
        .await
    }

    async fn durably(
        &self,
        operation: &str,
        body: &str,
        prepare: impl FnOnce(&mut TransactWriteItemsRequest) + Send,
    ) -> JsonResponse {
        self.count(operation);
        let outcome = match operation {
            "GetItem" => self.read_json(body, Database::get_item),
            "BatchGetItem" => self.read_json(body, Database::batch_get_item),
            "Query" => self.read_json(body, Database::query),
            "ExecuteStatement" => self.read_json(body, select),
            "Scan" => self.read_json(body, Database::scan),
            "DescribeTable" => self.read_json(body, describe),
            "PutItem" => self.write(body, Database::put_item).await,
            "UpdateItem" => self.write(body, Database::update_item).await,
            "DeleteItem" => self.write(body, Database::delete_item).await,
            "TransactWriteItems" => {
                let transact = |database: &Database, mut request| {
                    prepare(&mut request);
                    database.transact_write_items(request)
                };
                self.write(body, transact).await
            }
            "CreateTable" => self.write(body, Database::create_table).await,
            "UpdateTable" => self.write(body, Database::update_table).await,
            "UpdateTimeToLive" => self.write(body, Database::update_time_to_live).await,
            other => Err(DynoxideError::ValidationException(format!(
                "no operation {other} here"
            ))),
        };
        if let Some(readers) = self.readers.as_ref().filter(|_| changes_tables(operation)) {
            readers.tables_changed();
        }
        outcome.unwrap_or_else(|error| self.failed(&error))
    }

    fn read_json<Q: DeserializeOwned, R: Serialize>(
        &self,
        body: &str,
        read: impl FnOnce(&Database, Q) -> Result<R, DynoxideError>,
    ) -> Result<JsonResponse, DynoxideError> {
        let request = parse(body)?;
        answer(&self.read(|database| read(database, request))?)
    }

    /// Writes when it is this request's turn, and waits for the disk. Other writes wait for the engine
    /// alone, not for what is made of JSON.
    async fn write<Q: DeserializeOwned + Send, R: Serialize + Send>(
        &self,
        body: &str,
        write: impl FnOnce(&Database, Q) -> Result<R, DynoxideError> + Send,
    ) -> Result<JsonResponse, DynoxideError> {
        let request = parse(body)?;
        let turn = self.writing.lock().await;
        let written = write(&self.database, request);
        drop(turn);
        // After a refusal too: it tells of another write, which may not be on the disk yet.
        if let Some(log) = &self.log
            && log.flush().await.is_err()
        {
            return Ok(self.broken(Fault::Io));
        }
        answer(&written?)
    }

    /// The response to a request that failed because of the files. Its status and code are of no
    /// kind that the SDK or the store retries.
    fn broken(&self, fault: Fault) -> JsonResponse {
        let words = match &self.health {
            Some(health) => health.failed(fault),
            None => fault.sentence().to_owned(),
        };
        let body = json!({"__type": transport::UNUSABLE, "message": words});
        (transport::UNUSABLE_STATUS, body.to_string())
    }

    /// The response for an error.
    pub(crate) fn failed(&self, error: &DynoxideError) -> JsonResponse {
        match fault(error) {
            Some(fault) => self.broken(fault),
            None => (error.status_code(), error.to_json()),
        }
    }

    /// Performs an operation that reads.
    pub(crate) fn reading<T>(&self, operation: &str, read: impl FnOnce(&Database) -> T) -> T {
        self.count(operation);
        self.read(read)
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> T) -> T {
        match &self.readers {
            Some(readers) => readers.read(&self.database, read),
            None => read(&self.database),
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

/// The fault of the files that an error reports, if it reports one.
fn fault(error: &DynoxideError) -> Option<Fault> {
    match error.status_code() {
        500.. => Fault::of(&error.to_string()),
        _ => None,
    }
}

/// Whether an operation changes what is known of a table.
fn changes_tables(operation: &str) -> bool {
    matches!(
        operation,
        "CreateTable" | "UpdateTable" | "UpdateTimeToLive"
    )
}

/// The database's write-ahead log, flushed in groups: while one flush is under way, others write,
/// and the next flush is for all of them.
struct Log {
    file: Arc<File>,
    /// How many operations have written.
    written: AtomicU64,
    /// How many of them are on the disk.
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

    /// Returns when what the caller has just written is on the disk.
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

fn answer(found: &impl Serialize) -> Result<JsonResponse, DynoxideError> {
    let body = serde_json::to_string(found);
    let body = body.map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    Ok((200, body))
}

fn parse<Q: DeserializeOwned>(body: &str) -> Result<Q, DynoxideError> {
    serde_json::from_str(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))
}

/// Performs a statement of PartiQL that reads some partitions. Those that write, and scans, have no place here.
pub(crate) fn select(
    database: &Database,
    request: ExecuteStatementRequest,
) -> Result<ExecuteStatementResponse, DynoxideError> {
    let words = &request.statement;
    if !(words.starts_with("SELECT ") && words.contains(" WHERE ") && words.contains(" ORDER BY "))
    {
        let why = "only SELECT of ordered partitions here".to_owned();
        return Err(DynoxideError::ValidationException(why));
    }
    database.execute_statement(request)
}

/// Describes a table by its definition. The engine's own description counts and measures all items,
/// which takes a large table many seconds, and each start asks for it.
fn describe(db: &Database, request: DescribeTableRequest) -> Result<Value, DynoxideError> {
    let name = request.table_name;
    let Some(table) = db.get_table_metadata(&name)? else {
        let why = format!("Requested resource not found: Table: {name} not found");
        return Err(DynoxideError::ResourceNotFoundException(why));
    };
    let parsed = |json: &str| -> Result<Value, DynoxideError> {
        serde_json::from_str(json)
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    };
    let mut indexes = parsed(table.gsi_definitions.as_deref().unwrap_or("[]"))?;
    for index in indexes.as_array_mut().into_iter().flatten() {
        index["IndexStatus"] = json!("ACTIVE");
    }
    Ok(json!({"Table": {
        "TableName": name,
        "TableStatus": table.table_status,
        "KeySchema": parsed(&table.key_schema)?,
        "AttributeDefinitions": parsed(&table.attribute_definitions)?,
        "GlobalSecondaryIndexes": indexes,
    }}))
}
