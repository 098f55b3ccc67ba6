//! The `add-member` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::http::serve(add_member::handle).await
}
