//! A store that throttles, loses responses and has conflicts: the engine with injected faults.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use local::engine::Engine;
use local::transport;
use serde_json::json;
use shared::domain::id::OperationId;

use super::pause;

tokio::task_local! {
    /// The operation ids that direct calls have sent to the store, each once.
    pub static SENT: RefCell<Vec<OperationId>>;
}

/// A condition, and what a broken store evaluates instead.
pub type BrokenCondition = (&'static str, &'static str);

/// The store's transport: the engine with injected faults.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    pub engine: Engine,
    /// Makes the store evaluate one condition as another.
    pub breaks: Option<BrokenCondition>,
    pub conflicts: Arc<AtomicUsize>,
}

impl FaultyStore {
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
        let body = match self.breaks {
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

impl HttpConnector for FaultyStore {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some((operation, body)) = transport::parts(&request) else {
            return HttpConnectorFuture::ready(transport::response(transport::unreadable()));
        };
        note(body);
        let work = self.clone().perform(operation.to_owned(), body.to_owned());
        HttpConnectorFuture::new(async move { transport::response(work.await?) })
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
