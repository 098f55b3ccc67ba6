//! The schema versions of the files: those of the release before are read, those of a newer one refused.

use std::path::{Path, PathBuf};

use super::{Place, names};
use crate::restart::{refused, start};

fn version(path: &Path) -> (i32, i32) {
    let file = rusqlite::Connection::open(path).unwrap();
    let read = |name| {
        file.pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    (read("application_id"), read("user_version"))
}

fn set_version(path: &Path, version: i32) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.pragma_update(None, "user_version", version).unwrap();
}

/// A data directory that release 0.1.0 has written.
fn of_0_1_0(place: &Place) -> PathBuf {
    let data = place.path("old");
    std::fs::create_dir(&data).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/0.1.0");
    for file in ["table.sqlite", "queue.sqlite"] {
        std::fs::copy(kept.join(file), data.join(file)).unwrap();
    }
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_before_had_none_and_gets_ours() {
    let place = Place::new();
    let data = of_0_1_0(&place);
    // It can be backed up before it is upgraded, and is restored as it was.
    place
        .run(&["backup", "old.tar", "--data-dir", "old", "-q"])
        .await
        .expect(0);
    place
        .run(&["restore", "old.tar", "--data-dir", "again", "-q"])
        .await
        .expect(0);
    for name in ["table.sqlite", "queue.sqlite"] {
        assert_eq!(version(&place.path("again").join(name)), (0, 0));
    }
    let words = "was written by an earlier imshare";
    place
        .run(&["check", "--data-dir", "old"])
        .await
        .says(2, words);
    for data in [data, place.path("again")] {
        let options = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let (mut child, _) = start(&options).await;
        child.kill().await.unwrap();
        for (name, id) in [("table.sqlite", *b"IMSt"), ("queue.sqlite", *b"IMSq")] {
            assert_eq!(
                version(&data.join(name)),
                (i32::from_be_bytes(id), 1),
                "{name}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_one_is_one_sentence() {
    let place = Place::with_data("data").await;
    place
        .run(&["backup", "good.tar", "--data-dir", "data", "-q"])
        .await
        .expect(0);
    let data = place.path("data");
    for name in ["table.sqlite", "queue.sqlite"] {
        set_version(&data.join(name), 99);
        let words = format!("{name} was written by a newer imshare (schema version 99");
        let options = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let said = refused(&options).await;
        assert!(said.contains(&words), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        let before = (place.names(), names(&data));
        let backup = ["backup", "b.tar", "--data-dir", "data"];
        place.run(&backup).await.says(2, &words);
        place
            .run(&["check", "--data-dir", "data"])
            .await
            .says(2, &words);
        assert_eq!((place.names(), names(&data)), before);
        set_version(&data.join(name), 1);
    }
    // A backup of a newer release, by its manifest: its form, then its schemas.
    let whole = std::fs::read(place.path("good.tar")).unwrap();
    let at = |words: &str| {
        let found = whole
            .windows(words.len())
            .position(|it| it == words.as_bytes());
        found.unwrap_or_else(|| panic!("no {words}")) + words.len() - 1
    };
    for at in [at("\"form\": 1"), at("\"schema\": 1")] {
        let mut newer = whole.clone();
        newer[at] = b'9';
        std::fs::write(place.path("newer.tar"), newer).unwrap();
        let before = place.names();
        let version = env!("CARGO_PKG_VERSION");
        let words = format!("newer.tar was made by a newer imshare ({version})");
        let restore = ["restore", "newer.tar", "--data-dir", "new"];
        place.run(&restore).await.says(2, &words);
        assert_eq!(place.names(), before);
    }
}

/// The access keys are in a file of their own, and a backup has it too.
#[tokio::test(flavor = "multi_thread")]
async fn the_access_keys_are_backed_up_too() {
    let place = Place::with_data("data").await;
    let key = ["--project", "p", "--user", "ci", "--data-dir", "data"];
    let create = [&["access-key", "create"], &key[..]].concat();
    place.run(&create).await.expect(0);
    let backup = ["backup", "b.tar", "--data-dir", "data", "-q"];
    place.run(&backup).await.expect(0);
    let restore = ["restore", "b.tar", "--data-dir", "again", "-q"];
    place.run(&restore).await.expect(0);
    let mut lists = Vec::new();
    for data in ["data", "again"] {
        let list = ["access-key", "list", "-f", "json", "--data-dir", data];
        lists.push(place.run(&list).await.expect(0).out);
        let check = ["check", "--data-dir", data, "-q"];
        place.run(&check).await.expect(0);
    }
    assert!(lists[0].contains("\"ci\""), "{lists:?}");
    assert_eq!(lists[0], lists[1]);
    let keys = place.path("again/access-keys.sqlite");
    assert_eq!(version(&keys), (i32::from_be_bytes(*b"IMSk"), 1));
}
