//! Who makes a change: a user in a project. Records keep it as `by`, and the log of changes shows it.

use std::fmt;

use crate::domain::id::{JobId, ProjectId};

/// The longest user id that is recorded, in characters: the width of Keystone's column. The rest is cut,
/// so that no caller can make a record larger than its limit.
const USER_MAX_CHARS: usize = 255;

/// A user in a project.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    user: String,
    project: ProjectId,
}

impl Actor {
    /// A user in a project. The user is empty if a message or a record of an earlier release does not
    /// name it.
    pub fn new(user: &str, project: ProjectId) -> Self {
        let user = user.chars().filter(|c| !c.is_control());
        let user = user.take(USER_MAX_CHARS).collect();
        Self { user, project }
    }

    /// The user's id.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The project that the user's token was scoped to. An admin's own, not that of the image.
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The form in records: the user and the project in two lines. A user's id has no line end.
    pub fn stored(&self) -> String {
        format!("{}\n{}", self.user, self.project)
    }

    /// Parses what [`Self::stored`] has written.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, project) = text.split_once('\n')?;
        let project = ProjectId::parse(project).ok()?;
        let actor = Self::new(user, project);
        (actor.user == user).then_some(actor)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}", self.user, self.project)
    }
}

/// Why the service changes a record while no caller waits for it. The record still names a caller: the one whose
/// earlier request made the change necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// A member's rule for the owner has answered a share.
    TrustedOwner,
    /// Memberships end with their image.
    ImageDeleted,
    /// The same, done by the sweep because the request or its message did not.
    Sweep,
}

impl Automatic {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrustedOwner => "trusted-owner",
            Self::ImageDeleted => "image-deleted",
            Self::Sweep => "sweep",
        }
    }
}

/// Where a change comes from: who made it, in which request, by which job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who made it; `None` if a release wrote the record that did not know it.
    pub actor: Option<Actor>,
    /// The id of the request; `-` if there is none.
    pub request_id: String,
    /// The job that carries it out.
    pub job: Option<JobId>,
    /// What makes it, if nobody asked for it.
    pub automatic: Option<Automatic>,
}

impl Origin {
    /// A request's own change.
    pub const fn new(actor: Actor, request_id: String) -> Self {
        Self {
            actor: Some(actor),
            request_id,
            job: None,
            automatic: None,
        }
    }

    /// Work that nobody asks for now. Who caused it is in the record that it is about.
    pub fn automatic(automatic: Automatic, request_id: &str) -> Self {
        Self {
            actor: None,
            request_id: request_id.to_owned(),
            job: None,
            automatic: Some(automatic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(id: &str) -> ProjectId {
        ProjectId::parse(id).unwrap()
    }

    #[test]
    fn what_is_stored_is_read() {
        for (user, id) in [("u-1", "p"), ("", "p"), ("a b@c", "two\nlines"), ("ü", "☃")] {
            let actor = Actor::new(user, project(id));
            assert_eq!(Actor::parse(&actor.stored()), Some(actor.clone()));
            assert_eq!((actor.user(), actor.project()), (user, &project(id)));
        }
        for bad in ["", "user", "user\n", "us\ter\np"] {
            assert_eq!(Actor::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_user_id_is_bounded_and_has_no_line_end() {
        let long = Actor::new(&"u".repeat(1000), project("p"));
        assert_eq!(long.user().len(), USER_MAX_CHARS);
        assert_eq!(Actor::new("a\nb\r", project("p")).user(), "ab");
    }

    /// With Keystone's ids it takes 67 bytes of a record, its name included.
    #[test]
    fn it_is_small() {
        let id = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01";
        assert_eq!("by".len() + Actor::new(id, project(id)).stored().len(), 67);
    }
}
