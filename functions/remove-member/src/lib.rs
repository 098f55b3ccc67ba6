//! `DELETE /v2/images/{image_id}/members/{member_id}`: ends a membership. One transaction.

use shared::app::App;
use shared::auth::{Action, Role};
use shared::change::Change;
use shared::error::ApiError;
use shared::http::{self, Handled, Request};
use shared::member::Membership;
use shared::members_api as api;
use shared::store::members::{Changed, Order, Stamp};

/// Ends the membership: 204, and 404 from then on.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    http::no_body(&request)?;
    let id = http::image_id(&request)?;
    let member = http::member_id(&request, id);
    let stamp = Stamp {
        op: app.operation(),
        now: app.now(),
        order: Order::Direct,
    };
    let leaving = app.config().member_may_leave
        && caller.role == Role::Member
        && member
            .as_ref()
            .is_ok_and(|member| *member == caller.project);

    let mut image = None;
    if let (Ok(member), true) = (&member, caller.role >= Role::Member) {
        let members = std::slice::from_ref(member);
        match app
            .store()
            .remove_members(&caller, id, members, leaving, stamp)
            .await?
        {
            Changed::Members(changes) => {
                return match changes.first() {
                    Some(Change::Applied) => Ok(http::empty(204)),
                    // Somebody who leaves what was never shared with it learns nothing.
                    _ if leaving => {
                        let facts = app.store().facts(id, &[&caller.project]).await?;
                        api::visible(&caller, id, &facts)?;
                        Err(http::no_such_member(member.as_str(), id))
                    }
                    _ => Err(http::no_such_member(member.as_str(), id)),
                };
            }
            Changed::Image(found) => image = Some(found),
        }
    }

    // Refused, or nothing to try: find out in which words.
    let projects = match &member {
        Ok(member) => vec![&caller.project, member],
        Err(_) => vec![&caller.project],
    };
    let mut facts = app.store().facts(id, &projects).await?;
    if let Some(image) = image {
        facts.image = image.map(|image| *image);
    }
    let image = api::visible(&caller, id, &facts)?;
    api::has_members(&caller, image, &facts, Action::RemoveMember)?;
    let member = member?;
    let sees_row = caller.is_admin() || image.owner == caller.project || member == caller.project;
    if !sees_row || !matches!(facts.membership(&member), Some(Membership::Present(_))) {
        return Err(http::no_such_member(member.as_str(), id));
    }
    api::allowed(&caller, image, &facts, Action::RemoveMember)?;
    Err(ApiError::unavailable(
        "remove member: the image changed meanwhile",
    ))
}
