//! One fault in one request to the store, in every path that writes: each request that the path sends fails in each way, and
//! the answers, the records and the log are those of a run without. So a single fault costs time and nothing else.
//!
//! `faults` has many faults at once, in the paths of memberships and jobs.

mod stage;

use serde_json::{Value, json};
use shared::domain::job::DEADLINE_SECONDS;
use shared::store::due::GRACE_SECONDS;

use self::stage::{Fault, Stage, Step, faults_of};
use crate::harness::{ADMIN, MEMBER, MEMBER2, OWNER};
use crate::log::Log;

const IMAGE: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

/// A path that writes: what there is before, and what happens while one request fails.
struct Path {
    name: &'static str,
    /// Whether images are counted.
    limited: bool,
    before: Vec<Step>,
    then: Vec<Step>,
    /// Whether a fault may put the work off to a later run of the sweep, so that its times differ.
    later: bool,
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

fn paths_of_images() -> Vec<Path> {
    let image = || vec![create(IMAGE, json!({}))];
    let shared = || {
        vec![
            create(IMAGE, json!({})),
            share(MEMBER),
            share(MEMBER2),
            accept(),
        ]
    };
    let away = || patch(ADMIN, set("owner", MEMBER2));
    vec![
        path("create", vec![], image()),
        path("create, long", vec![], vec![create(IMAGE, long())]),
        path("create, counted", vec![], image()).limited(),
        path(
            "create, counted before",
            vec![create(OTHER, json!({}))],
            image(),
        )
        .limited(),
        path("change", image(), vec![patch(OWNER, set("name", "b"))]),
        path(
            "change, long",
            image(),
            vec![patch(
                OWNER,
                json!([
                    {"op": "add", "path": "/p", "value": "x".repeat(250)},
                    {"op": "add", "path": "/q", "value": "x".repeat(250)},
                    {"op": "add", "path": "/r", "value": "x".repeat(250)},
                ]),
            )],
        ),
        path(
            "change of a long one",
            vec![create(IMAGE, long())],
            vec![patch(OWNER, set("name", "b"))],
        ),
        path(
            "change, shared",
            shared(),
            vec![patch(OWNER, set("name", "b"))],
        ),
        path("change of owner", shared(), vec![away()]),
        path("change of owner, counted", shared(), vec![away()]).limited(),
        path(
            "hide",
            shared(),
            vec![patch(OWNER, set("visibility", "private"))],
        ),
        path(
            "tag",
            image(),
            vec![call(OWNER, "PUT", &of_image("/tags/t"), Value::Null)],
        ),
        path(
            "untag",
            with(
                image(),
                [call(OWNER, "PUT", &of_image("/tags/t"), Value::Null)],
            ),
            vec![delete("/tags/t")],
        ),
        path(
            "deactivate, reactivate",
            with(image(), [patch(ADMIN, set("status", "active"))]),
            ["deactivate", "reactivate"]
                .map(|action| {
                    call(
                        ADMIN,
                        "POST",
                        &of_image(&format!("/actions/{action}")),
                        Value::Null,
                    )
                })
                .to_vec(),
        ),
        path("delete", image(), vec![delete("")]),
        path("delete, counted", image(), vec![delete("")]).limited(),
        path(
            "delete, long",
            vec![create(IMAGE, long())],
            vec![delete("")],
        ),
        path("delete, shared", shared(), vec![delete("")]),
        path("rules", vec![], vec![trust()]),
        path("rules again", vec![trust()], vec![trust()]),
    ]
}

fn paths_of_members() -> Vec<Path> {
    let image = || vec![create(IMAGE, json!({}))];
    let shared = || with(image(), [share(MEMBER)]);
    vec![
        path("share", image(), vec![share(MEMBER)]),
        path(
            "share by a rule",
            with(image(), [trust()]),
            vec![share(MEMBER)],
        ),
        path(
            "share again",
            with(shared(), [delete(&format!("/members/{MEMBER}"))]),
            vec![share(MEMBER)],
        ),
        path("accept", shared(), vec![accept()]),
        path("accept again", with(shared(), [accept()]), vec![accept()]),
        path(
            "unshare",
            shared(),
            vec![delete(&format!("/members/{MEMBER}"))],
        ),
        path("batch: share", both(), vec![batch("POST"), DELIVER]),
        path(
            "batch: accept",
            with(both(), [batch("POST"), DELIVER]),
            vec![batch_accept(), DELIVER],
        ),
        path(
            "batch: unshare",
            with(both(), [batch("POST"), DELIVER]),
            vec![batch("DELETE"), DELIVER],
        ),
        path(
            "batch: several messages",
            both(),
            vec![large_batch(), DELIVER],
        ),
        path(
            "declare",
            with(image(), [share(MEMBER)]),
            vec![declare(json!([MEMBER2])), DELIVER],
        ),
        // The share finds the tombstone that the removal leaves.
        path(
            "batch: a removal before its share",
            both(),
            vec![
                batch("POST"),
                Step::Wait(1),
                batch("DELETE"),
                Step::Deliver { newest_first: true },
            ],
        ),
        // The share confirms the memberships, and the removal begins them anew.
        path(
            "batch: a share before the removal",
            with(
                both(),
                [
                    batch("POST"),
                    DELIVER,
                    batch_accept(),
                    DELIVER,
                    Step::Wait(1),
                ],
            ),
            vec![
                batch("DELETE"),
                Step::Wait(1),
                batch("POST"),
                Step::Deliver { newest_first: true },
            ],
        ),
        path(
            "dead letters",
            with(both(), [batch("POST")]),
            vec![Step::Settle],
        ),
    ]
}

/// What is overdue, and the sweep, which runs again for what it could not claim.
fn paths_of_the_sweep() -> Vec<Path> {
    let twice = || vec![Step::Sweep, Step::Wait(GRACE_SECONDS + 1), Step::Sweep];
    let job = || {
        with(
            both(),
            [batch("POST"), Step::Drop, Step::Wait(GRACE_SECONDS + 1)],
        )
    };
    vec![
        path("sweep: messages", job(), with(twice(), [DELIVER])).later(),
        path(
            "sweep: a job that has ended unfinished",
            with(
                both(),
                [large_batch(), Step::Drop, Step::Wait(DEADLINE_SECONDS + 1)],
            ),
            twice(),
        )
        .later(),
    ]
}

/// What a run has answered and left behind.
async fn run(path: &Path, strike: Option<(usize, Fault)>) -> (Vec<String>, Vec<String>) {
    let stage = Stage::new(path.limited).await;
    for step in &path.before {
        stage.does(step).await;
        // Ids of operations are those of their times.
        stage.does(&Step::Wait(1)).await;
    }
    let log = Log::begin();
    stage.arm(strike);
    let mut found = Vec::new();
    for step in &path.then {
        found.push(stage.does(step).await);
    }
    let (requests, struck) = stage.disarm();
    assert_eq!(struck, strike.is_some());
    found.extend(stage.rest(&log).await);
    let found = found.join("\n");
    let found = match path.later {
        true => without_times(&found),
        false => found,
    };
    let found = without_ids(&found);
    (found.lines().map(str::to_owned).collect(), requests)
}

/// A text with the ids of operations replaced by numbers, in the order in which they appear.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        word.len() == 32 && word.starts_with("01") && word.bytes().all(|it| it.is_ascii_hexdigit())
    };
    let mut ids: Vec<&str> = Vec::new();
    let mut found = String::new();
    for word in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let (id, rest) = word.split_at(word.len().min(32));
        match is_id(id) {
            true => {
                let number = ids.iter().position(|known| *known == id);
                let number = number.unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                });
                found.push_str(&format!("op{number}{rest}"));
            }
            false => found.push_str(word),
        }
    }
    found
}

