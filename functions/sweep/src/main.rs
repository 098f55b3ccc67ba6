//! The `sweep` function: runs on a schedule.

use shared::runtime::app::App;
use shared::runtime::schedule;

fn main() -> Result<(), lambda_runtime::Error> {
    schedule::serve(App::from_env()?, "sweep", sweep::handle)
}
