//! The `settle-batch` function: takes the dead letters.

use shared::runtime::app::App;
use shared::runtime::messages::{self, Source};

fn main() -> Result<(), lambda_http::Error> {
    messages::serve(App::from_env()?, Source::DeadLetters, settle_batch::handle)
}
