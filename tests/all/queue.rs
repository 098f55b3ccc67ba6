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
use shared::queue::GivenBack;
use shared::runtime::clients::Clients;

use crate::harness::ManualClock;

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
    send_of(client, None, bodies).await;
}

/// Sends messages of a project.
async fn send_of(client: &Client, project: Option<&str>, bodies: &[&str]) {
    let mut request = client.send_message_batch().queue_url(BATCHES);
    for (place, body) in bodies.iter().enumerate() {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .message_body(*body)
            .set_message_group_id(project.map(str::to_owned));
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

/// However many messages another project has waiting, a project's only message is among the first that are
/// received, and so it is when the other has as many in flight as it may have.
#[tokio::test]
async fn a_projects_only_message_does_not_wait_for_the_backlog_of_another() {
    let client = in_memory(LONG);
    for _ in 0..200 {
        send_of(&client, Some("noisy"), &["n"; 10]).await;
    }
    send_of(&client, Some("quiet"), &["q"]).await;
    let received = receive(&client, BATCHES, 0).await;
    assert_eq!(bodies(&received), ["n", "q", "n"]);
    send_of(&client, Some("quiet"), &["again"]).await;
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["again"]);
    // A message that is done makes room for the next of its project.
    delete(&client, BATCHES, &received[0]).await;
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["n"]);
}

#[tokio::test]
async fn projects_have_turns() {
    let settings = Settings {
        in_flight: 100,
        ..settings(LONG)
    };
    let client = client(Queue::in_memory(settings, Clock::System).unwrap());
    for (project, bodies) in [
        ("c", &["c1", "c2"][..]),
        ("a", &["a1", "a2", "a3", "a4"]),
        ("b", &["b1"]),
    ] {
        send_of(&client, Some(project), bodies).await;
    }
    let next = async |most: i32| {
        let request = client.receive_message().queue_url(BATCHES);
        let received = request.max_number_of_messages(most).send().await.unwrap();
        let received = received.messages.unwrap_or_default();
        received
            .iter()
            .map(|message| message.body().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(next(1).await, ["a1"]);
    assert_eq!(next(1).await, ["b1"]);
    // The turn goes on where it was, and what a project has is in the order in which it was sent.
    assert_eq!(next(3).await, ["c1", "a2", "c2"]);
    assert_eq!(next(10).await, ["a3", "a4"]);
    assert_eq!(next(10).await, [""; 0]);
}

/// A message that is given back comes again when it is said to, and its project has room meanwhile.
#[tokio::test]
async fn what_is_given_back_is_not_in_flight() {
    let clock = ManualClock::default();
    let queue = Queue::in_memory(settings(LONG), clock.clock()).unwrap();
    let sender = shared::queue::Queue::new(client(queue.clone()), BATCHES.to_owned());
    let client = client(queue);
    send_of(&client, Some("p"), &["1", "2", "3"]).await;
    let received = receive(&client, BATCHES, 0).await;
    assert_eq!(bodies(&received), ["1", "2"]);
    let back = |message: &Message, seconds: u64| GivenBack {
        receipt: message.receipt_handle.clone().unwrap(),
        after: Duration::from_secs(seconds),
    };
    sender.give_back(&[back(&received[0], 60)]).await;
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["3"]);
    sender.give_back(&[back(&received[1], 0)]).await;
    let again = receive(&client, BATCHES, 0).await;
    assert_eq!((bodies(&again), receives(&again[0])), (vec!["2"], "2"));
    delete(&client, BATCHES, &again[0]).await;
    clock.forward(59);
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), [""; 0]);
    clock.forward(1);
    assert_eq!(bodies(&receive(&client, BATCHES, 0).await), ["1"]);
}
