//! The `run-batch` function: takes the queue's messages.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::messages::serve(
        shared::runtime::messages::Source::Batches,
        run_batch::handle,
    )
    .await
}
