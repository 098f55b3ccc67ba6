//! The permission policy: who may do what, in one function, [`Policy::decide`].
//!
//! Nothing else decides. A handler asks for a decision and shows what a refusal says of itself, in
//! the words of the family of clients that asked ([`Denied::glance`], [`Denied::ims`],
//! [`Denied::entry`]). The store's conditions hold the same rules at the moment of a write.
//!
//! The decisions and the words are the golden file `tests/golden/permissions.txt`.

mod caller;
mod denied;
#[cfg(test)]
mod matrix;

use super::id::ProjectId;
use super::member::{Membership, Memberships};
use super::visibility::Visibility;

pub use caller::{Caller, Role};
pub use denied::{Denied, Reason, no_such_member};

/// What a deployment decides about permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether a member may end its own membership.
    pub member_may_leave: bool,
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

/// An existing image, as far as the policy has to know it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The project that owns it.
    pub owner: &'a ProjectId,
    /// Who can see it.
    pub visibility: Visibility,
    /// The memberships that were read: at least the caller's own and the one that the action names.
    pub memberships: &'a Memberships,
}

/// The image that an action is about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its id as the request has it.
    pub id: &'a str,
    /// The image; `None` if there is none.
    pub subject: Option<Subject<'a>>,
}

impl Subject<'_> {
    fn has_member(&self, project: &ProjectId) -> bool {
        matches!(self.memberships.get(project), Some(Membership::Present(_)))
    }

    fn relation(&self, caller: &Caller) -> Relation {
        if *self.owner == caller.project {
            Relation::Owner
        } else if self.has_member(&caller.project) {
            Relation::Member
        } else {
            Relation::Stranger
        }
    }
}

/// The membership that a path names.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The member's id as it was written.
    pub text: &'a str,
    /// The same if it can be a project's id.
    pub member: Option<&'a ProjectId>,
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Something with one image.
    Image(ImageAction<'a>, Target<'a>),
    /// Give an image a value that not everybody may give.
    Set(Setting<'a>),
    /// Something that is not about one image.
    Api(ApiAction<'a>),
}

/// What a caller wants to do with one image.
#[derive(Clone, Copy, Debug)]
pub enum ImageAction<'a> {
    /// Something with its record.
    Record(RecordAction),
    /// List its members. Callers who act for neither its owner nor every project get their own
    /// membership alone.
    ListMembers,
    /// Share it with a project.
    AddMember,
    /// Declare all its members.
    ReplaceMembers,
    /// Something with one membership, named by a path.
    Row(RowAction, Row<'a>),
    /// An entry of a batch.
    Entry(EntryAction<'a>),
}

/// What a caller wants to do with an image's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAction {
    /// Read it.
    Show,
    /// List the image's tasks.
    ListTasks,
    /// Change it.
    Modify,
    /// Add or remove a tag.
    Tag,
    /// Take the image out of use.
    Deactivate,
    /// Bring the image back into use.
    Reactivate,
    /// Say where the image's data is.
    SetLocation,
    /// Say that the image's data is no longer somewhere.
    RemoveLocation,
    /// Delete the image.
    Delete,
}

/// What a caller wants to do with one membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAction {
    /// Read it.
    Show,
    /// Answer for the member.
    Update,
    /// End it.
    Remove,
}

