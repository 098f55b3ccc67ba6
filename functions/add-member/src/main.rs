//! The `add-member` function: an API function.

use shared::runtime::api;
use shared::runtime::app::App;
use shared::runtime::projects::Projects;

fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env()?.checking(Projects::from_env()?);
    api::serve(app, add_member::handle)
}
