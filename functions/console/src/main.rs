//! The `console` function: the web page for people.

use shared::runtime::api;
use shared::runtime::app::App;

fn main() -> Result<(), lambda_http::Error> {
    api::serve(App::from_env()?, console::handle)
}
