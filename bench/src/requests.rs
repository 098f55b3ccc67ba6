//! Requests a second with one connection and with sixteen, beside the bare loops and, if asked for,
//! a real Glance.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Who};
use crate::limit::{Limit, Loop};
use crate::server::Server;
use crate::turns::{Score, Turn, WINDOW};
use crate::{MEMBER, Options, new_image};

/// Members of the image that is listed.
const LISTED: usize = 10;

/// What the connections send.
#[derive(Clone, Copy, Debug)]
enum Work {
    Show,
    List,
    Accept,
    Add,
}

/// Measures and prints.
pub async fn measure(options: &Options) {
    let data = tempfile::tempdir().expect("a directory");
    let imshare = Server::imshare(&options.binary, data.path());
    let glance_data = tempfile::tempdir().expect("a directory");
    let glance = options.glance.then(|| Server::glance(glance_data.path()));
    let limit_data = tempfile::tempdir().expect("a directory");
    let (over_socket, within) = Limit::new(limit_data.path(), 16, LISTED).await;
    println!(
        "| imshare | connections | requests/s | of the bare loop over a socket | of it without one | p50 ms | p99 ms | CPU ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut beside = Vec::new();
    for connections in [1, 16] {
        let mut ours = Callers::new(&imshare, connections).await;
        let mut theirs = match &glance {
            Some(glance) => Some(Callers::new(glance, connections).await),
            None => None,
        };
        // Adding is last: it makes the lists longer.
        for (work, bare) in [
            (Work::Show, Loop::Show),
            (Work::List, Loop::List),
            (Work::Accept, Loop::Accept),
            (Work::Add, Loop::Add),
        ] {
            let (mut own, mut other) = (Score::default(), Score::default());
            let (mut bare_over_socket, mut bare_within) = (Score::default(), Score::default());
            for _ in 0..options.turns() {
                own.add(ours.turn(work).await);
                bare_over_socket.add(over_socket.turn(bare, connections).await);
                bare_within.add(within.turn(bare, connections).await);
                if let Some(theirs) = &mut theirs {
                    other.add(theirs.turn(work).await);
                }
            }
            println!(
                "| {work:?} | {connections} | {:.0} | {:.2} of {:.0} | {:.2} of {:.0} | {:.2} | {:.2} | {:.2} |",
                own.rate(),
                own.rate() / bare_over_socket.rate(),
                bare_over_socket.rate(),
                own.rate() / bare_within.rate(),
                bare_within.rate(),
                own.within(0.5),
                own.within(0.99),
                own.cpu(),
            );
            if theirs.is_some() {
                beside.push(format!(
                    "| {work:?} | {connections} | {:.0} | {:.1} × | {:.2} | {:.2} | {:.2} | 1/{:.1} |",
                    other.rate(),
                    own.rate() / other.rate(),
                    other.within(0.5),
                    other.within(0.99),
                    other.cpu(),
                    other.cpu() / own.cpu(),
                ));
            }
        }
    }
    if !beside.is_empty() {
        println!(
            "\n| Glance | connections | requests/s | imshare's to it | p50 ms | p99 ms | CPU ms | imshare's to it |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        println!("{}", beside.join("\n"));
    }
    let (now, most) = imshare.process.memory();
    println!("\nmemory of the server after it: {now:.0} MB resident, {most:.0} MB at most\n");
}

/// Connections to a server, each with an image of its own.
struct Callers<'a> {
    server: &'a Server,
    callers: Vec<Caller>,
}

struct Caller {
    client: Client,
    members: String,
    /// Answers it has given, to give another one each time.
    answers: usize,
}

impl<'a> Callers<'a> {
    async fn new(server: &'a Server, connections: usize) -> Self {
        let mut callers = Vec::new();
        for _ in 0..connections {
            let mut client = Client::new(server).await;
            let image = new_image(&mut client).await;
            let mut caller = Caller {
                client,
                members: format!("/v2/images/{image}/members"),
                answers: 0,
            };
            for member in (1..LISTED).map(|k| format!("member-{k}")) {
                caller.add(&member).await;
            }
            caller.add(MEMBER).await;
            callers.push(caller);
        }
        Self { server, callers }
    }

    async fn turn(&mut self, work: Work) -> Turn {
        let cpu = self.server.process.cpu();
        let began = Instant::now();
        let tasks: Vec<_> = self
            .callers
            .drain(..)
            .map(|mut caller| {
                tokio::spawn(async move {
                    let mut rounds = Vec::new();
                    while began.elapsed() < WINDOW {
                        rounds.push(caller.send(work).await);
                    }
                    (caller, rounds)
                })
            })
            .collect();
        let mut rounds = Vec::new();
        for task in tasks {
            let (caller, times) = task.await.expect("a task");
            self.callers.push(caller);
            rounds.extend(times);
        }
        Turn {
            rounds,
            took: began.elapsed(),
            cpu: self.server.process.cpu() - cpu,
        }
    }
}

impl Caller {
    /// Sends one request and returns how long its answer took.
    async fn send(&mut self, work: Work) -> Duration {
        let sent = Instant::now();
        let row = format!("{}/{MEMBER}", self.members);
        match work {
            Work::Show => {
                self.client
                    .send(Who::Member, "GET", &row, String::new())
                    .await;
            }
            Work::List => {
                self.client
                    .send(Who::Owner, "GET", &self.members, String::new())
                    .await;
            }
            Work::Accept => {
                self.answers += 1;
                let status = ["accepted", "rejected"][self.answers % 2];
                let body = json!({"status": status}).to_string();
                self.client.send(Who::Member, "PUT", &row, body).await;
            }
            Work::Add => self.add(&uuid::Uuid::new_v4().simple().to_string()).await,
        }
        sent.elapsed()
    }

    async fn add(&mut self, member: &str) {
        let body = json!({"member": member}).to_string();
        self.client
            .send(Who::Owner, "POST", &self.members, body)
            .await;
    }
}
