//! Projects that do not exist: refused when they are shared with, and found afterwards.

use local::options::{Data, Options};
use serde_json::{Value, json};

use crate::cli::Shell;
use crate::harness::{Harness, MEMBER, ManualClock, Who, options};
use crate::keystone::{Behaviour, FakeKeystone, PASSWORD};

const UNKNOWN: &str = "00000000000000000000000000000bad";
const LATER: &str = "00000000000000000000000000000000";

/// A server that asks a Keystone, its Keystone and its clock.
async fn asking() -> (Harness, FakeKeystone, ManualClock) {
    let keystone = FakeKeystone::start().await;
    let clock = ManualClock::default();
    let harness = Harness::with(Options {
        keystone: Some(keystone.config()),
        check_projects: true,
        clock: clock.clock(),
        ..options()
    })
    .await;
    (harness, keystone, clock)
}

async fn batch(harness: &Harness, who: Who, images: &[&str], projects: &[&str]) -> Value {
    let body = json!({"images": images, "projects": projects});
    let job = harness.post(who, "/v1/cloudimages/members", body).await;
    let job = job.expect(200).text("/job_id");
    harness.ended(who, &job).await
}

/// The result of each entry: its code, or `success`.
fn results(job: &Value) -> Vec<String> {
    let rows = job["entities"]["results"].as_array().unwrap();
    let result = |row: &Value| match row["error_code"].as_str() {
        Some(code) => code.to_owned(),
        None => row["status"].as_str().unwrap().to_owned(),
    };
    rows.iter().map(result).collect()
}

#[tokio::test]
async fn by_default_no_project_is_asked_about() {
    let keystone = FakeKeystone::start().await;
    let harness = crate::authorizer::harness(&keystone, &ManualClock::default()).await;
    let image = harness.image(json!({})).await;
    harness.share(&image, UNKNOWN).await.expect(200);
    assert_eq!(keystone.asked_projects(), 0);
}

