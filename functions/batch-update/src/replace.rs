//! `PUT /v1/{project_id}/cloudimages/{image_id}/members`: declares all members of an image.
//!
//! What there is to add and to remove is found out when the request is accepted, and counts as declared
//! from that moment on; a job carries it out.

use std::collections::HashSet;

use shared::domain::batch::{Batch, ENTRIES_MAX};
use shared::domain::bodies::DeclaredMembers;
use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::policy::{Action, ApiAction, Caller, ImageAction};
use shared::http::{self, Handled, IfMatch, Request};
use shared::runtime::app::App;
use shared::store::jobs::{Created, Idempotency};

use crate::{accepted, entries_max, idempotency_of, limited, other_request, start, too_many};

/// How often the members are read again when they change before the request is accepted.
const TRIES: usize = 8;

/// What a request asks for.
struct Asked<'a> {
    image: ImageId,
    /// The image's id as the path has it.
    text: String,
    declared: Vec<ProjectId>,
    expected: Option<IfMatch>,
    idempotency: Option<Idempotency>,
    caller: &'a Caller,
    request_id: String,
}

/// Accepts the declaration: 200 with the id of the job that carries it out.
pub async fn handle(
    app: &App,
    caller: &Caller,
    request: &Request,
    may: impl Fn(ApiAction<'_>) -> Result<(), ApiError>,
) -> Handled {
    may(ApiAction::ReadMembersAs(&http::path(
        request,
        "project_id",
    )?))?;
    let text = http::path(request, "image_id")?;
    let image = ImageId::any_spelling(&text)
        .ok_or_else(|| ApiError::ims_in_path(ImsCode::ImageNotFound))?;
    let DeclaredMembers { projects } = DeclaredMembers::parse(http::body_bytes(request)?)?;
    let mut seen = HashSet::new();
    let declared = projects.iter().filter(|project| seen.insert(*project));
    let declared: Vec<_> = declared.cloned().collect();
    let most = entries_max(app);
    if declared.len() > most {
        return Err(too_many(declared.len(), most));
    }
    let asked = Asked {
        image,
        text,
        declared,
        expected: IfMatch::of(request)?,
        idempotency: idempotency_of(request, Some(image))?,
        caller,
        request_id: http::request_id(request),
    };
    may(ApiAction::StartBatch)?;
    for _ in 0..TRIES {
        if let Some(answer) = Box::pin(accept(app, &asked)).await? {
            return Ok(answer);
        }
    }
    Err(ApiError::unavailable("replace members: races do not end"))
}

/// Reads the members and accepts the request on top of them. Returns `None` if they have changed
/// meanwhile.
async fn accept(app: &App, asked: &Asked<'_>) -> Result<Option<http::Response>, ApiError> {
    let (caller, store) = (asked.caller, app.store());
    let facts = Box::pin(store.facts(asked.image, &[&caller.project])).await?;
    let action = Action::Image(ImageAction::ReplaceMembers, facts.target(&asked.text));
    let decided = app.policy().decide(caller, action);
    decided.map_err(|denied| denied.ims())?;
    let version = facts.members_version(caller).unwrap_or_default();
    let expected = asked.expected.as_ref();
    if let Err(changed) = expected.map_or(Ok(()), |expected| expected.check(&version)) {
        // A repeated request finds what its first one has changed.
        let before = match &asked.idempotency {
            Some(sent) => store.job_of_key(&caller.project, sent, app.now()).await?,
            None => None,
        };
        return before.map(|job| Some(accepted(job))).ok_or(changed);
    }
    let Some(image) = facts.image else {
        return Err(ApiError::ims_in_path(ImsCode::ImageNotFound));
    };
    let Some(members) = Box::pin(store.members_at(&image, ENTRIES_MAX)).await? else {
        return Err(too_many(ENTRIES_MAX + 1, ENTRIES_MAX));
    };
    let (batch, changes) = Batch::replacing(
        caller,
        (&image, &members),
        &asked.declared,
        (app.operation(), app.now()),
        asked.request_id.clone(),
    );
    let (rows, most) = (batch.entries.rows, entries_max(app));
    if rows > most {
        return Err(too_many(rows, most));
    }
    let idempotency = asked.idempotency.as_ref();
    let created = store.create_replacement(&batch, idempotency, &image, changes);
    match Box::pin(created).await? {
        Created::New => {
            Box::pin(start(app, &batch, Some(image.id))).await?;
            Ok(Some(accepted(batch.job.id)))
        }
        Created::Before(job) => Ok(Some(accepted(job))),
        Created::OtherRequest => Err(other_request()),
        Created::ImageChanged => Ok(None),
        Created::Limited(limit) => Err(limited(app, limit)),
    }
}
