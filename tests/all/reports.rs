//! What an operator asks a server for: its health in detail, and its metrics.

use std::collections::BTreeSet;

use local::options::{Data, MetricsFor, Options};
use local::prometheus::name_of;
use local::storage::StoreFile;
use serde_json::{Value, json};
use shared::domain::error::ApiError;
use shared::domain::time::Timestamp;
use shared::runtime::app::App;
use shared::runtime::messages::{Handled, Source, SqsEvent, SqsRecord, each};
use shared::runtime::metric::{self, Kind};
use shared::runtime::schedule;

use crate::harness::{Harness, HttpResponse, MEMBER, Who, options};

const DETAILS: &str = "/healthcheck?detailed";

/// One line of the metrics: the name, the labels as they are written, and the value.
type Sample<'a> = (&'a str, &'a str, f64);

fn samples(text: &str) -> Vec<Sample<'_>> {
    let lines = text
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    let lines = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        (name, labels.trim_end_matches('}'), value.parse().unwrap())
    });
    lines.collect()
}

fn value(text: &str, name: &str, label: &str) -> f64 {
    let all = samples(text).into_iter();
    let found = all.filter(|it| it.0 == name && it.1.contains(label));
    found.map(|it| it.2).sum()
}

async fn metrics(harness: &Harness) -> String {
    let answer = harness.get(Who::NoToken, "/metrics").await.expect(200);
    let media = answer.header("content-type").unwrap();
    assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8");
    answer.body
}

/// Shares an image by a batch, of which one entry succeeds and one fails.
async fn batch(harness: &Harness) {
    let image = harness.image(json!({})).await;
    let body = json!({"images": [image, "no image"], "projects": [MEMBER]});
    let started = harness
        .post(Who::Owner, "/v1/cloudimages/members", body)
        .await;
    let job = started.expect(200).text("/job_id");
    harness.ended(Who::Owner, &job).await;
}

#[tokio::test]
async fn the_details_of_the_health_are_for_admins() {
    let harness = Harness::new().await;
    for (who, status) in [
        (Who::NoToken, 401),
        (Who::BadToken, 401),
        (Who::OwnerNoRole, 403),
        (Who::Owner, 403),
        (Who::Admin, 200),
    ] {
        let json = [("accept", "application/json")];
        let sent = harness.send_with(who, "GET", DETAILS, &json, None).await;
        let answer = sent.expect(status).json();
        match status {
            200 => assert_eq!(answer["detailed"], true),
            _ => assert!(
                answer["code"]
                    .as_str()
                    .unwrap()
                    .starts_with(&status.to_string())
            ),
        }
    }
    // Without the argument nothing changes for anybody.
    for path in [
        "/healthcheck",
        "/healthcheck?",
        "/healthcheck?detailed=false",
        "/healthcheck?x=detailed",
    ] {
        let answer = harness.get(Who::NoToken, path).await.expect(200);
        assert_eq!(answer.body, "OK", "{path}");
    }
    for path in [
        "/healthcheck/?detailed",
        "//healthcheck?detailed=true",
        "/healthcheck?x&detailed=",
    ] {
        harness.get(Who::NoToken, path).await.expect(401);
        assert_eq!(
            harness.get(Who::Admin, path).await.expect(200).json()["detailed"],
            true
        );
    }
    harness
        .send(Who::Admin, "HEAD", DETAILS, None)
        .await
        .expect(200);
}

