//! The operations on members.

use serde_json::json;
use shared::domain::bodies::{MemberAnswer, NewMember};
use shared::domain::member::{CloudMemberView, MemberView};
use shared::domain::trust::{REMEMBERED_SECONDS, RULES_MAX};
use shared::http::answers::{CloudMembers, Invitations, Members, Shares, TrustRules};
use shared::http::routes::{OnTrustedOwners, Operation, ReadMembers};

use utoipa::ToSchema;
use utoipa::openapi::response::ResponseBuilder;

use super::describe::{Described, component, empty, json, json_like, json_such, link};

fn new(summary: &'static str) -> Described {
    Described::new("Members", summary)
}

/// A list of members, whose ETag changes with each addition and removal.
fn listed<T: ToSchema>(description: &str) -> ResponseBuilder {
    json::<T>(description).header_ref("ETag", component("headers", "ETag"))
}

pub fn read(operation: ReadMembers) -> Described {
    match operation {
        ReadMembers::List => new("List the members of an image")
            .description("The owner sees all of them, a member only itself.")
            .done(200, listed::<Members>("The memberships that the caller may see."))
            .refuses(&[403, 404]),
        ReadMembers::Show => new("Show a membership")
            .description("A member finds only its own.")
            .done(200, json_such::<MemberView>("The membership.", "Member"))
            .refuses(&[404]),
        ReadMembers::ListCloud => new("List the members of an image by pages")
            .description(format!(
                "A page has {} of them unless the request asks otherwise. Another project than that \
                 of the token is 400 with the code IMG.0030; an image without members 400 with the \
                 code IMG.0046.",
                read_members::PAGE_DEFAULT
            ))
            .parameters(&["PageLimit", "PageMarker"])
            .done(200, listed::<CloudMembers>("A page of memberships."))
            .refuses(&[404]),
        ReadMembers::ShowCloud => new("Show a membership, in the form of IMS")
            .done(200, json::<CloudMemberView>("The membership."))
            .refuses(&[404]),
        ReadMembers::ListInvitations => new("List the images that are shared with a project")
            .description(format!(
                "Those that it has not answered, unless the request asks for another status; newest \
                 image first. {} on a page unless the request asks otherwise. A page may have fewer \
                 rows than that, even none, and a `next_marker`: it ends after so many rows that a \
                 filter leaves out.",
                read_members::shares::PAGE_DEFAULT
            ))
            .parameters(&["InvitationStatus", "ShareOwner", "ShareName"])
            .parameters(&["PageLimit", "PageMarker"])
            .done(200, json::<Invitations>("A page of memberships of the project."))
            .refuses(&[403]),
        ReadMembers::ListShares => new("List what a project shares with others")
            .description(format!(
                "The memberships of all its shared images, newest first; those of one `image` by the \
                 members' ids. {} on a page unless the request asks otherwise. A page may have fewer \
                 rows than that, even none, and a `next_marker`: it ends after so many rows that a \
                 filter leaves out.",
                read_members::shares::PAGE_DEFAULT
            ))
            .parameters(&["ShareStatus", "ShareMember", "ShareImage"])
            .parameters(&["PageLimit", "PageMarker"])
            .done(200, json::<Shares>("A page of memberships of the project's images."))
            .refuses(&[403]),
    }
}

pub fn trusted_owners(operation: OnTrustedOwners) -> Described {
    let rules = json!({"rules": [{"owner": "edc89b490d7d4392898e19b2deb34797", "mode": "accept"}]});
    let done = |description: &str| {
        let response = json_like::<TrustRules>(description, rules.clone());
        response.header_ref("ETag", component("headers", "ETag"))
    };
    match operation {
        OnTrustedOwners::Show => new("Show the trusted owners of a project")
            .done(200, done("The rules."))
            .refuses(&[403]),
        OnTrustedOwners::Replace => new("Set the trusted owners of a project")
            .description(format!(
                "Sets all rules at once, at most {RULES_MAX}. A new share by an owner with a rule is \
                 stored as accepted, or rejected, from the beginning: within {REMEMBERED_SECONDS} \
                 seconds after this answer. Shares that exist stay as they are. A rule about the \
                 project itself, or a second one about an owner, is 400."
            ))
            .body::<TrustRules>(rules.clone())
            .parameters(&["IfMatch"])
            .done(200, done("The rules as they are now."))
            .refuses(&[403, 412]),
    }
}

pub fn add() -> Described {
    let of = |operation| {
        let parameters = [("image_id", "image_id"), ("member_id", "member_id")];
        link(operation, &parameters)
    };
    let added = json_such::<MemberView>(
        "The new membership. Its status is `pending`, unless the project has a rule for this owner.",
        "Member",
    )
        .link("show", of(Operation::Members(ReadMembers::Show)))
        .link("answer", of(Operation::UpdateMember))
        .link("remove", of(Operation::RemoveMember));
    new("Share an image with a project")
        .description(
            "Only the owner may share an image, and only one whose visibility is `shared`. Of \
             concurrent requests for the same member one succeeds and the others are 409. An image \
             that has as many members as it may have is 413.",
        )
        .body::<NewMember>(json!({"member": "edc89b490d7d4392898e19b2deb34797"}))
        .done(200, added)
        .refuses(&[403, 404, 409])
}

pub fn update() -> Described {
    new("Accept or reject an image")
        .description(
            "Only the member itself may answer; the owner is 403. Any status may follow any other, \
             and the same one again changes nothing.",
        )
        .body::<MemberAnswer>(json!({"status": "accepted"}))
        .done(200, json::<MemberView>("The membership after the answer."))
        .refuses(&[403, 404])
}

pub fn remove() -> Described {
    new("End a membership")
        .description(
            "Only the owner may end a membership. The access ends at once; sharing the image again \
             makes a new membership.",
        )
        .done(204, empty("The membership has ended."))
        .refuses(&[403, 404])
}
