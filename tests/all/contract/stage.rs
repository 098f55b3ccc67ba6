//! The images and memberships that the rows find.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::row::Row;
use crate::harness::{ADMIN, Harness, HttpResponse, MEMBER, MEMBER2, OWNER, THIRD, Who};

type Memberships = &'static [(&'static str, &'static str)];

const PENDING: Memberships = &[(MEMBER, "pending")];
const ACCEPTED: Memberships = &[(MEMBER, "accepted")];
const REJECTED: Memberships = &[(MEMBER, "rejected")];
const REMOVED: Memberships = &[(MEMBER, "removed")];
const BOTH: Memberships = &[(MEMBER, "pending"), (MEMBER2, "accepted")];

/// The memberships that a row finds, in the order in which they were made: those of the first entry
/// that its id begins with. `removed` is one that was there and is there no more.
const MEMBERSHIPS: &[(&str, Memberships)] = &[
    ("add.duplicate.of.accepted", ACCEPTED),
    ("add.duplicate", PENDING),
    ("add.by.member.pending", PENDING),
    ("add.by.member", ACCEPTED),
    ("add.deactivated.put", PENDING),
    ("add.readd.post", REMOVED),
    (
        "add.readd.list",
        &[
            (MEMBER, "removed"),
            (MEMBER2, "pending"),
            (MEMBER, "pending"),
        ],
    ),
    ("add.readd", ACCEPTED),
    ("add.", &[]),
    ("list.none", &[]),
    (
        "list.order",
        &[
            ("zz", "pending"),
            ("aa", "accepted"),
            ("mm", "pending"),
            ("BB", "pending"),
        ],
    ),
    ("list.", &[(MEMBER, "pending"), (MEMBER2, "rejected")]),
    ("get.unicode", &[("été", "pending")]),
    ("get.", &[(MEMBER, "pending"), (MEMBER2, "rejected")]),
    ("put.get.after", ACCEPTED),
    ("put.accepted.again", ACCEPTED),
    ("put.pending", ACCEPTED),
    ("put.after.rejected", REJECTED),
    ("put.self.owner", &[(OWNER, "pending")]),
    ("put.", PENDING),
    ("vis.", BOTH),
    ("delete.by.member.self.accepted", ACCEPTED),
    ("delete.by.admin", &[("c", "pending")]),
    ("delete.with.body", &[("d", "pending")]),
    ("delete.get.after", &[("d", "removed")]),
    ("delete.twice", REMOVED),
    ("delete.image.by.former", REMOVED),
    ("delete.", &[(MEMBER, "pending"), (MEMBER2, "pending")]),
    ("image.show.pending", PENDING),
    ("image.show.accepted", ACCEPTED),
    ("image.delete.accepted", ACCEPTED),
    ("image.", REJECTED),
    ("http.gzip", &[(MEMBER, "pending"), ("expect", "pending")]),
    (
        "auth.owner_reader",
        &[(MEMBER, "pending"), ("expect", "pending")],
    ),
    ("route.", PENDING),
    ("http.", PENDING),
    ("auth.", PENDING),
    ("img.chown", ACCEPTED),
];

/// The images that the rows about lists find, from the oldest to the newest: name, number in the
/// recorded names, owner, visibility, and what the member answered.
const LISTED: [(&str, u8, Who, &str, Option<&str>); 9] = [
    ("shared-pending", 30, Who::Owner, "shared", Some("pending")),
    (
        "shared-accepted",
        31,
        Who::Owner,
        "shared",
        Some("accepted"),
    ),
    (
        "shared-rejected",
        32,
        Who::Owner,
        "shared",
        Some("rejected"),
    ),
    ("shared-nomember", 33, Who::Owner, "shared", None),
    ("private", 34, Who::Owner, "private", None),
    ("public", 35, Who::Owner, "public", None),
    ("community", 36, Who::Owner, "community", None),
    ("member-own-private", 37, Who::Member, "private", None),
    ("member-own-shared", 38, Who::Member, "shared", None),
];

