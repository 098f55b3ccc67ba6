//! Names of images and projects, and that nothing is sent before all are known.

use serde_json::json;

use super::{DEBIAN, Shell, UBUNTU, owner};
use crate::harness::{Harness, MEMBER, MEMBER2, Who};

#[tokio::test(flavor = "multi_thread")]
async fn images_are_found_by_id_by_name_and_while_they_wait() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    owner
        .run(&["share", DEBIAN, "ubuntu-24.04", "--with", MEMBER])
        .await
        .expect(0);
    // Pending: in no list of images, but there.
    let shown = member
        .run(&["image", "show", "debian-12", "-f", "value", "-c", "ID"])
        .await;
    assert_eq!(shown.expect(0).lines(), [DEBIAN]);
    member.run(&["reject", "ubuntu-24.04"]).await.expect(0);
    // Rejected ones too, so that a mind can change.
    let accepted = member
        .run(&["accept", "ubuntu-24.04", DEBIAN])
        .await
        .expect(0);
    assert_eq!(accepted.out, "2 accepted\n");
    // An id that nobody knows is an error before anything is sent.
    let absent = "99999999-9999-4999-8999-999999999999";
    let told = member.run(&["accept", absent]).await;
    told.says(
        2,
        &[
            "there is no image",
            absent,
            "nothing was sent",
            "imshare inbox",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_several_images_is_asked_back() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let member = Shell::of(&harness, "member").await;
    let twin = "44444444-4444-4444-8444-444444444444";
    owner
        .run(&["image", "create", "debian-12", "--id", twin])
        .await
        .expect(0);
    let told = owner.run(&["share", "debian-12", "--with", "member"]).await;
    told.says(
        2,
        &[
            "2 images are named \"debian-12\"",
            DEBIAN,
            twin,
            "yours",
            "nothing was sent",
        ],
    );
    assert!(
        harness
            .get(Who::Owner, &format!("/v2/images/{DEBIAN}/members"))
            .await
            .json()["members"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    owner
        .run(&["share", twin, "--with", "member"])
        .await
        .expect(0);
    // A name that both sides use is that of the side that a command is about.
    harness
        .post(
            Who::Member,
            "/v2/images",
            json!({"name": "debian-12", "id": UBUNTU.replace('2', "5")}),
        )
        .await
        .expect(201);
    let accepted = member
        .run(&["accept", "debian-12", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(accepted[0]["Image"], twin);
    let shared = member
        .run(&["share", "debian-12", "--with", "member2", "-f", "json"])
        .await;
    assert_eq!(
        shared.expect(0).json()[0]["Image"],
        UBUNTU.replace('2', "5")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unknown_name_stops_the_whole_command() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let told = owner
        .run(&["share", "debian-12", "ubuntu-2404", "--with", "member"])
        .await;
    told.says(
        2,
        &[
            "\"ubuntu-2404\" (did you mean \"ubuntu-24.04\"?)",
            "nothing was sent",
        ],
    );
    let told = owner
        .run(&["share", "debian-12", "--with", "member,membre2"])
        .await;
    told.says(
        2,
        &[
            "no project \"membre2\" (did you mean",
            "\"member2\"",
            "nothing was sent",
        ],
    );
    let jobs = owner
        .run(&["job", "list", "-f", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(jobs, json!([]));
}

/// An owner that is named narrows names too: nothing of another owner is answered.
#[tokio::test(flavor = "multi_thread")]
async fn from_narrows_the_images_that_are_named() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let (admin, member) = (
        Shell::of(&harness, "admin").await,
        Shell::of(&harness, "member").await,
    );
    let (twin, alone) = (UBUNTU.replace('2', "5"), UBUNTU.replace('2', "6"));
    for (name, id) in [("debian-12", &twin), ("adm-img", &alone)] {
        admin
            .run(&["image", "create", name, "--id", id])
            .await
            .expect(0);
        admin
            .run(&["share", id, "--with", "member"])
            .await
            .expect(0);
    }
    owner
        .run(&["share", "debian-12", "--with", "member"])
        .await
        .expect(0);
    for image in ["adm-img", &alone] {
        let told = member.run(&["reject", image, "--from", "owner"]).await;
        told.says(
            2,
            &["there is no image", image, "nothing was sent", "--from"],
        );
    }
    let waiting = member
        .run(&["inbox", "-f", "value", "-c", "Name"])
        .await
        .expect(0);
    assert_eq!(waiting.lines().len(), 3, "{waiting:?}");
    // A name that two owners use is that of the owner.
    let twins = member.run(&["accept", "debian-12"]).await;
    twins.says(2, &["2 images are named \"debian-12\""]);
    let accepted = member
        .run(&["accept", "debian-12", "--from", "admin", "-f", "json"])
        .await;
    assert_eq!(accepted.expect(0).json()[0]["Image"], twin);
    // Without a name it needs --all.
    for answer in [&["accept"][..], &["accept", "--from", "owner"], &["reject"]] {
        let told = member.run(answer).await;
        told.says(2, &["name images, or take all that wait with --all"]);
    }
    // A vault is for what is accepted.
    for wrong in [
        &["reject", "debian-12", "--vault", "v"][..],
        &["job", "retry", "01a215412345", "--reject", "--vault", "v"],
    ] {
        let told = member.run(wrong).await.expect(2);
        assert!(told.err.contains("'--vault"), "{told:?}");
    }
}

/// A variable of the shell that is not set gives an empty name, which would be that of a nameless image.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_name_is_no_name() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    harness.image(json!({"name": ""})).await;
    for arguments in [
        &["share", "", "--with", "member"][..],
        &["share", "debian-12", "", "--with", "member"],
        &["reject", ""],
        &["image", "create", ""],
        &["image", "show", ""],
    ] {
        let told = owner.run(arguments).await;
        told.says(
            2,
            &["an image name is empty; is a variable of the shell not set? nothing was sent"],
        );
    }
    for arguments in [
        &["accept", "--all", "--from", ""][..],
        &["trust", "add", "owner", ""],
        &["pending", "--member", ""],
    ] {
        let told = owner.run(arguments).await;
        told.says(2, &["a project name is empty; is a variable"]);
    }
    let listed = owner.run(&["image", "list", "-f", "json"]).await.expect(0);
    assert_eq!(listed.json().as_array().unwrap().len(), 3);
}

/// Lists are written in two ways, and each is told where the other is used.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_written_the_other_way_are_told() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    for (arguments, words) in [
        (
            &["unshare", "debian-12", "--with", "admin", "member2"][..],
            "\"member2\" (a project has this name: write --with admin,member2); nothing was sent",
        ),
        (
            &["share", "debian-12", "membr2", "--with", "admin"],
            "there is no image \"membr2\"; nothing was sent",
        ),
        (
            &["share", "debian-12,ubuntu-24.04", "--with", "member"],
            "(images are separated by spaces)",
        ),
        (
            &["reject", "debian-12,ubuntu-24.04"],
            "(images are separated by spaces)",
        ),
    ] {
        owner.run(arguments).await.says(2, &[words]);
    }
}

/// More names than are asked for one by one: the lists are read instead.
#[tokio::test(flavor = "multi_thread")]
async fn many_names_are_found_in_the_lists() {
    let harness = Harness::new().await;
    let owner = Shell::of(&harness, "owner").await;
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(
            harness
                .image(json!({"name": format!("image {number}")}))
                .await,
        );
    }
    let names: Vec<String> = (0..24).map(|number| format!("image {number}")).collect();
    let mut arguments: Vec<&str> = vec!["share", "-f", "json", "--with", "member", &ids[24]];
    arguments.extend(names.iter().map(String::as_str));
    let shared = owner.run(&arguments).await.expect(0).json();
    assert_eq!(shared.as_array().unwrap().len(), 25);
    arguments.push("image 99");
    owner
        .run(&arguments)
        .await
        .says(2, &["there is no image \"image 99\"", "nothing was sent"]);
}

/// Lists of projects from a file and from standard input, mixed with options.
#[tokio::test(flavor = "multi_thread")]
async fn projects_come_from_a_file_or_from_standard_input() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let file = owner.write(
        "projects.txt",
        "\u{feff}# the web team\nmember\n member2 , admin\n\nmember\n",
    );
    let shared = owner
        .run(&[
            "share",
            "debian-12",
            "--with",
            "member",
            "--with-file",
            &file,
        ])
        .await;
    assert_eq!(shared.expect(0).out, "3 shared\n");
    let input = format!("{MEMBER},{MEMBER2}\n");
    let arguments = ["unshare", "debian-12", "--with-file", "-"];
    let ended = owner.run_with_input(&arguments, &input).await.expect(0);
    assert_eq!(ended.out, "2 no longer shared\n");
    // As Windows writes it.
    let input = format!("\u{feff}{MEMBER}\r\n");
    let ended = owner.run_with_input(&arguments, &input).await.expect(0);
    assert_eq!(ended.out, "1 not shared before\n");
    owner
        .run_with_input(&arguments, "# nobody\n")
        .await
        .says(2, &["no project is named"]);
    // An unknown name is told with its place.
    let file = owner.write("wrong.txt", "# the web team\n\nmember, membr2\n");
    for arguments in [
        &["share", "debian-12", "--with-file", &file][..],
        &["set-members", "debian-12", "--file", &file],
    ] {
        let place = format!("\"membr2\" (line 3 of {file}; did you mean");
        owner.run(arguments).await.says(2, &[&place]);
    }
    owner
        .run_with_input(&arguments, "member\r\nnobody-at-all\r\n")
        .await
        .says(2, &["\"nobody-at-all\" (line 2 of standard input)"]);
    owner
        .run(&["share", "debian-12", "--with-file", "nowhere.txt"])
        .await
        .says(2, &["cannot read nowhere.txt"]);
}
