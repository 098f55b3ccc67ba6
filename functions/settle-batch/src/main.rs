//! The `settle-batch` function: takes the dead letters.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::messages::serve(
        shared::runtime::messages::Source::DeadLetters,
        settle_batch::handle,
    )
    .await
}
