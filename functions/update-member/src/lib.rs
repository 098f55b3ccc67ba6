//! `PUT /v2/images/{image_id}/members/{member_id}`: a member answers. One read, one write, and no
//! other member waits for it.

use serde_json::Value;
use shared::app::App;
use shared::auth::{Action, Decision};
use shared::error::ApiError;
use shared::http::{self, Handled, Request};
use shared::member::{MemberStatus, Membership};
use shared::members_api as api;
use shared::store::members::{Order, Stamp};
use shared::task::Answer;

/// The longest vault id, in characters.
const VAULT_ID_MAX: usize = 255;

/// Sets the status in the body: 200 with the membership.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    let body = http::body(&request)?;
    let (status, vault_id) = answer_of(&body)?;
    let id = http::image_id(&request)?;
    let member = http::member_id(&request, id);
    let projects = match &member {
        Ok(member) => vec![&caller.project, member],
        Err(_) => vec![&caller.project],
    };

    let facts = app.store().facts(id, &projects).await?;
    let image = api::visible(&caller, id, &facts)?;
    api::has_members(&caller, image, &facts, Action::UpdateMember)?;
    let member = member?;
    let no_such_member = || http::no_such_member(member.as_str(), id);
    let own_row_only = !caller.is_admin() && image.owner != caller.project;
    if own_row_only && member != caller.project {
        return Err(no_such_member());
    }
    let Some(Membership::Present(seen)) = facts.membership(&member).cloned() else {
        return Err(no_such_member());
    };
    match api::allowed(&caller, image, &facts, Action::UpdateMember)? {
        Decision::Allow | Decision::AllowOwnRow => {}
        Decision::Hidden | Decision::NotShared | Decision::Forbidden => {
            return Err(no_such_member());
        }
    }
    // A status that there is not is told only to who may set one, as in Glance.
    let status = status
        .as_str()
        .and_then(MemberStatus::parse)
        .ok_or_else(|| {
            ApiError::bad_request(
                "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".",
            )
        })?;

    let stamp = Stamp {
        op: app.operation(),
        now: app.now(),
        order: Order::Direct,
    };
    let answer = Answer { status, vault_id };
    let updated = app
        .store()
        .update_member(seen, image.created_at, &answer, stamp)
        .await?;
    Ok(http::json(200, &updated.ok_or_else(no_such_member)?.view()))
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
