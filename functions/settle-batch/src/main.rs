//! The `settle-batch` function: takes the dead letters.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::queue::serve("settle-batch", settle_batch::handle).await
}
