//! `imshare backup`, `restore` and `check`: the real binary, beside a real server, on real files.

mod bad_day;
mod findings;
mod pair;
mod signals;
mod versions;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::restart::binary;

/// A place for data directories and backups.
pub struct Place {
    pub directory: tempfile::TempDir,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `None` if a signal ended the process.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The names of what is there, in order.
    pub fn names(&self) -> Vec<String> {
        names(self.directory.path())
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).spawn().unwrap()).await
    }

    /// A data directory with an image that is shared and a job, by a server that has stopped.
    pub async fn with_data(name: &str) -> Self {
        use local::options::{Data, Options};
        use serde_json::json;

        use crate::harness::{Harness, Who, options};
        let place = Self::new();
        let data = Data::Directory(place.path(name));
        let harness = Harness::with(Options { data, ..options() }).await;
        let image = harness.image(json!({"name": "debian"})).await;
        harness.share(&image, "a").await.expect(200);
        let absent = "00000000-0000-4000-8000-000000000000";
        let body = json!({"images": [image, absent], "projects": ["b", "c"]});
        let job = harness.post(Who::Owner, "/v1/cloudimages/members", body);
        let job = job.await.expect(200).text("/job_id");
        harness.ended(Who::Owner, &job).await;
        harness.server.stop().await;
        place
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

pub async fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().await.unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.await.unwrap().success());
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// One sentence on standard error, with these words, and nothing else anywhere.
    #[track_caller]
    pub fn says(self, code: i32, words: &str) -> Self {
        let ended = self.expect(code);
        assert!(ended.out.is_empty(), "{ended:?}");
        assert_eq!(ended.err.trim().lines().count(), 1, "{ended:?}");
        assert!(ended.err.starts_with("imshare: "), "{ended:?}");
        assert!(ended.err.contains(words), "{words} in {ended:?}");
        ended
    }

    pub fn findings(&self) -> Vec<(String, String)> {
        let rows: Value = serde_json::from_str(&self.out).unwrap();
        let rows = rows.as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["Record"]), text(&row["Finding"])))
            .collect()
    }
}
