//! The `batch-update` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(batch_update::handle).await
}
