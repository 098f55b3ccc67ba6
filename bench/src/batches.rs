//! Measures batches from the request to the end of the job, beside a bare loop of their entries'
//! writes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Who};
use crate::interleave::{Samples, Window};
use crate::limit::{Limit, Loop};
use crate::server::Server;
use crate::{MEMBER, Options, new_image};

/// Connections that create the images, and tasks of the bare loop: as many entries as `run-batch`
/// works on at once.
const AT_ONCE: usize = 16;
/// Entries of the batch and writes of the bare loop that are interleaved: several chunks.
const COMPARED: usize = 1000;

/// Measures and prints.
pub async fn measure(options: &Options) {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare(&options.binary, data.path());
    let images = images(&server, options.entries.max(COMPARED)).await;
    let mut client = Client::new(&server).await;
    let limit_data = tempfile::tempdir().expect("a directory");
    let (over_socket, within) = Limit::new(limit_data.path(), COMPARED, 1).await;

    println!("| batch | entries | time to the job's end | entries/s |");
    println!("|---|---|---|---|");
    for entries in [1, 100, options.entries] {
        for kind in Kind::ALL {
            let took = batch(&mut client, kind, &images[..entries]).await;
            println!(
                "| {kind:?} | {entries} | {:.0} ms | {:.0} |",
                took.as_secs_f64() * 1e3,
                entries as f64 / took.as_secs_f64(),
            );
        }
    }

    let images = &images[..COMPARED];
    let (mut bare_over_socket, mut bare_within) = (Samples::default(), Samples::default());
    let mut all = Kind::ALL.map(|kind| (kind, Samples::default()));
    for _ in 0..options.windows().div_ceil(5) {
        for (kind, samples) in &mut all {
            let cpu = server.process.cpu();
            let took = batch(&mut client, *kind, images).await;
            samples.add(Window {
                rounds: vec![took / images.len() as u32; images.len()],
                took,
                cpu: server.process.cpu() - cpu,
            });
            bare_over_socket.add(over_socket.rounds(Loop::Entry, AT_ONCE, COMPARED).await);
            bare_within.add(within.rounds(Loop::Entry, AT_ONCE, COMPARED).await);
        }
    }
    println!(
        "\n| batch of {} | entries/s | of {:.0} bare `UpdateItem`/s over a socket | of {:.0} without one | CPU ms an entry |",
        images.len(),
        bare_over_socket.rate(),
        bare_within.rate(),
    );
    println!("|---|---|---|---|---|");
    for (kind, samples) in &all {
        println!(
            "| {kind:?} | {:.0} | {:.2} | {:.2} | {:.2} |",
            samples.rate(),
            samples.rate() / bare_over_socket.rate(),
            samples.rate() / bare_within.rate(),
            samples.cpu(),
        );
    }
    let (now, most) = server.process.memory();
    println!("\nmemory of the server after it: {now:.0} MB resident, {most:.0} MB at most\n");
}

/// What a batch does with its images.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Share,
    Accept,
    Unshare,
}

impl Kind {
    /// In an order in which each finds the records that it needs.
    const ALL: [Self; 3] = [Self::Share, Self::Accept, Self::Unshare];

    fn request(self, images: &[String]) -> (Who, &'static str, Value) {
        let share = json!({"images": images, "projects": [MEMBER]});
        match self {
            Self::Share => (Who::Owner, "POST", share),
            Self::Accept => {
                let answer = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
                (Who::Member, "PUT", answer)
            }
            Self::Unshare => (Who::Owner, "DELETE", share),
        }
    }
}

/// Creates so many images of the owner.
async fn images(server: &Server, number: usize) -> Vec<String> {
    let mut makers = Vec::new();
    for maker in 0..AT_ONCE {
        let mut client = Client::new(server).await;
        makers.push(tokio::spawn(async move {
            let mut images = Vec::new();
            for _ in (maker..number).step_by(AT_ONCE) {
                images.push(new_image(&mut client).await);
            }
            images
        }));
    }
    let mut images = Vec::new();
    for maker in makers {
        images.extend(maker.await.expect("a task"));
    }
    images
}

/// Runs a batch and returns the time from its request to the end of its job.
async fn batch(client: &mut Client, kind: Kind, images: &[String]) -> Duration {
    let (who, method, body) = kind.request(images);
    let began = Instant::now();
    let path = "/v1/cloudimages/members";
    let job = client.json(who, method, path, body.to_string()).await;
    let job = job["job_id"].as_str().expect("a job").to_owned();
    let path = format!("/v1/cloudimages/job/{job}?limit=1");
    loop {
        let job = client.json(who, "GET", &path, String::new()).await;
        match job["status"].as_str() {
            Some("SUCCESS") => return began.elapsed(),
            Some("FAIL") => panic!("the job failed: {job}"),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
