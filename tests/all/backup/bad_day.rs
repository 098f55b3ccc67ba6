//! Bad input and full disks: nothing half is left, and one sentence says why.

use super::{Ended, Place, ended, names};

/// A place with a data directory and a backup of it.
pub async fn backed_up() -> Place {
    let place = Place::with_data("data").await;
    place
        .run(&["backup", "good.tar", "--data-dir", "data", "-q"])
        .await
        .expect(0);
    place
}

/// Refused, and nothing is there that was not.
async fn refused(place: &Place, arguments: &[&str], words: &str) {
    let before = place.names();
    place.run(arguments).await.says(2, words);
    assert_eq!(place.names(), before, "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_cut_off_is_refused_wherever_that_was() {
    let place = backed_up().await;
    let whole = std::fs::read(place.path("good.tar")).unwrap();
    // After the last entry there are only blocks of zeros.
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let cuts = [
        0,
        1,
        511,
        512,
        600,
        1024,
        1500,
        2048,
        end / 2,
        end - 700,
        end - 512,
        end,
    ];
    for cut in cuts {
        std::fs::write(place.path("cut.tar"), &whole[..cut]).unwrap();
        let words = if cut < 1024 {
            "is not a backup"
        } else {
            "it was cut off"
        };
        let arguments = ["restore", "cut.tar", "--data-dir", "new"];
        let before = place.names();
        let ended = place.run(&arguments).await.says(2, "nothing was restored");
        assert!(ended.err.contains(words), "{cut}: {ended:?}");
        assert_eq!(place.names(), before, "{cut}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_program_is_refused() {
    let place = backed_up().await;
    let other = rusqlite::Connection::open(place.path("other.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    drop(other);
    std::fs::write(place.path("text"), "hello\n".repeat(9_999)).unwrap();
    std::fs::write(
        place.path("other.zip"),
        [b"PK\x03\x04", &[7; 5_000][..]].concat(),
    )
    .unwrap();
    std::fs::write(place.path("empty"), "").unwrap();
    let tar = tokio::process::Command::new("tar")
        .args(["cf", "other.tar", "text"])
        .current_dir(place.directory.path())
        .status();
    assert!(tar.await.unwrap().success());
    for name in [
        "other.sqlite",
        "text",
        "other.zip",
        "empty",
        "other.tar",
        "data",
    ] {
        let words = "is not a backup that imshare has made; nothing was restored";
        refused(&place, &["restore", name, "--data-dir", "new"], words).await;
    }
    refused(
        &place,
        &["restore", "none", "--data-dir", "new"],
        "cannot read none",
    )
    .await;
    // Such a database in the place of ours.
    std::fs::create_dir(place.path("theirs")).unwrap();
    for name in ["table.sqlite", "queue.sqlite"] {
        std::fs::copy(place.path("other.sqlite"), place.path("theirs").join(name)).unwrap();
    }
    let theirs = place.path("theirs");
    let set = |id: u32| {
        let file = rusqlite::Connection::open(theirs.join("table.sqlite")).unwrap();
        file.pragma_update(None, "application_id", id).unwrap();
    };
    set(7);
    let words = "is a database of another program";
    refused(&place, &["backup", "b.tar", "--data-dir", "theirs"], words).await;
    refused(&place, &["check", "--data-dir", "theirs"], words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_is_refused() {
    let place = backed_up().await;
    let whole = std::fs::read(place.path("good.tar")).unwrap();
    // In the table, far from its header; and in the queue.
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for at in [whole.len() / 2, end - 4_096] {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        std::fs::write(place.path("bad.tar"), changed).unwrap();
        let arguments = ["restore", "bad.tar", "--data-dir", "new"];
        refused(&place, &arguments, "is damaged").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_restored_into_an_empty_directory_only() {
    let place = backed_up().await;
    let words = "is not empty";
    refused(
        &place,
        &["restore", "good.tar", "--data-dir", "data"],
        words,
    )
    .await;
    std::fs::create_dir(place.path("used")).unwrap();
    std::fs::write(place.path("used/theirs"), "precious").unwrap();
    refused(
        &place,
        &["restore", "good.tar", "--data-dir", "used"],
        words,
    )
    .await;
    assert_eq!(names(&place.path("used")), ["theirs"]);
    // A server's, while it runs.
    let data = place.path("data");
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let (_child, _) = crate::restart::start(&options).await;
    let words = "is in use by another imshare";
    refused(
        &place,
        &["restore", "good.tar", "--data-dir", "data"],
        words,
    )
    .await;
    // One that is there and empty keeps its mode.
    std::fs::create_dir(place.path("empty")).unwrap();
    place
        .run(&["restore", "good.tar", "--data-dir", "empty", "-q"])
        .await
        .expect(0);
    place
        .run(&["check", "--data-dir", "empty", "-q"])
        .await
        .expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_asked_for_is_refused_if_it_makes_no_sense() {
    let place = backed_up().await;
    let backup = |to: &'static str, data: &'static str| ["backup", to, "--data-dir", data];
    refused(&place, &backup("good.tar", "data"), "good.tar exists").await;
    refused(&place, &backup("-", "data"), "name a file").await;
    refused(&place, &backup("data", "data"), "data exists").await;
    refused(
        &place,
        &backup("b.tar", "nowhere"),
        "there is no table in nowhere",
    )
    .await;
    refused(&place, &backup("no/b.tar", "data"), "cannot write no/b.tar").await;
    refused(
        &place,
        &["check", "--data-dir", "nowhere"],
        "there is no nowhere",
    )
    .await;
    let table = ["check", "--data-dir", "data", "--table", "other"];
    refused(&place, &table, "has no table other").await;
    let login = ["--os-cloud", "x", "check", "--data-dir", "data"];
    refused(&place, &login, "login options").await;
    place
        .run(&["backup", "good.tar", "--data-dir", "data", "--force", "-q"])
        .await
        .expect(0);
}

/// Runs the binary with a limit on the size of files, in KiB: a write beyond it fails as on a full disk.
async fn confined(place: &Place, kib: usize, arguments: &[&str]) -> Ended {
    let script = format!("ulimit -f {kib}; exec \"$@\"");
    let binary = crate::restart::binary();
    let mut command = tokio::process::Command::new("bash");
    command
        .args(["-c", &script, "bash", binary.to_str().unwrap()])
        .args(arguments)
        .current_dir(place.directory.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    ended(command.spawn().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_leaves_nothing_half() {
    let place = backed_up().await;
    let before = place.names();
    let size = |name: &str| std::fs::metadata(place.path(name)).unwrap().len() / 1024;
    let whole = usize::try_from(size("good.tar")).unwrap();
    // While pages are copied, and while they are packed. SQLite needs 32 KiB to open a file at all.
    for kib in [40, whole / 2, whole - 4] {
        let arguments = ["backup", "b.tar", "--data-dir", "data"];
        let said = confined(&place, kib, &arguments)
            .await
            .says(2, "cannot write");
        assert!(said.err.contains("; no backup was written"), "{said:?}");
        assert_eq!(place.names(), before, "{kib}");
        let arguments = ["restore", "good.tar", "--data-dir", "new"];
        let said = confined(&place, kib.min(whole / 2), &arguments).await;
        let said = said.says(2, "cannot write");
        assert!(said.err.contains("; nothing was restored"), "{said:?}");
        assert_eq!(place.names(), before, "{kib}");
    }
    // Nor is the backup lost that was to be replaced.
    let arguments = ["backup", "good.tar", "--data-dir", "data", "--force"];
    confined(&place, 40, &arguments)
        .await
        .says(2, "cannot write");
    place
        .run(&["restore", "good.tar", "--data-dir", "new", "-q"])
        .await
        .expect(0);
}

/// Whoever makes an archive chooses the words in it, which are not for the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_somebody_else_moves_no_cursor() {
    let place = Place::new();
    let evil = "2\u{1b}[2J\u{9b}2J\u{202e}";
    let manifest = serde_json::json!({"program": "imshare", "form": 9, "release": evil});
    let name = "imshare-backup.json";
    std::fs::write(place.path(name), manifest.to_string()).unwrap();
    let tar = tokio::process::Command::new("tar")
        .args(["cf", "evil.tar", name])
        .current_dir(place.directory.path())
        .status();
    assert!(tar.await.unwrap().success());
    let arguments = ["restore", "evil.tar", "--data-dir", "new"];
    let told = place.run(&arguments).await;
    let told = told.says(2, "made by a newer imshare (2");
    let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!told.err.contains(moves), "{told:?}");
}

/// Where everybody may write, somebody else may have made the directory that a backup is made in.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_in_no_directory_of_somebody_else() {
    let place = Place::with_data("data").await;
    let (theirs, partial) = (place.path("theirs"), place.path("b.tar.partial"));
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::symlink(&theirs, &partial).unwrap();
    let backup = ["backup", "b.tar", "--data-dir", "data"];
    refused(&place, &backup, "is in the way").await;
    assert!(names(&theirs).is_empty());
    std::fs::remove_file(&partial).unwrap();
    std::fs::create_dir(&partial).unwrap();
    // Only root can give a directory to another user.
    if std::os::unix::fs::chown(&partial, Some(12_345), None).is_ok() {
        refused(&place, &backup, "is in the way").await;
        assert!(names(&partial).is_empty());
    }
    std::os::unix::fs::chown(&partial, Some(uid_of(&theirs)), None).unwrap();
    place.run(&backup).await.expect(0);
}

/// Who owns a file.
fn uid_of(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().uid()
}
