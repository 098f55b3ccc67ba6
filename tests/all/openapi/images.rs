//! The operations on images.

use serde_json::json;
use shared::domain::image::bodies::{NewImage, OldPatch, Patch};
use shared::domain::image::view::ImageView;
use shared::http::answers::{CloudImages, Images, Quotas};
use shared::http::discovery::ImageTasks;
use shared::http::routes::{OnImages, Operation, ReadMembers};

use super::describe::{Described, component, empty, empty_html, json, json_like, json_such, link};

/// The query parameters of a list.
const LIST: [&str; 17] = [
    "ImageLimit",
    "ImageMarker",
    "SortKey",
    "SortDir",
    "Sort",
    "Name",
    "Owner",
    "Status",
    "Visibility",
    "MemberStatus",
    "Tag",
    "Protected",
    "Hidden",
    "SizeMin",
    "SizeMax",
    "CreatedAt",
    "UpdatedAt",
];

pub fn describe(operation: OnImages) -> Described {
    let new = |summary| Described::new("Images", summary);
    match operation {
        OnImages::List => new("List images")
            .description(
                "Lists the caller's own images, public ones, and those shared with it that it has \
                 accepted. Other projects' community images are only listed with \
                 `visibility=community` or `visibility=all`. A parameter that is not described here \
                 filters by the image's property of that name.",
            )
            .parameters(&LIST)
            .done(200, json::<Images>("A page of images, with `next` if there are more."))
            .refuses(&[403]),
        OnImages::Create => create(),
        OnImages::Show => new("Show an image")
            .description(
                "A member finds the image whatever it has answered. To anybody else without access \
                 the image does not exist.",
            )
            .done(200, json_such::<ImageView>("The record.", "Image"))
            .refuses(&[404]),
        OnImages::Change => change(),
        OnImages::Delete => new("Delete an image")
            .description("Ends every membership with it. A protected image is 403.")
            .done(204, empty("The image is deleted."))
            .refuses(&[403, 404]),
        OnImages::AddTag => new("Add a tag to an image")
            .done(204, empty_html("The image has the tag."))
            .refuses(&[403, 404]),
        OnImages::RemoveTag => new("Remove a tag from an image")
            .description("An image without the tag is 404.")
            .done(204, empty_html("The tag is removed."))
            .refuses(&[403, 404]),
        OnImages::Deactivate => new("Deactivate an image")
            .description("403 in any status but `active` and `deactivated`.")
            .done(204, empty_html("The status is `deactivated`."))
            .refuses(&[403, 404]),
        OnImages::Reactivate => new("Reactivate an image")
            .description("403 in any status but `active` and `deactivated`.")
            .done(204, empty_html("The status is `active`."))
            .refuses(&[403, 404]),
        OnImages::ListTasks => new("List the tasks of an image")
            .done(
                200,
                json_like::<ImageTasks>(
                    "Always empty: this service keeps no data to work on.",
                    json!(ImageTasks::default()),
                ),
            )
            .refuses(&[404]),
        OnImages::ListCloud => new("List images, in the form of IMS")
            .description(
                "Takes the parameters of `GET /v2/images`, and `__imagetype`. An image without a property \
                 `enterprise_project_id` is in the enterprise project `0`; `all_granted_eps` is all of them. \
                 One without `__isregistered` is registered (`true`).",
            )
            .parameters(&["ImageType"])
            .parameters(&LIST)
            .done(200, json::<CloudImages>("A page of images."))
            .refuses(&[403]),
        OnImages::ShowQuota => quota(),
    }
}

fn create() -> Described {
    let of = |operation| link(operation, &[("image_id", "id")]);
    let created = json_such::<ImageView>("The new record.", "Image")
        .header_ref("Location", component("headers", "Location"))
        .link("show", of(Operation::Images(OnImages::Show)))
        .link("delete", of(Operation::Images(OnImages::Delete)))
        .link("share", of(Operation::AddMember))
        .link("members", of(Operation::Members(ReadMembers::List)));
    Described::new("Images", "Create the record of an image")
        .description(
            "The record has no data: another service keeps that. Its status is `queued`, and its \
             visibility `shared` unless the body says otherwise. An admin may also set what the image \
             pipeline knows: `status`, `size`, `virtual_size`, `checksum`, `os_hash_algo`, \
             `os_hash_value`, `created_at`.",
        )
        .body::<NewImage>(json!({
            "name": "debian",
            "disk_format": "qcow2",
            "container_format": "bare",
            "tags": ["lts"],
            "os_distro": "debian",
        }))
        .done(201, created)
        .refuses(&[403, 409])
}

fn change() -> Described {
    Described::new("Images", "Change an image")
        .description(
            "Applies all changes, or none. Changing the visibility from `shared` ends the access of \
             all members at once; the memberships are kept in case it is shared again.",
        )
        .body_of::<Patch>(
            "application/openstack-images-v2.1-json-patch",
            json!([{"op": "replace", "path": "/name", "value": "debian-13"}]),
        )
        .body_of::<OldPatch>(
            "application/openstack-images-v2.0-json-patch",
            json!([{"replace": "/name", "value": "debian-13"}]),
        )
        .done(200, json_such::<ImageView>("The record after the changes.", "Image"))
        .refuses(&[403, 404, 409, 415])
}

fn quota() -> Described {
    Described::new("Batches", "Show the quotas of a project")
        .description(
            "`image` counts the images that the project owns; `image_shared` images of other projects \
             that it has accepted; `image_member` images of other projects that are shared with it, \
             whatever it has answered. The quota of `image_member` is the number of projects that one \
             image may be shared with. Of each, as many are counted as the index holds in 16 MB.",
        )
        .done(
            200,
            json_like::<Quotas>(
                "What is used, and the quotas; a negative quota is no limit.",
                json!({"quotas": {"resources": [
                    {"type": "image", "used": 3, "quota": -1, "min": 0, "max": -1},
                    {"type": "image_shared", "used": 1, "quota": -1, "min": 0, "max": -1},
                    {"type": "image_member", "used": 2, "quota": 128, "min": 0, "max": 128},
                ]}}),
            ),
        )
        .refuses(&[403])
}
