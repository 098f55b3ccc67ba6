//! Snapshots of what commands print, in every form.

use serde_json::json;

use super::{DEBIAN, Shell, UBUNTU, golden, owner, stable};
use crate::harness::{Harness, MEMBER, MEMBER2, Who, options};

/// A terminal session as text.
struct Session(String);

impl Session {
    async fn add(&mut self, shell: &Shell, arguments: &[&str]) {
        let ended = shell.run(arguments).await;
        let line = format!("$ imshare {}\n", arguments.join(" "));
        self.0.push_str(&line);
        self.0
            .push_str(&stable(&format!("{}{}", ended.err, ended.out)));
        if ended.code != 0 {
            self.0.push_str(&format!("[exit {}]\n", ended.code));
        }
        self.0.push('\n');
    }
}

/// Scripts read lines, and others choose the names.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_line_breaks_is_one_line() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    owner.run(&["image", "create", "a\nb\r\nc"]).await.expect(0);
    let listed = owner
        .run(&["image", "list", "-f", "value", "-c", "Name"])
        .await;
    let lines: Vec<&str> = listed.out.lines().collect();
    assert!(lines.contains(&"a b  c"), "{lines:?}");
    assert_eq!(lines.len(), harness.listed(Who::Owner, "").await.len());
}

/// Every form, of a list, of a record and of a job's results.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_output() {
    let harness = Harness::with(local::options::Options {
        member_quota: 2,
        ..options()
    })
    .await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    let absent = "33333333-3333-4333-8333-333333333333";
    owner
        .run(&[
            "share",
            "debian-12",
            "ubuntu-24.04",
            "--with",
            "member,member2",
        ])
        .await
        .expect(0);
    member.run(&["accept", "debian-12"]).await.expect(0);
    // A name with quotes, with commas, and with other signs.
    let odd = [
        "image",
        "create",
        "odd, \"日本\" \u{1b}[31m",
        "--id",
        absent,
    ];
    owner.run(&odd).await.expect(0);
    for form in ["table", "json", "yaml", "csv", "value"] {
        let mut session = Session(String::new());
        for arguments in [
            &["image", "list", "--sort-column", "ID"][..],
            &[
                "image",
                "list",
                "--name",
                "debian-12",
                "-c",
                "Name",
                "-c",
                "id",
            ],
            &["image", "show", DEBIAN],
            &["members", "debian-12", "--sort-column", "Project"],
            &["share", "debian-12", "--with", "member,member2,admin"],
            &[
                "job", "list", "-c", "Kind", "-c", "Entries", "-c", "Failed", "-c", "Status",
            ],
            &["image", "list", "--name", "nothing"],
        ] {
            session
                .add(&owner, &[arguments, &["-f", form]].concat())
                .await;
        }
        golden(&format!("{form}.txt"), &session.0);
    }
    // What is for programs can be read by them.
    let listed = owner
        .run(&["image", "list", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["Name"].clone())
        .collect();
    assert!(
        names.contains(&json!("odd, \"日本\" \u{1b}[31m")),
        "{names:?}"
    );
}

/// The sentences of a day: what people read.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_sharing() {
    let harness = Harness::with(local::options::Options {
        member_quota: 2,
        ..options()
    })
    .await;
    let owner = owner(&harness).await;
    let (member, reader) = (
        Shell::of(&harness, "member").await,
        Shell::of(&harness, "owner-reader").await,
    );
    let mut session = Session(String::new());
    for (shell, arguments) in [
        (&owner, &["share", "debian-12", "--with", "member"][..]),
        (
            &owner,
            &["share", "debian-12", "--with", "member,member2,admin"],
        ),
        (
            &owner,
            &[
                "share",
                "debian-12",
                "ubuntu-24.04",
                "--with",
                "member,member2,admin",
            ],
        ),
        (&owner, &["share", "debain-12", "--with", "member"]),
        (
            &owner,
            &["share", "debian-12", "--with", "membr,member3,nobody"],
        ),
        (&owner, &["members", "debian-12", "--status", "accepted"]),
        (&member, &["accept", "debian-12"]),
        (&member, &["reject", "debian-12", "ubuntu-24.04"]),
        (&member, &["share", "debian-12", "--with", "member2"]),
        (
            &owner,
            &[
                "members",
                "debian-12",
                "-c",
                "Status",
                "--sort-column",
                "Status",
            ],
        ),
        (&owner, &["unshare", "debian-12", "--with", "member2,admin"]),
        (&reader, &["share", "debian-12", "--with", "member2"]),
        (&owner, &["job", "show", "0000000000000000000000000000abcd"]),
        (&owner, &["image", "list", "-c", "Nmae"]),
        (&owner, &["image", "create", "again", "--id", UBUNTU]),
    ] {
        session.add(shell, arguments).await;
    }
    golden("day.txt", &session.0);
    assert_eq!([MEMBER, MEMBER2].map(str::len), [32, 32]);
}

