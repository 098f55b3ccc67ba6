//! `PUT /v2/images/{image_id}/members/{member_id}`: a member answers. One read, one write, and no
//! other member waits for it.

use serde_json::Value;
use shared::domain::error::ApiError;
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Action, ImageAction, no_such_member};
use shared::domain::task::Answer;
use shared::http::{self, Handled, MemberInPath, Request};
use shared::runtime::app::App;

/// The longest vault id, in characters.
const VAULT_ID_MAX: usize = 255;

/// Sets the status in the body: 200 with the membership.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let body = http::body(&request)?;
    let (status, vault_id) = answer_of(&body)?;
    let id = http::image_id(&request)?;
    let member = MemberInPath::of(&request)?;

    let facts = app.store().facts(id, &member.with(&caller.project)).await?;
    let (text, row) = (id.to_string(), member.row());
    let action = Action::Image(ImageAction::UpdateMember(row), facts.target(&text));
    let decided = app.policy().decide(&caller, action);
    decided.map_err(|denied| denied.glance())?;
    // The status is checked last: Glance answers 403 or 404 before it reports an unknown status.
    let status = status
        .as_str()
        .and_then(MemberStatus::parse)
        .ok_or_else(|| {
            ApiError::bad_request(
                "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".",
            )
        })?;

    let gone = || no_such_member(row, &text);
    let (image, seen) = facts.member(member.id()).ok_or_else(gone)?;
    let answer = Answer { status, vault_id };
    let updated = app
        .store()
        .update_member(seen.clone(), image.created_at, &answer, app.stamp())
        .await?;
    Ok(http::json(200, &updated.ok_or_else(gone)?.view()))
}

/// The status and the vault that a body names; whether there is such a status is seen later.
fn answer_of(body: &Value) -> Result<(&Value, Option<String>), ApiError> {
    let Value::Object(body) = body else {
        return Err(ApiError::bad_request(
            "Expected a status in the form: {\"status\": \"status\"}",
        ));
    };
    let status = body
        .get("status")
        .ok_or_else(|| ApiError::bad_request("Status not specified"))?;
    let vault_id = match body.get("vault_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(vault)) if (1..=VAULT_ID_MAX).contains(&vault.chars().count()) => {
            Some(vault.clone())
        }
        Some(_) => {
            return Err(ApiError::bad_request(format!(
                "The vault_id must be a string of 1 to {VAULT_ID_MAX} characters."
            )));
        }
    };
    Ok((status, vault_id))
}
