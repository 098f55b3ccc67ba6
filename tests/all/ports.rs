//! The embedded engine and queue on ports, and the seeded records: what `cargo lambda` needs on one
//! machine.

use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use local::options::Options;
use serde_json::json;
use shared::runtime::clients::Clients;

use crate::fixtures::{LONELY, SHARED};
use crate::harness::{Harness, Http, MEMBER, Who, options};

const ANY: [u8; 4] = [127, 0, 0, 1];

#[tokio::test]
async fn other_processes_reach_the_engine_and_the_queue() {
    let harness = Harness::with(Options {
        dynamodb_listen: Some((ANY, 0).into()),
        sqs_listen: Some((ANY, 0).into()),
        seed_fixtures: true,
        ..options()
    })
    .await;
    // Another server plays another process: it uses sockets, as a function would.
    let dynamodb = harness.server.dynamodb_address.unwrap();
    let sqs = harness.server.sqs_address.unwrap();
    let other = Harness::with(Options {
        dynamodb_endpoint: Some(format!("http://{dynamodb}")),
        queue_url: Some(format!("http://{sqs}/000000000000/batches")),
        ..options()
    })
    .await;
    let listed = other.listed(Who::Owner, "").await;
    assert_eq!(listed.len(), 3);
    let members = other
        .get(Who::Owner, &format!("/v2/images/{SHARED}/members"))
        .await;
    assert_eq!(
        members.expect(200).json()["members"][0]["member_id"],
        MEMBER
    );
    other.share(LONELY, MEMBER).await.expect(200);
    let body = json!({"images": [LONELY], "project_id": MEMBER, "status": "accepted"});
    let job = other
        .put(Who::Member, "/v1/cloudimages/members", body)
        .await;
    let job = other
        .ended(Who::Member, &job.expect(200).text("/job_id"))
        .await;
    assert_eq!(job["status"], "SUCCESS");
    assert_eq!(harness.listed(Who::Member, "").await, [LONELY]);
    other.server.stop().await;
    harness.server.stop().await;
}

/// A page from elsewhere reaches what listens on this machine by a name of its own that leads here.
#[tokio::test]
async fn a_foreign_name_reaches_no_port() {
    let harness = Harness::with(Options {
        dynamodb_listen: Some((ANY, 0).into()),
        sqs_listen: Some((ANY, 0).into()),
        ..options()
    })
    .await;
    for (address, operation) in [
        (
            harness.server.dynamodb_address,
            "DynamoDB_20120810.ListTables",
        ),
        (harness.server.sqs_address, "AmazonSQS.ListQueues"),
    ] {
        let address = address.unwrap();
        let here = address.to_string();
        for (host, reaches) in [(&*here, true), ("evil.example:8000", false)] {
            let headers = [("host", host), ("x-amz-target", operation)];
            let url = format!("http://{address}/");
            let http = Http::default();
            let answer = http.send("POST", &url, &headers, b"{}".to_vec()).await;
            let body = answer.body;
            let refused = body.contains("not a request of the SDK");
            assert_eq!(!refused, reaches, "{operation} by {host}: {body}");
        }
    }
}

#[tokio::test]
async fn the_queue_on_a_port_has_two_queues_and_no_others() {
    let harness = Harness::with(Options {
        sqs_listen: Some((ANY, 0).into()),
        ..options()
    })
    .await;
    let base = format!("http://{}", harness.server.sqs_address.unwrap());
    let client = Clients::local().sqs(Some(base.clone()));
    for (name, known) in [("batches", true), ("dead-letters", true), ("other", false)] {
        let url = format!("{base}/000000000000/{name}");
        let asked = client.get_queue_attributes().queue_url(url).send().await;
        match asked {
            Ok(_) => assert!(known, "{name}"),
            Err(error) => assert!(
                error.code() == Some("QueueDoesNotExist") && !known,
                "{name}"
            ),
        }
    }
}

/// Seeding existing data again changes nothing.
#[tokio::test]
async fn the_fixtures_can_be_seeded_twice() {
    let harness = Harness::with(Options {
        seed_fixtures: true,
        ..options()
    })
    .await;
    let image = format!("/v2/images/{SHARED}");
    let before = harness.get(Who::Owner, &image).await.expect(200).body;
    local::seed::fixtures(&harness.server.app).await.unwrap();
    assert_eq!(
        harness.get(Who::Owner, &image).await.expect(200).body,
        before
    );
}

/// Servers that share a table may start at the same time: one creates it, all use it.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_share_a_new_table() {
    let harness = Harness::with(Options {
        dynamodb_listen: Some((ANY, 0).into()),
        ..options()
    })
    .await;
    let endpoint = format!("http://{}", harness.server.dynamodb_address.unwrap());
    let starting = (0..6).map(|_| {
        Harness::with(Options {
            dynamodb_endpoint: Some(endpoint.clone()),
            table: "another".to_owned(),
            ..options()
        })
    });
    let servers = futures::future::join_all(starting).await;
    let image = servers[0].image(json!({})).await;
    for server in &servers {
        assert_eq!(server.listed(Who::Owner, "").await, [image.clone()]);
    }
}
