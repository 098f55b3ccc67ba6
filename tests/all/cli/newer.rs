//! The commands for what no other image service has: the recipient's view, trusted owners, declared
//! members.

use serde_json::json;

use super::fake::Fake;
use super::{DEBIAN, Ended, Shell, UBUNTU, owner};
use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, Who};

/// A column of a list, sorted.
fn column(ended: Ended, name: &str) -> Vec<String> {
    let rows = ended.expect(0).json();
    let cells = rows.as_array().unwrap().iter();
    let mut cells: Vec<String> = cells
        .map(|row| row[name].as_str().unwrap().to_owned())
        .collect();
    cells.sort();
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_is_read_and_emptied() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    let empty = member.run(&["inbox"]).await.expect(0);
    assert_eq!(
        (&*empty.out, &*empty.err),
        ("", "Nothing waits for an answer.\n")
    );
    owner
        .run(&["share", "debian-12", "ubuntu-24.04", "--with", "member"])
        .await
        .expect(0);
    let theirs = harness
        .post(Who::Member2, "/v2/images", json!({"name": "theirs"}))
        .await
        .expect(201);
    let member2 = Shell::of(&harness, "member2").await;
    member2
        .run(&["share", &theirs.text("/id"), "--with", MEMBER])
        .await
        .expect(0);

    let inbox = member.run(&["inbox"]).await.expect(0);
    let note = "3 images from 2 projects wait for an answer. Accept with: imshare accept --all\n";
    assert_eq!(inbox.err, note);
    for word in [
        "debian-12",
        "ubuntu-24.04",
        "theirs",
        OWNER,
        MEMBER2,
        "◌ pending",
    ] {
        assert!(inbox.out.contains(word), "{word} in {inbox:?}");
    }
    let from = member
        .run(&["inbox", "--from", "owner", "-f", "json"])
        .await;
    // What is proposed answers what is shown, and nothing else.
    assert!(
        from.err
            .ends_with(&format!("imshare accept --all --from {OWNER}\n")),
        "{from:?}"
    );
    assert_eq!(column(from, "Name"), ["debian-12", "ubuntu-24.04"]);
    member
        .run(&["inbox", "--from", "ownr"])
        .await
        .says(2, &["\"ownr\" (did you mean \"owner\"?)"]);

    let accepted = member
        .run(&["accept", "--all", "--from", "owner"])
        .await
        .expect(0);
    assert_eq!(accepted.out, "2 accepted\n");
    assert_eq!(
        column(member.run(&["inbox", "-f", "json"]).await, "Name"),
        ["theirs"]
    );
    assert_eq!(
        member.run(&["reject", "--all"]).await.expect(0).out,
        "1 rejected\n"
    );
    let rejected = member
        .run(&["inbox", "--status", "rejected", "-f", "json"])
        .await;
    assert_eq!(column(rejected, "Name"), ["theirs"]);
    let all = member
        .run(&["inbox", "--status", "all", "-f", "json"])
        .await;
    assert_eq!(column(all, "Status"), ["accepted", "accepted", "rejected"]);
    let nothing = member.run(&["accept", "--all"]).await.expect(0);
    assert_eq!(
        (&*nothing.out, &*nothing.err),
        ("", "There is nothing to do.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_who_has_not_answered() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let none = owner.run(&["pending"]).await.expect(0);
    assert_eq!((&*none.out, &*none.err), ("", "Everybody has answered.\n"));
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
    Shell::of(&harness, "member")
        .await
        .run(&["accept", "debian-12"])
        .await
        .expect(0);
    let pending = owner.run(&["pending"]).await.expect(0);
    assert_eq!(pending.err, "3 open invitations for 2 images\n");
    let rows = owner.run(&["pending", "-f", "json"]).await;
    assert_eq!(column(rows, "Image"), [DEBIAN, UBUNTU, UBUNTU]);
    let rows = owner
        .run(&["pending", "--member", "member", "-f", "json"])
        .await;
    assert_eq!(column(rows, "Image"), [UBUNTU]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_owners_are_accepted_at_once() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    let none = member.run(&["trust", "list"]).await.expect(0);
    assert!(none.err.starts_with("No owner is trusted"), "{none:?}");
    let added = member
        .run(&["trust", "add", "owner", "admin"])
        .await
        .expect(0);
    assert_eq!(
        added.err,
        "What 2 owners will share from now on is accepted at once.\n"
    );
    member
        .run(&["trust", "add", "admin", "--mode", "reject"])
        .await
        .expect(0);
    let rules = member
        .run(&["trust", "list", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(rules[0], json!({"Owner": OWNER, "Mode": "accept"}));
    assert_eq!(rules[1]["Mode"], "reject");
    let named = member
        .run(&["trust", "list", "--names", "-f", "json"])
        .await;
    assert_eq!(column(named, "Project Name"), ["admin", "owner"]);
    let table = member.run(&["trust", "list"]).await.expect(0).out;
    assert!(
        table.contains("✓ accept") && table.contains("✗ reject"),
        "{table}"
    );
    owner
        .run(&["share", "debian-12", "--with", "member"])
        .await
        .expect(0);
    let status = owner
        .run(&["members", "debian-12", "-f", "value", "-c", "Status"])
        .await
        .expect(0);
    assert_eq!(status.out, "accepted\n");
    member
        .run(&["trust", "remove", "owner", "admin"])
        .await
        .expect(0);
    assert_eq!(
        member
            .run(&["trust", "list", "-f", "json"])
            .await
            .expect(0)
            .json(),
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_are_set_to_a_list() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    owner
        .run(&["share", "debian-12", "--with", "member,member2"])
        .await
        .expect(0);
    let member = Shell::of(&harness, "member").await;
    member.run(&["accept", "debian-12"]).await.expect(0);
    let file = owner.write("members", "member\nadmin\n");
    let set = ["set-members", "debian-12", "--file", &file];
    let dry = owner
        .run(&[&set[..], &["--dry-run"]].concat())
        .await
        .expect(0);
    let difference = "+ admin\n- member2\n1 to add, 1 to remove, 1 to keep\n";
    assert_eq!(dry.out, difference);
    let dry = owner
        .run(&[&set[..], &["--dry-run", "-f", "json"]].concat())
        .await;
    assert_eq!(column(dry, "Change"), ["add", "keep", "remove"]);
    let done = owner.run(&set).await.expect(0);
    assert_eq!(done.err, difference);
    assert_eq!(done.out, "1 added, 1 removed, 1 unchanged\n");
    let rows = owner.run(&["members", "debian-12", "-f", "json"]).await;
    assert_eq!(column(rows, "Status"), ["accepted", "pending"]);
    // What is so already starts no job.
    let same = owner.run(&set).await.expect(0);
    assert_eq!(
        (&*same.out, &*same.err),
        ("", "0 to add, 0 to remove, 2 to keep\n")
    );
    let jobs = owner.run(&["job", "list", "-f", "json"]).await;
    assert_eq!(column(jobs, "Kind"), ["set-members", "share"]);
    let nobody = owner.write("nobody", "# nobody\n");
    let none = ["set-members", "debian-12", "--file", &nobody];
    let told = owner.run(&none).await.expect(2);
    assert!(
        told.err
            .contains("ends every share of the image: say --yes"),
        "{told:?}"
    );
    let ended = owner.run(&[&none[..], &["--yes"]].concat()).await.expect(0);
    assert_eq!(ended.out, "2 removed\n");
}

/// A server without these routes is named as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_told_in_one_sentence() {
    let fake = Fake::start().await;
    let shell = fake.shell();
    for (arguments, words) in [
        (&["inbox"][..], "invitations"),
        (&["accept", "--all"], "invitations"),
        (&["pending"], "lists of shares"),
        (&["trust", "list"], "trusted owners"),
        (&["trust", "add", MEMBER], "trusted owners"),
    ] {
        let told = shell.run(arguments).await;
        let sentence = format!("this server does not know {words}");
        told.says(2, &[&sentence, "(300", "newer imshare"]);
    }
}
