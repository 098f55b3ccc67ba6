//! The operations on batches and jobs.

use serde_json::json;
use shared::domain::batch::ENTRIES_MAX;
use shared::domain::bodies::{BatchAnswers, BatchMembers, DeclaredMembers};
use shared::domain::job::RESULTS_PAGE;
use shared::http::answers::{JobAccepted, JobWithResults, Jobs};
use shared::http::routes::{BatchKind, Operation, ReadJobs};

use super::describe::{Described, json, json_like, json_such, link};

pub fn start(kind: BatchKind) -> Described {
    let new = |summary| Described::new("Batches", summary);
    let members = json!({
        "images": ["11111111-1111-4111-8111-111111111111"],
        "projects": ["edc89b490d7d4392898e19b2deb34797"],
    });
    let described = match kind {
        BatchKind::Add => new("Share images with projects")
            .description(format!(
                "Shares every image with every project: at most {ENTRIES_MAX} such entries. A \
                 request that is itself wrong is 400 and makes no job. An error in one entry fails \
                 that entry only."
            ))
            .body::<BatchMembers>(members),
        BatchKind::Update => new("Accept or reject images")
            .description(
                "`project_id` is the project of the token; an admin may name any. `vault_id` is \
                 required to accept an image that was made from a backup of a whole server.",
            )
            .body::<BatchAnswers>(json!({
                "images": ["11111111-1111-4111-8111-111111111111"],
                "project_id": "edc89b490d7d4392898e19b2deb34797",
                "status": "accepted",
            })),
        BatchKind::Remove => new("End memberships")
            .description("A DELETE with a body, as in IMS.")
            .body::<BatchMembers>(members),
        BatchKind::Replace => new("Declare the members of an image")
            .description(format!(
                "Who is missing is added, who is not declared is removed, who is a member keeps its \
                 answer. The members are those of the moment at which the request is accepted: older \
                 requests that are carried out later change nothing about it, newer ones have the last \
                 word. `result` of an entry says what became of it. An empty list removes all members. At \
                 most {ENTRIES_MAX} entries, those that are removed included. With `If-Match`, the `ETag` \
                 of a list of members, it is 412 if somebody was added or removed since."
            ))
            .body::<DeclaredMembers>(json!({"projects": ["edc89b490d7d4392898e19b2deb34797"]}))
            .parameters(&["IfMatch"]),
    };
    let show = Operation::Jobs(ReadJobs::Show);
    let accepted = json_like::<JobAccepted>(
        "The job is accepted, and can be read at once.",
        json!({"job_id": "0199c6a1b2c37def8123456789abcdef"}),
    );
    described
        .parameters(&["IdempotencyKey"])
        .done(
            200,
            accepted.link("job", link(show, &[("job_id", "job_id")])),
        )
        .refuses(match kind {
            BatchKind::Replace => &[403, 404, 412, 422, 429],
            BatchKind::Add | BatchKind::Update | BatchKind::Remove => &[403, 422, 429],
        })
}

pub fn read_jobs(operation: ReadJobs) -> Described {
    let new = |summary| Described::new("Jobs", summary);
    let show = |described: Described| {
        let description = format!(
            "The job and a page of its results: at most {RESULTS_PAGE} rows unless the request asks \
             for fewer."
        );
        described
            .parameters(&["ResultStatus", "PageLimit", "PageMarker"])
            .done(200, json_such::<JobWithResults>(&description, "Job"))
    };
    let described = match operation {
        ReadJobs::Show => show(new("Show a job").description(
            "Only the job's own project and an admin can read it, until 7 days after its end. Its \
             `status` never goes back.",
        )),
        ReadJobs::ShowOfProject => show(
            new("Show a job of a project")
                .description("The same as `GET /v1/cloudimages/job/{job_id}`."),
        ),
        ReadJobs::List => new("List the jobs of a project")
            .description(format!(
                "A page has {} of them unless the request asks otherwise.",
                get_job::PAGE_DEFAULT
            ))
            .parameters(&["JobStatus", "JobType", "JobTypeShort"])
            .parameters(&["PageLimit", "PageMarker"])
            .done(200, json::<Jobs>("A page of jobs, without their results.")),
    };
    described.refuses(&[403, 404])
}
