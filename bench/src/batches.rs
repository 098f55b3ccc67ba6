//! Measures batches from the request to the end of the job, beside bare loops of the same writes and
//! beside one request for each image.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Request, Who};
use crate::data::{BatchFigures, Batches, PutFigures};
use crate::limit::{Entry, Limit};
use crate::server::Server;
use crate::stock::Stock;
use crate::{Glance, MEMBER, Options};

/// Connections of the single requests.
const CONNECTIONS: usize = 16;
/// The most requests that are sent to Glance.
const GLANCE_MOST: usize = 1000;

const KINDS: [(Entry, &str); 3] = [
    (Entry::Share, "share"),
    (Entry::Accept, "accept"),
    (Entry::Unshare, "unshare"),
];

/// Measures all sizes.
pub async fn measure(options: &Options, glance: Option<&Glance>) -> Batches {
    let sizes = options.batch_sizes();
    let most = sizes.iter().copied().max().unwrap_or(1);
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare(&options.binary, data.path());
    let mut stock = Stock::default();
    stock.create(&server, most).await;
    let mut client = Client::new(&server).await;
    let limit_data = tempfile::tempdir().expect("a directory");
    let (_, limit) = Limit::new(&options.binary, limit_data.path(), most, 1).await;
    limit.pass(Entry::Unshare, most).await;
    let mut all = Vec::new();
    let mut puts = Vec::new();
    for entries in sizes {
        let images = &stock.ids()[..entries];
        let rounds = (3000 / entries).clamp(1, 15);
        let mut times = Times::default();
        for _ in 0..rounds {
            for (at, (entry, kind)) in KINDS.into_iter().enumerate() {
                let cpu = server.process.cpu();
                times.batch[at].push(batch(&mut client, kind, images).await);
                times.cpu[at] += server.process.cpu() - cpu;
                times.bare[at].push(limit.pass(entry, entries).await.took);
            }
        }
        all.extend(times.figures(entries, rounds));
        puts.push(single(&server, glance, &mut client, images).await);
    }
    Batches {
        sizes: all,
        puts,
        memory_most_mb: server.process.memory().1,
    }
}

/// The times of one size, by kind.
#[derive(Default)]
struct Times {
    batch: [Vec<Duration>; 3],
    bare: [Vec<Duration>; 3],
    cpu: [Duration; 3],
}

impl Times {
    fn figures(self, entries: usize, rounds: usize) -> Vec<BatchFigures> {
        let seconds = |times: Vec<Duration>| crate::interleave::median(times) / 1e3;
        let (batch, bare) = (self.batch.map(seconds), self.bare.map(seconds));
        let kinds = KINDS.iter().enumerate();
        kinds
            .map(|(at, (_, kind))| BatchFigures {
                kind: (*kind).to_owned(),
                entries,
                seconds: batch[at],
                bare_seconds: bare[at],
                cpu_ms: self.cpu[at].as_secs_f64() * 1e3 / (entries * rounds) as f64,
            })
            .inspect(|figures| {
                eprintln!(
                    "{} a batch of {}: {:.0} ms; {:.2} of the bare loop",
                    figures.kind,
                    figures.entries,
                    figures.seconds * 1e3,
                    figures.bare_seconds / figures.seconds,
                );
            })
            .collect()
    }
}

/// Runs a batch and returns the time from its request to the end of its job.
async fn batch(client: &mut Client, kind: &str, images: &[String]) -> Duration {
    let path = "/v1/cloudimages/members";
    let share = json!({"images": images, "projects": [MEMBER]});
    let request = match kind {
        "share" => Request::new(Who::Owner, "POST", path, share),
        "unshare" => Request::new(Who::Owner, "DELETE", path, share),
        _ => {
            let answer = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
            Request::new(Who::Member, "PUT", path, answer)
        }
    };
    let began = Instant::now();
    client.batch(request).await;
    began.elapsed()
}

/// Accepts the same images by one request each, on imshare and on Glance.
async fn single(
    server: &Server,
    glance: Option<&Glance>,
    client: &mut Client,
    images: &[String],
) -> PutFigures {
    batch(client, "share", images).await;
    let imshare = accept_each(server, images).await;
    batch(client, "unshare", images).await;
    let (mut theirs, mut scaled) = (None, false);
    if let Some(glance) = glance {
        let asked = images.len().min(GLANCE_MOST).min(glance.stock.len());
        let took = accept_each(&glance.server, &glance.stock.ids()[..asked]).await;
        scaled = asked < images.len();
        theirs = Some(took.as_secs_f64() * images.len() as f64 / asked as f64);
    }
    let figures = PutFigures {
        entries: images.len(),
        imshare_seconds: imshare.as_secs_f64(),
        glance_seconds: theirs,
        glance_is_scaled: scaled,
    };
    eprintln!("accepts one by one: {figures:?}");
    figures
}

/// Answers for each image by a request of its own, over several connections. Rejects, and then
/// accepts, so that each answer changes a record; the time is that of the accepts.
async fn accept_each(server: &Server, images: &[String]) -> Duration {
    let images: Arc<Vec<String>> = Arc::new(images.to_vec());
    let mut took = Duration::ZERO;
    for status in ["rejected", "accepted"] {
        let mut senders = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS.min(images.len()) {
            clients.push(Client::new(server).await);
        }
        let step = clients.len();
        let began = Instant::now();
        for (first, mut client) in clients.into_iter().enumerate() {
            let images = images.clone();
            senders.push(tokio::spawn(async move {
                for image in images.iter().skip(first).step_by(step) {
                    let path = format!("/v2/images/{image}/members/{MEMBER}");
                    let body = json!({"status": status});
                    client
                        .ask(Request::new(Who::Member, "PUT", path, body))
                        .await;
                }
            }));
        }
        for sender in senders {
            sender.await.expect("a task");
        }
        took = began.elapsed();
    }
    took
}
