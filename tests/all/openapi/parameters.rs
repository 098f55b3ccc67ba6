//! The parameters of the operations, as components.

use serde_json::json;
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::domain::job::JobStatus;
use shared::domain::job::view::{JobType, ResultStatus};
use shared::domain::member::MemberStatus;
use shared::domain::visibility::Visibility;
use shared::http::page;
use shared::http::routes::Family;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Array, Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use super::describe::reference;

/// The keys by which a list of images can be sorted.
const SORT_KEYS: &str = "name|status|container_format|disk_format|size|id|created_at|updated_at";

/// The component of a parameter of a path.
pub fn in_path(name: &str, family: Family) -> &'static str {
    match (name, family) {
        ("image_id", Family::Glance) => "ImageId",
        ("image_id", Family::Ims) => "AnyImageId",
        ("member_id", _) => "MemberId",
        ("project_id", _) => "ProjectId",
        ("job_id", _) => "JobId",
        ("schema", _) => "SchemaName",
        ("tag", _) => "TagName",
        ("task_id", _) => "TaskId",
        (other, _) => panic!("{other} is no parameter that the document describes"),
    }
}

/// Every parameter, by the name of its component.
pub fn all() -> Vec<(&'static str, Parameter)> {
    let mut all = vec![
        ("RequestId", request_id()),
        ("IdempotencyKey", idempotency_key()),
        ("IfMatch", if_match()),
        of_health(),
    ];
    all.extend(of_paths());
    all.extend(of_image_lists());
    all.extend(filters());
    all.extend(of_pages());
    all.extend(of_shares());
    all
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn pattern(pattern: &str) -> Object {
    text().pattern(Some(pattern)).build()
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    text().enum_values(Some(words)).build()
}

fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

fn parameter(
    place: ParameterIn,
    name: &str,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
}

fn path(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    parameter(ParameterIn::Path, name, description, schema)
}

fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(ParameterIn::Query, name, description, schema).build()
}

fn request_id() -> Parameter {
    let description = "An id for the request. The answer repeats it, cut to 64 characters.";
    let name = "X-Openstack-Request-Id";
    parameter(ParameterIn::Header, name, description, text()).build()
}

fn idempotency_key() -> Parameter {
    let description = "Requests of one project with the same key and the same body within 24 hours \
                       are the same job. The same key with another request is 422.";
    let schema = pattern(r"^[\x21-\x7e]{1,64}$");
    parameter(ParameterIn::Header, "Idempotency-Key", description, schema)
        .example(Some(json!("accept-the-release-of-june")))
        .build()
}

fn if_match() -> Parameter {
    let description = "Changes only what has this `ETag`, or one of several; anything else is 412.";
    let tag = "(W/)?\"[!#-~]*\"";
    let schema = pattern(&format!(r"^(\*|{tag}( *, *{tag})*)$"));
    parameter(ParameterIn::Header, "If-Match", description, schema).build()
}

fn of_paths() -> Vec<(&'static str, Parameter)> {
    let like = |parameter: ParameterBuilder, example: &str| {
        let parameter = parameter.example(Some(json!(example)));
        parameter.build()
    };
    let image = "11111111-1111-4111-8111-111111111111";
    let any_image = pattern(
        "^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$",
    );
    let project = reference::<ProjectId>;
    let segment = || text().min_length(Some(1)).pattern(Some("^[^/]+$"));
    let image_id = path(
        "image_id",
        "The image. No other spelling of its id is found.",
        reference::<ImageId>(),
    );
    let any_image_id = path(
        "image_id",
        "The image, with or without hyphens, in either case.",
        any_image,
    );
    let member_id = path(
        "member_id",
        "The project that the image is shared with, as percent-encoded UTF-8.",
        project(),
    );
    let project_id = path(
        "project_id",
        "The project of the token; an admin may name any.",
        project(),
    );
    let job_id = path("job_id", "The job.", reference::<JobId>());
    let schemas = ["image", "images", "member", "members", "task", "tasks"];
    let schema = path("schema", "The name of the schema.", words(schemas));
    let tag = path("tag", "The tag.", segment().max_length(Some(255)));
    vec![
        ("ImageId", like(image_id, image)),
        ("AnyImageId", like(any_image_id, image)),
        (
            "MemberId",
            like(member_id, "edc89b490d7d4392898e19b2deb34797"),
        ),
        (
            "ProjectId",
            like(project_id, "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"),
        ),
        ("JobId", like(job_id, "0199c6a1b2c37def8123456789abcdef")),
        ("SchemaName", schema.build()),
        ("TagName", tag.build()),
        ("TaskId", path("task_id", "The task.", segment()).build()),
    ]
}

