//! Measures the command line's `share` as a user meets it: from the start of the process to its end.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::client::Client;
use crate::data;
use crate::interleave::latency;
use crate::server::Server;
use crate::{MEMBER, Options};

/// Runs of the command.
const RUNS: usize = 30;
/// The demo identities' owner, who logs in with each command.
const LOGIN: [(&str, &str); 5] = [
    ("OS_USERNAME", "owner"),
    ("OS_PASSWORD", "secret"),
    ("OS_PROJECT_NAME", "owner"),
    ("OS_USER_DOMAIN_NAME", "Default"),
    ("OS_PROJECT_DOMAIN_NAME", "Default"),
];

/// Measures it; `None` if the binary has no such command.
pub async fn measure(options: &Options) -> Option<data::Command> {
    let help = Command::new(&options.binary)
        .args(["share", "--help"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !help.is_ok_and(|status| status.success()) {
        eprintln!("share: this release has no such command");
        return None;
    }
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare(&options.binary, data.path());
    let mut client = Client::new(&server).await;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let image = crate::new_image(&mut client).await;
        let began = Instant::now();
        let output = Command::new(&options.binary)
            .args(["share", &image, "--with", MEMBER])
            .env_clear()
            .env(
                "OS_AUTH_URL",
                format!("http://{}/identity/v3", server.address),
            )
            .envs(LOGIN)
            .output()
            .expect("the command");
        times.push(began.elapsed());
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "share: {words}");
    }
    let share = latency(&times);
    eprintln!("share: {share:?}");
    Some(data::Command { share })
}
