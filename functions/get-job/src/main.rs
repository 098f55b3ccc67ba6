//! The `get-job` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(get_job::handle).await
}
