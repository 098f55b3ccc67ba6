//! The `discovery` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::http::serve(discovery::handle).await
}
