//! The `trusted-owners` function: an API function.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(trusted_owners::handle).await
}
