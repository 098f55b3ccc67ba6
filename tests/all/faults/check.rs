//! What must hold of the stored records, whatever faults there were.

use shared::domain::change::EntryKind;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::job::{JobKind, JobStatus};
use shared::domain::member::MemberStatus;
use shared::domain::outcome::Outcome;
use shared::runtime::app::App;

use super::{Requests, Run};
use crate::model::{Intent, Reported, possible, wrong_refusal};

/// Compares the stored records with the responses.
pub async fn check(run: &Run, app: &App) {
    let store = app.store();
    let mut requests = run.direct.lock().unwrap().clone();
    let mut entries = Requests::default();
    let jobs = run.jobs.lock().unwrap().clone();
    // Every job has ended, so none counts as open any more.
    let open = store.open_jobs(&run.owner.project).await.unwrap();
    assert_eq!(open, (0, 0), "open jobs and their entries");
    for (sent, intent) in jobs {
        let job = store.job(sent.id, app.now()).await.unwrap().unwrap();
        let ended = matches!(job.status(app.now()), JobStatus::Success | JobStatus::Fail);
        assert!(
            ended && job.end(app.now()) != Some(job.deadline),
            "a job did not end: {job:?}"
        );
        let rows = store.results(&job, 0, job.total).await.unwrap();
        assert_eq!(rows.len(), job.total, "rows of the results");
        let mut good = 0;
        // A declaration ends what it does not name, whether or not there was a membership.
        if job.kind == JobKind::Replace {
            let (image, _, _) = &rows.first().expect("it declares somebody");
            let image = ImageId::any_spelling(image).unwrap();
            let named = |member: &ProjectId| rows.iter().any(|(_, project, _)| project == member);
            for member in run.members.iter().filter(|member| !named(member)) {
                let of_key = requests.entry((image, member.clone())).or_default();
                of_key.push((job.id, Intent::Unshare, Reported::Succeeded));
            }
        }
        for (row, (image, project, outcome)) in rows.into_iter().enumerate() {
            let kind = job.entry_kind(row);
            let intent = match kind {
                EntryKind::Add => Intent::Share,
                EntryKind::Remove => Intent::Unshare,
                EntryKind::Update => intent,
            };
            let outcome = outcome.unwrap_or_else(|| panic!("an entry has no result: {job:?}"));
            let key = (
                ImageId::any_spelling(&image).unwrap(),
                ProjectId::parse(project).unwrap(),
            );
            let of_key = requests.entry(key.clone()).or_default();
            assert!(
                of_key.iter().all(|(op, _, _)| *op != job.id),
                "two results of one entry"
            );
            let reported = match outcome {
                Outcome::Changed | Outcome::Answered(_) | Outcome::Unchanged => Reported::Succeeded,
                Outcome::Failed(code) if code == kind.gave_up() => Reported::GaveUp,
                Outcome::Failed(_) => Reported::Refused,
            };
            // A declaration keeps out older shares that arrive later, although its own entry gave up.
            if job.kind == JobKind::Replace && reported == Reported::GaveUp {
                of_key.push((job.id, Intent::Unshare, Reported::GaveUp));
            }
            of_key.push((job.id, intent, reported));
            entries
                .entry(key)
                .or_default()
                .push((job.id, intent, reported));
            good += usize::from(reported == Reported::Succeeded);
        }
        assert_eq!(
            (job.succeeded, job.failed),
            (good, job.total - good),
            "the counters of {job:?}"
        );
    }
    for image in &run.images {
        let facts = store
            .facts(image.id, &run.members.iter().collect::<Vec<_>>())
            .await
            .unwrap();
        let mut present = 0;
        for member in &run.members {
            let stored = facts.membership(member).cloned();
            let seen = stored
                .clone()
                .and_then(|found| found.present())
                .map(|member| member.status);
            present += u64::from(seen.is_some());
            let requests = requests
                .remove(&(image.id, member.clone()))
                .unwrap_or_default();
            let of_batches = entries
                .remove(&(image.id, member.clone()))
                .unwrap_or_default();
            assert_eq!(
                wrong_refusal(None, &of_batches, &requests),
                None,
                "a refusal without a cause: {requests:#?}"
            );
            assert!(
                possible(None, rule_of(member), requests.clone()).contains(&seen),
                "image {} member {member:?} is {stored:#?} after {requests:#?}",
                image.id
            );
        }
        assert_eq!(
            facts.image.unwrap().member_count,
            present,
            "the count of image {}",
            image.id
        );
    }
}

/// The status that a member's rule gives to new shares.
pub fn rule_of(member: &ProjectId) -> MemberStatus {
    match member.as_str() {
        "member-0" => MemberStatus::Accepted,
        "member-1" => MemberStatus::Rejected,
        _ => MemberStatus::Pending,
    }
}
