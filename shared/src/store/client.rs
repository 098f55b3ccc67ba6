//! What sends the store's requests: the AWS SDK, or a short way to an engine in this process.
//!
//! The SDK resolves an endpoint, signs, retries, and asks some ten interceptors about each request. Nothing of that
//! concerns an engine in this process, and it was a third of the instructions of a show.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::{
    batch_get_item, delete_item, execute_statement, get_item, put_item, query,
    transact_write_items, update_item,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Input, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::error::operation::BuildError;

use super::requests;
use super::sdk_error::failed;
use crate::domain::error::ApiError;

/// An engine in this process.
pub trait Engine: HttpConnector {
    /// Performs a request that reads, without JSON: takes what the SDK would write, and returns what it would read.
    fn read(&self, input: Input) -> Answer;
}

/// How an engine answers a request.
pub enum Answer {
    /// By what it has found.
    Found(Output),
    /// By a response that the SDK reads, which tells of an error.
    Response(Result<HttpResponse, ConnectorError>),
    /// Not yet: this is none of the requests that it takes without JSON.
    AsJson(Input),
}

/// The client of a DynamoDB; cheap to clone. Requests are built as the SDK's (it derefs to the SDK's client), and
/// those that the store makes often are sent with [`Client::send`].
#[derive(Clone, Debug)]
pub struct Client {
    sdk: aws_sdk_dynamodb::Client,
    engine: Option<Arc<dyn Engine>>,
}

impl Client {
    /// A client of an engine in this process. `sdk` is another one of the same engine.
    pub(crate) fn in_process(sdk: aws_sdk_dynamodb::Client, engine: impl Engine + 'static) -> Self {
        Self {
            sdk,
            engine: Some(Arc::new(engine)),
        }
    }

    /// Sends a request that this client has begun.
    ///
    /// # Errors
    /// Those of the SDK.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Output, Failure<R>> {
        match &self.engine {
            // On the heap: it would make up most of every future that awaits this one.
            None => Box::pin(request.clone().send()).await,
            Some(engine) => perform(engine.as_ref(), request).await,
        }
    }

    /// Sends a request, the name of which is for the log.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(super) async fn ask<R>(
        &self,
        what: &'static str,
        request: &R,
    ) -> Result<R::Output, ApiError>
    where
        R: Request,
        R::Error: ProvideErrorMetadata,
    {
        let answer = self.send(request).await;
        answer.map_err(|error| failed(what, &error))
    }
}

/// Sends a request to an engine in this process. It is sent once: the engine is never away.
async fn perform<R: Request>(engine: &dyn Engine, request: &R) -> Result<R::Output, Failure<R>> {
    let mut input = request.input().map_err(SdkError::construction_failure)?;
    requests::begin_request(&mut input);
    let response = match engine.read(input) {
        Answer::Found(output) => {
            return outcome::<R>(output).map_err(SdkError::construction_failure);
        }
        Answer::Response(response) => response,
        Answer::AsJson(input) => {
            let written = written::<R>(input).map_err(SdkError::construction_failure)?;
            engine.call(written).await
        }
    };
    let response = response.map_err(SdkError::dispatch_failure)?;
    match parsed::<R>(&response) {
        Ok(output) => outcome::<R>(output).map_err(SdkError::construction_failure),
        Err(error) => {
            requests::fail_request(&response);
            let mut refusal = None;
            let other = error.map_operation_error(|error| {
                refusal = error.downcast::<R::Error>().ok();
                fmt::Error
            });
            Err(match refusal {
                Some(refusal) => SdkError::service_error(refusal, response),
                None => SdkError::response_error(other, response),
            })
        }
    }
}

/// The request as the SDK writes it.
fn written<R: Request>(input: Input) -> Result<HttpRequest, BoxError> {
    let serializer = R::operation().load::<SharedRequestSerializer>();
    let serializer = serializer.ok_or("the SDK does not write it")?;
    serializer.serialize_input(input, &mut ConfigBag::base())
}

/// What the SDK reads in a response.
fn parsed<R: Request>(response: &HttpResponse) -> Result<Output, OrchestratorError<Error>> {
    match R::operation().load::<SharedResponseDeserializer>() {
        Some(it) => it.deserialize_nonstreaming_with_config(response, &ConfigBag::base()),
        None => Err(OrchestratorError::other("the SDK does not read it")),
    }
}

/// What an operation has found, in its type.
fn outcome<R: Request>(output: Output) -> Result<R::Output, BoxError> {
    requests::end_request(&output);
    let output = output.downcast::<R::Output>();
    output.map_err(|_| "the output of another operation".into())
}

impl From<aws_sdk_dynamodb::Client> for Client {
    fn from(sdk: aws_sdk_dynamodb::Client) -> Self {
        Self { sdk, engine: None }
    }
}

impl Deref for Client {
    type Target = aws_sdk_dynamodb::Client;

    fn deref(&self) -> &Self::Target {
        &self.sdk
    }
}

/// Why a request failed.
pub type Failure<R> = SdkError<<R as Request>::Error, HttpResponse>;

/// A request of the SDK.
pub trait Request: Clone + Send + Sync {
    /// What its response says.
    type Output: std::fmt::Debug + Send + Sync + 'static;
    /// What it may be refused for.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Sends it with the SDK.
    fn send(self) -> impl Future<Output = Result<Self::Output, Failure<Self>>> + Send;

    /// What it asks for.
    ///
    /// # Errors
    /// If something is missing in it.
    fn input(&self) -> Result<Input, BuildError>;

    /// How the SDK writes it and reads the response.
    fn operation() -> &'static FrozenLayer;
}

macro_rules! requests {
    ($($module:ident: $operation:ident, $fluent:ident, $output:ident, $error:ident;)+) => {
        $(impl Request for $module::builders::$fluent {
            type Output = $module::$output;
            type Error = $module::$error;

            fn send(self) -> impl Future<Output = Result<Self::Output, Failure<Self>>> + Send {
                Self::send(self)
            }

            fn input(&self) -> Result<Input, BuildError> {
                self.as_input().clone().build().map(Input::erase)
            }

            fn operation() -> &'static FrozenLayer {
                static OPERATION: LazyLock<FrozenLayer> = LazyLock::new(|| {
                    let layer = $module::$operation::new().config();
                    layer.unwrap_or_else(|| Layer::new("nothing").freeze())
                });
                &OPERATION
            }
        })+
    };
}

requests! {
    batch_get_item: BatchGetItem, BatchGetItemFluentBuilder, BatchGetItemOutput, BatchGetItemError;
    delete_item: DeleteItem, DeleteItemFluentBuilder, DeleteItemOutput, DeleteItemError;
    execute_statement: ExecuteStatement, ExecuteStatementFluentBuilder, ExecuteStatementOutput, ExecuteStatementError;
    get_item: GetItem, GetItemFluentBuilder, GetItemOutput, GetItemError;
    put_item: PutItem, PutItemFluentBuilder, PutItemOutput, PutItemError;
    query: Query, QueryFluentBuilder, QueryOutput, QueryError;
    transact_write_items: TransactWriteItems, TransactWriteItemsFluentBuilder, TransactWriteItemsOutput, TransactWriteItemsError;
    update_item: UpdateItem, UpdateItemFluentBuilder, UpdateItemOutput, UpdateItemError;
}