fn of_image_lists() -> Vec<(&'static str, Parameter)> {
    let limit = integer().minimum(Some(0)).default(Some(json!(25)));
    let keys = words(SORT_KEYS.split('|'));
    let one = format!("({SORT_KEYS})(:(asc|desc)?)?");
    let sort = pattern(&format!("^{one}(,{one})*$"));
    let image_type = parameter(
        ParameterIn::Query,
        "__imagetype",
        "`gold` lists public images, `private` the caller's other ones, `shared` other projects' images that \
         are not public: what is shown with that type. Any other type lists nothing.",
        text(),
    );
    vec![
        (
            "ImageLimit",
            query("limit", "Images on a page: at most 1000.", limit),
        ),
        (
            "ImageMarker",
            query(
                "marker",
                "The id of the last image of the page before.",
                text(),
            ),
        ),
        (
            "SortKey",
            query(
                "sort_key",
                "The key to sort by. A second one sorts what is equal by the first, and so on.",
                Array::new(keys),
            ),
        ),
        (
            "SortDir",
            query(
                "sort_dir",
                "The direction of all keys, or one direction for each. A single direction, here or in \
                 `sort`, also applies to images that are equal by all keys, which are sorted by age \
                 and id; without one these descend.",
                Array::new(words(["asc", "desc"])),
            ),
        ),
        (
            "Sort",
            query(
                "sort",
                "Keys and directions in one: `name:asc,size`. It excludes `sort_key` and `sort_dir`.",
                sort,
            ),
        ),
        (
            "ImageType",
            image_type.example(Some(json!("shared"))).build(),
        ),
    ]
}

fn filters() -> Vec<(&'static str, Parameter)> {
    let visibilities = Visibility::ALL.map(Visibility::as_str).into_iter();
    let statuses = MemberStatus::ALL.map(MemberStatus::as_str).into_iter();
    let answered = text()
        .enum_values(Some(statuses.chain(["all"])))
        .default(Some(json!("accepted")));
    let hidden = boolean().default(Some(json!(false)));
    let time = |name, description| {
        let schema = pattern(
            r"^((gt|gte|lt|lte|eq|neq):)?[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
        );
        parameter(ParameterIn::Query, name, description, schema)
            .example(Some(json!("gte:2024-11-06T00:00:00Z")))
            .build()
    };
    vec![
        (
            "Name",
            query(
                "name",
                "Images of this name; `in:a,b` for one of several.",
                text(),
            ),
        ),
        ("Owner", query("owner", "Images of this project.", text())),
        (
            "Status",
            query(
                "status",
                "Images in this status; `in:a,b` for one of several.",
                text(),
            ),
        ),
        (
            "Visibility",
            query(
                "visibility",
                "Images of this visibility. An empty one lists nothing.",
                words(visibilities.chain(["all", ""])),
            ),
        ),
        (
            "MemberStatus",
            query(
                "member_status",
                "Of the images that are shared with the caller, those with this answer.",
                answered,
            ),
        ),
        (
            "Tag",
            query(
                "tag",
                "Images with this tag; repeat it for several tags.",
                Array::new(text()),
            ),
        ),
        (
            "Protected",
            query(
                "protected",
                "Images that are safe from deletion, or are not.",
                boolean(),
            ),
        ),
        (
            "Hidden",
            query("os_hidden", "Hidden images instead of the others.", hidden),
        ),
        (
            "SizeMin",
            query("size_min", "Images of at least this many bytes.", integer()),
        ),
        (
            "SizeMax",
            query("size_max", "Images of at most this many bytes.", integer()),
        ),
        (
            "CreatedAt",
            time(
                "created_at",
                "Images created at this time, or with `gte:` and the like since then.",
            ),
        ),
        (
            "UpdatedAt",
            time(
                "updated_at",
                "Images changed at this time, or with `gte:` and the like since then.",
            ),
        ),
    ]
}

/// The argument of the health check.
fn of_health() -> (&'static str, Parameter) {
    let words =
        "Without a value, or `true`: the details, for an admin. Deployed on AWS it is ignored.";
    ("Detailed", query("detailed", words, text()))
}

fn of_pages() -> Vec<(&'static str, Parameter)> {
    let limit = integer().minimum(Some(1)).maximum(Some(page::LIMIT_MAX));
    vec![
        ("PageLimit", query("limit", "Rows on a page.", limit)),
        (
            "PageMarker",
            query("marker", "The `next_marker` of the page before.", text()),
        ),
        (
            "ResultStatus",
            query(
                "status",
                "Entries in this status; `total_count` and the pages are then of these.",
                reference::<ResultStatus>(),
            ),
        ),
        (
            "JobStatus",
            query("status", "Jobs in this status.", reference::<JobStatus>()),
        ),
        (
            "JobType",
            query("job_type", "Jobs of this type.", reference::<JobType>()),
        ),
        (
            "JobTypeShort",
            query(
                "type",
                "Another name of `job_type`, which comes first.",
                text(),
            ),
        ),
    ]
}

fn of_shares() -> Vec<(&'static str, Parameter)> {
    let statuses = MemberStatus::ALL.map(MemberStatus::as_str).into_iter();
    let statuses = || text().enum_values(Some(statuses.clone().chain(["all"])));
    let project = reference::<ProjectId>;
    let pending = statuses().default(Some(json!("pending")));
    let all = statuses().default(Some(json!("all")));
    vec![
        (
            "InvitationStatus",
            query("status", "Memberships with this answer.", pending),
        ),
        (
            "ShareStatus",
            query("status", "Memberships with this answer.", all),
        ),
        (
            "ShareOwner",
            query("owner", "Images of this project.", project()),
        ),
        ("ShareName", query("name", "Images of this name.", text())),
        (
            "ShareMember",
            query("member", "Shared with this project.", project()),
        ),
        (
            "ShareImage",
            query("image", "Members of this image.", reference::<ImageId>()),
        ),
    ]
}
