//! The `console` function: the web page for people.
#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    shared::runtime::api::serve(console::handle).await
}
