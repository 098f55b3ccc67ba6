//! The bodies of answers that show more than one record, or a record as IMS frames it.

use serde::Serialize;

use super::page::PageInfo;
use crate::domain::id::{ImageId, JobId, ProjectId};
use crate::domain::image::Image;
use crate::domain::image::view::ImageView;
use crate::domain::job::view::{JobCounts, JobSummary, JobView, ResultRow};
use crate::domain::member::{CloudMemberView, MEMBER_TYPE, MemberStatus, MemberView};
use crate::domain::share::Share;
use crate::domain::time::Seconds;
use crate::domain::trust::TrustRule;
use crate::domain::visibility::Visibility;

/// A page of images.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Images<'a> {
    /// The images.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub images: Vec<ImageView<'a>>,
    /// The path of the first page.
    #[cfg_attr(feature = "openapi", schema(pattern = r"^/v2/images(\?.*)?$"))]
    pub first: String,
    /// The path of the schema of this answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/images$"))]
    pub schema: &'static str,
    /// The path of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, pattern = r"^/v2/images\?.*$")
    )]
    pub next: Option<String>,
}

/// A page of images as IMS shows them.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CloudImages<'a> {
    /// The images.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub images: Vec<CloudImage<'a>>,
    /// The path of the next page, if there is one: clients in Go follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, pattern = r"^/v2/cloudimages\?.*marker=")
    )]
    pub next: Option<String>,
    /// The page.
    pub page_info: PageInfo,
}

/// An image as IMS shows it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CloudImage<'a> {
    /// The image's record.
    #[serde(flatten)]
    pub image: ImageView<'a>,
    /// Its type, by which clients filter on their side.
    #[serde(rename = "__imagetype")]
    pub image_type: ImageType,
}

impl<'a> CloudImage<'a> {
    /// The image with its type, which a custom property of that name does not hide.
    pub fn new(mut image: ImageView<'a>, image_type: ImageType) -> Self {
        image.properties.remove("__imagetype");
        Self { image, image_type }
    }
}

/// The types of images that IMS knows: `gold` is public, `private` is the caller's own, `shared` is
/// another project's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ImageType {
    /// A public image.
    Gold,
    /// An image of the caller's project.
    Private,
    /// An image of another project.
    Shared,
}

impl ImageType {
    /// The type of an image, as a project sees it.
    pub fn of(image: &Image, project: &ProjectId) -> Self {
        match image.visibility {
            Visibility::Public => Self::Gold,
            _ if image.owner == *project => Self::Private,
            Visibility::Private | Visibility::Shared | Visibility::Community => Self::Shared,
        }
    }

    /// Whether images of this type can have the visibility.
    pub fn has(self, visibility: Visibility) -> bool {
        (self == Self::Gold) == (visibility == Visibility::Public)
    }

    /// Parses a word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "gold" => Some(Self::Gold),
            "private" => Some(Self::Private),
            "shared" => Some(Self::Shared),
            _ => None,
        }
    }
}

/// The members of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Members<'a> {
    /// The memberships.
    pub members: Vec<MemberView<'a>>,
    /// The path of the schema of this answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/members$"))]
    pub schema: &'static str,
}

/// A page of the members of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CloudMembers<'a> {
    /// The memberships.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub members: Vec<CloudMemberView<'a>>,
    /// The path of the schema of the memberships.
    #[cfg_attr(feature = "openapi", schema(pattern = "^/v2/schemas/members$"))]
    pub schema: &'static str,
    /// The page.
    pub page_info: PageInfo,
}

/// A membership with its image, for the project that the image is shared with and for the one that
/// shares it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Share))]
pub struct ShareView<'a> {
    /// The image.
    pub image_id: ImageId,
    /// The image's name.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub image_name: Option<&'a str>,
    /// The project that owns the image.
    pub owner: &'a ProjectId,
    /// The project that the image is shared with.
    pub member_id: &'a ProjectId,
    /// What the member is: IMS knows domains and organizations beside projects.
    #[cfg_attr(feature = "openapi", schema(pattern = "^project$"))]
    pub member_type: &'static str,
    /// What the project answered.
    pub status: MemberStatus,
    /// When the image was shared with the project.
    pub created_at: Seconds,
    /// When the status last changed.
    pub updated_at: Seconds,
}

impl<'a> ShareView<'a> {
    /// The view of a share.
    pub fn of(share: &'a Share) -> Self {
        Self {
            image_id: share.image_id,
            image_name: share.image_name.as_deref(),
            owner: &share.owner,
            member_id: &share.member_id,
            member_type: MEMBER_TYPE,
            status: share.status,
            created_at: Seconds(share.created_at),
            updated_at: Seconds(share.updated_at),
        }
    }
}

/// A page of the images that are shared with a project.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitations<'a> {
    /// The memberships, newest image first.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub invitations: Vec<ShareView<'a>>,
    /// The page.
    pub page_info: PageInfo,
}

/// A page of what a project shares with others.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shares<'a> {
    /// The memberships, newest first.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub shares: Vec<ShareView<'a>>,
    /// The page.
    pub page_info: PageInfo,
}

/// The rules of a project about trusted owners.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustRules<'a> {
    /// The rules.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub rules: &'a [TrustRule],
}

/// A job that was accepted.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobAccepted {
    /// The job's id.
    pub job_id: JobId,
}

/// A page of jobs, without the rows of their results.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jobs {
    /// The jobs, newest first.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub jobs: Vec<JobView>,
    /// The page.
    pub page_info: PageInfo,
}

/// A job and a page of the rows of its results.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobWithResults<'a> {
    /// The outcome of the job as a whole.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// The outcomes of its entries.
    pub entities: Results<'a>,
}

/// The outcomes of a job's entries, counted and one by one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Results<'a> {
    /// The counts.
    #[serde(flatten)]
    pub counts: JobCounts,
    /// One row for each entry, in the order of the request.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub results: Vec<ResultRow<'a>>,
    /// The page.
    pub page_info: PageInfo,
}

/// The quotas of a project.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quotas {
    /// The quotas.
    pub quotas: Resources,
}

/// The resources that have a quota.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resources {
    /// The resources.
    pub resources: Vec<Quota>,
}

/// How much of a resource a project has, and how much it may have.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quota {
    /// The resource.
    #[serde(rename = "type")]
    pub resource: Resource,
    /// How much the project has.
    pub used: u64,
    /// How much it may have; a negative number for no limit.
    pub quota: i64,
    /// The least that `quota` can be.
    pub min: i64,
    /// The most that `quota` can be.
    pub max: i64,
}

impl Quota {
    /// What stands for no limit.
    pub const UNLIMITED: i64 = -1;

    /// How much of a resource is used, and its quota.
    pub const fn new(resource: Resource, used: u64, quota: i64) -> Self {
        Self {
            resource,
            used,
            quota,
            min: 0,
            max: quota,
        }
    }
}

/// What has a quota: images that the project owns (`image`), images of others that it has accepted
/// (`image_shared`), images of others that are shared with it (`image_member`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Resource {
    /// Images that the project owns.
    Image,
    /// Images of others that it has accepted.
    ImageShared,
    /// Images of others that are shared with it, whatever it answered. The quota is that of one
    /// image: the projects that it may be shared with.
    ImageMember,
}
