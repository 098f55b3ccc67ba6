//! The command line: the real binary against the service in this process, and against a fake service
//! where a test has to decide when something happens.

mod completion;
mod fake;
mod hostile;
mod jobs;
mod login;
mod names;
mod newer;
mod outputs;
mod terminal;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::harness::Harness;
use crate::restart::binary;

/// Two images of the owner.
pub const DEBIAN: &str = "11111111-1111-4111-8111-111111111111";
pub const UBUNTU: &str = "22222222-2222-4222-8222-222222222222";

/// Somebody at a shell: an environment and a home directory.
pub struct Shell {
    pub variables: BTreeMap<String, String>,
    pub home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().to_str().unwrap();
        let fixed = [
            ("HOME", directory),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
        ];
        let all = fixed.iter().chain(pairs);
        let variables = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = variables.collect();
        Self { variables, home }
    }

    /// A demo user, with the variables that `imshare demo-env` prints.
    pub async fn of(harness: &Harness, user: &str) -> Self {
        let shell = Self::new(&[]);
        let url = harness.server.url();
        let printed = shell
            .run(&["demo-env", user, "--url", &url])
            .await
            .expect(0)
            .out;
        let mut variables = BTreeMap::new();
        for line in printed.lines() {
            match line
                .strip_prefix("export ")
                .and_then(|pair| pair.split_once('='))
            {
                Some((name, value)) => variables.insert(name.to_owned(), value.to_owned()),
                None => {
                    assert!(line.starts_with("unset OS_CLOUD "), "{line}");
                    None
                }
            };
        }
        assert!(variables.len() >= 7, "{printed}");
        variables.extend(shell.variables.clone());
        Self { variables, ..shell }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    pub fn write(&self, file: &str, text: &str) -> String {
        let path = self.home.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, "").await
    }

    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        self.run_between(arguments, input, Stdio::piped()).await
    }

    /// Runs a command whose output goes to a file or a pipe.
    pub async fn run_into(&self, arguments: &[&str], out: impl Into<Stdio>) -> Ended {
        self.run_between(arguments, "", out.into()).await
    }

    async fn run_between(&self, arguments: &[&str], input: &str, out: Stdio) -> Ended {
        let mut child = Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its input may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// One sentence on standard error, with these words, and nothing on standard output.
    #[track_caller]
    pub fn says(self, code: i32, words: &[&str]) -> Self {
        let ended = self.expect(code);
        assert!(ended.out.is_empty(), "{ended:?}");
        let errors: Vec<&str> = ended
            .err
            .lines()
            .filter(|line| line.starts_with("imshare: "))
            .collect();
        assert_eq!(errors.len(), 1, "{ended:?}");
        for word in words {
            assert!(ended.err.contains(word), "{word} in {ended:?}");
        }
        ended
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The output as lines.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// The owner, with two images.
pub async fn owner(harness: &Harness) -> Shell {
    let owner = Shell::of(harness, "owner").await;
    for (name, id) in [("debian-12", DEBIAN), ("ubuntu-24.04", UBUNTU)] {
        owner
            .run(&["image", "create", name, "--id", id])
            .await
            .expect(0);
    }
    owner
}

/// Replaces what differs in each run by a text of the same length: times, ids of jobs and requests.
pub fn stable(text: &str) -> String {
    let mut stable = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c)));
        let run = run.unwrap_or(rest.len()).max(first.len_utf8());
        let (word, after) = rest.split_at(run);
        stable.push_str(&stable_word(word));
        rest = after;
    }
    stable
}

fn stable_word(word: &str) -> String {
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_time =
        word.len() >= 20 && word.starts_with("20") && word.ends_with('Z') && word.contains('T');
    if hex && word.starts_with("01") && (word.len() == 32 || word.len() == 12) {
        let id = "01a2154123450000a000000000000000";
        return id[..word.len()].to_owned();
    }
    if is_time {
        let digits = word
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c });
        return digits.collect();
    }
    match word.strip_prefix("req-") {
        Some(id) if id.len() == 36 => "req-00000000-0000-4000-8000-000000000000".to_owned(),
        _ => word.to_owned(),
    }
}

/// Compares a text with a golden file. `UPDATE_GOLDEN=1` writes it anew: review the difference.
#[track_caller]
pub fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/cli")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs; UPDATE_GOLDEN=1 writes it anew\n{found}",
        path.display()
    );
}

#[test]
fn what_differs_in_each_run_is_replaced() {
    let text = "01a2172d4a4d71d0b356079eb788ea2e at 2026-11-26T09:26:13.837Z, \
                req-011a6630-99e6-429e-bdc7-80831f0f38ab of edc89b490d7d4392898e19b2deb34797 ✓";
    assert_eq!(
        stable(text),
        "01a2154123450000a000000000000000 at 0000-00-00T00:00:00.000Z, \
         req-00000000-0000-4000-8000-000000000000 of edc89b490d7d4392898e19b2deb34797 ✓"
    );
}
