//! The `batch-update` function: an API function.

use shared::runtime::api;
use shared::runtime::app::App;

fn main() -> Result<(), lambda_http::Error> {
    api::serve(App::from_env()?, batch_update::handle)
}
