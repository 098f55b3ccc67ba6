//! The `read-members` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(read_members::handle).await
}
