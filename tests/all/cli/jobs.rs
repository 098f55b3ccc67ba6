//! Batches and jobs: confirmation, splitting, failures, retries, and services that come and go.

use serde_json::{Value, json};

use super::fake::{Fake, JOB};
use super::{DEBIAN, Shell, owner};
use crate::harness::{Harness, Who, options};

fn projects(number: usize) -> String {
    (0..number).map(|each| format!("{each:032x}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_entries_need_a_yes() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let few = owner.write("few", &projects(99));
    let many = owner.write("many", &projects(100));
    owner
        .run(&["share", "debian-12", "--with-file", &few])
        .await
        .expect(0);
    let share = ["share", "debian-12", "--with-file", &many];
    owner
        .run(&share)
        .await
        .says(2, &["100 entries", "--yes", "nothing was sent"]);
    let ended = owner
        .run(&[&share[..], &["--yes"]].concat())
        .await
        .expect(0);
    assert_eq!(ended.out, "1 shared, 99 shared already\n");
}

/// One entry more than a request takes: two jobs, one report.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_request_takes_becomes_several_jobs() {
    let harness = Harness::with(local::options::Options {
        member_quota: -1,
        ..options()
    })
    .await;
    let owner = owner(&harness).await;
    let file = owner.write("projects", &projects(5001));
    let share = [
        "share",
        "debian-12",
        "ubuntu-24.04",
        "--with-file",
        &file,
        "--yes",
    ];
    let ended = owner.run(&share).await.expect(0);
    assert_eq!(ended.out, "10,002 shared\n");
    assert!(ended.err.contains("5,001 projects, 2 images"), "{ended:?}");
    let jobs = owner
        .run(&["job", "list", "-f", "json"])
        .await
        .expect(0)
        .json();
    let entries = |job: &Value| job["Entries"].as_u64().unwrap();
    let sizes: Vec<u64> = jobs.as_array().unwrap().iter().map(entries).collect();
    assert_eq!(sizes.len(), 2);
    assert_eq!(sizes.iter().sum::<u64>(), 10_002);
    assert!(sizes.iter().all(|size| *size <= 10_000));
    assert_eq!(harness.member_count(DEBIAN).await, 5001);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_repeated_and_nothing_else() {
    let harness = Harness::with(local::options::Options {
        member_quota: 2,
        ..options()
    })
    .await;
    let owner = owner(&harness).await;
    let share = [
        "share",
        "debian-12",
        "ubuntu-24.04",
        "--with",
        "member,member2,admin",
    ];
    let ended = owner.run(&share).await.expect(1);
    assert!(ended.out.starts_with("4 shared, 2 failed\n"), "{ended:?}");
    // Nothing is changed yet, so a retry would fail like this again.
    assert!(!ended.out.contains("job retry"), "{ended:?}");
    let list = ["job", "list", "-f", "value", "-c", "Job"];
    let listed = owner.run(&list).await.expect(0);
    let job = &listed.lines()[0][..12];
    owner
        .run(&["unshare", "debian-12", "--with", "member"])
        .await
        .expect(0);
    let ended = owner.run(&["job", "retry", job]).await.expect(1);
    assert!(ended.err.contains("1 project, 2 images"), "{ended:?}");
    assert!(ended.out.starts_with("1 shared, 1 failed\n"), "{ended:?}");
    let failed = owner
        .run(&["job", "show", job, "--failed", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(failed.as_array().unwrap().len(), 2);
    assert_eq!(failed[0]["Code"], "IMG.0088");
    let all = owner
        .run(&["job", "show", job, "--entries", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(all.as_array().unwrap().len(), 6);
    // A job that ended is waited for without waiting.
    owner.run(&["job", "wait", job]).await.expect(1);
    owner
        .run(&["job", "retry", "0123456789"])
        .await
        .says(2, &["there is no job \"0123456789\""]);
    owner
        .run(&["job", "show", "0123"])
        .await
        .says(2, &["too short"]);
    owner
        .run(&["job", "show", "last"])
        .await
        .says(2, &["there is no job \"last\""]);
}

/// What a job answered is not in its record, so a retry has to be told.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_repeated_with_their_word() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    owner
        .run(&["share", "debian-12", "--with", "member"])
        .await
        .expect(0);
    // The owner takes one image back between the look-up and the batch: as if by a slow hand.
    let batch = json!({"images": [DEBIAN, super::UBUNTU], "project_id": crate::harness::MEMBER,
                       "status": "accepted"});
    let job = harness
        .put(Who::Member, "/v1/cloudimages/members", batch)
        .await
        .expect(200)
        .text("/job_id");
    harness.ended(Who::Member, &job).await;
    member
        .run(&["job", "retry", &job])
        .await
        .says(2, &["say --accept or --reject"]);
    owner
        .run(&["share", "ubuntu-24.04", "--with", "member"])
        .await
        .expect(0);
    let ended = member
        .run(&["job", "retry", &job, "--accept"])
        .await
        .expect(0);
    assert_eq!(ended.out, "1 accepted\n");
    assert_eq!(
        member
            .run(&["job", "retry", &job, "--accept"])
            .await
            .expect(0)
            .out,
        "1 accepted already\n"
    );
    let none = member
        .run(&["accept", "debian-12", "-f", "value", "-c", "Status"])
        .await
        .expect(0);
    assert_eq!(none.out, "success\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_waiting_the_id_is_printed() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let ended = owner
        .run(&[
            "share",
            "debian-12",
            "--with",
            "member",
            "--no-wait",
            "-f",
            "value",
            "-c",
            "Job",
        ])
        .await
        .expect(0);
    let job = ended.lines()[0];
    assert_eq!(job.len(), 32);
    assert_eq!(
        owner.run(&["job", "wait", job]).await.expect(0).out,
        "1 shared\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_set_prints_its_job_too() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    owner
        .run(&["share", "debian-12", "--with", "member,member2"])
        .await
        .expect(0);
    let file = owner.write("members", "member\nadmin\n");
    let set = ["set-members", "debian-12", "--file", &file, "--no-wait"];
    let ended = owner.run(&[&set[..], &["-q", "-f", "json"]].concat()).await;
    let started = ended.expect(0).json();
    let job = started[0]["Job"].as_str().unwrap().to_owned();
    let ended = owner.run(&["job", "wait", &job]).await.expect(0);
    assert_eq!(ended.out, "1 added, 1 removed, 1 unchanged\n");
    assert_eq!(started[0]["Entries"], 3);
}

/// One line for each reason, and a retry only where it may help.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_by_their_reasons() {
    let harness = Harness::with(local::options::Options {
        member_quota: 1,
        ..options()
    })
    .await;
    let owner = owner(&harness).await;
    let with = ["--with", "member,member2,admin,owner"];
    let share = [&["share", "debian-12"][..], &with].concat();
    let ended = owner.run(&share).await.expect(1);
    assert_eq!(
        ended.lines(),
        [
            "1 shared, 3 failed",
            "  2 failed: The image has as many members as it may have (IMG.0088): member2, admin",
            "  1 failed: An image is not shared with its owner (IMG.0076): owner",
        ]
    );
    // A project's own image: it is the image that is named, and the project is the caller's.
    let own = owner.run(&["reject", "ubuntu-24.04"]).await.expect(1);
    let told = "  An image is not shared with its owner (IMG.0076): ubuntu-24.04";
    assert_eq!(own.lines(), ["0 rejected, 1 failed", told]);
    // Two images of one name are told by their ids too.
    let twin = DEBIAN.replace('1', "4");
    owner
        .run(&["image", "create", "debian-12", "--id", &twin])
        .await
        .expect(0);
    let own = owner.run(&["reject", DEBIAN, &twin]).await.expect(1);
    let told = format!(
        "  An image is not shared with its owner (IMG.0076): debian-12 ({DEBIAN}), debian-12 ({twin})"
    );
    assert_eq!(own.lines(), ["0 rejected, 2 failed", &told]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_failures_are_named_by_the_job() {
    let fake = Fake::start().await;
    fake.counts(70, 0, 70);
    let shell = fake.shell();
    let file = shell.write("projects", &projects(70));
    let ended = shell
        .run(&["share", DEBIAN, "--with-file", &file])
        .await
        .expect(1);
    let [_, reason, all, again] = ended.lines()[..] else {
        panic!("{ended:?}")
    };
    let first = format!(
        "  The member could not be added. Try again (IMG.0112): {:032x}, ",
        0
    );
    assert!(
        reason.starts_with(&first) && reason.ends_with(" and 60 more"),
        "{reason}"
    );
    assert_eq!(all, "All of them: imshare job show 01a215412345 --failed");
    assert_eq!(again, "Repeat them with: imshare job retry 01a215412345");
}

/// A batch that got no answer is sent again with its key, so it becomes one job.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_again_with_the_same_key() {
    let fake = Fake::start().await;
    fake.counts(1, 1, 0);
    let error = json!({"error": {"code": "x", "message": "The service is not available."}});
    fake.next(503, error.clone());
    fake.next(503, error.clone());
    let shell = fake.shell();
    let project = format!("{:032x}", 0);
    shell
        .run(&["share", DEBIAN, "--with", &project])
        .await
        .expect(0);
    let sent: Vec<_> = fake
        .got()
        .into_iter()
        .filter(|got| got.path == "/v1/cloudimages/members")
        .collect();
    assert_eq!(sent.len(), 3);
    assert!(
        sent[0].key.is_some() && sent.iter().all(|got| got.key == sent[0].key),
        "{sent:?}"
    );
    // Not for ever.
    for _ in 0..3 {
        fake.next(503, error.clone());
    }
    let words = [
        "is not able to answer",
        "\"The service is not available\" (503, req-",
        "nothing was changed",
    ];
    shell
        .run(&["share", DEBIAN, "--with", &project])
        .await
        .says(4, &words);
}

/// A service that is away for a while does not end the wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_outlasts_an_outage() {
    let fake = Fake::start().await;
    fake.counts(1, 1, 0);
    let shell = fake.shell();
    fake.next(200, json!({"job_id": JOB}));
    for _ in 0..7 {
        fake.next(503, json!({}));
    }
    let ended = shell
        .run(&["share", DEBIAN, "--with", &format!("{:032x}", 0)])
        .await
        .expect(0);
    assert_eq!(ended.out, "1 shared\n");
}

/// A batch that the service does not take while an earlier one is open waits for that one: the
/// command repeated would begin anew, and be refused at the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_without_room_waits_for_an_earlier_one() {
    let fake = Fake::start().await;
    fake.counts(1, 1, 0);
    let refused = |code: &str| json!({"error": {"code": code, "message": "Too many."}});
    fake.next(400, refused("IMG.0060"));
    fake.next(200, json!({"job_id": JOB}));
    for _ in 0..3 {
        fake.next(429, refused("IMG.0060"));
    }
    let shell = fake.shell();
    let file = shell.write("projects", &projects(2));
    let arguments = ["share", DEBIAN, "--with-file", &file];
    assert_eq!(shell.run(&arguments).await.expect(0).out, "2 shared\n");
    let sent: Vec<_> = fake
        .got()
        .into_iter()
        .filter(|got| got.path == "/v1/cloudimages/members" || got.path.contains("/jobs/"))
        .map(|got| (got.method, got.key))
        .collect();
    let methods: Vec<&str> = sent.iter().map(|(method, _)| &**method).collect();
    assert_eq!(
        methods[..7],
        ["POST", "POST", "POST", "POST", "POST", "GET", "POST"]
    );
    assert_eq!(sent[2].1, sent[6].1, "the same batch has the same key");
    assert_ne!(sent[1].1, sent[2].1);
    // If no earlier one is left to wait for, that is told.
    fake.next(400, refused("IMG.0060"));
    fake.next(200, json!({"job_id": JOB}));
    for _ in 0..3 {
        fake.next(429, refused("IMG.0060"));
    }
    fake.next(200, fake.job(JOB));
    for _ in 0..3 {
        fake.next(429, refused("IMG.0060"));
    }
    let told = [
        "(429, ",
        "imshare job wait 01a215412345; 1 batch was not sent",
    ];
    shell.run(&arguments).await.says(4, &told);
}

/// A job that is named twice is waited for, and counted, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_named_twice_is_one() {
    let fake = Fake::start().await;
    fake.counts(3, 3, 0);
    let ended = fake.shell().run(&["job", "wait", JOB, JOB]).await.expect(0);
    assert_eq!(ended.out, "3 shared\n");
}

/// What the service says is one line, whatever is in it.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_one_line() {
    let fake = Fake::start().await;
    let message = "The name is wrong\u{1b}[2J.\n\nFailed validating 'maxLength'";
    fake.next(400, json!({"error": {"code": "x", "message": message}}));
    let told = fake.shell().run(&["job", "show", JOB]).await.expect(2);
    assert!(
        told.err.contains("\"The name is wrong\u{fffd}[2J\" (400"),
        "{told:?}"
    );
    assert_eq!(told.err.lines().count(), 1, "{told:?}");
}

/// A server with a lower limit gets halves.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_is_halved() {
    let fake = Fake::start().await;
    fake.counts(1, 1, 0);
    fake.most(30);
    let shell = fake.shell();
    let file = shell.write("projects", &projects(99));
    let ended = shell
        .run(&["share", DEBIAN, "--with-file", &file])
        .await
        .expect(0);
    let taken: Vec<usize> = fake
        .got()
        .iter()
        .filter(|got| got.path == "/v1/cloudimages/members")
        .map(|got| got.body["projects"].as_array().unwrap().len())
        .collect();
    assert_eq!(taken, [99, 50, 25, 25, 49, 25, 24], "{ended:?}");
}

/// A job that the service has forgotten is an error with its words.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_gone_is_told() {
    let fake = Fake::start().await;
    fake.counts(10, 1, 0);
    fake.next(200, json!({"job_id": JOB}));
    fake.next(
        404,
        json!({"error": {"code": "IMG.0023", "message": "No such job."}}),
    );
    let told = fake
        .shell()
        .run(&["share", DEBIAN, "--with", &format!("{:032x}", 0)])
        .await;
    told.says(2, &["there is no job 01a215412345 any more"]);
}
