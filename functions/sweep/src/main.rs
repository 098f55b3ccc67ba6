//! The `sweep` function: runs on a schedule.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::schedule::serve("sweep", sweep::handle).await
}