/// Properties are an object for programs and pairs for people. Only what can be set is offered.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_created_with_properties() {
    let harness = Harness::new().await;
    let owner = Shell::of(&harness, "owner").await;
    let create = ["image", "create", "new", "--property", "a=b"];
    let options = ["--property", "team=the web", "--visibility"];
    let all = owner
        .run(&[&create[..], &options, &["all"]].concat())
        .await
        .expect(2);
    assert!(
        all.err
            .contains("[possible values: private, shared, community, public]"),
        "{all:?}"
    );
    let created = owner
        .run(&[&create[..], &options, &["shared", "-f", "json"]].concat())
        .await;
    let properties = &created.expect(0).json()["Properties"];
    assert_eq!(properties, &json!({"a": "b", "team": "the web"}));
    let show = ["image", "show", "new", "-f", "value", "-c", "Properties"];
    assert_eq!(owner.run(&show).await.expect(0).out, "a=b, team=the web\n");
    let list = ["image", "list", "--visibility", "all", "-f", "json"];
    let listed = owner.run(&list).await.expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

/// A full disk is an error in every form; a reader that has seen enough is none.
#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_told() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let full = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).open("/dev/full").unwrap()
    };
    let sentence = "imshare: cannot write the output: No space left on device";
    for form in ["table", "json", "yaml", "csv", "value"] {
        for command in [&["image", "list"][..], &["image", "show", DEBIAN]] {
            let arguments = [command, &["-f", form]].concat();
            let told = owner.run_into(&arguments, full()).await.expect(1);
            assert_eq!(told.err, format!("{sentence}\n"), "{arguments:?}");
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let quiet = owner.run_into(&arguments, writer).await.expect(0);
            assert_eq!(quiet.err, "", "{arguments:?}");
        }
    }
    for arguments in [&["completion", "bash"][..], &["man"]] {
        owner.run_into(arguments, full()).await.says(1, &[sentence]);
    }
    // What was done is done.
    let share = ["share", "debian-12", "--with", "member"];
    for form in ["table", "json"] {
        let told = owner
            .run_into(&[&share[..], &["-f", form]].concat(), full())
            .await;
        told.says(1, &[sentence, "; the job was done: imshare job show 01"]);
    }
    let told = owner
        .run_into(&[&share[..], &["--no-wait"]].concat(), full())
        .await;
    told.says(
        1,
        &[
            sentence,
            "; the job goes on, come back to it with: imshare job wait 01",
        ],
    );
    let create = ["image", "create", "new"];
    let told = owner.run_into(&create, full()).await;
    told.says(1, &[sentence, "; the image was created"]);
    assert_eq!(harness.member_count(DEBIAN).await, 1);
}

/// Help is part of the interface: a change of it is reviewed.
#[tokio::test]
async fn help_and_manual_pages() {
    let shell = Shell::new(&[]);
    let mut session = Session(String::new());
    for arguments in [
        &["--help"][..],
        &["share", "-h"],
        &["job", "--help"],
        &["accept", "-h"],
    ] {
        session.add(&shell, arguments).await;
    }
    golden("help.txt", &session.0);
    let directory = shell.home.path().join("man");
    shell
        .run(&["man", directory.to_str().unwrap()])
        .await
        .expect(0);
    for page in [
        "imshare.1",
        "imshare-share.1",
        "imshare-job-retry.1",
        "imshare-serve.1",
    ] {
        let text =
            std::fs::read_to_string(directory.join(page)).unwrap_or_else(|_| panic!("{page}"));
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let page = shell.run(&["man"]).await.expect(0).out;
    assert!(page.contains(".TH imshare 1"), "{page}");
}
