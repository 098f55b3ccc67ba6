//! This release reads the data directory that release 0.1.0 has written (`tests/data/0.1.0`).
//!
//! It holds eight images of three projects with all visibilities; memberships in all states, one of
//! them removed and one shared again by a batch; an image that was made private while it was
//! shared; an idempotency key; and a batch of 300 shares that was killed in the middle, with its
//! messages.

use std::path::Path;

use local::options::{Data, Options};
use serde_json::{Value, json};
use shared::domain::time::Timestamp;

use crate::harness::{Harness, MEMBER, MEMBER2, ManualClock, OWNER, Who, options};

fn image(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

/// A copy of the directory, and a clock that shows the time at which it was written.
async fn opened() -> (Harness, ManualClock, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/0.1.0");
    for file in ["table.sqlite", "queue.sqlite"] {
        std::fs::copy(kept.join(file), directory.path().join(file)).unwrap();
    }
    let written = Timestamp::parse("2026-11-26T02:40:00Z").unwrap();
    let clock = ManualClock::at(written);
    let harness = Harness::with(Options {
        data: Data::Directory(directory.path().to_owned()),
        clock: clock.clock(),
        ..options()
    })
    .await;
    (harness, clock, directory)
}

async fn status(harness: &Harness, number: u32, member: &str) -> Option<String> {
    let path = format!("/v2/images/{}/members/{member}", image(number));
    let answer = harness.get(Who::Owner, &path).await;
    (answer.status == 200).then(|| answer.text("/status"))
}

#[tokio::test]
async fn what_was_there_is_there() {
    let (harness, _, _directory) = opened().await;
    for (number, who, visibility) in [
        (1, Who::Owner, "shared"),
        (3, Who::Owner, "private"),
        (4, Who::Third, "community"),
        (5, Who::Third, "public"),
        (8, Who::Member, "shared"),
    ] {
        let found = harness
            .get(who, &format!("/v2/images/{}", image(number)))
            .await
            .expect(200)
            .json();
        assert_eq!(found["visibility"], visibility);
        assert_eq!(found["name"], format!("image-{number}"));
        let tags: std::collections::BTreeSet<String> =
            ["t1".to_owned(), format!("t{number}")].into();
        assert_eq!(found["tags"], json!(tags));
        assert_eq!(
            (&found["os_distro"], &found["min_ram"]),
            (&json!("debian"), &json!(number))
        );
    }
    harness
        .get(Who::Owner, &format!("/v2/images/{}", image(7)))
        .await
        .expect(404);
    assert_eq!(
        status(&harness, 1, MEMBER).await.as_deref(),
        Some("accepted")
    );
    assert_eq!(
        status(&harness, 1, MEMBER2).await.as_deref(),
        Some("rejected")
    );
    assert_eq!(
        status(&harness, 1, "another").await.as_deref(),
        Some("pending")
    );
    assert_eq!(
        status(&harness, 2, MEMBER).await.as_deref(),
        Some("pending")
    );
    assert_eq!(status(&harness, 2, MEMBER2).await, None);

    // The lists, whose indexes were replaced.
    let accepted = harness.listed(Who::Member, "?limit=1000").await;
    assert_eq!(accepted, [image(8), image(5), image(1)]);
    let distro = harness
        .listed(Who::Owner, "?os_distro=debian&tag=t1&sort=name:asc")
        .await;
    assert_eq!(distro, [1, 2, 3, 4, 5, 6].map(image));
    assert_eq!(harness.listed(Who::Owner, "?min_ram=3").await, [image(3)]);
    assert_eq!(harness.listed(Who::Owner, "?limit=1000").await.len(), 306);
}

/// Memberships of that release have no key of their owner; they get it at the first start.
#[tokio::test]
async fn what_was_shared_is_among_its_owners_shares() {
    let (harness, _, _directory) = opened().await;
    let of_owner = async |query: &str| {
        let path = format!("/v1/{OWNER}/cloudimages/shares{query}");
        let found = harness.get(Who::Owner, &path).await.expect(200).json();
        let rows = found["shares"].as_array().unwrap().iter();
        rows.map(|row| (row["member_id"].clone(), row["status"].clone()))
            .collect::<Vec<_>>()
    };
    let of_first = of_owner(&format!("?image={}", image(1))).await;
    let row = |member: &str, status: &str| (json!(member), json!(status));
    let expected = [
        row(MEMBER2, "rejected"),
        row("another", "pending"),
        row(MEMBER, "accepted"),
    ];
    assert_eq!(of_first, expected);
    let all = of_owner("?limit=1000").await;
    assert!(of_first.iter().all(|row| all.contains(row)), "{all:?}");
    let path = format!("/v1/{MEMBER}/cloudimages/invitations?status=accepted");
    let found = harness.get(Who::Member, &path).await.expect(200).json();
    let found = found["invitations"].as_array().unwrap().iter();
    let found: Vec<_> = found.map(|row| row["image_id"].clone()).collect();
    assert_eq!(found, [json!(image(1))]);
}

#[tokio::test]
async fn what_was_under_way_goes_on() {
    let (harness, _, _directory) = opened().await;
    let jobs = harness
        .get(Who::Owner, &format!("/v1/{OWNER}/jobs"))
        .await
        .expect(200)
        .json();
    let jobs: Vec<&str> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["job_id"].as_str().unwrap())
        .collect();
    assert_eq!(jobs.len(), 2);
    let killed = harness.ended(Who::Owner, jobs[0]).await;
    assert_eq!(killed["status"], "SUCCESS", "{killed}");
    assert_eq!(killed["entities"]["succeeded"], 300);
    let ended = harness.ended(Who::Owner, jobs[1]).await;
    assert_eq!(
        (&ended["status"], &ended["error_code"]),
        (&json!("FAIL"), &json!("IMG.0027"))
    );
    let rows = ended["entities"]["results"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = rows.iter().map(|r| (&r["status"], &r["changed"])).collect();
    let (good, bad) = (
        (&json!("success"), &json!(true)),
        (&json!("failed"), &json!(false)),
    );
    assert_eq!(told, [good, good, bad, bad]);
    for (status, count) in [("FAIL", 1), ("SUCCESS", 1), ("INIT", 0)] {
        let path = format!("/v1/{OWNER}/jobs?status={status}");
        let found = harness.get(Who::Owner, &path).await.json();
        assert_eq!(found["jobs"].as_array().unwrap().len(), count, "{status}");
    }
    // The key of the first batch is still valid.
    let body = json!({"images": [image(1), image(9)], "projects": [MEMBER, "another"]});
    let key = [("idempotency-key", "key-1")];
    let path = "/v1/cloudimages/members";
    harness
        .send_with(
            Who::Owner,
            "POST",
            path,
            &key,
            Some(body.to_string().into_bytes()),
        )
        .await;
}

#[tokio::test]
async fn what_was_there_can_be_changed() {
    let (harness, _, _directory) = opened().await;
    // It was made private when nothing removed it from its members' lists.
    assert!(
        !harness
            .listed(Who::Member, "?member_status=pending&limit=1000")
            .await
            .contains(&image(6))
    );
    harness
        .set_visibility(Who::Owner, &image(6), "shared")
        .await;
    assert!(
        harness
            .listed(Who::Member, "?member_status=pending&limit=1000")
            .await
            .contains(&image(6))
    );
    harness
        .set_visibility(Who::Owner, &image(6), "private")
        .await;
    // A membership that a batch had shared again is answered, removed and added again.
    harness
        .answer(Who::Member, &image(1), MEMBER, "rejected")
        .await
        .expect(200);
    let row = format!("/v2/images/{}/members/{MEMBER}", image(1));
    harness.delete(Who::Owner, &row).await.expect(204);
    harness.share(&image(1), MEMBER).await.expect(200);
    harness.share(&image(2), MEMBER2).await.expect(200);
    assert_eq!(harness.member_count(&image(1)).await, 3);
    let change = json!([{"op": "replace", "path": "/name", "value": "renamed"}]);
    harness
        .patch(Who::Owner, &format!("/v2/images/{}", image(3)), change)
        .await
        .expect(200);
    assert_eq!(
        harness.listed(Who::Owner, "?name=renamed").await,
        [image(3)]
    );
    harness
        .delete(Who::Owner, &format!("/v2/images/{}", image(1)))
        .await
        .expect(204);
    assert!(
        !harness
            .listed(Who::Member, "?member_status=all&limit=1000")
            .await
            .contains(&image(1))
    );
}
