//! Signals at every moment: a file is whole or not there, and one sentence says why. What a test waits for is a
//! sign of the process, never a time.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::bad_day::backed_up;
use super::{Ended, Place, ended, signal};

/// Waits until this is so.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{what} did not come in 2 min");
}

/// Waits until a file is there.
async fn appears(path: &Path) {
    until(&path.display().to_string(), || path.exists()).await;
}

async fn make_pipe(path: &Path) {
    let made = tokio::process::Command::new("mkfifo").arg(path).status();
    assert!(made.await.unwrap().success());
}

/// A backup waits here for a lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_a_backup() {
    let place = backed_up().await;
    let before = place.names();
    let table = rusqlite::Connection::open(place.path("data/table.sqlite")).unwrap();
    for (name, code, words) in [("-TERM", 143, "SIGTERM"), ("-INT", 130, "Ctrl-C")] {
        table.execute_batch("BEGIN IMMEDIATE").unwrap();
        let arguments = ["backup", "b.tar", "--data-dir", "data"];
        let child = place.command(&arguments).spawn().unwrap();
        appears(&place.path("b.tar.partial/lock")).await;
        // A second one to the same file would be in its way.
        place
            .run(&arguments)
            .await
            .says(2, "another backup to b.tar");
        signal(&child, name).await;
        let said = ended(child).await.says(code, words);
        assert!(said.err.contains("; no backup was written"), "{said:?}");
        assert_eq!(place.names(), before, "{name}");
        table.execute_batch("ROLLBACK").unwrap();
    }
}

/// A restore waits here for the second half of its backup, which comes through a pipe.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_a_restore() {
    let place = backed_up().await;
    let whole = std::fs::read(place.path("good.tar")).unwrap();
    let pipe = place.path("pipe");
    make_pipe(&pipe).await;
    let before = place.names();
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let arguments = ["restore", "pipe", "--data-dir", "new"];
        let child = place.command(&arguments).spawn().unwrap();
        let (to, half) = (pipe.clone(), whole[..whole.len() / 2].to_vec());
        let writing = tokio::task::spawn_blocking(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(to).unwrap();
            pipe.write_all(&half).unwrap();
            pipe
        });
        appears(&place.path("new/restore.partial/table.sqlite")).await;
        let mut pipe = writing.await.unwrap();
        signal(&child, name).await;
        // It may have gone already.
        let _ = pipe.write_all(&whole[whole.len() / 2..]);
        drop(pipe);
        let said = ended(child).await.says(code, "; nothing was restored");
        assert!(said.err.contains("stopped by"), "{said:?}");
        assert_eq!(place.names(), before, "{name}");
    }
}

/// Where a test can hold a backup up.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It waits for the lock of the table.
    Locking,
    /// It packs: the archive is a pipe, which is full.
    Packing,
}

/// Starts a backup that comes to this moment, and sends it a signal there.
async fn stopped_at(place: &Place, moment: Moment, name: &str, file: &str) -> Ended {
    let table = rusqlite::Connection::open(place.path("data/table.sqlite")).unwrap();
    table.execute_batch("BEGIN IMMEDIATE").unwrap();
    // A backup removes what another has left, and then waits for the lock.
    let partial = place.path(&format!("{file}.partial"));
    std::fs::create_dir_all(&partial).unwrap();
    let left = partial.join("access-keys.sqlite-journal");
    std::fs::write(&left, "").unwrap();
    let arguments = ["backup", file, "--data-dir", "data"];
    let child = place.command(&arguments).spawn().unwrap();
    until("the removal", || !left.exists()).await;
    let archive = partial.join("backup.tar");
    match moment {
        Moment::Locking => {
            signal(&child, name).await;
            let ended = ended(child).await;
            table.execute_batch("ROLLBACK").unwrap();
            ended
        }
        Moment::Packing => {
            make_pipe(&archive).await;
            table.execute_batch("ROLLBACK").unwrap();
            // Its first byte comes when the copies are made and checked.
            let begun = tokio::task::spawn_blocking(move || {
                let mut archive = std::fs::File::open(archive).unwrap();
                archive.read_exact(&mut [0]).unwrap();
                archive
            });
            let mut archive = begun.await.unwrap();
            signal(&child, name).await;
            // The write that waits for a reader goes on, up to the next look for a signal.
            let rest = move || archive.read_to_end(&mut Vec::new());
            let read = tokio::task::spawn_blocking(rest);
            let ended = ended(child).await;
            read.await.unwrap().unwrap();
            ended
        }
    }
}

