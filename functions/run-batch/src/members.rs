//! Adds and removes the members of one image, as many at once as a transaction holds.

use std::borrow::Cow;
use std::time::Duration;

use shared::domain::change::{self, EntryKind};
use shared::domain::error::ApiError;
use shared::domain::facts::Facts;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::ims_code::ImsCode;
use shared::domain::outcome::Outcome;
use shared::domain::policy::{EntryAction, ImageAction};
use shared::store::members::{Changed, Stamp};
use tokio::time::Instant;

use crate::{Applied, Group, Unfinished, Work};

/// Whether members are added to an image or removed from it.
#[derive(Clone, Copy)]
pub enum Direction {
    Share,
    Unshare,
}

impl Direction {
    const fn action(self, member: &ProjectId) -> ImageAction<'_> {
        match self {
            Self::Share => ImageAction::Entry(EntryAction::Share(member)),
            Self::Unshare => ImageAction::Entry(EntryAction::Unshare(member)),
        }
    }

    const fn kind(self) -> EntryKind {
        match self {
            Self::Share => EntryKind::Add,
            Self::Unshare => EntryKind::Remove,
        }
    }
}

/// Adds or removes an image's members, as many at once as a transaction holds.
pub async fn change_members(
    work: &Work,
    image: ImageId,
    facts: &Facts,
    (text, rows): (&str, &[(usize, ProjectId)]),
    direction: Direction,
) -> Result<Vec<Applied>, Unfinished> {
    let mut done = Vec::with_capacity(rows.len());
    let mut open = Vec::new();
    for (row, member) in rows {
        match work.decide(&work.caller, facts.target(text), direction.action(member)) {
            Ok(()) => open.push((*row, member.clone())),
            Err(code) => done.push(Applied {
                row: *row,
                outcome: Outcome::Failed(code),
            }),
        }
    }
    let mut took = Duration::ZERO;
    for part in open.chunks(work.app.store().members_at_once()) {
        work.step_aside(took).await;
        work.check_time()?;
        let part = existing(work, part, direction, &mut done).await?;
        let part = part.as_ref();
        if part.is_empty() {
            continue;
        }
        let begin = Instant::now();
        let changed = change_part(work, image, facts, part, direction).await?;
        took = begin.elapsed();
        match changed {
            Changed::Members(changes) => {
                let changes = part.iter().zip(&changes);
                done.extend(changes.map(|((row, _), change)| Applied {
                    row: *row,
                    outcome: change::outcome(direction.kind(), change, work.stamp.op),
                }));
            }
            // The image has changed since the chunk was begun.
            Changed::Image(now) => {
                let facts = Facts {
                    image: now.map(|image| *image),
                    memberships: facts.memberships.clone(),
                };
                done.extend(part.iter().map(|(row, member)| {
                    let decided =
                        work.decide(&work.caller, facts.target(text), direction.action(member));
                    let code = decided.err().unwrap_or(ImsCode::ImageUnavailable);
                    Applied {
                        row: *row,
                        outcome: Outcome::Failed(code),
                    }
                }));
            }
        }
    }
    Ok(done)
}

/// Fails the entries that share with a project that does not exist, and returns the others. Keystone is
/// asked about entries that the policy permits only.
async fn existing<'a>(
    work: &Work,
    part: &'a [(usize, ProjectId)],
    direction: Direction,
    done: &mut Vec<Applied>,
) -> Result<Cow<'a, [(usize, ProjectId)]>, ApiError> {
    let (Direction::Share, Some(projects)) = (direction, work.app.projects()) else {
        return Ok(Cow::Borrowed(part));
    };
    let members: Vec<ProjectId> = part.iter().map(|(_, member)| member.clone()).collect();
    let absent = Box::pin(projects.absent(members)).await?;
    let gone = part.iter().filter(|(_, member)| absent.contains(member));
    done.extend(gone.map(|(row, _)| Applied {
        row: *row,
        outcome: Outcome::Failed(ImsCode::NoSuchProject),
    }));
    let left = part.iter().filter(|(_, member)| !absent.contains(member));
    Ok(Cow::Owned(left.cloned().collect()))
}

/// Makes the members of an image those that were declared: the first `removes` rows of the chunk end
/// memberships, the others share the image.
///
/// Removals make room for what is added. Those of other chunks may not have been applied yet when the
/// quota is full: then they are applied here too, which changes nothing about their own chunks' results.
pub async fn replace_members(
    work: &Work,
    image: ImageId,
    facts: &Facts,
    group: &Group,
    removes: usize,
) -> Result<Vec<Applied>, Unfinished> {
    let text = group.text.as_str();
    let (gone, declared): (Vec<_>, Vec<_>) = group
        .rows
        .iter()
        .cloned()
        .partition(|(row, _)| *row < removes);
    let (gone, declared) = ((text, &gone[..]), (text, &declared[..]));
    // On the heap: together these futures are too large for a thread's stack.
    let removed = change_members(work, image, facts, gone, Direction::Unshare);
    let mut done = Box::pin(removed).await?;
    let added = change_members(work, image, facts, declared, Direction::Share);
    let added = Box::pin(added).await?;
    let full = |applied: &Applied| applied.outcome == Outcome::Failed(ImsCode::QuotaFull);
    let (refused, added): (Vec<_>, Vec<_>) = added.into_iter().partition(full);
    done.extend(added);
    if refused.is_empty() || work.chunk.only {
        done.extend(refused);
        return Ok(done);
    }
    Box::pin(make_room(work, image, facts, text)).await?;
    let refused = declared.1.iter().filter(|(row, _)| {
        let mut refused = refused.iter();
        refused.any(|applied| applied.row == *row)
    });
    let again: Vec<_> = refused.cloned().collect();
    let again = (text, &again[..]);
    let added = change_members(work, image, facts, again, Direction::Share);
    done.extend(Box::pin(added).await?);
    Ok(done)
}

/// Applies all removals of the job.
async fn make_room(
    work: &Work,
    image: ImageId,
    facts: &Facts,
    text: &str,
) -> Result<(), Unfinished> {
    let store = work.app.store();
    let Some(job) = store.job(work.chunk.job, work.app.now()).await? else {
        return Ok(());
    };
    let rows = store.results(&job, 0, job.removes).await?;
    let rows = rows.into_iter().enumerate();
    let rows: Vec<_> = rows.map(|(row, (_, member, _))| (row, member)).collect();
    let removed = change_members(work, image, facts, (text, &rows), Direction::Unshare);
    Box::pin(removed).await?;
    Ok(())
}

/// Adds or removes the members of one transaction.
async fn change_part(
    work: &Work,
    image: ImageId,
    facts: &Facts,
    part: &[(usize, ProjectId)],
    direction: Direction,
) -> Result<Changed, ApiError> {
    let (store, caller) = (work.app.store(), &work.caller);
    // The time of the write, by which what is remembered of rules expires.
    let stamp = Stamp {
        now: work.app.now(),
        ..work.stamp.clone()
    };
    let members: Vec<ProjectId> = part.iter().map(|(_, member)| member.clone()).collect();
    match direction {
        Direction::Share => {
            let quota = work.app.config().member_quota;
            store
                .add_members(caller, image, &members, quota, stamp)
                .await
        }
        Direction::Unshare => {
            // Only a member that leaves may remove a membership without acting for the owner.
            let owner = facts.image.as_ref().map(|image| image.owner.as_str());
            let leaving = owner.is_none_or(|owner| !caller.acts_for(owner));
            store
                .remove_members(caller, image, &members, leaving, stamp)
                .await
        }
    }
}
