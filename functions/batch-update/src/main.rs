//! The `batch-update` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::http::serve(batch_update::handle).await
}
