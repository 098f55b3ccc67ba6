//! `GET /v1/{project_id}/cloudimages/invitations` and `…/shares`: the memberships of a project and
//! those of its images, whatever image they are of.
//!
//! Rows of an index name candidates. A page shows what the index holds of them if that can be relied on, and
//! reads the rest from the table. So a list shows no image that `GET` of the image would not show.

use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Action, ApiAction, Caller};
use shared::domain::share::Share;
use shared::http::answers::{Invitations, ShareView, Shares};
use shared::http::page::{self, PageInfo, PageRequest};
use shared::http::{self, Arguments, Handled, Request};
use shared::runtime::app::App;
use shared::store::shares::Candidate;

use crate::rows::{MemberRows, Rows};

/// Rows on a page, unless asked otherwise.
pub const PAGE_DEFAULT: usize = 25;
/// The most candidates that one page looks at. A page that a filter leaves short of rows ends there.
const READ_MAX: usize = 1_000;
/// Candidates of a further look, if a filter has left the page short: one `BatchGetItem` reads them and
/// their images.
const READ_AT_ONCE: usize = 50;

/// What a list shows.
#[derive(Debug)]
struct Wanted {
    /// In the statuses that it lists.
    statuses: Vec<MemberStatus>,
    owner: Option<ProjectId>,
    name: Option<String>,
    member: Option<ProjectId>,
}

impl Wanted {
    /// What the store can tell of an invitation.
    fn candidates(&self) -> MemberRows<'_> {
        MemberRows {
            statuses: &self.statuses,
            owner: self.owner.as_ref(),
            name: self.name.as_deref(),
        }
    }

    fn matches(&self, share: &Share) -> bool {
        let is = |wanted: &Option<ProjectId>, found: &ProjectId| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        self.statuses.contains(&share.status)
            && is(&self.owner, &share.owner)
            && is(&self.member, &share.member_id)
            && (self.name.is_none() || self.name == share.image_name)
    }
}

/// A page.
struct Page {
    shares: Vec<Share>,
    /// Where the next one begins, if there may be more.
    next: Option<String>,
}

impl Page {
    fn info(&self) -> PageInfo {
        PageInfo {
            current_count: self.shares.len(),
            total_count: None,
            next_marker: self.next.as_deref().map(page::encode_marker),
        }
    }

    fn views(&self) -> Vec<ShareView<'_>> {
        self.shares.iter().map(ShareView::of).collect()
    }
}

/// Lists what is shared with the project that the path names.
pub async fn list_invitations(app: &App, caller: &Caller, request: &Request) -> Handled {
    let project = project_of(app, caller, request)?;
    let query = http::query(request);
    let wanted = Wanted {
        statuses: statuses(&query)?.unwrap_or_else(|| vec![MemberStatus::Pending]),
        owner: project_asked(&query, "owner")?,
        name: Arguments(&query).last("name").map(str::to_owned),
        member: None,
    };
    let page = page_asked(&query)?;
    let mut rows = Rows::of_member(app.store(), &project, &wanted.candidates(), &page);
    let listed = |share: &Share| share.member_id == project;
    let page = fill(app, &project, &mut rows, &wanted, page.limit, listed).await?;
    let invitations = Invitations {
        invitations: page.views(),
        page_info: page.info(),
    };
    Ok(http::json(200, &invitations))
}

/// Lists what the project that the path names shares with others.
pub async fn list_shares(app: &App, caller: &Caller, request: &Request) -> Handled {
    let project = project_of(app, caller, request)?;
    let query = http::query(request);
    let image = match Arguments(&query).last("image") {
        None => None,
        Some(text) => {
            let bad = || ApiError::ims(ImsCode::BadImageId);
            Some(ImageId::any_spelling(text).ok_or_else(bad)?)
        }
    };
    let wanted = Wanted {
        statuses: statuses(&query)?.unwrap_or_else(|| MemberStatus::ALL.to_vec()),
        owner: None,
        name: None,
        member: project_asked(&query, "member")?,
    };
    let page = page_asked(&query)?;
    let mut rows = match image {
        Some(image) => {
            Rows::of_image(app.store(), &project, image, wanted.member.as_ref(), &page).await?
        }
        None => Rows::of_owner(app.store(), &project, &page),
    };
    let listed = |share: &Share| share.owner == project;
    let page = fill(app, &project, &mut rows, &wanted, page.limit, listed).await?;
    let shares = Shares {
        shares: page.views(),
        page_info: page.info(),
    };
    Ok(http::json(200, &shares))
}

/// Fills a page of a project's list from the rows that match, and of these from what is `listed` there.
async fn fill(
    app: &App,
    project: &ProjectId,
    rows: &mut Rows<'_>,
    wanted: &Wanted,
    limit: usize,
    listed: impl Fn(&Share) -> bool,
) -> Result<Page, ApiError> {
    let mut page = Page {
        shares: Vec::new(),
        next: None,
    };
    let (mut read, mut at_once) = (0, limit + 1);
    // The position of the last row that was looked at.
    let mut last = None;
    loop {
        let candidates = rows.some(at_once, wanted.member.as_ref()).await?;
        if candidates.is_empty() {
            page.next = rows.stopped_at();
            return Ok(page);
        }
        read += candidates.len();
        let shares = Box::pin(app.store().shares(project, &candidates, app.now())).await?;
        for (Candidate { position, .. }, share) in candidates.iter().zip(shares) {
            if let Some(share) = share.filter(|share| listed(share) && wanted.matches(share)) {
                if page.shares.len() == limit {
                    page.next = last;
                    return Ok(page);
                }
                page.shares.push(share);
            }
            last = Some(position.clone());
        }
        if read >= READ_MAX {
            page.next = last;
            return Ok(page);
        }
        // More each time that a filter leaves a page short of rows.
        at_once = (4 * at_once).min(READ_AT_ONCE.max(limit + 1 - page.shares.len()));
    }
}

/// The project that the path names, if the caller may read its memberships.
fn project_of(app: &App, caller: &Caller, request: &Request) -> Result<ProjectId, ApiError> {
    let text = http::path(request, "project_id")?;
    for action in [ApiAction::ReadMembersAs(&text), ApiAction::ListShares] {
        let decided = app.policy().decide(caller, Action::Api(action));
        decided.map_err(|denied| denied.ims())?;
    }
    ProjectId::parse(text).map_err(|_| ApiError::ims(ImsCode::ForeignProject))
}

fn project_asked(query: &[(String, String)], name: &str) -> Result<Option<ProjectId>, ApiError> {
    let bad = |_| ApiError::ims(ImsCode::BadProjectId);
    Arguments(query)
        .last(name)
        .map(|text| ProjectId::parse(text).map_err(bad))
        .transpose()
}

/// The statuses that a query asks for; `None` if it does not say.
fn statuses(query: &[(String, String)]) -> Result<Option<Vec<MemberStatus>>, ApiError> {
    match Arguments(query).last("status") {
        None => Ok(None),
        Some("all") => Ok(Some(MemberStatus::ALL.to_vec())),
        Some(word) => match MemberStatus::parse(word) {
            Some(status) => Ok(Some(vec![status])),
            None => Err(ApiError::ims_because(
                ImsCode::BadRequest,
                "status must be pending, accepted, rejected or all.",
            )),
        },
    }
}

fn page_asked(query: &[(String, String)]) -> Result<PageRequest<String>, ApiError> {
    PageRequest::of_query(query, PAGE_DEFAULT, page::decode_marker)
}
