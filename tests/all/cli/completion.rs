//! Shell completion: what each shell needs, and the names that the service has.

use super::{Shell, owner};
use crate::harness::Harness;

/// Asks as bash does, for the last word.
async fn complete(shell: &Shell, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let asking = Shell {
        variables: shell.variables.clone(),
        home: tempfile::tempdir().unwrap(),
    }
    .with("IMSHARE_COMPLETE", "bash")
    .with("_CLAP_COMPLETE_INDEX", &index)
    .with("_CLAP_COMPLETE_COMP_TYPE", "9")
    .with("_CLAP_IFS", "\n")
    .with("IFS", "\n");
    let ended = asking.run(&[&["--"], words].concat()).await.expect(0);
    assert!(ended.err.is_empty(), "{ended:?}");
    ended
        .out
        .split(['\n', '\u{b}'])
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_options_and_images_are_completed() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    assert_eq!(complete(&owner, &["imshare", "uns"]).await, ["unshare"]);
    let options = complete(&owner, &["imshare", "share", "--with"]).await;
    assert_eq!(options, ["--with", "--with-file"]);
    assert_eq!(
        complete(&owner, &["imshare", "members", "deb"]).await,
        ["debian-12"]
    );
    let images = complete(&owner, &["imshare", "share", ""]).await;
    assert!(
        images.contains(&"debian-12".to_owned()) && images.contains(&"ubuntu-24.04".to_owned()),
        "{images:?}"
    );
    // Those that wait for an answer are among them.
    owner
        .run(&["share", "debian-12", "--with", "member"])
        .await
        .expect(0);
    let member = Shell::of(&harness, "member").await;
    assert_eq!(
        complete(&member, &["imshare", "accept", "deb"]).await,
        ["debian-12"]
    );
    // Names are remembered for a moment: without the service they are still there.
    harness.server.stop().await;
    assert_eq!(
        complete(&member, &["imshare", "accept", "deb"]).await,
        ["debian-12"]
    );
    // Without a login, or without a service, there are no names and no errors.
    let nobody = Shell::new(&[]);
    assert_eq!(
        complete(&nobody, &["imshare", "members", "deb"]).await,
        [""]
    );
}

#[tokio::test]
async fn every_shell_gets_its_script() {
    let shell = Shell::new(&[]);
    for (name, words) in [
        ("bash", "complete -o nospace"),
        ("zsh", "#compdef imshare"),
        ("fish", "complete --keep-order"),
    ] {
        let script = shell.run(&["completion", name]).await.expect(0).out;
        assert!(
            script.contains(words) && script.contains("IMSHARE_COMPLETE"),
            "{name}: {script}"
        );
    }
    // Bash itself reads it.
    let script = shell.run(&["completion", "bash"]).await.expect(0).out;
    let file = shell.write("completion.bash", &script);
    let mut read = std::process::Command::new("bash");
    read.args(["-c", &format!("source {file}; complete -p imshare")]);
    let output = read.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
