//! Observability: the cost of a request, and the request that a message comes from.

use serde_json::{Value, json};
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::message::Message;
use shared::domain::time::Clock;
use shared::queue::Queue;
use shared::runtime::clients::Clients;
use shared::runtime::metrics::measured;

use crate::harness::{Harness, MEMBER};

#[tokio::test]
async fn requests_and_units_are_counted_for_the_work_that_makes_them() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let id = ImageId::canonical(&image).unwrap();
    let store = harness.server.app.store();
    let read = async { store.image(id).await.unwrap() };
    let (image, usage) = measured(read).await;
    assert!(image.flatten().is_some());
    assert_eq!((usage.requests, usage.retries, usage.conflicts), (1, 0, 0));
    assert!(usage.units > 0.0, "{usage:?}");
    // Each request counts its own cost only.
    let twice = async {
        store.image(id).await.unwrap();
        store.image(id).await.unwrap();
    };
    let (other, doubled) = tokio::join!(measured(async {}), measured(twice));
    assert_eq!(other.1.requests, 0);
    assert_eq!(doubled.1.requests, 2);
    assert_eq!(doubled.1.units, 2.0 * usage.units);
}

#[tokio::test]
async fn a_message_carries_the_id_of_its_request_and_its_project_as_group() {
    let local = local::queue::Queue::in_memory(Default::default(), Clock::System).unwrap();
    let client = Clients::sqs_in_process(local.clone());
    let queue = Queue::new(client, local::queue::BATCHES.to_owned());
    let id = ImageId::canonical("00000000-0000-4000-8000-000000000000").unwrap();
    let project = ProjectId::parse(MEMBER).unwrap();
    let unsent = queue
        .send(&[Message::Memberships { image: id }], &project, "req-7")
        .await
        .unwrap();
    assert!(unsent.is_empty());
    let receive = json!({"QueueUrl": local::queue::BATCHES, "MaxNumberOfMessages": 1});
    let (_, answer) = local.perform("ReceiveMessage", &receive.to_string()).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let attributes = &answer["Messages"][0]["MessageAttributes"];
    assert_eq!(attributes["RequestId"]["StringValue"], "req-7");
    assert_eq!(
        answer["Messages"][0]["Attributes"]["MessageGroupId"],
        MEMBER
    );
}
