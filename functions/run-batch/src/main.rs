//! The `run-batch` function: takes the queue's messages.

use shared::runtime::app::App;
use shared::runtime::messages::{self, Source};
use shared::runtime::projects::Projects;

fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env()?.checking(Projects::from_env()?);
    messages::serve(app, Source::Batches, run_batch::handle)
}
