//! The embedded queue through an SQS client: visibility timeout, redelivery, dead letters, and a
//! file that outlives its process.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName,
    SendMessageBatchRequestEntry,
};
use local::queue::{BATCHES, DEAD_LETTERS, Queue, Settings};
use local::storage::Health;
use shared::domain::time::Clock;
use shared::runtime::clients::Clients;

/// Longer than a stalled test takes between two requests.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);

fn settings(visibility_timeout: Duration) -> Settings {
    Settings {
        visibility_timeout,
        max_receive_count: 2,
        ..Settings::default()
    }
}

fn client(queue: Queue) -> Client {
    Clients::sqs_in_process(queue)
}

/// A queue with this visibility timeout.
fn in_memory(visibility_timeout: Duration) -> Client {
    client(Queue::in_memory(settings(visibility_timeout), Clock::System).unwrap())
}

async fn send(client: &Client, bodies: &[&str]) {
    let mut request = client.send_message_batch().queue_url(BATCHES);
    for (place, body) in bodies.iter().enumerate() {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .message_body(*body);
        request = request.entries(entry.build().unwrap());
    }
    let sent = request.send().await.unwrap();
    assert_eq!(sent.successful.len(), bodies.len());
}

/// Receives up to ten messages, waiting for so many seconds.
async fn receive(client: &Client, queue: &str, seconds: i32) -> Vec<Message> {
    let received = client
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .wait_time_seconds(seconds)
        .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
        .send();
    received.await.unwrap().messages.unwrap_or_default()
}

/// Receives exactly one message, waiting as long as SQS allows.
async fn one(client: &Client, queue: &str) -> Message {
    let mut messages = receive(client, queue, 20).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

async fn delete(client: &Client, queue: &str, message: &Message) {
    let entry = DeleteMessageBatchRequestEntry::builder()
        .id("0")
        .set_receipt_handle(message.receipt_handle.clone())
        .build();
    let request = client.delete_message_batch().queue_url(queue);
    request.entries(entry.unwrap()).send().await.unwrap();
}

fn receives(message: &Message) -> &str {
    let attributes = message.attributes().unwrap();
    &attributes[&MessageSystemAttributeName::ApproximateReceiveCount]
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|m| m.body().unwrap()).collect()
}

#[tokio::test]
async fn what_is_received_is_hidden_from_others() {
    let client = in_memory(LONG);
    send(&client, &["a", "b"]).await;
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["a", "b"]);
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), [""; 0]);
    assert_eq!(bodies(&receive(&client, DEAD_LETTERS, 0).await), [""; 0]);
}

#[tokio::test]
async fn a_receive_takes_ten_messages_at_most() {
    let client = in_memory(LONG);
    send(&client, &["m"; 10]).await;
    send(&client, &["last"]).await;
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["m"; 10]);
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["last"]);
}

#[tokio::test]
async fn what_is_not_deleted_comes_again_until_it_is_a_dead_letter() {
    let client = in_memory(SHORT);
    send(&client, &["poison"]).await;
    let first = one(&client, BATCHES).await;
    let second = one(&client, BATCHES).await;
    assert_eq!((receives(&first), receives(&second)), ("1", "2"));
    assert_eq!(first.message_id, second.message_id);
    // Nobody receives from its queue meanwhile: a receive on the dead letters gets it by itself.
    let dead = one(&client, DEAD_LETTERS).await;
    assert_eq!((dead.body().unwrap(), receives(&dead)), ("poison", "1"));
    assert_eq!(dead.message_id, first.message_id);
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), [""; 0]);
    // A dead letter has no further queue: it is redelivered without limit.
    for count in ["2", "3", "4"] {
        assert_eq!(receives(&one(&client, DEAD_LETTERS).await), count);
    }
}

#[tokio::test]
async fn a_message_is_deleted_by_its_last_receipt() {
    let client = in_memory(SHORT);
    send(&client, &["m"]).await;
    let first = one(&client, BATCHES).await;
    let second = one(&client, BATCHES).await;
    delete(&client, BATCHES, &first).await;
    let dead = one(&client, DEAD_LETTERS).await;
    assert_eq!(dead.message_id, second.message_id);
    delete(&client, DEAD_LETTERS, &dead).await;
    assert_eq!(bodies(&receive(&client, DEAD_LETTERS, 1).await), [""; 0]);
}

#[tokio::test]
async fn a_receive_waits_for_what_is_sent_meanwhile() {
    let client = in_memory(LONG);
    let began = Instant::now();
    let (received, ()) = tokio::join!(one(&client, BATCHES), async {
        tokio::time::sleep(SHORT).await;
        send(&client, &["late"]).await;
    });
    assert_eq!(received.body(), Some("late"));
    assert!(began.elapsed() >= SHORT);
    // And not longer than requested.
    let began = Instant::now();
    assert_eq!(bodies(&receive(&client, BATCHES, 1).await), [""; 0]);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

/// Messages in flight when the process ended are visible at once to the next; deleted ones are
/// gone.
#[tokio::test]
async fn a_file_keeps_what_was_not_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queue.sqlite");
    let health = Health::of(directory.path());
    let open = || Queue::in_file(&file, settings(LONG), Clock::System, health.clone()).unwrap();
    let before = client(open());
    send(&before, &["done", "held", "waiting"]).await;
    let taken = receive(&before, BATCHES, 0).await;
    delete(&before, BATCHES, &taken[0]).await;
    drop(before);
    let after = client(open());
    let found = receive(&after, BATCHES, 0).await;
    assert_eq!(bodies(&found), ["held", "waiting"]);
    assert_eq!(receives(&found[0]), "2");
}
