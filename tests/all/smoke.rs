//! `checks/smoke.sh`, which tries a deployment from outside, against the local server.

use crate::harness::{Harness, Who};

#[tokio::test(flavor = "multi_thread")]
async fn the_smoke_test_finds_the_local_server_well() {
    let harness = Harness::new().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../checks/smoke.sh");
    let run = async |token: &str| {
        let mut command = tokio::process::Command::new("bash");
        command
            .arg(script)
            .arg(format!("http://{}", harness.address()));
        let done = command.env("TOKEN", token).output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (
            done.status.code(),
            said + &String::from_utf8_lossy(&done.stderr),
        )
    };
    let (code, said) = run(Who::Owner.token().unwrap()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("all well\n"), "{said}");
    assert!(said.matches("ok  ").count() >= 25, "{said}");

    // It can fail.
    let (code, said) = run("a-token-that-nobody-gave").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  a list"), "{said}");
}
