//! Every route of the service, for every caller and visibility, over HTTP and against a readable
//! golden file.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shared::domain::visibility::Visibility;
use shared::http::routes::{ROUTES, Route};

use crate::harness::{ADMIN, Harness, HttpResponse, MEMBER, OWNER, THIRD, Who};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/routes.txt");

/// Each caller, and the project that it is scoped to.
const CALLERS: [(&str, Who, &str); 9] = [
    ("owner", Who::Owner, OWNER),
    ("its reader", Who::OwnerReader, OWNER),
    ("its no-role", Who::OwnerNoRole, OWNER),
    ("member", Who::Member, MEMBER),
    ("its reader", Who::MemberReader, MEMBER),
    ("stranger", Who::Third, THIRD),
    ("admin", Who::Admin, ADMIN),
    ("no token", Who::NoToken, OWNER),
    ("bad token", Who::BadToken, OWNER),
];

/// Whose project a path names.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Nobodys,
    Own,
    Owners,
}

/// Creates an image of the owner that the member has accepted, and a job of the owner.
struct Subject {
    image: String,
    job: String,
}

async fn shared_image(harness: &Harness, visibility: Visibility) -> String {
    let image = harness.image(json!({"name": "n"})).await;
    harness.share_accepted(&image, Who::Member).await;
    if visibility != Visibility::Shared {
        harness
            .set_visibility(Who::Admin, &image, visibility.as_str())
            .await;
    }
    image
}

/// The request's body for a route.
///
/// # Panics
/// If the route is not known here: a new route needs a body and a subject.
fn body(route: &Route, image: &str) -> Option<Value> {
    match (route.method, route.path) {
        ("GET" | "DELETE", path) if path != "/v1/cloudimages/members" => None,
        (_, path) if path.contains("/tags/") || path.contains("/actions/") => None,
        ("POST", "/v2/images") => Some(json!({"name": "m"})),
        ("PATCH", "/v2/images/{image_id}") => {
            Some(json!([{"op": "replace", "path": "/name", "value": "m"}]))
        }
        ("POST", "/v2/images/{image_id}/members") => Some(json!({"member": "new"})),
        ("PUT", "/v2/images/{image_id}/members/{member_id}") => Some(json!({"status": "rejected"})),
        ("POST", "/v1/cloudimages/members") => {
            Some(json!({"images": [image], "projects": ["new"]}))
        }
        ("PUT", "/v1/cloudimages/members") => {
            Some(json!({"images": [image], "project_id": MEMBER, "status": "rejected"}))
        }
        ("DELETE", "/v1/cloudimages/members") => {
            Some(json!({"images": [image], "projects": [MEMBER]}))
        }
        ("PUT", "/v1/{project_id}/cloudimages/trusted-owners") => {
            Some(json!({"rules": [{"owner": "somebody", "mode": "accept"}]}))
        }
        ("PUT", "/v1/{project_id}/cloudimages/{image_id}/members") => {
            Some(json!({"projects": ["new"]}))
        }
        (method, path) => panic!("how is {method} {path} asked?"),
    }
}

fn path(route: &Route, named: Named, own: &str, subject: &Subject) -> String {
    let project = if named == Named::Own { own } else { OWNER };
    let path = route
        .path
        .replace("{image_id}", &subject.image)
        .replace("{member_id}", MEMBER)
        .replace("{job_id}", &subject.job)
        .replace("{project_id}", project)
        .replace("{schema}", "member")
        .replace("{tag}", "x")
        .replace("{task_id}", "x");
    assert!(!path.contains('{'), "what stands for the rest of {path}?");
    path
}

