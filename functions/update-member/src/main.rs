//! The `update-member` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(update_member::handle).await
}
