//! What the AWS SDK leaves out when a service in this process answers it: the resolution of an
//! endpoint, headers that AWS keeps statistics by, and JSON that would only be parsed again.

use std::sync::{Arc, Mutex, PoisonError};

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{FrozenLayer, Layer};
use lambda_http::http::StatusCode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type OutputOrError = Result<Output, OrchestratorError<Error>>;

/// A response that carries the operation's output itself; its body is empty. Only a client of
/// [`super::clients::Clients::dynamodb_in_process`] can read it.
pub fn response<T>(output: T) -> HttpResponse
where
    T: std::fmt::Debug + Send + Sync + 'static,
{
    let mut response = HttpResponse::new(StatusCode::OK.into(), SdkBody::empty());
    let output = Arc::new(Mutex::new(Some(Output::erase(output))));
    response.add_extension(Carried(output));
    response
}

/// The output in a response, until it is taken.
#[derive(Clone, Debug)]
struct Carried(Arc<Mutex<Option<Output>>>);

/// Takes the output that a response carries, instead of parsing it.
#[derive(Debug)]
struct TakeOutput;

impl DeserializeResponse for TakeOutput {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _: &ConfigBag,
    ) -> Option<OutputOrError> {
        let Carried(output) = response.extension()?;
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.take().map(Ok)
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        _: &HttpResponse,
        _: &ConfigBag,
    ) -> OutputOrError {
        Err(OrchestratorError::other("the output was taken before"))
    }
}

/// Configures the client's operations for a service in this process.
#[derive(Clone, Debug)]
pub(super) struct InProcess {
    disabled: FrozenLayer,
    endpoint: Endpoint,
}

impl InProcess {
    pub(super) fn new() -> Self {
        let why = "a service in this process answers";
        let mut disabled = Layer::new("in process");
        disabled
            .store_put(disable_interceptor::<InvocationIdInterceptor>(why))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(why))
            .store_put(disable_interceptor::<ServiceClockSkewInterceptor>(why))
            .store_put(disable_interceptor::<UserAgentInterceptor>(why));
        Self {
            disabled: disabled.freeze(),
            endpoint: Endpoint::builder().url("http://in-process").build(),
        }
    }
}

impl ResolveEndpoint for InProcess {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.endpoint.clone()))
    }
}

impl Intercept for InProcess {
    fn name(&self) -> &'static str {
        "InProcess"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.push_shared_layer(self.disabled.clone());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().extension::<Carried>().is_some() {
            let take = SharedResponseDeserializer::new(TakeOutput);
            config.interceptor_state().store_put(take);
        }
        Ok(())
    }
}
