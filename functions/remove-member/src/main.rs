//! The `remove-member` function: an API function.

use shared::runtime::api;
use shared::runtime::app::App;

fn main() -> Result<(), lambda_http::Error> {
    api::serve(App::from_env()?, remove_member::handle)
}
