//! Receives dead letters: settles a chunk that no delivery could apply, so that its job ends.
//!
//! Entries that an earlier delivery applied are recognized by their memberships and have succeeded; the
//! others have failed.

use serde::Deserialize;
use shared::domain::change::{self, Step, step};
use shared::domain::error::ApiError;
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::message::{Chunk, Message, Unreadable};
use shared::domain::outcome::Outcome;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::messages::{Handled, SqsRecord};

/// Settles one dead letter.
pub async fn handle(app: App, record: SqsRecord, _until: Timestamp) -> Result<Handled, ApiError> {
    settle(&app, &record).await?;
    Ok(Handled::Done)
}

async fn settle(app: &App, record: &SqsRecord) -> Result<(), ApiError> {
    match record.message() {
        Ok(Message::Chunk(chunk)) => settle_chunk(app, &chunk).await,
        // The image is still marked as due, so the sweep does it.
        Ok(Message::Memberships { image }) => {
            tracing::error!(image.id = %image, "the memberships of an image are left to the sweep");
            Ok(())
        }
        // The workers of that release settle it.
        Err(newer @ Unreadable::Newer { .. }) => Err(newer.into()),
        Err(Unreadable::Malformed { .. }) => settle_unreadable(app, record).await,
    }
}

/// All that is read of a chunk that does not parse.
#[derive(Deserialize)]
struct Place {
    job: JobId,
    number: usize,
}

/// Settles what is no message of this release. If it names the chunk of a job, then the job's record says
/// what its entries are.
async fn settle_unreadable(app: &App, record: &SqsRecord) -> Result<(), ApiError> {
    if let Ok(place) = serde_json::from_str::<Place>(&record.body)
        && let Some((batch, open)) = app.store().due_batch(place.job, app.now()).await?
        && open.contains(&place.number)
        && let Message::Chunk(chunk) = batch.message(place.number, true)
    {
        return settle_chunk(app, &chunk).await;
    }
    // It belongs to no open chunk. An error would only redeliver it for ever.
    tracing::error!(message.id = %record.message_id, "a dead letter that is no message of this service");
    Ok(())
}

async fn settle_chunk(app: &App, chunk: &Chunk) -> Result<(), ApiError> {
    let job = chunk.job;
    let entries: Vec<Option<(ImageId, ProjectId)>> = chunk
        .entries
        .entries()
        .map(|(image, project)| Some((ImageId::any_spelling(image)?, project.clone())))
        .collect();
    let keys: Vec<(ImageId, ProjectId)> = entries.iter().flatten().cloned().collect();
    let stored = app.store().memberships(&keys).await?;
    let outcomes: Vec<Outcome> = entries
        .iter()
        .enumerate()
        .map(|(row, entry)| {
            let kind = chunk.task.entry_kind(row);
            let Some(key) = entry else {
                return Outcome::Failed(ImsCode::BadImageId);
            };
            match step(stored.get(key), kind, job) {
                Step::Done(done) => change::outcome(kind, &done, job),
                Step::Write | Step::Confirm | Step::Renew(_) | Step::LeaveTombstone => {
                    Outcome::Failed(kind.gave_up())
                }
            }
        })
        .collect();
    let finished = app
        .store()
        .finish_chunk(chunk, &outcomes, app.now())
        .await?;
    tracing::error!(job.id = %job, job.chunk = chunk.number, outcome = ?finished, "settled a dead letter");
    Ok(())
}