#[tokio::test]
async fn every_file_of_the_data_directory_has_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let harness = Harness::with(Options {
        data: Data::Directory(directory.path().join("data")),
        ..options()
    })
    .await;
    batch(&harness).await;
    let text = metrics(&harness).await;
    let sizes = samples(&text).into_iter();
    let sizes = sizes.filter(|it| it.0 == "imshare_file_bytes");
    let told: BTreeSet<String> = sizes.map(|it| it.1.to_owned()).collect();
    let there = std::fs::read_dir(directory.path().join("data")).unwrap();
    let there: BTreeSet<String> = there
        .map(|entry| format!("file={:?}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    assert_eq!(told, there);
    // The three databases among them.
    for file in StoreFile::ALL {
        let label = format!("file={:?}", file.name());
        assert!(value(&text, "imshare_file_bytes", &label) > 0.0, "{label}");
    }
}

#[tokio::test]
async fn the_details_are_what_the_server_is() {
    let directory = tempfile::tempdir().unwrap();
    let memory = Harness::new().await;
    let files = Harness::with(Options {
        data: Data::Directory(directory.path().join("data")),
        ..options()
    })
    .await;
    batch(&files).await;
    let details = async |harness: &Harness| -> Value {
        harness.get(Who::Admin, DETAILS).await.expect(200).json()
    };
    let found = details(&memory).await;
    assert_eq!(found["store"]["kept"], "memory");
    assert_eq!(found["disk"], Value::Null);
    assert_eq!(found["store"]["write_ms"], Value::Null);
    let found = details(&files).await;
    assert_eq!(found["status"], "ok", "{found}");
    assert_eq!(found["reasons"], json!(["OK"]));
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(found["store"]["kept"], "files");
    assert_eq!(
        (&found["store"]["reads"], &found["store"]["writes"]),
        (&json!(true), &json!(true))
    );
    assert!(
        found["store"]["write_ms"].as_f64().unwrap() > 0.0,
        "{found}"
    );
    let queue = json!({"kept": "files", "messages": 0, "oldest_seconds": null, "dead_letters": 0});
    assert_eq!(found["queue"], queue);
    let disk = &found["disk"];
    assert!(
        disk["free_bytes"].as_u64() <= disk["total_bytes"].as_u64(),
        "{found}"
    );
    assert!(
        disk["low_below_bytes"].as_u64() <= disk["total_bytes"].as_u64(),
        "{found}"
    );
    let path = directory.path().canonicalize().unwrap().join("data");
    assert_eq!(disk["directory"], path.to_str().unwrap());
    let sweep =
        json!({"succeeded_seconds_ago": null, "overdue": 0, "oldest_overdue_seconds": null});
    assert_eq!(found["sweep"], sweep);
    // The write that was made for it leaves nothing behind.
    assert!(!path.join("probe").exists());
    files.server.stop().await;
}

#[tokio::test]
async fn the_age_of_the_oldest_message_is_known() {
    let queue =
        local::queue::Queue::in_memory(Default::default(), shared::domain::time::Clock::System)
            .unwrap();
    let send = |url: &str| json!({"QueueUrl": url, "Entries": [{"Id": "0", "MessageBody": "x"}]});
    assert!(queue.backlog().unwrap().oldest.is_none());
    for url in [
        local::queue::BATCHES,
        local::queue::BATCHES,
        local::queue::DEAD_LETTERS,
    ] {
        let (status, _) = queue
            .perform("SendMessageBatch", &send(url).to_string())
            .await;
        assert_eq!(status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let backlog = queue.backlog().unwrap();
    assert_eq!((backlog.messages, backlog.dead_letters), (2, Some(1)));
    // The first of the three, which all pauses lie behind.
    let oldest = backlog.oldest.unwrap().as_millis();
    assert!(oldest >= 55, "{oldest} ms");
}

/// Work that panics is our fault too, and ends nothing but itself.
#[tokio::test]
async fn what_panics_has_failed() {
    async fn message(_: App, _: SqsRecord, _: Timestamp) -> Result<Handled, ApiError> {
        panic!("by a test")
    }
    async fn run(_: App, _: Timestamp) -> Result<(), ApiError> {
        panic!("by a test")
    }
    let harness = Harness::new().await;
    let (app, until) = (harness.server.app.clone(), Timestamp::from_micros(i64::MAX));
    let event = SqsEvent {
        records: vec![SqsRecord::default()],
    };
    let response = each(Source::Batches, app.clone(), event, until, message).await;
    assert_eq!(response.batch_item_failures.len(), 1);
    let ran = schedule::run("sweep", app, until, run).await;
    assert!(matches!(ran, Err(ApiError::Internal(_))), "{ran:?}");
    let text = metrics(&harness).await;
    for function in ["run-batch", "sweep"] {
        let operation = format!("operation=\"{function}\"");
        for metric in ["imshare_requests_total", "imshare_failed_total"] {
            assert_eq!(value(&text, metric, &operation), 1.0, "{function} {metric}");
        }
    }
}

/// `METRICS_NAMESPACE` and `/metrics` have the same metrics: both are given figures of these.
#[tokio::test]
async fn the_metrics_are_those_of_cloudwatch() {
    let harness = Harness::with(Options {
        sweep_every: Some(std::time::Duration::from_secs(3600)),
        ..options()
    })
    .await;
    batch(&harness).await;
    let text = metrics(&harness).await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let found: BTreeSet<&str> = types.filter(|it| it.starts_with("imshare_")).collect();
    for metric in metric::ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let line = format!("{} {kind}", name_of(metric));
        assert!(found.contains(line.as_str()), "{line}: {found:#?}");
        assert!(text.contains(&format!("# HELP {} {}", name_of(metric), metric.help)));
    }
    // The document for operators has all of them, under CloudWatch's names and under these.
    let manual = include_str!("../../docs/local.md");
    for name in found.iter().map(|line| line.split(' ').next().unwrap()) {
        assert!(
            manual.contains(&format!("`{name}")),
            "{name} is not in docs/local.md"
        );
    }
    let cloud = include_str!("../../docs/operations.md");
    for metric in metric::ALL.iter().filter(|it| it.name != "FailedEntries") {
        assert!(
            cloud.contains(&format!("`{}`", metric.name)),
            "{}",
            metric.name
        );
    }
    // Of the type of the one job that there was.
    let job = "Job\"";
    assert_eq!(value(&text, "imshare_entries_total", job), 2.0, "{text}");
    assert_eq!(value(&text, "imshare_succeeded_total", job), 1.0);
    assert_eq!(
        value(&text, "imshare_failed_entries_total", "code=\"IMG."),
        1.0
    );
    assert_eq!(value(&text, "imshare_job_age_seconds_count", job), 1.0);
    let create = "operation=\"POST /v2/images\",status=\"201\"";
    assert_eq!(value(&text, "imshare_requests_total", create), 1.0);
    let create = "operation=\"POST /v2/images\"";
    assert_eq!(value(&text, "imshare_store_requests_total", create), 1.0);
    assert_eq!(value(&text, "imshare_duration_seconds_count", create), 1.0);
    let below_30_s = "operation=\"POST /v2/images\",le=\"30\"";
    assert_eq!(
        value(&text, "imshare_duration_seconds_bucket", below_30_s),
        1.0
    );
    if cfg!(target_os = "linux") {
        assert!(value(&text, "process_resident_memory_bytes", "") > 1e6);
        assert!(value(&text, "process_open_fds", "") > 3.0);
        assert!(value(&text, "process_threads", "") >= 1.0);
    }
}

/// Nothing that a client makes up becomes a label: a stranger could fill the memory of the server and
/// of Prometheus.
#[tokio::test]
async fn clients_cannot_make_labels() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let provoke = async |round: u32| {
        for (who, method, path) in [
            (Who::NoToken, "GET", format!("/v9/made-up-{round}")),
            (Who::Owner, "GET", format!("/v2/made-up-{round}")),
            (
                Who::Owner,
                "GET",
                format!("/v2/images/{image}?made-up-{round}"),
            ),
            (Who::Owner, "GET", format!("/v2/images/made-up-{round}")),
            (Who::Owner, "MADEUP", format!("/v2/images?{round}")),
            (
                Who::Owner,
                "PUT",
                format!("/v2/images/{image}/tags/made-up-{round}"),
            ),
            (Who::Owner, "GET", format!("/v1/made-up-{round}/jobs")),
            (
                Who::BadToken,
                "DELETE",
                format!("/healthcheck/made-up-{round}"),
            ),
            (Who::NoToken, "OPTIONS", format!("/metrics/{round}")),
        ] {
            let method = method.replace("UP", &format!("UP{round}"));
            harness.send(who, &method, &path, None).await;
        }
    };
    provoke(0).await;
    metrics(&harness).await;
    let before = metrics(&harness).await;
    for round in 1..20 {
        provoke(round).await;
    }
    let after = metrics(&harness).await;
    let series = |text: &str| -> BTreeSet<String> {
        let all = samples(text).into_iter();
        all.map(|(name, labels, _)| format!("{name} {labels}"))
            .collect()
    };
    assert_eq!(series(&before), series(&after));
    assert!(!after.to_lowercase().contains("made-up"), "{after}");
    assert!(!after.contains("MADEUP"), "{after}");
    assert!(!after.contains(&image), "{after}");
    // Not counted under nothing, either.
    let other = "operation=\"other\"";
    let counted = |text: &str| value(text, "imshare_requests_total", other);
    assert!(counted(&after) > counted(&before) + 19.0 * 4.0);
}

async fn ask(harness: &Harness, who: Who, headers: &[(&str, &str)]) -> HttpResponse {
    harness
        .send_with(who, "GET", "/metrics", headers, None)
        .await
}

#[tokio::test]
async fn the_metrics_are_for_this_machine_and_for_admins() {
    let open = Harness::new().await;
    ask(&open, Who::NoToken, &[]).await.expect(200);
    ask(&open, Who::BadToken, &[]).await.expect(200);
    let localhost = format!("localhost:{}", open.address().port());
    ask(&open, Who::NoToken, &[("host", &localhost)])
        .await
        .expect(200);
    // Passed on by a proxy on this machine, or sent by a page that a foreign name has led here.
    for header in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "127.0.0.1"),
        ("host", "evil.example:9292"),
        ("host", "127.0.0.1.evil.example"),
    ] {
        for (who, status) in [
            (Who::NoToken, 401),
            (Who::BadToken, 401),
            (Who::Owner, 403),
            (Who::Admin, 200),
        ] {
            let answer = ask(&open, who, &[header]).await;
            assert_eq!(answer.status, status, "{header:?} {who:?}");
        }
    }
    open.send(Who::NoToken, "POST", "/metrics", None)
        .await
        .expect(405);
    // A browser's preflight.
    open.send(Who::NoToken, "OPTIONS", "/metrics", None)
        .await
        .expect(200);

    let admin = Harness::with(Options {
        metrics: MetricsFor::Admin,
        ..options()
    })
    .await;
    ask(&admin, Who::NoToken, &[]).await.expect(401);
    ask(&admin, Who::Owner, &[]).await.expect(403);
    ask(&admin, Who::Admin, &[]).await.expect(200);

    // A path like any other that there is not.
    let closed = Harness::with(Options {
        metrics: MetricsFor::Nobody,
        ..options()
    })
    .await;
    ask(&closed, Who::Admin, &[]).await.expect(300);
    closed.get(Who::Admin, DETAILS).await.expect(200);
}
