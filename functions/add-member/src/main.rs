//! The `add-member` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(add_member::handle).await
}
