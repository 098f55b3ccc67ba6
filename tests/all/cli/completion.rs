//! Shell completion: what each shell needs, and the names that the service has.

use super::{Shell, owner};
use crate::harness::Harness;
use crate::restart::binary;

/// Asks as bash does, for the last word.
pub async fn complete(shell: &Shell, words: &[&str]) -> Vec<String> {
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

/// What bash inserts is one word, as the word before it was begun.
#[tokio::test(flavor = "multi_thread")]
async fn bash_quotes_names() {
    let harness = Harness::new().await;
    let owner = Shell::of(&harness, "owner").await;
    for name in ["my image", "it's odd", "$HOME \"x\""] {
        owner.run(&["image", "create", name]).await.expect(0);
    }
    let script = owner.run(&["completion", "bash"]).await.expect(0).out;
    let file = owner.write("completion.bash", &script);
    // Bash calls the function with the word as it is typed, but for a quote at its start.
    let complete = |typed: &str, word: &str| {
        let ask = format!(
            "PATH={}:$PATH; source {file}; COMP_WORDS=(imshare share \"$1\"); COMP_CWORD=2; COMP_TYPE=9
             \"$(complete -p imshare | sed 's/.* -F \\([^ ]*\\).*/\\1/')\" imshare \"$2\" share
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            binary().parent().unwrap().display()
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &ask, "bash", typed, word])
            .env_clear()
            .envs(&owner.variables)
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (typed, word, inserted) in [
        ("my", "my", "my\\ image\n"),
        ("my\\ i", "my\\ i", "my\\ image\n"),
        ("'my i", "my i", "my image\n"),
        ("it", "it", "it\\'s\\ odd\n"),
        ("'it", "it", "it'\\''s odd\n"),
        ("\"it", "it", "it's odd\n"),
        ("\"$H", "$H", "\\$HOME \\\"x\\\"\n"),
        ("\\$", "\\$", "\\$HOME\\ \\\"x\\\"\n"),
        ("--with-", "--with-", "--with-file\n"),
    ] {
        assert_eq!(complete(typed, word), inserted, "{typed}");
    }
}
