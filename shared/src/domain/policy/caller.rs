//! The caller of a request: a project, and the strongest role of its token.

use std::fmt;

use crate::domain::actor::Actor;
use crate::domain::id::ProjectId;

/// The strongest role that a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// No role that this service knows: sees nothing.
    None,
    /// Sees what its project sees, changes nothing.
    Reader,
    /// Acts for its project.
    Member,
    /// Acts for every project.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::None, Self::Reader, Self::Member, Self::Admin];

    /// The role and those that it implies, by this service's own names, with commas between them.
    pub const fn with_implied(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Reader => "reader",
            Self::Member => "member,reader",
            Self::Admin => "admin,member,reader",
        }
    }

    /// Reads what [`Self::with_implied`] has written. Any other name is no role.
    pub fn of_implied(names: &str) -> Self {
        let named = |name: &str| match name {
            "admin" => Self::Admin,
            "member" => Self::Member,
            "reader" => Self::Reader,
            _ => Self::None,
        };
        names.split(',').map(named).max().unwrap_or(Self::None)
    }
}

/// An authenticated caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id; empty if the token has none.
    pub user: String,
    /// The project that the token is scoped to.
    pub project: ProjectId,
    /// The strongest role of the token.
    pub role: Role,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} as {:?}", self.role, self.project)
    }
}

impl Caller {
    /// The caller as records and the log name it.
    pub fn actor(&self) -> Actor {
        Actor::new(&self.user, self.project.clone())
    }

    /// Whether the caller acts for every project.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the caller may name a project in a path or in a body, or act as an image's owner:
    /// its own project, an admin any.
    pub fn acts_for(&self, project: &str) -> bool {
        self.project.as_str() == project || self.is_admin()
    }

    /// Whether the role permits any change at all. Where it does not, no write is attempted.
    pub fn may_write(&self) -> bool {
        self.role >= Role::Member
    }

    /// The project that must own an image for this caller to change it or its members, as the
    /// store's conditions check it; `None` for an admin.
    pub fn required_owner(&self) -> Option<&ProjectId> {
        (!self.is_admin()).then_some(&self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Caller {
        Caller {
            user: "u".to_owned(),
            project: ProjectId::parse("p").unwrap(),
            role,
        }
    }

    #[test]
    fn a_role_is_written_with_those_that_it_implies() {
        let written = ["", "reader", "member,reader", "admin,member,reader"];
        for (role, names) in Role::ALL.into_iter().zip(written) {
            assert_eq!(role.with_implied(), names);
            assert_eq!(Role::of_implied(names), role);
        }
        assert_eq!(Role::of_implied("reader,admin"), Role::Admin);
        assert_eq!(Role::of_implied("Admin, member"), Role::None);
    }

    #[test]
    fn only_an_admin_acts_for_every_project() {
        for role in Role::ALL {
            let (caller, admin) = (caller(role), role == Role::Admin);
            assert_eq!(caller.is_admin(), admin);
            assert!(caller.acts_for("p"));
            assert_eq!(caller.acts_for("q"), admin);
            assert_eq!(caller.may_write(), admin || role == Role::Member);
            let owner = caller.required_owner();
            assert_eq!(owner, (!admin).then_some(&caller.project));
        }
        assert_eq!(format!("{:?}", caller(Role::Member)), "Member as \"p\"");
        assert_eq!(caller(Role::Admin).actor().stored(), "u\np");
    }
}
