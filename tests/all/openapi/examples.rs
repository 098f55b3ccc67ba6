//! Examples of records, made by the code that answers with them.

use serde_json::{Value, json};
use shared::domain::entries::Entries;
use shared::domain::id::{ImageId, JobId, OperationId, ProjectId};
use shared::domain::image::Image;
use shared::domain::ims_code::ImsCode;
use shared::domain::job::view::JobView;
use shared::domain::job::{Job, JobKind};
use shared::domain::member::Member;
use shared::domain::outcome::Outcome;
use shared::domain::policy::{Caller, Policy, Role};
use shared::domain::time::Timestamp;
use shared::http::answers::{JobWithResults, Results};
use shared::http::page::PageInfo;

const IMAGE: &str = "11111111-1111-4111-8111-111111111111";
const OWNER: &str = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01";
const MEMBER: &str = "edc89b490d7d4392898e19b2deb34797";
const JOB: &str = "0199c6a1b2c37def8123456789abcdef";

/// Every example, by the name of its component.
pub fn all() -> [(&'static str, Value); 3] {
    [("Image", image()), ("Member", member()), ("Job", job())]
}

fn project(id: &str) -> ProjectId {
    ProjectId::parse(id).unwrap()
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

fn image() -> Value {
    let body = json!({
        "id": IMAGE,
        "name": "debian",
        "disk_format": "qcow2",
        "container_format": "bare",
        "tags": ["lts"],
        "os_distro": "debian",
    });
    let caller = Caller {
        user: "u-owner".to_owned(),
        project: project(OWNER),
        role: Role::Member,
    };
    let now = at("2024-11-06T06:24:22Z");
    let op = OperationId::at(now.micros());
    json!(
        Image::from_request(body, Policy::default(), &caller, op, now)
            .unwrap()
            .view()
    )
}

fn member() -> Value {
    let now = at("2024-11-06T06:24:22Z");
    let image = ImageId::canonical(IMAGE).unwrap();
    json!(Member::new(image, project(MEMBER), OperationId::at(now.micros()), now).view())
}

fn job() -> Value {
    let id = JobId::parse(JOB).unwrap();
    let missing = "00000000-0000-4000-8000-000000000000";
    let images = [IMAGE.to_owned(), missing.to_owned()];
    let member = project(MEMBER);
    let entries = Entries::of_request(&images, std::slice::from_ref(&member));
    let (begin, end) = (
        at("2024-11-06T06:24:22.925Z"),
        at("2024-11-06T06:24:23.773Z"),
    );
    let job = Job {
        succeeded: 1,
        failed: 1,
        errors: [(0, ImsCode::ImageNotFound)].into(),
        updated_at: end,
        ..Job::new(id, project(OWNER), JobKind::Update, &entries, begin)
    };
    let failed = Outcome::Failed(ImsCode::ImageNotFound);
    let JobView { summary, entities } = job.view(end);
    let results = Results {
        counts: entities,
        results: vec![
            job.row(0, (IMAGE, &member), Some(Outcome::Changed), end),
            job.row(1, (missing, &member), Some(failed), end),
        ],
        page_info: PageInfo {
            current_count: 2,
            total_count: Some(2),
            next_marker: None,
        },
    };
    json!(JobWithResults {
        summary,
        entities: results
    })
}
