//! The calls that are measured: what a client sends for each, and what it needs before.

use std::sync::Arc;

use serde_json::json;

use crate::MEMBER;
use crate::client::{Client, Request, Who};
use crate::limit::Loop;
use crate::stock::Stock;

/// How many members the listed image has.
pub const LISTED: usize = 10;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    ShowImage,
    ShowMember,
    ListMembers,
    Accept,
    AddMember,
    RemoveMember,
    CreateImage,
    ChangeImage,
    DeleteImage,
    /// A batch of one entry, without its work.
    StartBatch,
    /// A read of a job that has ended.
    PollJob,
    List(&'static List),
}

/// A list of images, or of rows about them.
#[derive(Debug, PartialEq)]
pub struct List {
    pub name: &'static str,
    who: Who,
    /// `{name}` and `{id}` stand for those of an image.
    path: &'static str,
    /// Whether Glance has it too.
    pub on_glance: bool,
}

const fn list(name: &'static str, who: Who, path: &'static str) -> List {
    List {
        name,
        who,
        path,
        on_glance: true,
    }
}

const fn ours(name: &'static str, who: Who, path: &'static str) -> List {
    List {
        on_glance: false,
        ..list(name, who, path)
    }
}

/// The lists of 1,000 images.
pub static LISTS: [List; 9] = [
    list("own images", Who::Owner, "/v2/images"),
    list("own images, name=", Who::Owner, "/v2/images?name={name}"),
    list("own images, id=", Who::Owner, "/v2/images?id={id}"),
    list(
        "own images, limit=1000",
        Who::Owner,
        "/v2/images?limit=1000",
    ),
    list("shared with me, accepted", Who::Member, "/v2/images"),
    list(
        "shared with me, pending",
        Who::Member,
        "/v2/images?member_status=pending",
    ),
    list(
        "shared with me, name=",
        Who::Member,
        "/v2/images?name={name}",
    ),
    ours(
        "invitations",
        Who::Member,
        "/v1/edc89b490d7d4392898e19b2deb34797/cloudimages/invitations",
    ),
    ours(
        "shares",
        Who::Owner,
        "/v1/5ef9f7a1c2d3460a9d0d4c6b8f5a1e01/cloudimages/shares",
    ),
];

/// The lists by number of images. The first word is whose images they are.
pub static GROWING: [List; 11] = [
    list("own: first page", Who::Owner, "/v2/images"),
    list("own: name=", Who::Owner, "/v2/images?name={name}"),
    list("own: id=", Who::Owner, "/v2/images?id={id}"),
    list(
        "shared: first page",
        Who::Member,
        "/v2/images?visibility=shared",
    ),
    list(
        "shared: pending",
        Who::Member,
        "/v2/images?visibility=shared&member_status=pending",
    ),
    list("shared: name=", Who::Member, "/v2/images?name={name}"),
    list("shared: id=", Who::Member, "/v2/images?id={id}"),
    ours("public: first page", Who::Stranger, "/v2/images"),
    ours("public: name=", Who::Stranger, "/v2/images?name=pub-{name}"),
    ours(
        "shared: invitations",
        Who::Member,
        "/v1/edc89b490d7d4392898e19b2deb34797/cloudimages/invitations",
    ),
    ours(
        "own: shares",
        Who::Owner,
        "/v1/5ef9f7a1c2d3460a9d0d4c6b8f5a1e01/cloudimages/shares",
    ),
];

impl Call {
    /// The calls about one image or one job.
    pub const SINGLE: [Self; 11] = [
        Self::ShowImage,
        Self::ShowMember,
        Self::ListMembers,
        Self::Accept,
        Self::ChangeImage,
        Self::PollJob,
        Self::CreateImage,
        Self::DeleteImage,
        Self::RemoveMember,
        // It makes the lists of members longer.
        Self::AddMember,
        // It leaves work to do, so it is the last.
        Self::StartBatch,
    ];

    /// Its name in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShowImage => "show an image",
            Self::ShowMember => "show a member",
            Self::ListMembers => "list 10 members",
            Self::Accept => "accept",
            Self::AddMember => "add a member",
            Self::RemoveMember => "remove a member",
            Self::CreateImage => "create an image",
            Self::ChangeImage => "change an image",
            Self::DeleteImage => "delete an image",
            Self::StartBatch => "start a batch",
            Self::PollJob => "read a job",
            Self::List(list) => list.name,
        }
    }

    /// Whether Glance has it too.
    pub fn on_glance(self) -> bool {
        match self {
            Self::StartBatch | Self::PollJob => false,
            Self::List(list) => list.on_glance,
            _ => true,
        }
    }

    /// The bare loop of the same requests to DynamoDB.
    pub fn bare(self) -> Option<Loop> {
        match self {
            Self::ShowMember => Some(Loop::Show),
            Self::ListMembers => Some(Loop::List),
            Self::Accept => Some(Loop::Accept),
            Self::AddMember => Some(Loop::Add),
            _ => None,
        }
    }
}

