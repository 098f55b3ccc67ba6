//! The log of changes: one line for each, written when the store has applied it.
//!
//! The lines have the target `change`, so that a filter keeps them apart from other lines of their level, and
//! always the same fields; `docs/operations.md` has the queries that read them. They hold ids, statuses and names
//! of fields, no token and nothing of an image's texts.

use crate::domain::actor::{Actor, Origin};
use crate::domain::id::{ImageId, ProjectId};

/// The state before a record is created and after it has ended.
pub const NONE: &str = "none";
/// The state of an image before its deletion, which does not read its values.
pub const IMAGE: &str = "image";
/// The state of a membership before its end, where its status is not read.
pub const MEMBER: &str = "member";

/// A change that was written.
#[derive(Clone, Debug, Default)]
pub struct Line<'a> {
    /// What was done, such as `member.remove`.
    pub what: &'static str,
    /// The image.
    pub image: Option<ImageId>,
    /// The project whose membership or whose rules changed.
    pub member: Option<&'a ProjectId>,
    /// The state before it.
    pub from: &'a str,
    /// The state after it.
    pub to: &'a str,
    /// The names of the fields that changed, with commas between them.
    pub fields: Option<&'a str>,
    /// How many entries a job has.
    pub entries: Option<usize>,
}

impl Line<'_> {
    /// Writes the line. Call it once for each change, after the store has applied it.
    pub fn write(&self, by: &Origin) {
        let actor = by.actor.as_ref();
        tracing::info!(
            target: "change",
            what = self.what,
            image = self.image.map(tracing::field::display),
            // As texts, which are quoted in a log of text: an id may contain any character.
            member = self.member.map(ProjectId::as_str),
            from = self.from,
            to = self.to,
            fields = self.fields,
            entries = self.entries,
            user = actor.map(Actor::user),
            project = actor.map(|actor| actor.project().as_str()),
            request = by.request_id.as_str(),
            job = by.job.map(tracing::field::display),
            automatic = by.automatic.map(|automatic| automatic.as_str()),
            "change"
        );
    }
}
