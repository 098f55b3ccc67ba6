//! Measures requests per second with one connection and with sixteen, beside the bare loops and, if
//! asked for, a real Glance.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Who};
use crate::interleave::{Samples, WINDOW_LENGTH, Window};
use crate::limit::{Limit, Loop};
use crate::server::Server;
use crate::{MEMBER, Options, new_image};

/// How many members the listed image has.
const LISTED: usize = 10;

/// A kind of request.
#[derive(Clone, Copy, Debug)]
enum RequestKind {
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
    let limits = Limit::new(limit_data.path(), 16, LISTED).await;
    println!(
        "| imshare | connections | requests/s | of the bare loop over a socket | of it without one | p50 ms | p99 ms | CPU ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut beside = Vec::new();
    for connections in [1, 16] {
        let mut ours = Connections::new(&imshare, connections).await;
        let mut theirs = match &glance {
            Some(glance) => Some(Connections::new(glance, connections).await),
            None => None,
        };
        // Adding comes last, because it makes the lists longer.
        for (kind, bare) in [
            (RequestKind::Show, Loop::Show),
            (RequestKind::List, Loop::List),
            (RequestKind::Accept, Loop::Accept),
            (RequestKind::Add, Loop::Add),
        ] {
            let mut compared = Compared::default();
            for _ in 0..options.windows() {
                compared.own.add(ours.window(kind).await);
                compared
                    .over_socket
                    .add(limits.0.window(bare, connections).await);
                compared
                    .within
                    .add(limits.1.window(bare, connections).await);
                if let Some(theirs) = &mut theirs {
                    compared.glance.add(theirs.window(kind).await);
                }
            }
            println!("{}", compared.row(kind, connections));
            if theirs.is_some() {
                beside.push(compared.glance_row(kind, connections));
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

/// The windows of everything that one kind of request is compared with.
#[derive(Default)]
struct Compared {
    own: Samples,
    /// The bare loop over a socket.
    over_socket: Samples,
    /// The bare loop without one.
    within: Samples,
    glance: Samples,
}

impl Compared {
    /// A row of the first table: imshare and the bare loops.
    fn row(&self, kind: RequestKind, connections: usize) -> String {
        let own = &self.own;
        format!(
            "| {kind:?} | {connections} | {:.0} | {:.2} of {:.0} | {:.2} of {:.0} | {:.2} | {:.2} | {:.2} |",
            own.rate(),
            own.rate() / self.over_socket.rate(),
            self.over_socket.rate(),
            own.rate() / self.within.rate(),
            self.within.rate(),
            own.within(0.5),
            own.within(0.99),
            own.cpu(),
        )
    }

    /// A row of the second table: Glance, and imshare's ratio to it.
    fn glance_row(&self, kind: RequestKind, connections: usize) -> String {
        let (own, glance) = (&self.own, &self.glance);
        format!(
            "| {kind:?} | {connections} | {:.0} | {:.1} × | {:.2} | {:.2} | {:.2} | 1/{:.1} |",
            glance.rate(),
            own.rate() / glance.rate(),
            glance.within(0.5),
            glance.within(0.99),
            glance.cpu(),
            glance.cpu() / own.cpu(),
        )
    }
}

/// Connections to a server, each with its own image.
struct Connections<'a> {
    server: &'a Server,
    open: Vec<Connection>,
}

struct Connection {
    client: Client,
    members: String,
    /// How many answers it has sent: it alternates, so that each one changes the record.
    answers: usize,
}

impl<'a> Connections<'a> {
    async fn new(server: &'a Server, connections: usize) -> Self {
        let mut open = Vec::new();
        for _ in 0..connections {
            let mut client = Client::new(server).await;
            let image = new_image(&mut client).await;
            let mut connection = Connection {
                client,
                members: format!("/v2/images/{image}/members"),
                answers: 0,
            };
            for member in (1..LISTED).map(|k| format!("member-{k}")) {
                connection.add(&member).await;
            }
            connection.add(MEMBER).await;
            open.push(connection);
        }
        Self { server, open }
    }

    async fn window(&mut self, kind: RequestKind) -> Window {
        let cpu = self.server.process.cpu();
        let began = Instant::now();
        let tasks: Vec<_> = self
            .open
            .drain(..)
            .map(|mut connection| {
                tokio::spawn(async move {
                    let mut rounds = Vec::new();
                    while began.elapsed() < WINDOW_LENGTH {
                        rounds.push(connection.send(kind).await);
                    }
                    (connection, rounds)
                })
            })
            .collect();
        let mut rounds = Vec::new();
        for task in tasks {
            let (connection, times) = task.await.expect("a task");
            self.open.push(connection);
            rounds.extend(times);
        }
        Window {
            rounds,
            took: began.elapsed(),
            cpu: self.server.process.cpu() - cpu,
        }
    }
}

impl Connection {
    /// Sends one request and returns how long its response took.
    async fn send(&mut self, kind: RequestKind) -> Duration {
        let sent = Instant::now();
        let row = format!("{}/{MEMBER}", self.members);
        match kind {
            RequestKind::Show => {
                self.client
                    .send(Who::Member, "GET", &row, String::new())
                    .await;
            }
            RequestKind::List => {
                self.client
                    .send(Who::Owner, "GET", &self.members, String::new())
                    .await;
            }
            RequestKind::Accept => {
                self.answers += 1;
                let status = ["accepted", "rejected"][self.answers % 2];
                let body = json!({"status": status}).to_string();
                self.client.send(Who::Member, "PUT", &row, body).await;
            }
            RequestKind::Add => self.add(&uuid::Uuid::new_v4().simple().to_string()).await,
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
