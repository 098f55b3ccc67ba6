//! The command that manages keys, and a server that requests are signed for.

use std::path::Path;

use local::options::{Data, Options};
use serde_json::Value;
use shared::auth::signature::{DATE, Signable, sign};
use shared::domain::secret::Secret;

use crate::cli::Shell;
use crate::harness::{Harness, HttpResponse, ManualClock, OWNER, Who, options};

/// The start of the manual clock.
const NOW: &str = "20251009T085320Z";

/// A server with its data in a directory, and a manual clock.
async fn server(directory: &Path, clock: &ManualClock) -> Harness {
    Harness::with(Options {
        data: Data::Directory(directory.to_owned()),
        clock: clock.clock(),
        ..options()
    })
    .await
}

/// Sends a signed request to a server.
async fn signed(harness: &Harness, access: &str, secret: &str) -> HttpResponse {
    let host = harness.address().to_string();
    let mut headers = lambda_http::http::HeaderMap::new();
    headers.insert("host", host.parse().unwrap());
    headers.insert(DATE, NOW.parse().unwrap());
    let signable = Signable {
        method: "GET",
        path: "/v2/images",
        query: "",
        headers: &headers,
        body: b"",
    };
    let secret = Secret::new(secret.to_owned());
    let value = sign(signable, &["host", DATE], access, &secret).unwrap();
    let sent = [(DATE, NOW), ("authorization", &value)];
    harness
        .send_with(Who::NoToken, "GET", "/v2/images", &sent, None)
        .await
}

/// The real command beside a running server: create, use, rotate, disable.
#[tokio::test]
async fn a_key_is_managed_beside_a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let clock = ManualClock::default();
    let harness = server(&data, &clock).await;
    let shell = Shell::new(&[
        ("IMSHARE_DATA_DIR", data.to_str().unwrap()),
        ("USER", "operator"),
    ]);
    let run = async |arguments: &[&str]| {
        let all: Vec<&str> = ["access-key"].iter().chain(arguments).copied().collect();
        shell.run(&all).await
    };
    let user = ["--project", OWNER, "--user", "u-ci"];
    let create: Vec<&str> = ["create", "-f", "json"].into_iter().chain(user).collect();
    let created = run(&create).await.expect(0);
    assert!(created.err.contains("shown this once"), "{created:?}");
    let first = created.json();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let (old, old_secret) = (text(&first, "Access Key"), text(&first, "Secret"));
    assert_eq!(text(&first, "Created By"), "operator");
    assert_eq!((old.len(), old_secret.len()), (20, 64));
    signed(&harness, &old, &old_secret).await.expect(200);
    signed(&harness, &old, "not it").await.expect(401);

    let rotated = run(&["rotate", &old, "-f", "json"]).await.expect(0);
    assert!(
        rotated.err.contains(&format!("disable {old}")),
        "{rotated:?}"
    );
    let second = rotated.json();
    let (new, new_secret) = (text(&second, "Access Key"), text(&second, "Secret"));
    signed(&harness, &new, &new_secret).await.expect(200);
    signed(&harness, &old, &old_secret).await.expect(200);
    let third = run(&create).await;
    third.says(3, &["two enabled access keys", &old, &new, "disable one"]);

    run(&["disable", &old]).await.expect(0);
    clock.forward(1);
    signed(&harness, &old, &old_secret).await.expect(401);
    signed(&harness, &new, &new_secret).await.expect(200);
    let listed = run(&["list", "-f", "json"]).await.expect(0);
    for secret in [&old_secret, &new_secret] {
        assert!(!listed.out.contains(secret.as_str()), "{listed:?}");
    }
    let listed = listed.json();
    let states: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(states.len(), 2);
    for key in states {
        let disabled = key["Access Key"] == old.as_str();
        let state = if disabled { "disabled" } else { "enabled" };
        assert_eq!(key["State"], state);
        assert_eq!(key["Last Used"], "2025-10-09");
        assert_eq!(key["Project"], OWNER);
    }
    run(&["delete", &new]).await.says(3, &["is enabled"]);
    run(&["delete", &old]).await.expect(0);
    run(&["delete", &old])
        .await
        .says(2, &["there is no access key"]);
    run(&["rotate", "NOBODYS"])
        .await
        .says(2, &["there is no access key"]);
    harness.server.stop().await;

    // The keys are those of the directory, and survive the server.
    let harness = server(&data, &clock).await;
    signed(&harness, &new, &new_secret).await.expect(200);
    harness.server.stop().await;
}

