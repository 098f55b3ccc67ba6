//! The `authorizer` function: authenticates the caller for the gateway.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    authorizer::serve().await
}