/// What a connection sends requests about.
pub struct State {
    image: String,
    job: String,
    /// The images of lists.
    stock: Arc<Stock>,
    /// How many requests it has sent.
    sent: usize,
    /// The members that wait to be removed.
    members: Vec<String>,
    /// The images that wait to be deleted.
    images: Vec<String>,
}

impl State {
    /// Creates an image with members, and a job if the server has jobs; nothing of it for lists, whose
    /// images exist.
    pub async fn new(client: &mut Client, stock: Arc<Stock>) -> Self {
        if stock.len() > 0 {
            return Self {
                image: String::new(),
                job: String::new(),
                stock,
                sent: 0,
                members: Vec::new(),
                images: Vec::new(),
            };
        }
        let image = crate::new_image(client).await;
        for member in (1..LISTED).map(|k| format!("member-{k}")) {
            client.ask(add(&image, &member)).await;
        }
        client.ask(add(&image, MEMBER)).await;
        let mut state = Self {
            image,
            job: String::new(),
            stock,
            sent: 0,
            members: Vec::new(),
            images: Vec::new(),
        };
        if !client.is_glance() {
            state.job = client.batch(state.request(Call::StartBatch)).await;
        }
        state
    }

    /// Creates what the next so many requests need.
    pub async fn prepare(&mut self, client: &mut Client, call: Call, requests: usize) {
        match call {
            Call::RemoveMember => {
                while self.members.len() < requests {
                    let member = random();
                    client.ask(add(&self.image, &member)).await;
                    self.members.push(member);
                }
            }
            Call::DeleteImage => {
                while self.images.len() < requests {
                    self.images.push(crate::new_image(client).await);
                }
            }
            _ => {}
        }
    }

    /// Whether a request can be sent without preparing more.
    pub fn is_ready(&self, call: Call) -> bool {
        match call {
            Call::RemoveMember => !self.members.is_empty(),
            Call::DeleteImage => !self.images.is_empty(),
            _ => true,
        }
    }

    /// The next request.
    pub fn request(&mut self, call: Call) -> Request {
        self.sent += 1;
        let image = format!("/v2/images/{}", self.image);
        let row = format!("{image}/members/{MEMBER}");
        match call {
            Call::ShowImage => Request::get(Who::Member, image),
            Call::ShowMember => Request::get(Who::Member, row),
            Call::ListMembers => Request::get(Who::Owner, format!("{image}/members")),
            Call::Accept => {
                // Alternates, so that each answer changes the record.
                let status = ["accepted", "rejected"][self.sent % 2];
                Request::new(Who::Member, "PUT", row, json!({"status": status}))
            }
            Call::AddMember => add(&self.image, &random()),
            Call::RemoveMember => {
                let member = self.members.pop().unwrap_or_default();
                Request::delete(Who::Owner, format!("{image}/members/{member}"))
            }
            Call::CreateImage => {
                Request::new(Who::Owner, "POST", "/v2/images", json!({"name": "created"}))
            }
            Call::ChangeImage => {
                let name = format!("changed-{}", self.sent);
                let patch = json!([{"op": "replace", "path": "/name", "value": name}]);
                Request::new(Who::Owner, "PATCH", image, patch)
            }
            Call::DeleteImage => {
                let image = self.images.pop().unwrap_or_default();
                Request::delete(Who::Owner, format!("/v2/images/{image}"))
            }
            Call::StartBatch => {
                let body = json!({"images": [self.image], "projects": [MEMBER]});
                Request::new(Who::Owner, "POST", "/v1/cloudimages/members", body)
            }
            Call::PollJob => Request::get(Who::Owner, format!("/v1/cloudimages/job/{}", self.job)),
            Call::List(list) => {
                let (name, id) = self.stock.pick(self.sent);
                let path = list.path.replace("{name}", &name).replace("{id}", id);
                Request::get(list.who, path)
            }
        }
    }
}

fn add(image: &str, member: &str) -> Request {
    let path = format!("/v2/images/{image}/members");
    Request::new(Who::Owner, "POST", path, json!({"member": member}))
}

fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