/// A kill leaves no backup, and what it does leave the next backup removes. SIGTERM leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_leaves_no_backup() {
    let place = backed_up().await;
    let before = place.names();
    for moment in [Moment::Locking, Moment::Packing] {
        let ended = stopped_at(&place, moment, "-KILL", "b.tar").await;
        assert_eq!(ended.code, None, "{moment:?}: {ended:?}");
        assert!(place.path("b.tar.partial").exists(), "{moment:?}");
        assert!(!place.path("b.tar").exists(), "{moment:?}");
        place
            .run(&["backup", "b.tar", "--data-dir", "data", "-q"])
            .await
            .expect(0);
        std::fs::remove_file(place.path("b.tar")).unwrap();
        assert_eq!(place.names(), before, "{moment:?}");

        let ended = stopped_at(&place, moment, "-TERM", "b.tar").await;
        ended.says(143, "SIGTERM; no backup was written");
        assert_eq!(place.names(), before, "{moment:?}");
    }
}

/// Whatever it is doing: from when on one of its files is there, the signal comes at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_or_not_there() {
    let place = backed_up().await;
    let before = place.names();
    let signs = [
        "b.tar.partial",
        "b.tar.partial/table.sqlite",
        "b.tar.partial/queue.sqlite",
        "b.tar.partial/backup.tar",
        "b.tar",
    ];
    for (sign, name) in signs
        .iter()
        .flat_map(|sign| [(sign, "-KILL"), (sign, "-TERM")])
    {
        let arguments = ["backup", "b.tar", "--data-dir", "data"];
        let mut child = place.command(&arguments).spawn().unwrap();
        let sign = place.path(sign);
        let has_ended = |child: &mut tokio::process::Child| child.try_wait().unwrap().is_some();
        until("the sign", || sign.exists() || has_ended(&mut child)).await;
        if !has_ended(&mut child) {
            signal(&child, name).await;
        }
        let ended = ended(child).await;
        let partial = place.path("b.tar.partial").exists();
        assert!(!partial || name == "-KILL", "{ended:?}");
        match place.path("b.tar").exists() {
            false => assert_ne!(ended.code, Some(0), "{ended:?}"),
            true => {
                place
                    .run(&["restore", "b.tar", "--data-dir", "new", "-q"])
                    .await
                    .expect(0);
                std::fs::remove_dir_all(place.path("new")).unwrap();
            }
        }
        // The next one removes what this one has left.
        place
            .run(&["backup", "b.tar", "--data-dir", "data", "--force", "-q"])
            .await
            .expect(0);
        std::fs::remove_file(place.path("b.tar")).unwrap();
        assert_eq!(place.names(), before);
    }
}

/// A restore that was killed: no server starts from half of it, and the next restore begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_is_begun_anew() {
    let place = backed_up().await;
    let new = place.path("new");
    for files in [
        &["lock"][..],
        &["lock", "table.sqlite"],
        &["table.sqlite", "queue.sqlite"],
    ] {
        std::fs::create_dir_all(new.join("restore.partial")).unwrap();
        for file in files {
            std::fs::write(new.join(file), "").unwrap();
        }
        let options = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            new.to_str().unwrap(),
        ];
        let said = crate::restart::refused(&options).await;
        assert!(
            said.contains("did not come to its end: restore again"),
            "{said}"
        );
        let unfinished = "did not come to its end";
        place
            .run(&["check", "--data-dir", "new"])
            .await
            .says(2, unfinished);
        place
            .run(&["restore", "good.tar", "--data-dir", "new", "-q"])
            .await
            .expect(0);
        place
            .run(&["check", "--data-dir", "new", "-q"])
            .await
            .expect(0);
        std::fs::remove_dir_all(&new).unwrap();
    }
}

/// Makes a table that imshare does not know, whose rows SQLite takes minutes to check: each against so many
/// constraints of so many comparisons.
fn much_to_check(table: &Path) {
    let (rows, constraints, comparisons) = (100_000, 40, 1_000);
    let comparisons: String = (1..comparisons)
        .map(|number| format!(" WHEN -{number} THEN 0"))
        .collect();
    let constraints: String = (0..constraints)
        .map(|_| format!(", CHECK (CASE x{comparisons} ELSE 1 END)"))
        .collect();
    let table = rusqlite::Connection::open(table).unwrap();
    // Here they are not checked, or it would take as long.
    let made = table.execute_batch(&format!(
        "PRAGMA ignore_check_constraints = ON;
         CREATE TABLE many (x, y{constraints});
         INSERT INTO many WITH RECURSIVE n(x) AS
             (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows}) SELECT x, 'row ' || x FROM n"
    ));
    made.unwrap();
}

/// How many bytes a process has read from files.
fn bytes_read(child: &tokio::process::Child) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", child.id().unwrap())).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

/// It reads and writes nothing, so a signal has nothing to leave behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_a_check() {
    let place = Place::with_data("data").await;
    let table = place.path("data/table.sqlite");
    much_to_check(&table);
    let size = std::fs::metadata(&table).unwrap().len();
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let arguments = ["check", "--data-dir", "data"];
        let child = place.command(&arguments).spawn().unwrap();
        // Only SQLite's check reads so much.
        until("half of the file", || bytes_read(&child) > size / 2).await;
        signal(&child, name).await;
        ended(child).await.says(code, "; not checked");
    }
}
