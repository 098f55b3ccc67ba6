//! Logins: every source, and what is said when one is wrong.

use super::{Shell, owner};
use crate::harness::{Harness, OWNER, Who};

const LIST: [&str; 5] = ["image", "list", "-f", "value", "-c"];

async fn names(shell: &Shell, before: &[&str]) -> Vec<String> {
    let ended = shell
        .run(&[before, &LIST[..], &["Name"]].concat())
        .await
        .expect(0);
    let mut names: Vec<String> = ended.out.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_of_clouds_yaml_needs_its_name_only() {
    let harness = Harness::new().await;
    owner(&harness).await;
    let shell = Shell::new(&[]);
    let url = harness.server.url();
    let clouds = format!(
        "clouds:
  here:
    auth: {{auth_url: '{url}/identity', username: owner, project_name: owner}}
    region_name: RegionOne
  elsewhere:
    auth: {{auth_url: 'http://127.0.0.1:1/v3', username: owner, project_name: owner, password: secret}}
"
    );
    shell.write(".config/openstack/clouds.yaml", &clouds);
    shell.write(
        ".config/openstack/secure.yaml",
        "clouds: {here: {auth: {password: secret}}}",
    );
    let expected = ["debian-12", "ubuntu-24.04"];
    // The option stands before the command, or behind it.
    assert_eq!(names(&shell, &["--os-cloud", "here"]).await, expected);
    shell
        .run(&["image", "list", "--os-cloud", "here"])
        .await
        .expect(0);
    shell
        .run(&["image", "list", "--os-cloud", "elsewhere"])
        .await
        .says(
            4,
            &[
                "cannot reach the identity service at http://127.0.0.1:1",
                "nothing listens there",
            ],
        );
    shell
        .run(&["image", "list", "--os-cloud", "hree"])
        .await
        .says(2, &["no cloud \"hree\"", "\"here\"?"]);
    // Two clouds, so one has to be named.
    shell
        .run(&["image", "list"])
        .await
        .says(3, &["not logged in", "--os-cloud"]);
    // An option wins over the file.
    let wrong = [
        "image",
        "list",
        "--os-cloud",
        "here",
        "--os-password",
        "wrong",
    ];
    shell.run(&wrong).await.says(
        3,
        &["not logged in", "requires authentication", "(401, req-"],
    );
    let shell = shell.with("OS_CLOUD", "here");
    assert_eq!(names(&shell, &[]).await, expected);
    let region = ["image", "list", "--os-region-name", "RegionTwo"];
    shell.run(&region).await.says(
        2,
        &[
            "no public image service in the region \"RegionTwo\"",
            "RegionOne",
        ],
    );
    // A file in the directory where the command runs comes first.
    shell.write("clouds.yaml", "clouds: {other: {}}");
    shell
        .run(&["image", "list"])
        .await
        .says(2, &["no cloud \"here\"", "./clouds.yaml"]);
    shell.write("clouds.yaml", "clouds: {here: ]");
    shell
        .run(&["image", "list"])
        .await
        .says(2, &["./clouds.yaml is not YAML"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_a_login_too() {
    let harness = Harness::new().await;
    owner(&harness).await;
    let url = harness.server.url();
    let token = Who::Owner.token().unwrap();
    let identity = format!("{url}/identity/v3");
    let shell = Shell::new(&[("OS_AUTH_URL", &identity), ("OS_TOKEN", token)]);
    assert_eq!(names(&shell, &[]).await.len(), 2);
    // Exchanged for one of the project that is asked for.
    let shell = shell
        .with("OS_AUTH_TYPE", "v3token")
        .with("OS_PROJECT_NAME", "owner");
    assert_eq!(names(&shell, &[]).await.len(), 2);
    let shell = shell.with("OS_PROJECT_NAME", "member");
    shell
        .run(&["image", "list"])
        .await
        .says(3, &["not logged in", "(401"]);
    let shell = Shell::new(&[("OS_AUTH_URL", &identity), ("OS_TOKEN", "no-such-token")]);
    shell
        .run(&["image", "list"])
        .await
        .says(3, &["does not know this token"]);
    // Without an identity service at all.
    let pairs = [
        ("OS_ENDPOINT", &*url),
        ("OS_TOKEN", token),
        ("OS_PROJECT_ID", OWNER),
    ];
    let shell = Shell::new(&pairs);
    assert_eq!(names(&shell, &[]).await.len(), 2);
    shell
        .run(&["share", "debian-12", "--with", "member"])
        .await
        .says(
            2,
            &[
                "without the identity service projects have no names",
                "nothing was sent",
            ],
        );
    shell
        .without("OS_PROJECT_ID")
        .run(&["image", "list"])
        .await
        .says(3, &["OS_PROJECT_ID"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_login_lacks_is_named() {
    let harness = Harness::new().await;
    let shell = Shell::new(&[]);
    shell
        .run(&["inbox"])
        .await
        .says(3, &["there is no auth_url; set OS_AUTH_URL", "--os-cloud"]);
    let owner = Shell::of(&harness, "owner").await;
    let owner = owner.without("OS_PASSWORD");
    owner
        .run(&["inbox"])
        .await
        .says(3, &["there is no password; set OS_PASSWORD"]);
    let owner = owner
        .with("OS_PASSWORD", "secret")
        .without("OS_PROJECT_NAME");
    owner
        .run(&["inbox"])
        .await
        .says(3, &["for no project", "OS_PROJECT_NAME"]);
    let owner = owner.with("OS_AUTH_TYPE", "v3oidcpassword");
    owner
        .run(&["inbox"])
        .await
        .says(2, &["v3oidcpassword", "openstack token issue"]);
    let wrong = owner
        .with("OS_AUTH_TYPE", "password")
        .with("OS_AUTH_URL", "nowhere");
    wrong
        .run(&["inbox"])
        .await
        .says(2, &["is no address of the identity service"]);
    // The server's own commands take no login.
    let told = shell.run(&["--os-cloud", "x", "demo-env", "owner"]).await;
    told.says(2, &["login options are for commands that ask a service"]);
    shell
        .run(&["demo-env", "nobody"])
        .await
        .says(2, &["no user \"nobody\"", "owner, owner-reader"]);
}

/// The usual slips in the address of the identity service.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_of_the_identity_service_is_told() {
    let harness = Harness::new().await;
    let url = harness.server.url();
    let token = Who::Owner.token().unwrap();
    let owner = Shell::of(&harness, "owner").await.with("OS_AUTH_URL", &url);
    let told = format!(
        "{url}/v3 is no identity service (300): check OS_AUTH_URL; it often ends in /identity/v3 or :5000/v3"
    );
    owner.run(&["inbox"]).await.says(2, &[&told]);
    let shell = Shell::new(&[("OS_AUTH_URL", &*url), ("OS_TOKEN", token)]);
    shell.run(&["inbox"]).await.says(2, &[&told]);
    let secure = owner.with("OS_AUTH_URL", &url.replace("http:", "https:"));
    let words = ["it does not speak TLS; is the address http://?"];
    secure.run(&["inbox", "--insecure"]).await.says(4, &words);
}

/// No secret appears in an error, and help shows no variable's value.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_sight() {
    let harness = Harness::new().await;
    let owner = Shell::of(&harness, "owner")
        .await
        .with("OS_PASSWORD", "my-wrong-password");
    for arguments in [
        &["image", "list"][..],
        &["image", "list", "--help"],
        &["share", "--help"],
    ] {
        let ended = owner.run(arguments).await;
        assert!(
            !format!("{ended:?}").contains("my-wrong-password"),
            "{ended:?}"
        );
    }
}