/// What the placeholders of the rows stand for.
#[derive(Clone)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    fn of(harness: &Harness) -> Self {
        let mut names = Self(BTreeMap::new());
        let projects = [
            ("owner", OWNER),
            ("member", MEMBER),
            ("member2", MEMBER2),
            ("third", THIRD),
        ];
        for (name, project) in projects.into_iter().chain([("admin", ADMIN)]) {
            names.set(name, project);
        }
        names.set("base", &harness.server.url());
        names
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(format!("{{{name}}}"), value.to_owned());
    }

    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// A service and what is known of it.
pub struct Stage {
    harness: Harness,
    names: Names,
    /// The images that rows share because they change nothing, by what was made of them.
    images: RefCell<BTreeMap<String, String>>,
}

impl Stage {
    pub async fn new() -> Self {
        let harness = Harness::new().await;
        let names = Names::of(&harness);
        Self {
            harness,
            names,
            images: RefCell::default(),
        }
    }

    /// The stage of the rows about lists of images.
    pub async fn with_list() -> Self {
        let mut stage = Self::new().await;
        for (name, number, owner, visibility, answer) in LISTED {
            let name_then = format!("ref-{number:03}");
            let body = json!({"name": name_then, "disk_format": "raw", "container_format": "bare"});
            let image = stage.create(owner, body, visibility).await;
            if let Some(answer) = answer {
                stage.membership(&image, MEMBER, answer).await;
            }
            stage.names.set(&format!("img:{name}"), &image);
        }
        stage
    }

    async fn create(&self, owner: Who, mut body: Value, visibility: &str) -> String {
        // Only an admin makes an image public.
        let public = visibility == "public";
        body["visibility"] = json!(if public { "private" } else { visibility });
        let image = self
            .harness
            .post(owner, "/v2/images", body)
            .await
            .expect(201)
            .text("/id");
        if public {
            self.harness
                .set_visibility(Who::Admin, &image, visibility)
                .await;
        }
        image
    }

    async fn membership(&self, image: &str, project: &str, state: &str) {
        let harness = &self.harness;
        harness.share(image, project).await.expect(200);
        match state {
            "pending" => {}
            "removed" => {
                let path = format!("/v2/images/{image}/members/{project}");
                harness.delete(Who::Owner, &path).await.expect(204);
            }
            answer => {
                harness
                    .answer(Who::Admin, image, project, answer)
                    .await
                    .expect(200);
            }
        }
    }

    /// Sees to the image that a row is about, and returns all the names.
    pub async fn prepare(&self, row: &Row) -> Names {
        let mut names = self.names.clone();
        names.set("uuid", &Uuid::new_v4().to_string());
        names.set("req", &format!("req-{}", Uuid::new_v4()));
        let Some(placeholder) = row.image() else {
            return names;
        };
        // The row shows the image itself, or it does not matter what it is called.
        let shown: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let mut body = json!({"name": "x"});
        for name in ["name", "disk_format", "container_format"] {
            if let Some(value) = shown.get(name) {
                body[name] = value.clone();
            }
        }
        let (members, property) = (memberships(&row.id), property(&row.id));
        let made = format!("{body} {} {members:?} {property:?}", row.visibility);
        let before = self.images.borrow().get(&made).cloned();
        let image = match before {
            Some(image) if row.changes_nothing() => image,
            _ => self.image(row, body).await,
        };
        if row.changes_nothing() {
            self.images.borrow_mut().insert(made, image.clone());
        }
        names.set("uuid", &image.to_uppercase());
        names.set(placeholder, &image);
        names
    }

