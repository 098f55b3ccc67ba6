//! Sends a server one kind of request over several connections, and compares contenders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{Call, State};
use crate::client::Client;
use crate::data::{CallFigures, Load};
use crate::interleave::{Samples, WINDOW_LENGTH, Window};
use crate::limit::Limit;
use crate::server::Server;
use crate::stock::Stock;

/// Connections to a server, each with its own image.
pub struct Connections<'a> {
    server: &'a Server,
    open: Vec<Connection>,
}

struct Connection {
    client: Client,
    state: State,
}

impl<'a> Connections<'a> {
    /// Connects so many times.
    pub async fn new(server: &'a Server, connections: usize, stock: &Arc<Stock>) -> Self {
        let mut open = Vec::new();
        for _ in 0..connections {
            let mut client = Client::new(server).await;
            let state = State::new(&mut client, stock.clone()).await;
            open.push(Connection { client, state });
        }
        Self { server, open }
    }

    /// Asks once, and returns whether the server knows the call.
    pub async fn knows(&mut self, call: Call) -> bool {
        let connection = &mut self.open[0];
        let Connection { client, state } = connection;
        state.prepare(client, call, 1).await;
        let (status, _) = client.once(&state.request(call)).await;
        // A path without a route is answered like an unknown version of the API: 300.
        let unknown = matches!(status, 300 | 404 | 405);
        assert!(status < 300 || unknown, "{}: {status}", call.name());
        !unknown
    }

    /// Sends requests for the length of a window over the first so many connections. `expected` is
    /// how many of them the largest window before this one had.
    pub async fn window(&mut self, call: Call, connections: usize, expected: usize) -> Window {
        let taken: Vec<_> = self.open.drain(..connections).collect();
        let each = expected * 5 / 4 / connections + 4;
        let preparing = taken.into_iter().map(|mut connection| {
            tokio::spawn(async move {
                let Connection { client, state } = &mut connection;
                state.prepare(client, call, each).await;
                connection
            })
        });
        let preparing: Vec<_> = preparing.collect();
        let mut ready = Vec::new();
        for connection in preparing {
            ready.push(connection.await.expect("a task"));
        }
        let cpu = self.server.process.cpu();
        let began = Instant::now();
        let tasks = ready.into_iter().map(|mut connection| {
            tokio::spawn(async move {
                let rounds = connection.send(call, began).await;
                (connection, rounds)
            })
        });
        let tasks: Vec<_> = tasks.collect();
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

    /// Waits until the server has done the work that a call leaves to it: jobs are run in the order of
    /// their requests.
    async fn settle(&mut self, call: Call) {
        if call == Call::StartBatch {
            let Connection { client, state } = &mut self.open[0];
            client.batch(state.request(call)).await;
        }
    }

    /// The figures of a call, for about so long.
    pub async fn measure(&mut self, call: Call, connections: usize, time: Duration) -> Load {
        let mut samples = Samples::default();
        while samples.took < time {
            let window = self.window(call, connections, samples.most).await;
            samples.add(window);
        }
        samples.load().expect("rounds")
    }
}

impl Connection {
    /// Sends requests until the window that began then is over, and returns how long each took.
    async fn send(&mut self, call: Call, began: Instant) -> Vec<Duration> {
        let mut rounds = Vec::new();
        while began.elapsed() < WINDOW_LENGTH && self.state.is_ready(call) {
            let request = self.state.request(call);
            let sent = Instant::now();
            self.client.ask(request).await;
            rounds.push(sent.elapsed());
        }
        rounds
    }
}

/// Everything that a call is measured on.
pub struct Contenders<'a> {
    pub imshare: Connections<'a>,
    pub glance: Option<Connections<'a>>,
    /// The bare loops, over a socket and without one.
    pub limits: Option<(Limit, Limit)>,
    /// How long each has.
    pub time: Duration,
}

impl Contenders<'_> {
    /// Compares all contenders in one call. With 64 connections, a Glance that answers fewer
    /// requests a second than that is left out: its window would last for seconds.
    pub async fn compare(
        &mut self,
        call: Call,
        connections: usize,
        glance_before: Option<f64>,
    ) -> CallFigures {
        let bare = call.bare().filter(|_| connections <= 16);
        let bare = bare.zip(self.limits.as_ref());
        let slow = connections > 16 && glance_before.is_some_and(|rate| rate < 64.0);
        let mut glance = self.glance.as_mut();
        glance = glance.filter(|_| call.on_glance() && !slow);
        let mut samples: [Samples; 4] = Default::default();
        loop {
            let [own, theirs, over_socket, in_process] = &mut samples;
            let mut over = true;
            if own.took < self.time {
                own.add(self.imshare.window(call, connections, own.most).await);
                over = false;
            }
            if let Some(glance) = &mut glance
                && theirs.took < self.time
            {
                theirs.add(glance.window(call, connections, theirs.most).await);
                over = false;
            }
            if let Some((bare, limits)) = bare
                && over_socket.took.min(in_process.took) < self.time
            {
                over_socket.add(limits.0.window(bare, connections).await);
                in_process.add(limits.1.window(bare, connections).await);
                over = false;
            }
            if over {
                break;
            }
        }
        self.imshare.settle(call).await;
        let [own, theirs, over_socket, in_process] = samples;
        CallFigures {
            call: call.name().to_owned(),
            connections,
            imshare: own.load().expect("rounds"),
            glance: theirs.load(),
            bare_over_socket: over_socket.load(),
            bare_in_process: in_process.load(),
        }
    }
}
