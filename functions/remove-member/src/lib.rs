//! `DELETE /v2/images/{image_id}/members/{member_id}`: ends a membership. One transaction.

use shared::domain::change::Change;
use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::policy::{Action, ImageAction, RowAction, no_such_member};
use shared::http::{self, Handled, MemberInPath, Request};
use shared::runtime::app::App;
use shared::store::members::Changed;

/// Ends the membership: 204, and 404 from then on.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    http::no_body(&request)?;
    let id = http::image_id(&request)?;
    let member = MemberInPath::of(&request)?;
    let (store, policy, text) = (app.store(), app.policy(), id.to_string());

    let facts = async || {
        let members = member.with(&caller.project);
        store.facts(id, &members).await
    };
    let decide = |facts: &Facts| {
        let action = ImageAction::Row(RowAction::Remove, member.row());
        let decided = policy.decide(&caller, Action::Image(action, facts.target(&text)));
        decided.map_err(|denied| denied.glance())
    };
    let mut seen = None;
    if let (Some(project), true) = (member.id(), caller.may_write()) {
        let leaving = policy.may_leave(&caller, project);
        if leaving {
            // A transaction of a project that has nothing to leave would hold up those of the image's owner.
            decide(&facts().await?)?;
        }
        let members = std::slice::from_ref(project);
        let stamp = app.stamp(&caller, &request);
        let removed = store.remove_members(&caller, id, members, leaving, stamp);
        match removed.await? {
            Changed::Members(changes) if changes.first() == Some(&Change::Applied) => {
                return Ok(http::empty(204));
            }
            // A project that leaves an image that was never shared with it must not learn that it exists.
            Changed::Members(_) if leaving => {}
            Changed::Members(_) => return Err(no_such_member(member.row(), &text)),
            Changed::Image(image) => seen = Some(image),
        }
    }

    // Refused, or nothing to try: find out in which words.
    let mut facts = facts().await?;
    if let Some(image) = seen {
        facts.image = image.map(|image| *image);
    }
    decide(&facts)?;
    Err(ApiError::unavailable(
        "remove member: the image changed meanwhile",
    ))
}
