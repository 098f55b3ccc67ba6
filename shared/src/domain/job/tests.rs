use serde_json::{Value, json};

use super::view::ResultStatus;
use super::*;
use crate::domain::member::MemberStatus;

const SECOND: i64 = 1_000_000;

const fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * SECOND)
}

fn member() -> ProjectId {
    ProjectId::parse("p").unwrap()
}

/// A job of ten entries that begins at the first second.
fn job(kind: JobKind, succeeded: usize, failed: usize) -> Job {
    let images: Vec<String> = (0..10).map(|image| format!("i{image}")).collect();
    let entries = Entries::of_request(&images, &[member()]);
    let project = ProjectId::parse("asks").unwrap();
    Job {
        succeeded,
        failed,
        updated_at: at(5),
        ..Job::new(JobId::at(SECOND), project, kind, &entries, at(1))
    }
}

/// The last second before the deadline, and the deadline.
const OPEN: Timestamp = at(DEADLINE_SECONDS);
const OVER: Timestamp = at(DEADLINE_SECONDS + 1);

#[test]
fn a_job_that_was_accepted_has_done_nothing() {
    let job = job(JobKind::Add, 0, 0);
    assert_eq!((job.total, job.chunk_rows, job.chunks()), (10, 50, 1));
    assert_eq!((job.begin, job.deadline), (at(1), OVER));
    assert!(job.errors.is_empty());
    let halved = Job {
        chunk_rows: 5,
        ..job.clone()
    };
    assert_eq!(halved.chunks(), 2);
    let cut = Job {
        chunk_rows: 4,
        ..job.clone()
    };
    assert_eq!(cut.chunks(), 3);
    // No stored record can make it divide by nothing.
    let odd = Job {
        chunk_rows: 0,
        ..job
    };
    assert_eq!(odd.chunks(), 10);
}

#[test]
fn the_status_and_the_end_come_from_the_counters_and_the_clock() {
    use JobStatus::{Fail, Init, Running, Success};
    for (succeeded, failed, before, end, after, end_after) in [
        (0, 0, Init, None, Fail, Some(OVER)),
        (1, 0, Running, None, Fail, Some(OVER)),
        (0, 1, Running, None, Fail, Some(OVER)),
        (8, 1, Running, None, Fail, Some(OVER)),
        (10, 0, Success, Some(at(5)), Success, Some(at(5))),
        (9, 1, Fail, Some(at(5)), Fail, Some(at(5))),
        (0, 10, Fail, Some(at(5)), Fail, Some(at(5))),
    ] {
        let job = job(JobKind::Add, succeeded, failed);
        let label = format!("{succeeded} and {failed}");
        assert_eq!((job.status(OPEN), job.end(OPEN)), (before, end), "{label}");
        let found = (job.status(OVER), job.end(OVER));
        assert_eq!(found, (after, end_after), "{label}");
    }
    let empty = Job {
        total: 0,
        ..job(JobKind::Add, 0, 0)
    };
    assert_eq!(empty.status(OPEN), Success);
}

#[test]
fn a_job_is_forgotten_a_week_after_its_end() {
    let week = 7 * 24 * 3600;
    let ended = job(JobKind::Add, 10, 0);
    assert!(!ended.is_forgotten(at(4 + week)));
    assert!(ended.is_forgotten(at(5 + week)));
    let open = job(JobKind::Add, 1, 0);
    assert!(!open.is_forgotten(OPEN));
    assert!(!open.is_forgotten(OVER.plus_seconds(week - 1)));
    assert!(open.is_forgotten(OVER.plus_seconds(week)));
}

#[test]
fn the_error_code_is_the_first_failed_entrys() {
    for (kind, gave_up) in [
        (JobKind::Add, ImsCode::AddFailed),
        (JobKind::Update, ImsCode::DeleteFailed),
        (JobKind::Remove, ImsCode::DeleteFailed),
        (JobKind::Replace, ImsCode::AddFailed),
    ] {
        assert_eq!(job(kind, 0, 0).entry_kind(0).gave_up(), gave_up);
        for (succeeded, failed, now) in [(0, 0, OPEN), (8, 1, OPEN), (10, 0, OVER)] {
            assert_eq!(job(kind, succeeded, failed).error_code(now), None);
        }
        // Chunks that never came back have no code of their own.
        assert_eq!(job(kind, 8, 0).error_code(OVER), Some(gave_up));
        let errors = [(3, ImsCode::NotOwner), (1, ImsCode::QuotaFull)];
        let failed = Job {
            errors: BTreeMap::from(errors),
            ..job(kind, 8, 2)
        };
        assert_eq!(failed.error_code(OPEN), Some(ImsCode::QuotaFull));
    }
}

/// What a reader sees, whatever type a view has.
fn view(job: &Job, now: Timestamp) -> Value {
    serde_json::to_value(job.view(now)).unwrap()
}

#[test]
fn a_percentage_is_rounded_down_and_whole_at_the_end() {
    for (total, done, now, shown) in [
        (10, 0, OPEN, 0.0),
        (10, 5, OPEN, 0.5),
        (3, 1, OPEN, 0.33),
        (3, 2, OPEN, 0.66),
        (10_000, 9_999, OPEN, 0.99),
        (10, 10, OPEN, 1.0),
        (10, 5, OVER, 1.0),
    ] {
        let job = Job {
            total,
            ..job(JobKind::Add, done, 0)
        };
        let found = &view(&job, now)["entities"]["process_percent"];
        assert_eq!(*found, shown, "{done} of {total}");
        // A failed entry is done as well.
        let failed = Job {
            succeeded: 0,
            failed: done,
            ..job
        };
        assert_eq!(view(&failed, now)["entities"]["process_percent"], shown);
    }
}

