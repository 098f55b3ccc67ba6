//! `PUT /v2/images/{image_id}/members/{member_id}`: a member answers. One read, one write, and no
//! other member waits for it.

use shared::domain::bodies::MemberAnswer;
use shared::domain::error::ApiError;
use shared::domain::policy::{Action, ImageAction, RowAction, no_such_member};
use shared::domain::task::Answer;
use shared::http::{self, Handled, MemberInPath, Request};
use shared::runtime::app::App;

/// Sets the status in the body: 200 with the membership.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    let MemberAnswer { status, vault_id } = MemberAnswer::parse(&http::body(&request)?)?;
    let id = http::image_id(&request)?;
    let member = MemberInPath::of(&request)?;

    let facts = app.store().facts(id, &member.with(&caller.project)).await?;
    let (text, row) = (id.to_string(), member.row());
    let action = Action::Image(
        ImageAction::Row(RowAction::Update, row),
        facts.target(&text),
    );
    let decided = app.policy().decide(&caller, action);
    decided.map_err(|denied| denied.glance())?;
    // The status is checked last: Glance answers 403 or 404 before it reports an unknown status.
    let status = status.ok_or_else(|| {
        ApiError::bad_request(
            "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".",
        )
    })?;

    let gone = || no_such_member(row, &text);
    let (image, seen) = facts.member(member.id()).ok_or_else(gone)?;
    let answer = Answer { status, vault_id };
    let stamp = app.stamp(&caller, &request);
    let updated = app
        .store()
        .update_member(seen.clone(), image.created_at, &answer, stamp)
        .await?;
    Ok(http::json(200, &updated.ok_or_else(gone)?.view()))
}
