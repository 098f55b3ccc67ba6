//! `GET …/members` and `GET …/members/{member_id}`: one request each, in Glance's form and in the
//! paged form of IMS.

use serde_json::{Value, json};
use shared::app::App;
use shared::auth::{Action, Caller, Decision};
use shared::error::{ApiError, ImsCode};
use shared::http::{self, Handled, Request};
use shared::id::{ImageId, ProjectId};
use shared::image::Image;
use shared::member::{Member, Membership};
use shared::members_api as api;
use shared::page;
use shared::store::members::Facts;

/// Members on a page of the paged form, unless asked otherwise.
const PAGE_DEFAULT: usize = 500;
/// What a member is: IMS knows domains and organizations beside projects.
const MEMBER_TYPE: &str = "project";

/// Shows one membership or lists all that the caller may see.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = http::caller(&app, &request).await?;
    http::no_body(&request)?;
    let destination = http::destination(&request)?;
    let one = destination.parameter("member_id").is_some();
    match (destination.parameter("project_id").is_some(), one) {
        (false, false) => list(&app, &caller, &request).await,
        (false, true) => show(&app, &caller, &request).await,
        (true, _) => in_ims_form(&app, &caller, &request, one).await,
    }
}

/// The membership as IMS shows it.
fn ims_view(member: &Member) -> Value {
    let mut view = member.view();
    if let Some(view) = view.as_object_mut() {
        view.insert("member_type".to_owned(), json!(MEMBER_TYPE));
    }
    view
}

async fn list(app: &App, caller: &Caller, request: &Request) -> Handled {
    let id = http::image_id(request)?;
    let (facts, members) = app.store().list_members(caller, id).await?;
    let image = api::visible(caller, id, &facts)?;
    api::has_members(caller, image, &facts, Action::ListMembers)?;
    let members: Vec<Value> = match api::allowed(caller, image, &facts, Action::ListMembers)? {
        Decision::AllowOwnRow => members
            .iter()
            .filter(|m| m.member_id == caller.project)
            .map(Member::view)
            .collect(),
        _ => members.iter().map(Member::view).collect(),
    };
    Ok(http::json(
        200,
        &json!({"members": members, "schema": "/v2/schemas/members"}),
    ))
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Handled {
    let id = http::image_id(request)?;
    let member = http::member_id(request, id);
    let member = find(app, caller, id, member).await?;
    Ok(http::json(200, &member.view()))
}

/// The membership that the caller may see, or the words for why not.
async fn find(
    app: &App,
    caller: &Caller,
    id: ImageId,
    member: Result<ProjectId, ApiError>,
) -> Result<Member, ApiError> {
    let projects = match &member {
        Ok(member) => vec![&caller.project, member],
        Err(_) => vec![&caller.project],
    };
    let facts = app.store().facts(id, &projects).await?;
    let image = api::visible(caller, id, &facts)?;
    api::has_members(caller, image, &facts, Action::ShowMember)?;
    let member = member?;
    let hidden = match api::allowed(caller, image, &facts, Action::ShowMember)? {
        Decision::AllowOwnRow => member != caller.project,
        _ => false,
    };
    match facts.membership(&member).filter(|_| !hidden) {
        Some(Membership::Present(found)) => Ok(found.clone()),
        _ => Err(http::no_such_member(member.as_str(), id)),
    }
}

/// `/v1/{project_id}/cloudimages/{image_id}/members[/{member_id}]`.
async fn in_ims_form(app: &App, caller: &Caller, request: &Request, one: bool) -> Handled {
    let not_found = || ApiError::ims_with_status(404, ImsCode::ImageNotFound);
    let project = http::path(request, "project_id")?;
    if !caller.speaks_for(&project) {
        return Err(ApiError::ims(ImsCode::ForeignProject));
    }
    let id = ImageId::any_spelling(&http::path(request, "image_id")?).ok_or_else(not_found)?;
    if one {
        let member = http::member_id(request, id);
        let member = find(app, caller, id, member)
            .await
            .map_err(|error| match error.status() {
                404 => ApiError::ims_with_status(404, ImsCode::NoSuchMember),
                _ => error,
            })?;
        return Ok(http::json(200, &json!({"member": ims_view(&member)})));
    }
    let page = page::of_query(&http::query(request), PAGE_DEFAULT)?;
    let marker = match page.marker.as_deref().map(page::decode_marker) {
        None => None,
        Some(Some(text)) => Some(ProjectId::parse(text).map_err(|_| page::bad_marker())?),
        Some(None) => return Err(page::bad_marker()),
    };
    let facts = app.store().facts(id, &[&caller.project]).await?;
    let image = api::visible(caller, id, &facts).map_err(|_| not_found())?;
    let mut members = visible_page(app, caller, image, &facts, marker.as_ref(), page.limit).await?;
    let more = members.len() > page.limit;
    members.truncate(page.limit);
    let next = members
        .last()
        .filter(|_| more)
        .map(|m| page::encode_marker(m.member_id.as_str()));
    let mut info = json!({"current_count": members.len()});
    if let (Some(next), Some(info)) = (next, info.as_object_mut()) {
        info.insert("next_marker".to_owned(), json!(next));
    }
    let members: Vec<Value> = members.iter().map(ims_view).collect();
    Ok(http::json(
        200,
        &json!({"members": members, "schema": "/v2/schemas/members", "page_info": info}),
    ))
}

async fn visible_page(
    app: &App,
    caller: &Caller,
    image: &Image,
    facts: &Facts,
    marker: Option<&ProjectId>,
    limit: usize,
) -> Result<Vec<Member>, ApiError> {
    api::has_members(caller, image, facts, Action::ListMembers)
        .map_err(|_| ApiError::ims(ImsCode::ImageUnavailable))?;
    match api::allowed(caller, image, facts, Action::ListMembers)? {
        Decision::AllowOwnRow => {
            let own = facts
                .membership(&caller.project)
                .cloned()
                .and_then(Membership::present);
            Ok(own
                .into_iter()
                .filter(|own| marker.is_none_or(|m| *m < own.member_id))
                .collect())
        }
        _ => app.store().page_members(image.id, marker, limit + 1).await,
    }
}
