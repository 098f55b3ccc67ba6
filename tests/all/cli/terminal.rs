//! The commands in a real terminal: tmux.

use std::process::Command;
use std::time::{Duration, Instant};

use super::fake::Fake;
use super::{DEBIAN, Shell, owner};
use crate::harness::Harness;
use crate::restart::binary;

/// A terminal of some size.
struct Tmux {
    socket: String,
}

impl Tmux {
    /// Opens a terminal with a person's environment.
    fn open(shell: &Shell, columns: usize) -> Self {
        let socket = shell.home.path().join("tmux").to_str().unwrap().to_owned();
        let tmux = Self { socket };
        let mut command = Command::new("tmux");
        command
            .args(["-S", &tmux.socket, "-f", "/dev/null", "new-session", "-d"])
            .args(["-x", &columns.to_string(), "-y", "20"])
            .arg("sleep 600")
            .env_clear()
            .envs(&shell.variables)
            .current_dir(shell.home.path());
        let output = command.output().expect("tmux is installed");
        assert!(output.status.success(), "{output:?}");
        tmux
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.ask(&[&["send-keys", "-t", "0"], keys].concat());
    }

    /// Runs a command of ours on an empty screen.
    fn run(&self, arguments: &str) {
        let line = format!(
            "{} {arguments}; echo \"exit $?\"; exec sleep 600",
            binary().display()
        );
        self.ask(&["respawn-pane", "-k", "-t", "0", &line]);
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p", "-t", "0"])
    }

    fn colours(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e", "-t", "0"])
    }

