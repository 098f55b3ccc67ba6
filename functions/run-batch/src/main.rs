//! The `run-batch` function: takes the queue's messages.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::queue::serve("run-batch", run_batch::handle).await
}
