//! The `run-batch` function: takes the queue's messages.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::messages::serve("run-batch", run_batch::handle).await
}
