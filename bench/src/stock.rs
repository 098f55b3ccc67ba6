//! The images that lists are measured with, created through the API: so many of the owner, all of
//! them shared with the member, which has accepted every second one.

use std::sync::Arc;

use serde_json::json;

use crate::MEMBER;
use crate::client::{Client, Request, Who};
use crate::server::Server;

/// Connections that create the images.
const CONNECTIONS: usize = 32;
/// Entries of a batch that shares or accepts.
const ENTRIES: usize = 10_000;

/// The images of the owner, oldest first.
#[derive(Debug, Default)]
pub struct Stock {
    ids: Vec<String>,
}

impl Stock {
    /// The name and the id of one of the images that the member has accepted, another one each time.
    pub fn pick(&self, number: usize) -> (String, &str) {
        // A large prime, so that neighbours in time are no neighbours in the list.
        let index = number.wrapping_mul(7919) % self.ids.len().max(1) / 2 * 2;
        let id = self.ids.get(index).map_or("", String::as_str);
        (name(index), id)
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The ids of the images.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Creates images that are not shared until there are so many.
    pub async fn create(&mut self, server: &Server, images: usize) {
        let new = create(server, Who::Owner, "shared", self.len()..images, name).await;
        self.ids.extend(new);
    }

    /// Creates images until there are so many, each shared with the member, and answers.
    pub async fn grow(&mut self, server: &Server, images: usize) {
        let first = self.len();
        let member = [MEMBER.to_owned()];
        let new = create(server, Who::Owner, "shared", first..images, name).await;
        if server.is_glance {
            share_one_by_one(server, &new, first).await;
        } else {
            share(server, &new, first, &member).await;
        }
        self.ids.extend(new);
    }

    /// Creates as many public images of another project as there are images.
    pub async fn add_public(&self, server: &Server) {
        let public = |index| format!("pub-{}", name(index));
        create(server, Who::Admin, "public", 0..self.len(), public).await;
    }

    /// Takes note of one more image.
    pub fn push(&mut self, id: String) {
        self.ids.push(id);
    }
}

/// The name of an image of the owner.
pub fn name(index: usize) -> String {
    format!("img-{index:06}")
}

/// Creates an image as clients do, and returns its id.
pub async fn create_one(client: &mut Client, who: Who, visibility: &str, name: &str) -> String {
    let body = json!({
        "name": name,
        "visibility": visibility,
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_ram": 512,
        "tags": ["base"],
        "os_distro": "debian",
    });
    let image = client.json(Request::new(who, "POST", "/v2/images", body));
    image.await["id"].as_str().expect("an id").to_owned()
}

/// Creates images, and returns their ids in the order of the numbers.
async fn create(
    server: &Server,
    who: Who,
    visibility: &'static str,
    numbers: std::ops::Range<usize>,
    name: impl Fn(usize) -> String + Copy + Send + 'static,
) -> Vec<String> {
    let mut makers = Vec::new();
    for maker in 0..CONNECTIONS {
        let mut client = Client::new(server).await;
        let numbers = numbers.clone();
        makers.push(tokio::spawn(async move {
            let mut made = Vec::new();
            for number in numbers.skip(maker).step_by(CONNECTIONS) {
                let id = create_one(&mut client, who, visibility, &name(number)).await;
                made.push((number, id));
            }
            made
        }));
    }
    let mut made = Vec::new();
    for maker in makers {
        made.extend(maker.await.expect("a task"));
    }
    made.sort_unstable();
    made.into_iter().map(|(_, id)| id).collect()
}

/// Shares images in batches, and accepts every second one.
async fn share(server: &Server, images: &[String], first: usize, members: &[String]) {
    let path = "/v1/cloudimages/members";
    let mut client = Client::new(server).await;
    for images in images.chunks(ENTRIES / members.len()) {
        let body = json!({"images": images, "projects": members});
        let batch = Request::new(Who::Owner, "POST", path, body);
        client.batch(batch).await;
    }
    let accepted = images.iter().enumerate();
    let accepted = accepted.filter(|(at, _)| (first + at).is_multiple_of(2));
    let accepted: Vec<_> = accepted.map(|(_, id)| id).collect();
    for images in accepted.chunks(ENTRIES) {
        let body = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
        let batch = Request::new(Who::Member, "PUT", path, body);
        client.batch(batch).await;
    }
}

/// The same by single requests, for a server without batches.
async fn share_one_by_one(server: &Server, images: &[String], first: usize) {
    let images: Arc<Vec<String>> = Arc::new(images.to_vec());
    let mut sharers = Vec::new();
    for sharer in 0..CONNECTIONS {
        let mut client = Client::new(server).await;
        let images = images.clone();
        sharers.push(tokio::spawn(async move {
            for at in (sharer..images.len()).step_by(CONNECTIONS) {
                let path = format!("/v2/images/{}/members", images[at]);
                let body = json!({"member": MEMBER});
                client
                    .ask(Request::new(Who::Owner, "POST", path.clone(), body))
                    .await;
                if (first + at).is_multiple_of(2) {
                    let path = format!("{path}/{MEMBER}");
                    let body = json!({"status": "accepted"});
                    client
                        .ask(Request::new(Who::Member, "PUT", path, body))
                        .await;
                }
            }
        }));
    }
    for sharer in sharers {
        sharer.await.expect("a task");
    }
}
