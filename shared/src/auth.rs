//! Who calls, and what they may do: the whole policy, as one pure function.

use std::fmt;

use crate::id::ProjectId;
use crate::image::{Image, Visibility};
use crate::member::Membership;

/// The strongest role that a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// No role that this service knows: sees nothing.
    None,
    /// Sees what its project sees, changes nothing.
    Reader,
    /// Acts for its project.
    Member,
    /// Acts for everybody.
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

/// An authenticated caller, as the authorizer described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
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
    /// Whether the caller acts for everybody.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the caller may name a project in a path, in a body or as an owner: its own, an
    /// admin any.
    pub fn speaks_for(&self, project: &str) -> bool {
        self.project.as_str() == project || self.is_admin()
    }

    /// What the caller's project is to an image, given the membership under its own key.
    pub fn relation(&self, image: &Image, own: Option<&Membership>) -> Relation {
        if image.owner == self.project {
            Relation::Owner
        } else if matches!(own, Some(Membership::Present(_))) {
            Relation::Member
        } else {
            Relation::Stranger
        }
    }
}

/// What a project is to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// It owns the image.
    Owner,
    /// The image is shared with it, whatever it answered.
    Member,
    /// Neither.
    Stranger,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Member, Self::Stranger];
}

/// What a caller wants of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read the image's record.
    ShowImage,
    /// Change the image's record.
    ModifyImage,
    /// Delete the image.
    DeleteImage,
    /// List its members.
    ListMembers,
    /// Read one membership.
    ShowMember,
    /// Share it with a project.
    AddMember,
    /// Answer for a member.
    UpdateMember,
    /// End a membership.
    RemoveMember,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::ShowImage,
        Self::ModifyImage,
        Self::DeleteImage,
        Self::ListMembers,
        Self::ShowMember,
        Self::AddMember,
        Self::UpdateMember,
        Self::RemoveMember,
    ];

    /// The policy's name for it, which clients print when it is refused.
    pub const fn policy_name(self) -> &'static str {
        match self {
            Self::ShowImage => "get_image",
            Self::ModifyImage => "modify_image",
            Self::DeleteImage => "delete_image",
            Self::ListMembers => "get_members",
            Self::ShowMember => "get_member",
            Self::AddMember => "add_member",
            Self::UpdateMember => "modify_member",
            Self::RemoveMember => "delete_member",
        }
    }

    const fn is_about_members(self) -> bool {
        match self {
            Self::ShowImage | Self::ModifyImage | Self::DeleteImage => false,
            Self::ListMembers
            | Self::ShowMember
            | Self::AddMember
            | Self::UpdateMember
            | Self::RemoveMember => true,
        }
    }
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decision {
    /// Go on.
    Allow,
    /// Go on, but only the caller's own membership exists as far as it can see.
    AllowOwnRow,
    /// The caller must not learn that the image exists.
    Hidden,
    /// The caller sees the image, but only shared images have members.
    NotShared,
    /// The caller sees the image and may not do this.
    Forbidden,
}

/// The policy: what a role, standing in a relation to an image of some visibility, may do.
///
/// The whole matrix is the golden file `tests/golden/permissions.txt`.
pub fn permit(role: Role, relation: Relation, visibility: Visibility, action: Action) -> Decision {
    use Decision::{Allow, AllowOwnRow, Forbidden, Hidden, NotShared};

    let sees = match (role, relation, visibility) {
        (Role::None, _, _) => false,
        (Role::Admin, _, _) | (_, Relation::Owner, _) => true,
        (_, _, Visibility::Public | Visibility::Community) => true,
        (_, Relation::Member, Visibility::Shared) => true,
        (_, Relation::Member, Visibility::Private) => false,
        (_, Relation::Stranger, Visibility::Shared | Visibility::Private) => false,
    };
    if !sees {
        return Hidden;
    }
    if action.is_about_members() && visibility != Visibility::Shared {
        return NotShared;
    }
    match (action, role, relation) {
        (Action::ShowImage, _, _) => Allow,
        (
            Action::ModifyImage | Action::DeleteImage | Action::AddMember | Action::RemoveMember,
            Role::Admin,
            _,
        ) => Allow,
        (
            Action::ModifyImage | Action::DeleteImage | Action::AddMember | Action::RemoveMember,
            Role::Member,
            Relation::Owner,
        ) => Allow,
        (Action::ModifyImage | Action::DeleteImage | Action::AddMember, _, _) => Forbidden,
        // The member sees its own row, and is then told that it may not end it.
        (Action::RemoveMember, _, _) => Forbidden,
        (Action::ListMembers | Action::ShowMember, Role::Admin, _)
        | (Action::ListMembers | Action::ShowMember, _, Relation::Owner) => Allow,
        (Action::ListMembers | Action::ShowMember, _, Relation::Member | Relation::Stranger) => {
            AllowOwnRow
        }
        (Action::UpdateMember, Role::Admin, _) => Allow,
        (Action::UpdateMember, Role::Member, Relation::Member) => AllowOwnRow,
        (Action::UpdateMember, _, _) => Forbidden,
    }
}