    async fn image(&self, row: &Row, body: Value) -> String {
        let mut states = row
            .visibility
            .split("->")
            .map(|state| state.split([',', '(']).next().unwrap());
        let first = match states.next().unwrap() {
            "default" | "deleted" => "shared",
            visibility => visibility,
        };
        let image = self.create(Who::Owner, body, first).await;
        if first == "shared" {
            for (project, state) in memberships(&row.id) {
                self.membership(&image, &project, state).await;
            }
        }
        for visibility in states {
            self.harness
                .set_visibility(Who::Admin, &image, visibility)
                .await;
        }
        let path = format!("/v2/images/{image}");
        if let Some((name, value)) = property(&row.id) {
            let change = json!([{"op": "replace", "path": format!("/{name}"), "value": value}]);
            self.harness
                .patch(Who::Admin, &path, change)
                .await
                .expect(200);
        }
        if row.visibility == "deleted" {
            self.harness.delete(Who::Owner, &path).await.expect(204);
        }
        image
    }

    pub async fn send(&self, row: &Row, names: &Names) -> HttpResponse {
        let path = names.fill(&row.path);
        match row.id.as_str() {
            "http.chunked" => {
                let body = "15\r\n{\"member\": \"chunked\"}\r\n0\r\n\r\n";
                return self
                    .send_raw(&path, "Transfer-Encoding: chunked", body)
                    .await;
            }
            "http.expect" => {
                let headers = "Content-Length: 20\r\nExpect: 100-continue";
                return self
                    .send_raw(&path, headers, "{\"member\": \"expect\"}")
                    .await;
            }
            _ => {}
        }
        let filled = |(name, value): (&String, &String)| (name.clone(), names.fill(value));
        let mut headers: Vec<_> = row.request_headers.iter().map(filled).collect();
        if row.id == "auth.emptytoken" {
            headers.push(("x-auth-token".to_owned(), String::new()));
        }
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.harness
            .send_with(row.who(), &row.method, &path, &headers, row.sent(names))
            .await
    }

    /// A request of the owner as no client library would write it.
    async fn send_raw(&self, path: &str, headers: &str, body: &str) -> HttpResponse {
        let token = Who::Owner.token().unwrap();
        let mut stream = TcpStream::connect(self.harness.address()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {token}\r\nConnection: close\r\n\
             {headers}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if headers.contains("Expect") {
            let mut interim = [0; 25];
            stream.read_exact(&mut interim).await.unwrap();
            assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        HttpResponse {
            status,
            headers,
            body: body.to_owned(),
        }
    }
}

/// The memberships that a row finds.
fn memberships(id: &str) -> Vec<(String, &'static str)> {
    let pending = |names: Vec<String>| names.into_iter().map(|name| (name, "pending")).collect();
    if id == "add.list.after" {
        let mut names = ["12345", "1.5", "1", " ", "  sp  "]
            .map(str::to_owned)
            .to_vec();
        names.extend(["a".repeat(254), "b".repeat(255)]);
        return pending(names);
    }
    if id.starts_with("quota.") {
        let mut all: Vec<_> = pending((0..127).map(|n| format!("q{n:03}")).collect());
        match id {
            "quota.last" => {}
            "quota.list" => all[0].1 = "removed",
            _ => all.push(("last".to_owned(), "pending")),
        }
        return all;
    }
    let found = MEMBERSHIPS
        .iter()
        .find(|(prefix, _)| id.starts_with(prefix));
    let found = found.map_or(&[][..], |(_, found)| *found);
    found
        .iter()
        .map(|(project, state)| ((*project).to_owned(), *state))
        .collect()
}

/// What else an image has that a row finds.
fn property(id: &str) -> Option<(&'static str, Value)> {
    match id {
        "add.protected" | "img.delete.protected" => Some(("protected", json!(true))),
        "add.active" => Some(("status", json!("active"))),
        "add.deactivated" | "add.deactivated.put" => Some(("status", json!("deactivated"))),
        "img.chown.list.by.newowner" => Some(("owner", json!(MEMBER))),
        _ => None,
    }
}
