//! The `update-member` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::http::serve(update_member::handle).await
}