/// A text without the figures of times: they are those of the manual clock, in 2025.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        digits.starts_with("2025") || (digits.len() == 10 && digits.starts_with("176"))
    };
    words.filter(|word| !is_time(word)).collect()
}

/// Whether a line of the log may be missing when an answer is lost: an entry that finds itself applied cannot tell whether it
/// was by a try of its own or by another delivery, which has logged it.
fn may_be_missing(line: &str) -> bool {
    line.starts_with("member.answer") || line.starts_with("member.renew")
}

/// On one thread, with a clock that skips every wait.
fn on_a_paused_clock<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn try_all(paths: Vec<Path>) {
    on_a_paused_clock(async {
        let mut runs = 0;
        let mut wrong = Vec::new();
        for path in paths {
            let (expected, requests) = run(&path, None).await;
            assert!(!requests.is_empty(), "{}", path.name);
            for (at, operation) in requests.iter().enumerate() {
                for fault in faults_of(operation) {
                    let (found, _) = run(&path, Some((at, *fault))).await;
                    runs += 1;
                    let not_in = |other: &[String], lines: &[String]| {
                        let lines = lines.iter().filter(|line| !other.contains(line));
                        lines.cloned().collect::<Vec<String>>()
                    };
                    let more = not_in(&expected, &found);
                    let mut missing = not_in(&found, &expected);
                    missing.retain(|line| *fault != Fault::Lost || !may_be_missing(line));
                    if !(missing.is_empty() && more.is_empty()) {
                        wrong.push(format!(
                            "{}: {fault:?} at request {at}, {operation}\n  without: {missing:#?}\n  with: {more:#?}",
                            path.name
                        ));
                    }
                }
            }
        }
        println!("{runs} runs");
        assert!(
            wrong.is_empty(),
            "{} of {runs}:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

#[test]
fn in_what_changes_images() {
    try_all(paths_of_images());
}

#[test]
fn in_what_changes_memberships() {
    try_all(paths_of_members());
}

#[test]
fn in_the_sweep() {
    try_all(paths_of_the_sweep());
}
