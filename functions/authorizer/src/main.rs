//! The `authorizer` function: tells the gateway who calls.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    authorizer::serve().await
}
