//! The paths that write.

use serde_json::{Value, json};
use shared::domain::job::DEADLINE_SECONDS;
use shared::store::due::GRACE_SECONDS;

use super::stage::Step;
use crate::harness::{ADMIN, MEMBER, MEMBER2, OWNER};

pub const IMAGE: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

/// A path that writes: what there is before, and what happens while one request fails.
#[derive(Clone)]
pub struct Path {
    pub name: &'static str,
    /// Whether images are counted.
    pub limited: bool,
    pub before: Vec<Step>,
    pub then: Vec<Step>,
    /// Whether a fault may put the work off to a later run of the sweep, so that its times differ.
    pub later: bool,
}

fn path(name: &'static str, before: Vec<Step>, then: Vec<Step>) -> Path {
    Path {
        name,
        limited: false,
        before,
        then,
        later: false,
    }
}

impl Path {
    fn limited(self) -> Self {
        Self {
            limited: true,
            ..self
        }
    }

    fn later(self) -> Self {
        Self {
            later: true,
            ..self
        }
    }
}

fn call(project: &'static str, method: &'static str, path: &str, body: Value) -> Step {
    Step::Call(project, method, path.to_owned(), body)
}

fn create(image: &str, more: Value) -> Step {
    let mut body = json!({"id": image, "name": "a", "visibility": "shared"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    call(OWNER, "POST", "/v2/images", body)
}

/// Properties that are stored apart from the image.
fn long() -> Value {
    let names = (0..40).map(|number| (format!("p{number}"), json!("x".repeat(200))));
    Value::Object(names.collect())
}

fn of_image(suffix: &str) -> String {
    format!("/v2/images/{IMAGE}{suffix}")
}

fn patch(project: &'static str, changes: Value) -> Step {
    call(project, "PATCH", &of_image(""), changes)
}

fn set(name: &str, value: &str) -> Value {
    json!([{"op": "add", "path": format!("/{name}"), "value": value}])
}

fn share(member: &str) -> Step {
    call(
        OWNER,
        "POST",
        &of_image("/members"),
        json!({"member": member}),
    )
}

fn accept() -> Step {
    let path = of_image(&format!("/members/{MEMBER}"));
    call(MEMBER, "PUT", &path, json!({"status": "accepted"}))
}

fn delete(suffix: &str) -> Step {
    call(OWNER, "DELETE", &of_image(suffix), Value::Null)
}

/// A batch about both images and two projects.
fn batch(method: &'static str) -> Step {
    let body = json!({"images": [IMAGE, OTHER], "projects": [MEMBER, MEMBER2]});
    call(OWNER, method, "/v1/cloudimages/members", body)
}

fn batch_accept() -> Step {
    let body = json!({"images": [IMAGE, OTHER], "project_id": MEMBER, "status": "accepted"});
    call(MEMBER, "PUT", "/v1/cloudimages/members", body)
}

/// A batch of several messages.
fn large_batch() -> Step {
    let projects: Vec<String> = (0..60).map(|number| format!("project-{number}")).collect();
    let body = json!({"images": [IMAGE, OTHER], "projects": projects});
    call(OWNER, "POST", "/v1/cloudimages/members", body)
}

fn declare(projects: Value) -> Step {
    let path = format!("/v1/{OWNER}/cloudimages/{IMAGE}/members");
    call(OWNER, "PUT", &path, json!({"projects": projects}))
}

fn trust() -> Step {
    let path = format!("/v1/{MEMBER}/cloudimages/trusted-owners");
    let rules = json!([{"owner": OWNER, "mode": "accept"}]);
    call(MEMBER, "PUT", &path, json!({"rules": rules}))
}

const DELIVER: Step = Step::Deliver {
    newest_first: false,
};

fn both() -> Vec<Step> {
    vec![create(IMAGE, json!({})), create(OTHER, json!({}))]
}

fn with(mut steps: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

fn image() -> Vec<Step> {
    vec![create(IMAGE, json!({}))]
}

fn rename() -> Vec<Step> {
    vec![patch(OWNER, set("name", "b"))]
}

/// An image with two members, one of which has accepted it.
fn shared() -> Vec<Step> {
    with(image(), [share(MEMBER), share(MEMBER2), accept()])
}

pub fn that_create() -> Vec<Path> {
    let other = vec![create(OTHER, json!({}))];
    vec![
        path("create", vec![], image()),
        path("create, long", vec![], vec![create(IMAGE, long())]),
        path("create, counted", vec![], image()).limited(),
        path("create, counted before", other, image()).limited(),
        path("rules", vec![], vec![trust()]),
        path("rules again", vec![trust()], vec![trust()]),
    ]
}

pub fn that_change() -> Vec<Path> {
    let away = || vec![patch(ADMIN, set("owner", MEMBER2))];
    let hide = vec![patch(OWNER, set("visibility", "private"))];
    let long = long().as_object().unwrap().clone().into_iter();
    let longer =
        long.map(|(name, value)| json!({"op": "add", "path": format!("/{name}"), "value": value}));
    let longer = vec![patch(OWNER, longer.collect())];
    let tag = || vec![call(OWNER, "PUT", &of_image("/tags/t"), Value::Null)];
    let active = with(image(), [patch(ADMIN, set("status", "active"))]);
    let switch = ["deactivate", "reactivate"].map(|action| {
        let path = of_image(&format!("/actions/{action}"));
        call(ADMIN, "POST", &path, Value::Null)
    });
    vec![
        path("change", image(), rename()),
        path("change to a long one", image(), longer.clone()),
        path("change of a long one", with(image(), longer), rename()),
        path("change, shared", shared(), rename()),
        path("change of owner", shared(), away()),
        path("change of owner, counted", shared(), away()).limited(),
        path("hide", shared(), hide),
        path("tag", image(), tag()),
        path("untag", with(image(), tag()), vec![delete("/tags/t")]),
        path("deactivate, reactivate", active, switch.to_vec()),
    ]
}

pub fn that_delete() -> Vec<Path> {
    let gone = || vec![delete("")];
    vec![
        path("delete", image(), gone()),
        path("delete, counted", image(), gone()).limited(),
        path("delete, long", vec![create(IMAGE, long())], gone()),
        path("delete, shared", shared(), gone()),
    ]
}

pub fn of_members() -> Vec<Path> {
    let member = || with(image(), [share(MEMBER)]);
    let unshare = || vec![delete(&format!("/members/{MEMBER}"))];
    let again = with(member(), unshare());
    vec![
        path("share", image(), vec![share(MEMBER)]),
        path(
            "share by a rule",
            with(image(), [trust()]),
            vec![share(MEMBER)],
        ),
        path("share again", again, vec![share(MEMBER)]),
        path("accept", member(), vec![accept()]),
        path("accept again", with(member(), [accept()]), vec![accept()]),
        path("unshare", member(), unshare()),
    ]
}

pub fn of_batches() -> Vec<Path> {
    let members = || with(both(), [batch("POST"), DELIVER]);
    let accepts = vec![batch_accept(), DELIVER];
    let unshares = vec![batch("DELETE"), DELIVER];
    let declares = vec![declare(json!([MEMBER2])), DELIVER];
    let dead = with(both(), [batch("POST")]);
    vec![
        path("batch: share", both(), vec![batch("POST"), DELIVER]),
        path("batch: accept", members(), accepts),
        path("batch: unshare", members(), unshares),
        path(
            "batch: several messages",
            both(),
            vec![large_batch(), DELIVER],
        ),
        path("declare", with(image(), [share(MEMBER)]), declares),
        path("dead letters", dead, vec![Step::Settle]),
    ]
}

/// Messages that are delivered in another order than their requests were accepted in.
pub fn of_late_batches() -> Vec<Path> {
    let (share, unshare) = (batch("POST"), batch("DELETE"));
    let newest_first = || Step::Deliver { newest_first: true };
    let members = [
        share.clone(),
        DELIVER,
        batch_accept(),
        DELIVER,
        Step::Wait(1),
    ];
    let (removal, shared_anew) = (
        vec![
            share.clone(),
            Step::Wait(1),
            unshare.clone(),
            newest_first(),
        ],
        vec![unshare, Step::Wait(1), share, newest_first()],
    );
    vec![
        // The share finds the tombstone that the removal leaves.
        path("batch: a removal before its share", both(), removal),
        // The share confirms the memberships, and the removal begins them anew.
        path(
            "batch: a share before the removal",
            with(both(), members),
            shared_anew,
        ),
    ]
}

/// The sweep, which runs again for what it could not claim.
pub fn of_the_sweep() -> Vec<Path> {
    let twice = || vec![Step::Sweep, Step::Wait(GRACE_SECONDS + 1), Step::Sweep];
    let unsent = |wait| with(both(), [batch("POST"), Step::Drop, Step::Wait(wait)]);
    let overdue = unsent(GRACE_SECONDS + 1);
    let unfinished = unsent(DEADLINE_SECONDS + 1);
    let deleted = with(shared(), [Step::Die, Step::Wait(GRACE_SECONDS + 1)]);
    vec![
        path("sweep: messages", overdue, with(twice(), [DELIVER])).later(),
        path(
            "sweep: a job that has ended unfinished",
            unfinished,
            twice(),
        )
        .later(),
        path("sweep: memberships of a deleted image", deleted, twice()).later(),
    ]
}
