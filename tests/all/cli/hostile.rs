//! What other projects choose, such as names and ids, does nothing to the terminal of who reads it, and is taken
//! for nothing that it is not.

use serde_json::json;

use super::completion::complete;
use super::{DEBIAN, Shell, owner};
use crate::harness::{Harness, Who};

/// Clears the screen, sets the clipboard, begins another candidate of completion, turns the direction of writing.
const EVIL: &str = "deb\u{1b}[2J\u{9b}2J\u{1b}]52;c;AA==\u{7}\u{b}x\u{202e}\u{61c}\u{200b}";

fn is_harmless(text: &str) -> bool {
    !text.contains(|c: char| c != '\n' && (c.is_control() || "\u{202e}\u{61c}\u{200b}".contains(c)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_moves_no_cursor() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    harness.share(DEBIAN, EVIL).await.expect(200);
    let file = owner.write("projects", "member\n");
    let asked = ["set-members", DEBIAN, "--file", &file];
    let shown = owner.run(&[&asked[..], &["--dry-run"]].concat()).await;
    let shown = shown.expect(0);
    assert!(
        shown.out.contains("- deb") && is_harmless(&shown.out),
        "{shown:?}"
    );
    // The same as a note.
    let done = owner.run(&[&asked[..], &["--yes"]].concat()).await;
    let done = done.expect(0);
    assert!(
        done.err.contains("- deb") && is_harmless(&done.err),
        "{done:?}"
    );
    assert!(is_harmless(&done.out), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_typed_is_not_completed() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let body = json!({"name": EVIL});
    harness
        .post(Who::Owner, "/v2/images", body)
        .await
        .expect(201);
    let names = complete(&owner, &["imshare", "members", "deb"]).await;
    assert_eq!(names, ["debian-12"]);
}

/// Somebody knows the id of an image that the member waits for, and shares one that has it for a name.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_named_like_an_id_is_not_the_image_of_this_id() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let admin = Shell::of(&harness, "admin").await;
    let member = Shell::of(&harness, "member").await;
    let twin = DEBIAN.replace('1', "7");
    let create = ["image", "create", DEBIAN, "--id", &twin];
    admin.run(&create).await.expect(0);
    let share = ["share", &twin, "--with", "member"];
    admin.run(&share).await.expect(0);
    // Nothing else is there: the name is not taken for the id.
    let told = member.run(&["accept", DEBIAN]).await;
    told.says(2, &["there is no image", DEBIAN, "nothing was sent"]);
    // In a list of many images it does not get into the way of the right one.
    let share = ["share", DEBIAN, "--with", "member"];
    owner.run(&share).await.expect(0);
    let mut names = vec!["accept".to_owned(), DEBIAN.to_owned()];
    for number in 0..20 {
        let name = format!("n{number}");
        owner.run(&["image", "create", &name]).await.expect(0);
        owner
            .run(&["share", &name, "--with", "member"])
            .await
            .expect(0);
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    member.run(&names).await.expect(0);
    let waiting = ["inbox", "-f", "value", "-c", "Image"];
    let waiting = member.run(&waiting).await.expect(0);
    assert_eq!(waiting.lines(), [twin]);
}
