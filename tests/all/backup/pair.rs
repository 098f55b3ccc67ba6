//! A backup during many writes: what is restored is what was there at one instant, in the table and the
//! queue alike.
//!
//! `IMSHARE_BACKUP_ENTRIES` is for measuring: see "Back up" in `docs/operations.md`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use super::Place;
use crate::harness::{Http, Who};
use crate::restart::start;

/// Writers at once.
const WRITERS: usize = 8;
/// Backups that are made one after the other, while they write.
const BACKUPS: usize = 2;

/// A service, as its owner's client sees it.
#[derive(Clone)]
struct Service {
    http: Http,
    url: String,
}

impl Service {
    async fn send(&self, method: &str, path: &str, body: String) -> Value {
        let token = [("x-auth-token", Who::Owner.token().unwrap())];
        let url = format!("{}{path}", self.url);
        let answer = self.http.send(method, &url, &token, body.into()).await;
        assert!(answer.status < 300, "{path}: {}", answer.body);
        answer.json()
    }

    async fn image(&self) -> String {
        let answer = self.send("POST", "/v2/images", "{}".to_owned()).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn batch(&self, image: &str, projects: &[String]) -> String {
        let body = json!({"images": [image], "projects": projects}).to_string();
        let answer = self.send("POST", "/v1/cloudimages/members", body).await;
        answer["job_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, job: &str) -> Value {
        for _ in 0..4_800 {
            let path = format!("/v1/cloudimages/job/{job}");
            let answer = self.send("GET", &path, String::new()).await;
            if matches!(answer["status"].as_str(), Some("SUCCESS" | "FAIL")) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("job {job} did not end in 2 min");
    }

    /// How many entries of batches are done.
    async fn entries(&self) -> u64 {
        let url = format!("{}/metrics", self.url);
        let answer = self.http.send("GET", &url, &[], Vec::new()).await;
        let lines = answer.body.lines();
        let entries = lines.filter(|line| line.starts_with("imshare_entries_total"));
        let entries = entries.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        entries.sum()
    }

    /// How many members an image has, which are its writer's first ones.
    async fn prefix(&self, image: &str) -> usize {
        let path = format!("/v2/images/{image}/members?limit=100000");
        let answer = self.send("GET", &path, String::new()).await;
        let rows = answer["members"].as_array().unwrap().iter();
        let numbers = rows.map(|row| row["member_id"].as_str().unwrap()[1..].parse().unwrap());
        let numbers: BTreeSet<usize> = numbers.collect();
        let last = numbers.last().copied();
        assert_eq!(
            last.map_or(0, |last| last + 1),
            numbers.len(),
            "a hole in {numbers:?}"
        );
        numbers.len()
    }
}

/// When each write of a writer was sent and when it was acknowledged, by one clock that only counts.
#[derive(Clone, Default)]
struct Times {
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
}

/// What all writers share.
#[derive(Default)]
struct Load {
    clock: AtomicU64,
    acknowledged: AtomicU64,
    over: AtomicBool,
}

impl Load {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Shares an image with one project after the other: "m0", "m1" and so on.
    async fn share(&self, service: &Service, image: &str) -> Times {
        let path = format!("/v2/images/{image}/members");
        let mut times = Times::default();
        while !self.over.load(Ordering::SeqCst) {
            let body = json!({"member": format!("m{}", times.sent.len())});
            times.sent.push(self.tick());
            service.send("POST", &path, body.to_string()).await;
            times.acknowledged.push(self.tick());
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        times
    }

    /// Waits until the writers have had this many more writes acknowledged.
    async fn writes(&self, count: usize) {
        let seen = self.acknowledged.load(Ordering::SeqCst);
        let over = || self.over.load(Ordering::SeqCst);
        while !over() && self.acknowledged.load(Ordering::SeqCst) < seen + count as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts one batch after the other, at a pace at which they are done. Returns when each was sent and
    /// acknowledged, and its job.
    async fn batches(&self, service: &Service, image: &str) -> (Times, Vec<String>) {
        let (mut times, mut jobs) = (Times::default(), Vec::new());
        while !self.over.load(Ordering::SeqCst) {
            self.writes(2 * WRITERS).await;
            let projects = (0..60).map(|n| format!("b{}-{n}", jobs.len()));
            times.sent.push(self.tick());
            jobs.push(service.batch(image, &projects.collect::<Vec<_>>()).await);
            times.acknowledged.push(self.tick());
        }
        (times, jobs)
    }
}

/// A backup that was made while the writers wrote.
struct Made {
    file: String,
    /// The clock before and after.
    began: u64,
    ended: u64,
}

/// Makes backups beside the writers, each after as many writes as there are writers, at least.
async fn backups(place: &Place, service: &Service, load: &Load) -> Vec<Made> {
    let mut made = Vec::new();
    for number in 0..BACKUPS {
        load.writes(5 * WRITERS).await;
        let file = format!("{number}.tar");
        let (began, writes) = (load.tick(), load.acknowledged.load(Ordering::SeqCst));
        let entries = service.entries().await;
        let timed = Instant::now();
        place
            .run(&["backup", &file, "--data-dir", "data", "--quiet"])
            .await
            .expect(0);
        let (took, ended) = (timed.elapsed(), load.tick());
        let writes = load.acknowledged.load(Ordering::SeqCst) - writes;
        let entries = service.entries().await - entries;
        let bytes = std::fs::metadata(place.path(&file)).unwrap().len();
        println!(
            "backup of {:.1} MB in {:.2} s, beside {writes} writes and {entries} entries of batches: {:.0} a second",
            bytes as f64 / 1e6,
            took.as_secs_f64(),
            (writes + entries) as f64 / took.as_secs_f64()
        );
        // The server's data agrees with itself at any instant.
        let timed = Instant::now();
        let arguments = ["check", "--data-dir", "data", "-f", "json"];
        let checked = place.run(&arguments).await.expect(0);
        println!(
            "check in {:.2} s: {}",
            timed.elapsed().as_secs_f64(),
            checked.err.trim()
        );
        made.push(Made { file, began, ended });
    }
    load.over.store(true, Ordering::SeqCst);
    made
}

/// The first `count` writes of each writer are those of one instant: none that is there was sent after one
/// that is missing was acknowledged.
fn one_instant(made: &Made, writers: &[(&Times, usize)]) {
    let mut last_sent = 0;
    let mut first_missing = u64::MAX;
    for (times, count) in writers {
        let acknowledged = times.acknowledged.iter();
        let before = acknowledged.filter(|time| **time < made.began).count();
        assert!(*count >= before, "{count} of {before} acknowledged");
        if let Some(sent) = count.checked_sub(1).map(|last| times.sent[last]) {
            assert!(sent < made.ended, "a write from after the backup");
            last_sent = last_sent.max(sent);
        }
        let missing = times.acknowledged.get(*count).copied();
        first_missing = first_missing.min(missing.unwrap_or(u64::MAX));
    }
    assert!(last_sent < first_missing, "{last_sent} {first_missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_is_of_one_instant() {
    let place = Place::new();
    let options = ["--listen", "127.0.0.1:0", "--member-quota=-1", "--data-dir"];
    let data = place.path("data");
    let (child, url) = start(&[&options[..], &[data.to_str().unwrap()]].concat()).await;
    let http = Http::default();
    let service = Service { http, url };
    let many = std::env::var("IMSHARE_BACKUP_ENTRIES");
    let many: usize = many.map_or(300, |many| many.parse().unwrap());
    for batch in 0..many.div_ceil(10_000) {
        let projects = (0..many.min(10_000)).map(|n| format!("p{batch}-{n}"));
        let projects: Vec<String> = projects.collect();
        let image = service.image().await;
        let job = service.batch(&image, &projects).await;
        service.ended(&job).await;
    }

    let load = Load::default();
    let mut images = Vec::new();
    for _ in 0..=WRITERS {
        images.push(service.image().await);
    }
    let (shared, batched) = images.split_at(WRITERS);
    let sharing = join_all(shared.iter().map(|image| load.share(&service, image)));
    let batching = load.batches(&service, &batched[0]);
    let (made, sharing, (batching, jobs)) =
        tokio::join!(backups(&place, &service, &load), sharing, batching);
    drop(child);

    for made in &made {
        let restored = format!("{}.restored", made.file);
        place
            .run(&["restore", &made.file, "--data-dir", &restored, "-q"])
            .await
            .expect(0);
        let restored = place.path(&restored);
        let arguments = [&options[..], &[restored.to_str().unwrap()]].concat();
        let (child, url) = start(&arguments).await;
        let service = Service {
            url,
            ..service.clone()
        };
        let mut writers = Vec::new();
        for (image, times) in shared.iter().zip(&sharing) {
            writers.push((times, service.prefix(image).await));
        }
        // Of the jobs that are there all entries are done, by messages of the backup's queue.
        let mut there = 0;
        let token = [("x-auth-token", Who::Owner.token().unwrap())];
        for (number, job) in jobs.iter().enumerate() {
            let url = format!("{}/v1/cloudimages/job/{job}", service.url);
            let answer = service.http.send("GET", &url, &token, Vec::new()).await;
            if answer.status != 200 {
                continue;
            }
            assert_eq!(there, number, "a hole");
            there += 1;
            let ended = service.ended(job).await;
            assert_eq!(ended["status"], "SUCCESS", "{ended}");
        }
        writers.push((&batching, there));
        one_instant(made, &writers);
        let arguments = ["check", "--data-dir", restored.to_str().unwrap()];
        place.run(&arguments).await.expect(0);
        drop(child);
    }
}
