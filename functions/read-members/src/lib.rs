//! `GET …/members` and `GET …/members/{member_id}`: one request each, in Glance's form and in the
//! paged form of IMS. Invitations and shares are in [`shares`].

mod rows;
pub mod shares;

use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::member::{Member, Membership};
use shared::domain::policy::{
    Action, ApiAction, Caller, Denied, ImageAction, RowAction, no_such_member,
};
use shared::http::answers::{CloudMembers, Members};
use shared::http::page::{self, PageInfo, PageRequest};
use shared::http::routes::{Operation, ReadMembers};
use shared::http::{self, Handled, MemberInPath, Request, Response};
use shared::runtime::app::App;

/// Members on a page of the paged form, unless asked otherwise.
pub const PAGE_DEFAULT: usize = 500;
/// The path of the schema of a list of members.
const SCHEMA: &str = "/v2/schemas/members";

/// Shows one membership or lists all that the caller may see.
pub async fn handle(app: App, request: Request) -> Handled {
    let caller = app.caller(&request).await?;
    http::no_body(&request)?;
    let Operation::Members(operation) = http::operation(&request)? else {
        return Err(ApiError::no_such_resource());
    };
    match operation {
        ReadMembers::List => list(&app, &caller, &request).await,
        ReadMembers::Show => show(&app, &caller, &request).await,
        ReadMembers::ListCloud => list_cloud(&app, &caller, &request).await,
        ReadMembers::ShowCloud => show_cloud(&app, &caller, &request).await,
        // On the heap: together these futures are too large for a thread's stack.
        ReadMembers::ListInvitations => {
            Box::pin(shares::list_invitations(&app, &caller, &request)).await
        }
        ReadMembers::ListShares => Box::pin(shares::list_shares(&app, &caller, &request)).await,
    }
}

async fn list(app: &App, caller: &Caller, request: &Request) -> Handled {
    let id = http::image_id(request)?;
    let (facts, members) = app.store().list_members(caller, id).await?;
    let text = id.to_string();
    let action = Action::Image(ImageAction::ListMembers, facts.target(&text));
    let decided = app.policy().decide(caller, action);
    decided.map_err(|denied| denied.glance())?;
    let version = facts.members_version(caller);
    let members = Members {
        members: members.iter().map(Member::view).collect(),
        schema: SCHEMA,
    };
    Ok(versioned(http::json(200, &members), version))
}

/// The answer with the ETag of a list of members.
fn versioned(answer: Response, version: Option<String>) -> Response {
    match version {
        Some(version) => http::with_etag(answer, &version),
        None => answer,
    }
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Handled {
    let id = http::image_id(request)?;
    let member = find(app, caller, id, request, |denied| denied.glance()).await?;
    Ok(http::json(200, &member.view()))
}

/// The membership that the path names, if the caller may see it.
async fn find(
    app: &App,
    caller: &Caller,
    id: ImageId,
    request: &Request,
    words: fn(Denied<'_>) -> ApiError,
) -> Result<Member, ApiError> {
    let member = MemberInPath::of(request)?;
    let facts = app.store().facts(id, &member.with(&caller.project)).await?;
    let text = id.to_string();
    let action = Action::Image(
        ImageAction::Row(RowAction::Show, member.row()),
        facts.target(&text),
    );
    app.policy().decide(caller, action).map_err(words)?;
    let (_, found) = facts
        .member(member.id())
        .ok_or_else(|| no_such_member(member.row(), &text))?;
    Ok(found.clone())
}

/// The image that a path of the batch API names, by a project that the caller acts for.
fn cloud_image(
    app: &App,
    caller: &Caller,
    request: &Request,
) -> Result<(ImageId, String), ApiError> {
    let project = http::path(request, "project_id")?;
    let action = Action::Api(ApiAction::ReadMembersAs(&project));
    let decided = app.policy().decide(caller, action);
    decided.map_err(|denied| denied.ims())?;
    let text = http::path(request, "image_id")?;
    let id = ImageId::any_spelling(&text)
        .ok_or_else(|| ApiError::ims_in_path(ImsCode::ImageNotFound))?;
    Ok((id, text))
}

/// `GET /v1/{project_id}/cloudimages/{image_id}/members/{member_id}`
async fn show_cloud(app: &App, caller: &Caller, request: &Request) -> Handled {
    let (id, _) = cloud_image(app, caller, request)?;
    let member = find(app, caller, id, request, |denied| denied.ims()).await?;
    Ok(http::json(200, &member.cloud_view()))
}

/// `GET /v1/{project_id}/cloudimages/{image_id}/members`
async fn list_cloud(app: &App, caller: &Caller, request: &Request) -> Handled {
    let (id, text) = cloud_image(app, caller, request)?;
    let page = PageRequest::of_query(&http::query(request), PAGE_DEFAULT, |marker| {
        ProjectId::parse(page::decode_marker(marker)?).ok()
    })?;
    let facts = app.store().facts(id, &[&caller.project]).await?;
    let action = Action::Image(ImageAction::ListMembers, facts.target(&text));
    let decided = app.policy().decide(caller, action);
    decided.map_err(|denied| denied.ims())?;
    let mut members = visible_page(app, caller, &facts, page.after.as_ref(), page.limit).await?;
    let more = members.len() > page.limit;
    members.truncate(page.limit);
    let last = members.last().filter(|_| more);
    let page_info = PageInfo {
        current_count: members.len(),
        total_count: None,
        next_marker: last.map(|last| page::encode_marker(last.member_id.as_str())),
    };
    let version = facts.members_version(caller);
    let members = CloudMembers {
        members: members.iter().map(Member::cloud_view).collect(),
        schema: SCHEMA,
        page_info,
    };
    Ok(versioned(http::json(200, &members), version))
}

/// The members after `marker` that the caller may see: one more than `limit`, if there are more.
async fn visible_page(
    app: &App,
    caller: &Caller,
    facts: &Facts,
    marker: Option<&ProjectId>,
    limit: usize,
) -> Result<Vec<Member>, ApiError> {
    match &facts.image {
        Some(image) if caller.acts_for(image.owner.as_str()) => {
            app.store().page_members(image.id, marker, limit + 1).await
        }
        _ => {
            let own = facts.membership(&caller.project).cloned();
            let own = own.and_then(Membership::present).into_iter();
            Ok(own
                .filter(|own| marker.is_none_or(|marker| *marker < own.member_id))
                .collect())
        }
    }
}