#[tokio::test]
async fn a_wrong_command_about_keys_is_one_sentence() {
    let shell = Shell::new(&[("IMSHARE_DATA_DIR", "nothing-here")]);
    let list = shell.run(&["access-key", "list"]).await;
    list.says(2, &["there is no data directory of a server"]);
    // What leaves no record of somebody asks for no name.
    for command in [&["list"][..], &["delete", "K"]] {
        let by = [&["access-key"], command, &["--by", "ops"]].concat();
        let told = shell.run(&by).await.expect(2);
        assert!(told.err.contains("unexpected argument '--by'"), "{told:?}");
    }
    let url = "http://127.0.0.1:1";
    let away = [
        "access-key",
        "list",
        "--table",
        "t",
        "--dynamodb-endpoint",
        url,
    ];
    shell
        .run(&away)
        .await
        .says(4, &["cannot reach the table t"]);
    let which = ["access-key", "list", "--dynamodb-endpoint", url];
    shell
        .run(&which)
        .await
        .says(2, &["which table?", "AccessKeyTableName"]);
    let region = ["access-key", "list", "--table", "t"];
    shell.run(&region).await.says(2, &["AWS_REGION"]);
    let home = shell.home.path().join("data");
    std::fs::create_dir(&home).unwrap();
    let shell = shell.with("IMSHARE_DATA_DIR", home.to_str().unwrap());
    // Nothing is created in a directory of something else.
    shell
        .run(&["access-key", "list"])
        .await
        .says(2, &["start one"]);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    std::fs::write(home.join("table.sqlite"), "").unwrap();
    for (project, user, word) in [
        ("", "u", "--project"),
        ("p", "", "--user"),
        ("p", "a\nb", "--user"),
    ] {
        let create = ["access-key", "create", "--project", project, "--user", user];
        shell.run(&create).await.says(2, &[word]);
    }
}

/// The command and a server on one DynamoDB: here, the engine of another server.
#[tokio::test]
async fn keys_may_be_in_a_table_of_dynamodb() {
    let store = Harness::with(Options {
        dynamodb_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..options()
    })
    .await;
    let address = store.server.dynamodb_address.unwrap();
    let endpoint = format!("http://{address}");
    let clock = ManualClock::default();
    let harness = Harness::with(Options {
        dynamodb_endpoint: Some(endpoint.clone()),
        access_key_table: Some("keys".to_owned()),
        clock: clock.clock(),
        ..options()
    })
    .await;
    let shell = Shell::new(&[
        ("IMSHARE_DYNAMODB_ENDPOINT", &endpoint),
        ("IMSHARE_ACCESS_KEY_TABLE", "keys"),
    ]);
    let create = [
        "access-key",
        "create",
        "-f",
        "value",
        "-c",
        "Access Key",
        "-c",
        "Secret",
        "--project",
        OWNER,
        "--user",
        "u-ci",
    ];
    let created = shell.run(&create).await.expect(0);
    let [access, secret] = created.lines()[..] else {
        panic!("{created:?}")
    };
    signed(&harness, access, secret).await.expect(200);
    shell
        .run(&["access-key", "disable", access])
        .await
        .expect(0);
    clock.forward(1);
    signed(&harness, access, secret).await.expect(401);
    let absent = shell.with("IMSHARE_ACCESS_KEY_TABLE", "other");
    let list = absent.run(&["access-key", "list"]).await;
    list.says(2, &["there is no table other"]);
}

/// Repeated bad signatures over HTTP.
#[tokio::test]
async fn many_bad_signatures_are_told_to_wait() {
    let (harness, _) = Harness::with_clock().await;
    for _ in 0..10 {
        signed(&harness, "OWNERAKOWNERAKOWNERA", "no")
            .await
            .expect(401);
    }
    let told = signed(&harness, "OWNERAKOWNERAKOWNERA", "no")
        .await
        .expect(429);
    assert_eq!(told.header("retry-after"), Some("60"));
    assert!(told.header("www-authenticate").is_none());
    assert!(told.body.contains("429 Too Many Requests"), "{}", told.body);
    let owner = "owner-secret-key-0123456789abcdef0123456";
    signed(&harness, "OWNERAKOWNERAKOWNERA", owner)
        .await
        .expect(200);
}