/// The outcome in a word or two: the status, and what a list or a job contains.
async fn outcome(
    harness: &Harness,
    route: &Route,
    answer: &HttpResponse,
    subject: &Subject,
) -> String {
    let status = answer.status;
    if status != 200 {
        return status.to_string();
    }
    let rows = |name: &str| answer.json()[name].as_array().unwrap().clone();
    match (route.method, route.path) {
        ("GET", "/v2/images" | "/v2/cloudimages") => {
            let shown = rows("images")
                .iter()
                .any(|image| image["id"] == *subject.image);
            format!("200 {}", if shown { "shown" } else { "not shown" })
        }
        ("GET", path) if path.ends_with("/members") => {
            format!("200 rows:{}", rows("members").len())
        }
        ("GET", path) if path.ends_with("/invitations") => {
            format!("200 rows:{}", rows("invitations").len())
        }
        ("GET", path) if path.ends_with("/shares") => {
            format!("200 rows:{}", rows("shares").len())
        }
        ("GET", path) if path.ends_with("/jobs") => format!("200 rows:{}", rows("jobs").len()),
        (_, "/v1/cloudimages/members" | "/v1/{project_id}/cloudimages/{image_id}/members") => {
            let job = harness.ended(Who::Admin, &answer.text("/job_id")).await;
            let row = &job["entities"]["results"][0];
            let code = row["error_code"].as_str().filter(|code| !code.is_empty());
            format!("200 {}", code.or(row["status"].as_str()).unwrap())
        }
        _ => "200".to_owned(),
    }
}

/// `UPDATE_GOLDEN=1` writes the file anew: review the difference.
#[tokio::test]
async fn every_route_answers_every_caller_as_the_golden_file_says() {
    let harness = Harness::new().await;
    let batch = json!({"images": [harness.image(json!({})).await], "projects": ["p"]});
    let job = harness
        .post(Who::Owner, "/v1/cloudimages/members", batch)
        .await
        .expect(200)
        .text("/job_id");
    harness.ended(Who::Owner, &job).await;
    // Reads, and the counted jobs, come before all writes.
    let mut routes: Vec<&Route> = ROUTES.iter().collect();
    routes.sort_by_key(|route| route.method != "GET");
    let mut table = format!("{:<6} {:<66} {:<10}", "", "", "visibility");
    for (caller, _, _) in CALLERS {
        write!(table, " {caller:<13}").unwrap();
    }
    table = table.trim_end().to_owned() + "\n";
    let mut images = Vec::new();
    for visibility in Visibility::ALL {
        images.push((visibility, shared_image(&harness, visibility).await));
    }
    for route in routes {
        let of_an_image = route.path.contains("{image_id}")
            || ["/v1/cloudimages/members", "/v2/images", "/v2/cloudimages"].contains(&route.path)
                && (route.method, route.path) != ("POST", "/v2/images");
        let visibilities = if of_an_image {
            &images[..]
        } else {
            &images[..1]
        };
        let named: &[Named] = match route.path.contains("{project_id}") {
            true => &[Named::Own, Named::Owners],
            false => &[Named::Nobodys],
        };
        for (visibility, read) in visibilities {
            for named in named {
                let shown = match named {
                    Named::Nobodys => route.path.to_owned(),
                    Named::Own => route.path.replace("{project_id}", "{own project}"),
                    Named::Owners => route.path.replace("{project_id}", "{the owner}"),
                };
                let visibility_shown = if of_an_image { visibility.as_str() } else { "" };
                write!(
                    table,
                    "{:<6} {shown:<66} {visibility_shown:<10}",
                    route.method
                )
                .unwrap();
                for (_, who, own) in CALLERS {
                    let image = match (route.method, of_an_image) {
                        ("GET", _) | (_, false) => read.clone(),
                        _ => shared_image(&harness, *visibility).await,
                    };
                    let subject = Subject {
                        image,
                        job: job.clone(),
                    };
                    let path = path(route, *named, own, &subject);
                    let answer = match body(route, &subject.image) {
                        Some(body) if route.method == "PATCH" => {
                            harness.patch(who, &path, body).await
                        }
                        body => {
                            let body = body.map(|body| body.to_string());
                            harness
                                .send(who, route.method, &path, body.as_deref())
                                .await
                        }
                    };
                    let outcome = outcome(&harness, route, &answer, &subject).await;
                    write!(table, " {outcome:<13}").unwrap();
                }
                table = table.trim_end().to_owned() + "\n";
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (golden, found) in golden.lines().zip(table.lines()) {
        assert_eq!(golden, found, "tests/golden/routes.txt");
    }
    assert_eq!(golden.lines().count(), table.lines().count());
}