    /// Waits until the screen shows something.
    #[track_caller]
    fn wait(&self, shows: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if shows(&screen) {
                return screen;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    #[track_caller]
    fn ended(&self, code: i32) -> String {
        self.wait(|screen| screen.contains(&format!("exit {code}")))
    }
}

/// Writes a file of so many projects, and returns its path.
fn projects(shell: &Shell, count: usize) -> String {
    let lines = (0..count).map(|project| format!("{project:032x}\n"));
    shell.write("p", &lines.collect::<String>())
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.ask(&["kill-server"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_shows_done_failed_and_the_time() {
    let fake = Fake::start().await;
    fake.counts(40, 10, 2);
    let shell = fake.shell();
    let file = projects(&shell, 40);
    let tmux = Tmux::open(&shell, 100);
    tmux.run(&format!("share {DEBIAN} --with-file {file}"));
    let screen = tmux.wait(|screen| screen.contains("12/40"));
    assert!(screen.contains("40 projects, 1 image"), "{screen}");
    let bar = screen.lines().find(|line| line.contains("12/40")).unwrap();
    assert!(bar.starts_with("job 01a215412345  ██"), "{bar}");
    for part in ["░░", "30 %", "2 failed"] {
        assert!(bar.contains(part), "{part} in {bar}");
    }
    assert!(bar.chars().count() <= 100, "{bar}");
    fake.counts(40, 30, 2);
    let screen = tmux.wait(|screen| screen.contains("32/40"));
    // One bar, drawn over itself.
    assert_eq!(screen.matches("/40").count(), 1, "{screen}");
    assert!(
        screen.contains("/s  ") && screen.contains(" left"),
        "{screen}"
    );
    fake.counts(40, 38, 2);
    let screen = tmux.ended(1);
    let bar = screen.lines().find(|line| line.contains("40/40")).unwrap();
    assert!(
        bar.contains("100 %") && bar.contains("2 failed") && bar.ends_with(" s"),
        "{bar}"
    );
    assert!(screen.contains("38 shared, 2 failed\n"), "{screen}");
    assert!(
        screen.contains("Repeat them with: imshare job retry 01a215412345"),
        "{screen}"
    );
    // The bar is green, and only there.
    assert!(
        tmux.colours().contains("\u{1b}[32m"),
        "{:?}",
        tmux.colours()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_job_running() {
    let fake = Fake::start().await;
    fake.counts(40, 10, 0);
    let shell = fake.shell();
    let file = projects(&shell, 40);
    let tmux = Tmux::open(&shell, 120);
    tmux.run(&format!("share {DEBIAN} --with-file {file}"));
    tmux.wait(|screen| screen.contains("10/40"));
    tmux.keys(&["C-c"]);
    let screen = tmux.wait(|screen| screen.contains("interrupted"));
    let told = "imshare: interrupted; the job goes on, come back to it with: imshare job wait 01a215412345";
    assert!(screen.contains(told), "{screen}");
    // The line of the bar stays, the message has its own.
    assert!(
        screen
            .lines()
            .any(|line| line.contains("10/40") && !line.contains("interrupted")),
        "{screen}"
    );
    let deletes = fake
        .got()
        .iter()
        .filter(|got| got.method == "DELETE")
        .count();
    assert_eq!(deletes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_window_is_no_problem() {
    let fake = Fake::start().await;
    fake.counts(40, 10, 2);
    let shell = fake.shell();
    let file = projects(&shell, 40);
    let tmux = Tmux::open(&shell, 40);
    tmux.run(&format!("share {DEBIAN} --with-file {file}"));
    let screen = tmux.wait(|screen| screen.contains("12/40"));
    let bar = screen.lines().find(|line| line.contains("12/40")).unwrap();
    assert!(bar.contains('█') && bar.contains("2 failed"), "{screen}");
    std::thread::sleep(Duration::from_millis(500));
    // A bar that is wider than the window would leave a line behind each time it is drawn.
    let screen = tmux.screen();
    assert_eq!(screen.matches("12/40").count(), 1, "{screen}");
    fake.counts(40, 40, 0);
    tmux.ended(0);

    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let tmux = Tmux::open(&owner, 70);
    tmux.run("image list");
    let screen = tmux.ended(0);
    assert!(
        screen.contains("debian-12") && screen.contains("◌ queued"),
        "{screen}"
    );
    let first = screen.lines().find(|line| line.starts_with("ID ")).unwrap();
    assert!(first.contains("Status"), "{screen}");
    // The last column is below the first in a window of less than half that width.
    let narrow = Shell {
        home: tempfile::tempdir().unwrap(),
        ..owner
    };
    let tmux = Tmux::open(&narrow, 30);
    tmux.run("image list");
    let screen = tmux.ended(0);
    assert!(
        screen
            .lines()
            .any(|line| line.starts_with("Status      ◌ queued")),
        "{screen}"
    );
}

/// The usual window: ids and times stay whole, and the columns that are left out are named.
#[tokio::test(flavor = "multi_thread")]
async fn lists_fit_eighty_columns() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let share = ["share", "debian-12", "ubuntu-24.04", "--with", "member"];
    owner.run(&share).await.expect(0);
    let member = Shell::of(&harness, "member").await;
    let row = |screen: &str, start: &str| {
        let mut rows = screen.lines().filter(|line| line.starts_with(start));
        rows.next().unwrap_or_else(|| panic!("{screen}")).to_owned()
    };
    let tmux = Tmux::open(&owner, 80);
    tmux.run("image list");
    let screen = tmux.ended(0);
    assert!(
        row(&screen, DEBIAN).contains("  debian-12     ◌ queued"),
        "{screen}"
    );
    let note = "1 column is left out: Owner (-c shows it)\n";
    assert!(screen.contains(note), "{screen}");
    tmux.run("job list");
    let screen = tmux.ended(0);
    let job = row(&screen, "01");
    assert_eq!(job.split("  ").next().unwrap().len(), 12, "{screen}");
    assert!(
        screen.contains("left out: Ended At (-c shows it)\n"),
        "{screen}"
    );
    tmux.run("pending");
    let screen = tmux.ended(0);
    let pending = row(&screen, DEBIAN);
    assert!(pending.ends_with(crate::harness::MEMBER), "{screen}");
    tmux.run("members debian-12");
    let screen = tmux.ended(0);
    assert!(
        row(&screen, crate::harness::MEMBER).ends_with('Z'),
        "{screen}"
    );
    let tmux = Tmux::open(&member, 80);
    tmux.run("inbox");
    let screen = tmux.ended(0);
    assert!(row(&screen, DEBIAN).ends_with("◌ pending"), "{screen}");
    let note = "2 columns are left out: Owner, Shared At (-c shows them)\n";
    assert!(screen.contains(note), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_and_can_be_turned_off() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let yellow = "\u{1b}[33m";
    let tmux = Tmux::open(&owner, 120);
    tmux.run("image list");
    tmux.ended(0);
    assert!(tmux.colours().contains(yellow), "{:?}", tmux.colours());
    assert!(
        !owner
            .run(&["image", "list"])
            .await
            .expect(0)
            .out
            .contains('\u{1b}')
    );
    let plain = Shell {
        home: tempfile::tempdir().unwrap(),
        ..owner
    }
    .with("NO_COLOR", "1");
    let tmux = Tmux::open(&plain, 120);
    tmux.run("image list");
    let screen = tmux.ended(0);
    assert!(screen.contains("◌ queued"), "{screen}");
    assert!(!tmux.colours().contains(yellow), "{:?}", tmux.colours());
    // A locale without UTF-8 gets ASCII.
    let ascii = plain.run(&["image", "list"]).await.expect(0).out;
    assert!(ascii.contains("◌"), "{ascii}");
    let plain = plain.with("LANG", "C");
    let ascii = plain.run(&["image", "list"]).await.expect(0).out;
    assert!(ascii.is_ascii() && ascii.contains(". queued"), "{ascii}");
}

/// Many entries are asked about, and no is no.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_before_many_entries() {
    let fake = Fake::start().await;
    fake.counts(100, 100, 0);
    let shell = fake.shell();
    let file = projects(&shell, 100);
    let tmux = Tmux::open(&shell, 100);
    let share = format!("share {DEBIAN} --with-file {file}");
    tmux.run(&share);
    tmux.wait(|screen| screen.contains("Share 100 projects, 1 image: 100 entries. Go on? [y/N]"));
    tmux.keys(&["n", "Enter"]);
    assert!(tmux.ended(2).contains("stopped: nothing was sent"));
    assert!(fake.got().iter().all(|got| got.method == "GET"));
    tmux.run(&share);
    tmux.wait(|screen| screen.contains("Go on? [y/N]"));
    tmux.keys(&["y", "Enter"]);
    assert!(tmux.ended(0).contains("100 shared"));
}

/// A list that ends shares is asked about, since an accepted share does not come back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_before_shares_end() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await;
    let share = ["share", "debian-12", "--with", "member,member2"];
    owner.run(&share).await.expect(0);
    let member = Shell::of(&harness, "member").await;
    member.run(&["accept", "debian-12"]).await.expect(0);
    let tmux = Tmux::open(&owner, 100);
    let set = |projects: &str| {
        let file = owner.write("members", projects);
        format!("set-members debian-12 --file {file}")
    };
    tmux.run(&set("member2\n"));
    tmux.wait(|screen| screen.contains("End 1 share (1 accepted)? [y/N]"));
    tmux.keys(&["Enter"]);
    assert!(tmux.ended(2).contains("stopped: nothing was sent"));
    assert_eq!(harness.member_count(DEBIAN).await, 2);
    tmux.run(&set("member\n"));
    tmux.wait(|screen| screen.contains("End 1 share (0 accepted)? [y/N]"));
    tmux.keys(&["y", "Enter"]);
    assert!(tmux.ended(0).contains("1 removed, 1 unchanged"));
    // What only adds is not asked about, and --yes answers.
    tmux.run(&set("member\nadmin\n"));
    assert!(tmux.ended(0).contains("1 added, 1 unchanged"));
    tmux.run(&(set("admin\n") + " --yes"));
    assert!(tmux.ended(0).contains("1 removed, 1 unchanged"));
}

/// A password that is not set is asked for, and not shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for() {
    let harness = Harness::new().await;
    let owner = owner(&harness).await.without("OS_PASSWORD");
    let tmux = Tmux::open(&owner, 100);
    tmux.run("image list");
    tmux.wait(|screen| screen.contains("Password:"));
    tmux.keys(&["secret", "Enter"]);
    let screen = tmux.ended(0);
    assert!(
        screen.contains("debian-12") && !screen.contains("secret"),
        "{screen}"
    );
}
