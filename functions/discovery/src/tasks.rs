//! The list of tasks. It is always empty; its parameters are checked as Glance checks them.

use shared::domain::error::ApiError;
use shared::domain::id::ImageId;
use shared::domain::number;
use shared::http::discovery::Tasks;
use shared::http::{self, Arguments};

const STATUSES: [&str; 4] = ["pending", "processing", "success", "failure"];
const SORT_KEYS: [&str; 12] = [
    "id",
    "type",
    "status",
    "owner",
    "expires_at",
    "image_id",
    "request_id",
    "user_id",
    "created_at",
    "updated_at",
    "deleted",
    "deleted_at",
];

/// The answer to `GET /v2/tasks` with these arguments.
///
/// # Errors
/// 400 with Glance's sentence for an argument that is not as it must be, or that is about a task.
pub fn list(arguments: &[(String, String)]) -> Result<Tasks, ApiError> {
    let all = Arguments(arguments);
    let bad = |words: String| Err(ApiError::bad_request(words));
    if let Some(other) = all
        .first("sort_dir")
        .filter(|way| !matches!(*way, "asc" | "desc"))
    {
        return bad(format!("Invalid sort direction: {other}"));
    }
    let given = |name| all.last(name).filter(|value| !value.is_empty());
    if let Some(other) = given("status").filter(|status| !STATUSES.contains(status)) {
        return bad(format!("Invalid status value: {other}"));
    }
    if let Some(other) = given("type").filter(|kind| *kind != "import") {
        return bad(format!("Invalid type value: {other}"));
    }
    let marker = all.first("marker");
    if marker.is_some_and(|task| !task.is_empty() && ImageId::any_spelling(task).is_none()) {
        return bad("Invalid marker format".to_owned());
    }
    if let Some(limit) = all.first("limit") {
        match number::integer(limit) {
            Some(limit) if limit >= 0 => {}
            Some(_) => return bad("limit param must be positive".to_owned()),
            None => return bad("limit param must be an integer".to_owned()),
        }
    }
    if let Some(task) = marker {
        return bad(format!("Task with the given id {task} was not found"));
    }
    if all
        .first("sort_key")
        .is_some_and(|key| !SORT_KEYS.contains(&key))
    {
        return bad("Sort key supplied was not valid.".to_owned());
    }
    Ok(Tasks {
        tasks: [],
        first: http::link("/v2/tasks", arguments, |_| false, None),
        schema: "/v2/schemas/tasks",
    })
}
