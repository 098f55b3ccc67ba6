//! The operations of the API: one for each route, by its name in the OpenAPI document.

/// The API functions: one binary and one least-privilege policy each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// Shares an image with a project.
    AddMember,
    /// Answers for a member.
    UpdateMember,
    /// Ends a membership.
    RemoveMember,
    /// Lists memberships and shows one.
    ReadMembers,
    /// Accepts a batch and makes it a job.
    BatchUpdate,
    /// Shows jobs.
    GetJob,
    /// Images' records, one or many.
    Images,
    /// Trusted owners.
    TrustedOwners,
    /// Versions, schemas, and every path or method that no route has.
    Discovery,
}

impl Function {
    /// The name of its directory, binary and resource.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddMember => "add-member",
            Self::UpdateMember => "update-member",
            Self::RemoveMember => "remove-member",
            Self::ReadMembers => "read-members",
            Self::BatchUpdate => "batch-update",
            Self::GetJob => "get-job",
            Self::Images => "images",
            Self::TrustedOwners => "trusted-owners",
            Self::Discovery => "discovery",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Share an image with a project.
    AddMember,
    /// Answer for a member.
    UpdateMember,
    /// End a membership.
    RemoveMember,
    /// Read memberships.
    Members(ReadMembers),
    /// Start a batch.
    Batch(BatchKind),
    /// Read jobs.
    Jobs(ReadJobs),
    /// Something with images.
    Images(OnImages),
    /// Something with trusted owners.
    TrustedOwners(OnTrustedOwners),
    /// Something about the API as a whole.
    Discovery(Discover),
}

/// The operations of the function `read-members`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReadMembers {
    /// List an image's members, in Glance's form.
    List,
    /// Show one, in Glance's form.
    Show,
    /// List an image's members by pages, in the form of IMS.
    ListCloud,
    /// Show one, in the form of IMS.
    ShowCloud,
    /// List the images that are shared with a project.
    ListInvitations,
    /// List what a project shares with others.
    ListShares,
}

/// The operations of the function `batch-update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchKind {
    /// Share images with projects.
    Add,
    /// Answer for a project.
    Update,
    /// End memberships.
    Remove,
}

/// The operations of the function `get-job`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReadJobs {
    /// Show a job.
    Show,
    /// Show a job of the project that the path names.
    ShowOfProject,
    /// List a project's jobs.
    List,
}

/// The operations of the function `images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnImages {
    /// List the images that the caller can see.
    List,
    /// Register an image.
    Create,
    /// Show an image.
    Show,
    /// Patch an image.
    Change,
    /// Delete an image.
    Delete,
    /// Add a tag.
    AddTag,
    /// Remove a tag.
    RemoveTag,
    /// Take an image out of use.
    Deactivate,
    /// Bring an image back into use.
    Reactivate,
    /// List an image's tasks.
    ListTasks,
    /// List images in the form of IMS.
    ListCloud,
    /// Show the quotas of the caller's project.
    ShowQuota,
}

/// The operations of the function `trusted-owners`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnTrustedOwners {
    /// Show a project's rules.
    Show,
    /// Set all of them.
    Replace,
}

/// The operations of the function `discovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Discover {
    /// Show a JSON schema.
    ShowSchema,
    /// Show the ways to bring an image's data in.
    ShowImportMethods,
    /// List the stores of images' data.
    ListStores,
    /// List them with details.
    ListStoresInDetail,
    /// Show what is used of the limits that Keystone keeps.
    ShowUsage,
    /// List tasks.
    ListTasks,
    /// Show a task.
    ShowTask,
}

impl Operation {
    /// The function that answers it.
    pub const fn function(self) -> Function {
        match self {
            Self::AddMember => Function::AddMember,
            Self::UpdateMember => Function::UpdateMember,
            Self::RemoveMember => Function::RemoveMember,
            Self::Members(_) => Function::ReadMembers,
            Self::Batch(_) => Function::BatchUpdate,
            Self::Jobs(_) => Function::GetJob,
            Self::Images(_) => Function::Images,
            Self::TrustedOwners(_) => Function::TrustedOwners,
            Self::Discovery(_) => Function::Discovery,
        }
    }

    /// Its `operationId` in the OpenAPI document.
    pub const fn id(self) -> &'static str {
        match self {
            Self::AddMember => "addMember",
            Self::UpdateMember => "updateMember",
            Self::RemoveMember => "removeMember",
            Self::Members(members) => match members {
                ReadMembers::List => "listMembers",
                ReadMembers::Show => "showMember",
                ReadMembers::ListCloud => "listCloudMembers",
                ReadMembers::ShowCloud => "showCloudMember",
                ReadMembers::ListInvitations => "listInvitations",
                ReadMembers::ListShares => "listShares",
            },
            Self::Batch(batch) => match batch {
                BatchKind::Add => "addMembersInBatch",
                BatchKind::Update => "updateMembersInBatch",
                BatchKind::Remove => "removeMembersInBatch",
            },
            Self::Jobs(jobs) => match jobs {
                ReadJobs::Show => "showJob",
                ReadJobs::ShowOfProject => "showJobOfProject",
                ReadJobs::List => "listJobs",
            },
            Self::Images(images) => match images {
                OnImages::List => "listImages",
                OnImages::Create => "createImage",
                OnImages::Show => "showImage",
                OnImages::Change => "changeImage",
                OnImages::Delete => "deleteImage",
                OnImages::AddTag => "addTag",
                OnImages::RemoveTag => "removeTag",
                OnImages::Deactivate => "deactivateImage",
                OnImages::Reactivate => "reactivateImage",
                OnImages::ListTasks => "listImageTasks",
                OnImages::ListCloud => "listCloudImages",
                OnImages::ShowQuota => "showQuota",
            },
            Self::TrustedOwners(rules) => match rules {
                OnTrustedOwners::Show => "showTrustedOwners",
                OnTrustedOwners::Replace => "replaceTrustedOwners",
            },
            Self::Discovery(discovery) => match discovery {
                Discover::ShowSchema => "showSchema",
                Discover::ShowImportMethods => "showImportMethods",
                Discover::ListStores => "listStores",
                Discover::ListStoresInDetail => "listStoresInDetail",
                Discover::ShowUsage => "showUsage",
                Discover::ListTasks => "listTasks",
                Discover::ShowTask => "showTask",
            },
        }
    }
}