/// What an entry of a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAction<'a> {
    /// Shares the image with this project.
    Share(&'a ProjectId),
    /// Answers, by the project that answers.
    Answer,
    /// Ends this project's membership, whether or not there is one.
    Unshare(&'a ProjectId),
}

/// A value that not everybody may give to an image.
#[derive(Clone, Copy, Debug)]
pub enum Setting<'a> {
    /// A new image belongs to this project; `None` if what was sent cannot be a project.
    NewOwner(Option<&'a str>),
    /// An image changes its owner.
    Owner,
    /// An image of this owner gets this visibility.
    Visibility(Visibility, &'a ProjectId),
    /// A field that the cloud's image pipeline sets, by its name.
    PipelineField(&'a str),
}

/// What a caller wants to do that is not about one image.
#[derive(Clone, Copy, Debug)]
pub enum ApiAction<'a> {
    /// List the images that it can see.
    ListImages,
    /// Register an image.
    CreateImage,
    /// Read what its project uses of its quotas.
    ShowQuota,
    /// Read tasks.
    ReadTasks,
    /// Read the details of stores of data.
    ReadStoreDetails,
    /// Read how well the server does.
    ReadServerState,
    /// Start a batch.
    StartBatch,
    /// Answer for this project: in a batch, or in advance.
    AnswerFor(&'a ProjectId),
    /// Read jobs.
    ReadJobs,
    /// Read jobs of this project.
    ReadJobsOf(&'a str),
    /// Read memberships by a path that names this project.
    ReadMembersAs(&'a str),
    /// List what is shared with a project that it acts for, or by it.
    ListShares,
    /// Read the trusted owners of a project that it acts for.
    ReadTrustedOwners,
    /// Set them.
    SetTrustedOwners,
}

impl Policy {
    /// Whether this caller may do this.
    ///
    /// # Errors
    /// The refusal, which has words for each family of clients.
    pub fn decide<'a>(&self, caller: &Caller, action: Action<'a>) -> Result<(), Denied<'a>> {
        let reason = match action {
            Action::Image(on_image, target) => self.refuse_image(caller, on_image, target.subject),
            Action::Set(setting) => refuse_setting(caller, setting),
            Action::Api(api) => refuse_api(caller, api),
        };
        match reason {
            None => Ok(()),
            Some(reason) => Err(Denied { action, reason }),
        }
    }

    /// Whether a caller sees this image: the decision about [`RecordAction::Show`], without words.
    pub fn sees(&self, caller: &Caller, subject: Subject<'_>) -> bool {
        let show = ImageAction::Record(RecordAction::Show);
        self.refuse_image(caller, show, Some(subject)).is_none()
    }

    /// Whether a caller that removes this member would be a member that leaves, which needs not own
    /// the image. Whether it is a member the store finds out.
    pub fn may_leave(&self, caller: &Caller, member: &ProjectId) -> bool {
        self.member_may_leave && caller.role == Role::Member && *member == caller.project
    }

    /// Why this caller may not do this with an image. The order of the checks is Glance's.
    fn refuse_image(
        &self,
        caller: &Caller,
        action: ImageAction<'_>,
        subject: Option<Subject<'_>>,
    ) -> Option<Reason> {
        let Some(subject) = subject else {
            return Some(Reason::Hidden);
        };
        let relation = subject.relation(caller);
        let visibility = subject.visibility;
        let about_members = !matches!(action, ImageAction::Record(_));
        let not_shared = about_members && visibility != Visibility::Shared;
        if !sees(caller.role, relation, visibility) {
            let reader_sees = sees(Role::Reader, relation, visibility);
            return Some(match caller.role {
                // That an image has no members is told before the role is looked at.
                Role::None if reader_sees && not_shared => Reason::NotShared(visibility),
                Role::None if reader_sees => Reason::HiddenFromRole,
                Role::None | Role::Reader | Role::Member | Role::Admin => Reason::Hidden,
            });
        }
        if not_shared {
            return Some(Reason::NotShared(visibility));
        }
        if let ImageAction::Row(_, row) = action {
            let shown = row.member.is_some_and(|member| {
                let sees_row = caller.acts_for(subject.owner.as_str()) || *member == caller.project;
                sees_row && subject.has_member(member)
            });
            if !shown {
                return Some(Reason::NoSuchMember);
            }
        }
        if !self.permits(caller, relation, action) {
            return Some(Reason::Forbidden);
        }
        // An image is not shared with its owner, and its owner has nothing to answer.
        let is_owners = match action {
            ImageAction::Entry(EntryAction::Share(member)) => member == subject.owner,
            ImageAction::Entry(EntryAction::Answer) => relation == Relation::Owner,
            ImageAction::Entry(EntryAction::Unshare(_))
            | ImageAction::Record(_)
            | ImageAction::ListMembers
            | ImageAction::AddMember
            | ImageAction::ReplaceMembers
            | ImageAction::Row(..) => false,
        };
        is_owners.then_some(Reason::OwnImage)
    }

    /// Whether the role and the relation permit an action on an image that the caller sees.
    fn permits(&self, caller: &Caller, relation: Relation, action: ImageAction<'_>) -> bool {
        let owns = caller.is_admin() || caller.role == Role::Member && relation == Relation::Owner;
        let leaves = |member| relation != Relation::Stranger && self.may_leave(caller, member);
        match action {
            ImageAction::Record(record) => match record {
                RecordAction::Show | RecordAction::ListTasks => true,
                RecordAction::Modify
                | RecordAction::Tag
                | RecordAction::Deactivate
                | RecordAction::Reactivate
                | RecordAction::SetLocation
                | RecordAction::Delete => owns,
                RecordAction::RemoveLocation => caller.is_admin(),
            },
            ImageAction::ListMembers | ImageAction::Row(RowAction::Show, _) => true,
            ImageAction::AddMember
            | ImageAction::ReplaceMembers
            | ImageAction::Entry(EntryAction::Share(_)) => owns,
            ImageAction::Row(RowAction::Update, _) => {
                caller.is_admin() || caller.role == Role::Member && relation == Relation::Member
            }
            ImageAction::Entry(EntryAction::Answer) => {
                caller.role == Role::Member && relation != Relation::Stranger
            }
            ImageAction::Row(RowAction::Remove, row) => owns || row.member.is_some_and(leaves),
            ImageAction::Entry(EntryAction::Unshare(member)) => owns || leaves(member),
        }
    }
}

/// Whether a role of a project in this relation sees an image of this visibility.
const fn sees(role: Role, relation: Relation, visibility: Visibility) -> bool {
    match (role, relation, visibility) {
        (Role::None, _, _) => false,
        (Role::Admin, _, _)
        | (_, Relation::Owner, _)
        | (_, _, Visibility::Public | Visibility::Community)
        | (_, Relation::Member, Visibility::Shared) => true,
        (_, Relation::Member, Visibility::Private)
        | (_, Relation::Stranger, Visibility::Shared | Visibility::Private) => false,
    }
}

fn refuse_setting(caller: &Caller, setting: Setting<'_>) -> Option<Reason> {
    let allowed = match setting {
        Setting::NewOwner(owner) => {
            caller.is_admin() || owner.is_some_and(|owner| caller.acts_for(owner))
        }
        Setting::Owner | Setting::PipelineField(_) => caller.is_admin(),
        Setting::Visibility(Visibility::Private | Visibility::Shared, _) => true,
        Setting::Visibility(Visibility::Public, _) => caller.is_admin(),
        Setting::Visibility(Visibility::Community, owner) => {
            caller.is_admin() || caller.role == Role::Member && *owner == caller.project
        }
    };
    (!allowed).then_some(Reason::Forbidden)
}

fn refuse_api(caller: &Caller, action: ApiAction<'_>) -> Option<Reason> {
    let allowed = match action {
        ApiAction::ListImages
        | ApiAction::ShowQuota
        | ApiAction::ReadJobs
        | ApiAction::ListShares
        | ApiAction::ReadTrustedOwners => caller.role != Role::None,
        ApiAction::CreateImage | ApiAction::StartBatch | ApiAction::SetTrustedOwners => {
            caller.may_write()
        }
        ApiAction::ReadTasks | ApiAction::ReadStoreDetails | ApiAction::ReadServerState => {
            caller.is_admin()
        }
        ApiAction::AnswerFor(project) => caller.acts_for(project.as_str()),
        ApiAction::ReadJobsOf(project) | ApiAction::ReadMembersAs(project) => {
            caller.acts_for(project)
        }
    };
    (!allowed).then_some(Reason::Forbidden)
}