#[test]
fn what_never_came_back_failed_at_the_deadline() {
    let job = job(JobKind::Remove, 7, 1);
    let counts = |now: Timestamp| {
        let view = view(&job, now);
        (
            view["entities"]["failed"].clone(),
            view["fail_reason"].clone(),
        )
    };
    assert_eq!(counts(OPEN), (json!(1), Value::Null));
    assert_eq!(counts(OVER), (json!(3), json!("3 of 10 entries failed")));
}

#[test]
fn a_row_shows_what_became_of_its_entry() {
    let full = Outcome::Failed(ImsCode::QuotaFull);
    let gave_up = json!("IMG.0112");
    for (outcome, now, status, changed, code) in [
        (None, OPEN, "running", false, Value::Null),
        (None, OVER, "failed", false, gave_up),
        (Some(Outcome::Changed), OPEN, "success", true, Value::Null),
        (
            Some(Outcome::Unchanged),
            OVER,
            "success",
            false,
            Value::Null,
        ),
        (Some(full), OPEN, "failed", false, json!("IMG.0088")),
    ] {
        let job = job(JobKind::Add, 1, 0);
        let member = member();
        let row = job.row(0, ("i1", &member), outcome, now);
        let row = serde_json::to_value(row).unwrap();
        assert_eq!(
            (&row["image_id"], &row["project_id"]),
            (&json!("i1"), &json!("p"))
        );
        let found = (&row["status"], &row["changed"], &row["error_code"]);
        assert_eq!(
            found,
            (&json!(status), &json!(changed), &code),
            "{outcome:?}"
        );
        assert_eq!(row["fail_reason"].is_string(), !code.is_null());
    }
}

#[test]
fn a_row_of_a_replacement_says_what_became_of_the_membership() {
    let job = Job {
        removes: 2,
        ..job(JobKind::Replace, 1, 0)
    };
    let answered = Outcome::Answered(MemberStatus::Accepted);
    let member = member();
    for (row, outcome, result, status) in [
        (1, Some(Outcome::Changed), json!("removed"), Value::Null),
        (1, Some(Outcome::Unchanged), json!("unchanged"), Value::Null),
        (2, Some(Outcome::Changed), json!("added"), Value::Null),
        (2, Some(answered), json!("added"), json!("accepted")),
        (9, Some(Outcome::Unchanged), json!("unchanged"), Value::Null),
        (9, None, Value::Null, Value::Null),
    ] {
        let found = job.row(row, ("i1", &member), outcome, OPEN);
        let found = serde_json::to_value(found).unwrap();
        let shown = (&found["result"], &found["member_status"]);
        assert_eq!(shown, (&result, &status), "{row} {outcome:?}");
    }
    for (row, code) in [(1, "IMG.0113"), (2, "IMG.0112")] {
        let found = job.row(row, ("i1", &member), None, OVER);
        assert_eq!(serde_json::to_value(found).unwrap()["error_code"], code);
    }
}

#[test]
fn what_has_failed_is_where_the_record_says() {
    let job = Job {
        chunk_rows: 3,
        errors: [(1, ImsCode::QuotaFull)].into(),
        ..job(JobKind::Add, 8, 2)
    };
    for (rows, expected) in [(0..3, false), (0..4, true), (5..6, true), (6..10, false)] {
        assert_eq!(
            job.may_have_failed(rows.clone(), OPEN),
            expected,
            "{rows:?}"
        );
    }
    let cut = Job {
        succeeded: 1,
        ..job
    };
    assert!(!cut.may_have_failed(6..10, OPEN) && cut.may_have_failed(6..10, OVER));
    let counts = |now| {
        let all = [
            ResultStatus::Success,
            ResultStatus::Failed,
            ResultStatus::Running,
        ];
        all.map(|status| cut.count(status, now))
    };
    assert_eq!(counts(OPEN), [1, 2, 7]);
    assert_eq!(counts(OVER), [1, 9, 0]);
}

#[test]
fn words_are_read_back() {
    for (kind, word) in JobKind::ALL.into_iter().zip([
        "imsAddImageMembersJob",
        "imsUpdateImageMembersJob",
        "imsDelImageMembersJob",
        "imsReplaceImageMembersJob",
    ]) {
        assert_eq!(kind.job_type(), word);
        assert_eq!(JobKind::parse(word), Some(kind));
    }
    let words = ["INIT", "RUNNING", "SUCCESS", "FAIL"];
    for (status, word) in JobStatus::ALL.into_iter().zip(words) {
        assert_eq!(status.as_str(), word);
        assert_eq!(JobStatus::parse(word), Some(status));
    }
    for other in ["", "add", "init", "xyzzy"] {
        assert_eq!(JobKind::parse(other), None);
        assert_eq!(JobStatus::parse(other), None);
    }
    let tasks = JobKind::ALL.map(JobKind::task);
    assert_eq!(
        tasks,
        [
            "add image members",
            "update image members",
            "delete image members",
            "replace image members",
        ]
    );
}