#[tokio::test]
async fn with_an_identity_file_its_projects_are_all_there_are() {
    let harness = Harness::with(Options {
        check_projects: true,
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    let refused = harness.share(&image, UNKNOWN).await.expect(400);
    let sentence = format!("Project {UNKNOWN} does not exist.");
    assert!(refused.body.contains(&sentence), "{}", refused.body);
    harness.share(&image, MEMBER).await.expect(200);
    assert_eq!(harness.member_count(&image).await, 1);
}

#[tokio::test]
async fn a_project_that_keystone_does_not_know_is_not_shared_with() {
    let (harness, keystone, clock) = asking().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, UNKNOWN).await.expect(400);
    harness.share(&image, MEMBER).await.expect(200);
    assert_eq!(keystone.asked_projects(), 2);
    // Both answers are cached.
    let other = harness.image(json!({})).await;
    harness.share(&other, UNKNOWN).await.expect(400);
    harness.share(&other, MEMBER).await.expect(200);
    assert_eq!(keystone.asked_projects(), 0);
    // One that is created can be shared with after ten seconds, one that is deleted cannot after
    // five minutes.
    keystone.creates_project(UNKNOWN);
    clock.forward(9);
    harness.share(&image, UNKNOWN).await.expect(400);
    clock.forward(1);
    harness.share(&image, UNKNOWN).await.expect(200);
    keystone.deletes_project(UNKNOWN);
    clock.forward(299);
    let third = harness.image(json!({})).await;
    harness.share(&third, UNKNOWN).await.expect(200);
    clock.forward(1);
    harness.share(&other, UNKNOWN).await.expect(400);
    assert_eq!(harness.member_count(&other).await, 1);
    // What no project in Keystone can have for an id is not sent there, where it might be an error.
    keystone.asked_projects();
    let long = "x".repeat(65);
    for odd in ["..", ".", "a/b?c#d", "a b", "\u{0}", "é", "a\n", &long] {
        harness.share(&image, odd).await.expect(400);
    }
    assert_eq!(keystone.asked_projects(), 0);
    harness.share(&image, &long[1..]).await.expect(400);
    assert_eq!(keystone.asked_projects(), 1);
}

#[tokio::test]
async fn while_keystone_is_away_nothing_is_shared_and_nothing_fails_for_good() {
    let (harness, keystone, _) = asking().await;
    let image = harness.image(json!({})).await;
    // The server knows its callers already.
    harness.share(&image, MEMBER).await.expect(200);
    keystone.creates_project(LATER);
    for (status, body) in [(500, "{}"), (404, "from a proxy"), (200, "{}"), (403, "{}")] {
        keystone.is(Behaviour::Says(status, body));
        let refused = harness.share(&image, LATER).await.expect(503);
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(harness.member_count(&image).await, 1);
    keystone.is(Behaviour::Well);
    harness.share(&image, LATER).await.expect(200);
}

#[tokio::test]
async fn an_entry_with_an_unknown_project_fails_alone() {
    let (harness, keystone, _) = asking().await;
    let image = harness.image(json!({})).await;
    let projects = [MEMBER, UNKNOWN];
    let job = batch(&harness, Who::Owner, &[&image], &projects).await;
    assert_eq!(results(&job), ["success", "IMG.0108"]);
    let reason = &job["entities"]["results"][1]["fail_reason"];
    assert_eq!(reason, "The project does not exist.");
    assert_eq!(keystone.asked_projects(), 2);
    // The set that is declared is shared with the projects in it that exist.
    let path = format!("/v1/{}/cloudimages/{image}/members", crate::harness::OWNER);
    let declared = json!({"projects": [crate::harness::ADMIN, UNKNOWN]});
    let job = harness.put(Who::Owner, &path, declared).await.expect(200);
    let job = harness.ended(Who::Owner, &job.text("/job_id")).await;
    assert_eq!(results(&job), ["success", "success", "IMG.0108"]);
    assert_eq!(harness.member_count(&image).await, 1);
    // To end a membership, its project need not exist.
    keystone.deletes_project(crate::harness::ADMIN);
    let path = format!("/v2/images/{image}/members/{}", crate::harness::ADMIN);
    harness.delete(Who::Owner, &path).await.expect(204);
}

/// A stranger's entries say what they say of an absent image, and Keystone is not asked for it.
#[tokio::test]
async fn keystone_is_asked_about_what_the_policy_permits_only() {
    let (harness, keystone, _) = asking().await;
    let image = harness.image(json!({})).await;
    let absent = "99999999-9999-4999-8999-999999999999";
    let images = [image.as_str(), absent];
    let job = batch(&harness, Who::Member, &images, &[UNKNOWN, MEMBER]).await;
    assert_eq!(results(&job), ["IMG.0027"; 4]);
    assert_eq!(keystone.asked_projects(), 0);
    // A caller that may only read is refused before.
    let path = format!("/v2/images/{image}/members");
    let body = json!({"member": UNKNOWN});
    harness
        .post(Who::OwnerReader, &path, body)
        .await
        .expect(403);
    assert_eq!(keystone.asked_projects(), 0);
}

#[tokio::test]
async fn entries_wait_until_keystone_is_back() {
    let keystone = FakeKeystone::start().await;
    let harness = Harness::with(Options {
        keystone: Some(keystone.config()),
        check_projects: true,
        queue: local::queue::Settings {
            visibility_timeout: std::time::Duration::from_millis(50),
            max_receive_count: 1_000,
            ..local::queue::Settings::default()
        },
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    keystone.is(Behaviour::Says(500, "{}"));
    let body = json!({"images": [image], "projects": [MEMBER, UNKNOWN]});
    let job = harness
        .post(Who::Owner, "/v1/cloudimages/members", body)
        .await;
    let job = job.expect(200).text("/job_id");
    // The owner's token is cached, so the job can be read meanwhile.
    let path = format!("/v1/cloudimages/job/{job}");
    let mut asked = 0;
    while asked < 4 {
        let running = harness.get(Who::Owner, &path).await.expect(200).json();
        assert!(
            matches!(running["status"].as_str(), Some("INIT" | "RUNNING")),
            "{running}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        asked += keystone.answered_anyhow();
    }
    keystone.is(Behaviour::Well);
    let ended = harness.ended(Who::Owner, &job).await;
    assert_eq!(results(&ended), ["success", "IMG.0108"]);
}

/// `imshare projects check`, the real command: in a data directory, then by the server's endpoint.
#[tokio::test]
async fn memberships_of_deleted_projects_are_found_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let keystone = FakeKeystone::start().await;
    let harness = Harness::with(Options {
        data: Data::Directory(data.clone()),
        dynamodb_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..options()
    })
    .await;
    let (first, second) = (
        harness.image(json!({})).await,
        harness.image(json!({})).await,
    );
    for (image, project) in [(&first, MEMBER), (&first, UNKNOWN), (&second, UNKNOWN)] {
        harness.share(image, project).await.expect(200);
    }
    let private = harness.image(json!({})).await;
    harness.share(&private, LATER).await.expect(200);
    harness
        .set_visibility(Who::Owner, &private, "private")
        .await;
    let shell = Shell::new(&[
        ("IMSHARE_DATA_DIR", data.to_str().unwrap()),
        ("KEYSTONE_USERNAME", "imshare"),
        ("KEYSTONE_PASSWORD", PASSWORD),
        ("IMSHARE_KEYSTONE_URL", &keystone.url),
    ]);
    let rows = |text: &str| {
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    let expected = |shared: &str, kept: &str| {
        let mut rows = vec![
            format!("{LATER} {private} {kept}"),
            format!("{UNKNOWN} {first} {shared}"),
            format!("{UNKNOWN} {second} {shared}"),
        ];
        rows.sort();
        rows
    };
    let check = ["projects", "check", "-f", "value"];
    let remove = ["projects", "check", "-f", "value", "--remove"];
    // Beside the server it only reads.
    let found = shell.run(&check).await.expect(1);
    assert_eq!(rows(&found.out), expected("gone", "gone"));
    assert!(
        found.err.contains("3 member projects: 3 memberships"),
        "{found:?}"
    );
    shell
        .run(&remove)
        .await
        .says(3, &["in use by another imshare", "--dynamodb-listen"]);
    assert_eq!(harness.member_count(&first).await, 2);

    // Through the server's engine it removes.
    let address = harness.server.dynamodb_address.unwrap();
    let remote = shell.with("IMSHARE_DYNAMODB_ENDPOINT", &format!("http://{address}"));
    keystone.is(Behaviour::Says(500, "{}"));
    remote.run(&remove).await.says(4, &["Keystone: status 500"]);
    keystone.is(Behaviour::Well);
    let removed = remote.run(&remove).await.expect(1);
    assert_eq!(rows(&removed.out), expected("removed", "kept"));
    assert_eq!(harness.member_count(&first).await, 1);
    assert_eq!(harness.member_count(&second).await, 0);
    let path = format!("/v2/images/{first}/members/{UNKNOWN}");
    harness.get(Who::Owner, &path).await.expect(404);

    // Another cloud's Keystone does not empty everything.
    keystone.deletes_project(MEMBER);
    remote
        .run(&remove)
        .await
        .says(3, &["none of the 2 projects exists there"]);
    harness.set_visibility(Who::Owner, &private, "shared").await;
    harness.server.stop().await;

    // Without a server, in the directory; by an identity file.
    let file = "[[project]]\nid = \"p\"\nname = \"p\"\n[[token]]\nid = \"t\"\nuser = \"u\"\n\
                project = \"p\"\nroles = []\n";
    let file = file.replace("id = \"p\"", &format!("id = \"{MEMBER}\""));
    let local = Shell::new(&[("IMSHARE_DATA_DIR", data.to_str().unwrap())]);
    let identity = local.write("identity.toml", &file);
    let remove = [
        "projects",
        "check",
        "-f",
        "value",
        "--remove",
        "--identity",
        &identity,
    ];
    let removed = local.run(&remove).await.expect(0);
    assert_eq!(removed.out, format!("{LATER} {private} removed\n"));
    let none = local.run(&remove).await.expect(0);
    assert!(
        none.out.is_empty() && none.err.contains("all exist"),
        "{none:?}"
    );
}
