//! The contract with Glance's clients: every exchange that was observed on a real Glance, replayed.
//!
//! Each row finds an image in the state that the row was recorded in: nothing depends on the order
//! of the rows. Rows that we answer differently on purpose are listed with the reason, and a row
//! that is listed without need fails the test as well.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::world::{ADMIN, Answer, MEMBER, MEMBER2, OWNER, THIRD, Who, World};

const OBSERVED: &str = include_str!("../contract/glance-33-observed.jsonl");
/// How a text ends that was too long to be kept.
const CUT: &str = "…(cut)";
/// The headers that clients read; of the others, nothing is promised.
const HEADERS: [&str; 5] = [
    "content-type",
    "allow",
    "location",
    "accept-patch",
    "www-authenticate",
];

/// One exchange.
#[derive(Deserialize)]
struct Row {
    id: String,
    group: String,
    caller: String,
    /// What the image was, and what it became: `shared->private`.
    visibility: String,
    method: String,
    path: String,
    request_headers: BTreeMap<String, String>,
    request_body: Option<String>,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    note: String,
}

/// Rows that we answer differently on purpose, our status and the reason.
const DIFFERENT: &[(&str, u16, &str)] = &[
    (
        "add.member.int",
        400,
        "a member is a string; a number would be stored as something else",
    ),
    (
        "add.member.float",
        400,
        "a member is a string; a number would be stored as something else",
    ),
    (
        "add.member.list",
        400,
        "a member is a string, and anything else no error of the server",
    ),
    (
        "add.member.object",
        400,
        "a member is a string, and anything else no error of the server",
    ),
    (
        "add.member.256",
        400,
        "a member's id has at most 255 characters, whatever the store takes",
    ),
    (
        "add.member.1000",
        400,
        "a member's id has at most 255 characters, whatever the store takes",
    ),
    (
        "add.member.emoji",
        200,
        "a member's id may have any character",
    ),
    ("add.nan", 400, "NaN is not JSON"),
    ("add.body.10mib", 413, "a body has at most 1 MiB"),
    (
        "add.body.deep",
        400,
        "a body that nests too deep is no error of the server",
    ),
    (
        "add.badimageid.unicode",
        404,
        "a path is UTF-8: the message shows the id that was sent",
    ),
    (
        "add.badimageid.badutf8",
        400,
        "a path that is not UTF-8 gets an answer",
    ),
    (
        "add.readd.list",
        200,
        "a membership that is made again is a new one: the last of the list",
    ),
    (
        "get.unicode",
        200,
        "a path is UTF-8: a member with such an id can be found",
    ),
    (
        "http.reqid.65",
        200,
        "a long request id is cut, and no error of the server",
    ),
    ("http.chunked", 200, "a chunked body is read"),
    (
        "img.create.list",
        400,
        "a list is no image, and no error of the server",
    ),
];

/// Rows about what this service does not serve: nobody has recorded one yet.
const NOT_SERVED: &[(&str, u16, &str)] = &[];

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
struct Names(BTreeMap<String, String>);

impl Names {
    fn of(world: &World) -> Self {
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
        names.set("base", &world.server.url());
        names
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(format!("{{{name}}}"), value.to_owned());
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// A service and what is known of it.
struct Stage {
    world: World,
    names: Names,
    /// The images that rows share because they change nothing, by what was made of them.
    images: RefCell<BTreeMap<String, String>>,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new().await;
        let names = Names::of(&world);
        Self {
            world,
            names,
            images: RefCell::default(),
        }
    }

    /// The stage of the rows about lists of images.
    async fn with_list() -> Self {
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
            .world
            .post(owner, "/v2/images", body)
            .await
            .expect(201)
            .text("/id");
        if public {
            self.world
                .set_visibility(Who::Admin, &image, visibility)
                .await;
        }
        image
    }

    async fn membership(&self, image: &str, project: &str, state: &str) {
        let world = &self.world;
        world.share(image, project).await.expect(200);
        match state {
            "pending" => {}
            "removed" => {
                let path = format!("/v2/images/{image}/members/{project}");
                world.delete(Who::Owner, &path).await.expect(204);
            }
            answer => {
                world
                    .answer(Who::Admin, image, project, answer)
                    .await
                    .expect(200);
            }
        }
    }

    /// Sees to the image that a row is about, and returns all the names.
    async fn prepare(&self, row: &Row) -> Names {
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
            self.world
                .set_visibility(Who::Admin, &image, visibility)
                .await;
        }
        let path = format!("/v2/images/{image}");
        if let Some((name, value)) = property(&row.id) {
            let change = json!([{"op": "replace", "path": format!("/{name}"), "value": value}]);
            self.world
                .patch(Who::Admin, &path, change)
                .await
                .expect(200);
        }
        if row.visibility == "deleted" {
            self.world.delete(Who::Owner, &path).await.expect(204);
        }
        image
    }

    async fn send(&self, row: &Row, names: &Names) -> Answer {
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
        self.world
            .send_with(row.who(), &row.method, &path, &headers, row.sent(names))
            .await
    }

    /// A request of the owner as no client library would write it.
    async fn send_raw(&self, path: &str, headers: &str, body: &str) -> Answer {
        let token = Who::Owner.token().unwrap();
        let mut stream = TcpStream::connect(self.world.address()).await.unwrap();
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
        Answer {
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

impl Row {
    /// Whether other rows may find the image that this one leaves: it only reads, or is refused.
    fn changes_nothing(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
            || (self.status >= 400 && !DIFFERENT.iter().any(|(id, ..)| *id == self.id))
    }

    fn who(&self) -> Who {
        match self.caller.as_str() {
            _ if self.id == "auth.badtoken" => Who::BadToken,
            "owner" => Who::Owner,
            "owner_reader" => Who::OwnerReader,
            "owner_norole" => Who::OwnerNoRole,
            "member" => Who::Member,
            "member_reader" => Who::MemberReader,
            "member2" => Who::Member2,
            "third" => Who::Third,
            "admin" => Who::Admin,
            "no token" => Who::NoToken,
            other => panic!("who is {other}?"),
        }
    }

    /// The name of the image that the row is about, if there is one.
    fn image(&self) -> Option<&str> {
        if self.visibility == "-" {
            return None;
        }
        let named = self.path.split_once("{img:").and_then(|(before, rest)| {
            let end = rest.find('}')? + "{img:".len();
            self.path.get(before.len() + 1..before.len() + end)
        });
        Some(named.unwrap_or("img:shared"))
    }

    /// The body of the request: what was cut or is not UTF-8 is written out here.
    fn sent(&self, names: &Names) -> Option<Vec<u8>> {
        let text = match self.id.as_str() {
            "add.member.1000" => json!({"member": "d".repeat(1000)}).to_string(),
            "add.body.10mib" => {
                json!({"member": "bigpad10", "pad": "x".repeat(10 << 20)}).to_string()
            }
            "add.body.deep" => {
                let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
                format!("{{\"member\": \"deep\", \"x\": {open}{close}}}")
            }
            _ => names.fill(self.request_body.as_deref()?),
        };
        let mut bytes = text.into_bytes();
        while let Some(at) = bytes
            .windows(4)
            .position(|four| matches!(four, br"\xff" | br"\xfe"))
        {
            let byte = if bytes[at + 3] == b'f' { 0xff } else { 0xfe };
            bytes.splice(at..at + 4, [byte]);
        }
        Some(bytes)
    }

    /// What is different in an answer; nothing if it is the observed one.
    fn differences(&self, answer: &Answer, mut names: Names) -> Vec<String> {
        // The id that an answer gives a new image.
        if self.status == 201
            && !self
                .request_body
                .as_deref()
                .unwrap_or_default()
                .contains("{uuid}")
            && let Ok(body) = serde_json::from_str::<Value>(&answer.body)
            && let Some(id) = body["id"].as_str().filter(|id| id.parse::<Uuid>().is_ok())
        {
            names.set("uuid", id);
        }
        let mut differences = Vec::new();
        let mut check = |name: &str, same: bool, expected: &str, got: &str| {
            if !same {
                differences.push(format!("{name}: expected {expected:?}, got {got:?}"));
            }
        };
        let (expected, got) = (self.status.to_string(), answer.status.to_string());
        check("status", expected == got, &expected, &got);
        for name in HEADERS {
            let expected = names.fill(self.headers.get(name).map_or("", String::as_str));
            let got = answer.header(name).unwrap_or_default();
            let same = match name {
                // It names our own identity service.
                "www-authenticate" if !expected.is_empty() => {
                    got.starts_with("Keystone uri=\"http") && got.ends_with('"')
                }
                _ => got == expected,
            };
            check(name, same, &expected, got);
        }
        let expected = self.request_headers.get("X-Openstack-Request-Id");
        let expected = names.fill(expected.map_or("req-", String::as_str));
        let got = answer.header("x-openstack-request-id").unwrap_or_default();
        check(
            "x-openstack-request-id",
            got.starts_with(&expected),
            &expected,
            got,
        );
        let expected = names.fill(&self.body);
        check(
            "body",
            same_body(&expected, answer),
            &expected,
            &answer.body,
        );
        if let Some(listed) = self.note.strip_prefix("returns ") {
            let listed = names.fill(listed);
            let expected: Vec<&str> = listed.split('\'').skip(1).step_by(2).collect();
            let got = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
            let got = got["images"].as_array().into_iter().flatten();
            let got: Vec<&str> = got.filter_map(|image| image["id"].as_str()).collect();
            check(
                "images",
                got == expected,
                &expected.join(" "),
                &got.join(" "),
            );
        }
        differences
    }
}

fn same_body(expected: &str, answer: &Answer) -> bool {
    let got = answer.body.as_str();
    if let Some(message) = expected.strip_prefix("html: ") {
        return got.starts_with("<html>") && got.contains(message);
    }
    let (whole, cut) = match expected.strip_suffix(CUT) {
        Some(start) => (start, true),
        None => (expected, false),
    };
    if !whole.starts_with('{') {
        return if cut {
            got.starts_with(whole)
        } else {
            got == whole
        };
    }
    let expected = if cut {
        complete_part(whole)
    } else {
        serde_json::from_str(whole).unwrap()
    };
    serde_json::from_str(got).is_ok_and(|got| same_json(&plain(expected), &got, cut))
}

/// What is complete in the text of an object of which the end is missing: the items of its first list.
fn complete_part(text: &str) -> Value {
    let ends = text
        .rmatch_indices('}')
        .map(|(end, _)| format!("{}]}}", &text[..=end]));
    ends.filter_map(|part| serde_json::from_str(&part).ok())
        .next()
        .unwrap()
}

/// An error without the HTML that Glance leaves in its message: we send the plain sentence.
fn plain(mut body: Value) -> Value {
    if body.get("title").is_some()
        && let Some(Value::String(message)) = body.get_mut("message")
    {
        *message = message.replace("<br />", "").trim().to_owned();
    }
    body
}

/// Whether an answer is as expected; `cut` allows it to go on.
fn same_json(expected: &Value, got: &Value, cut: bool) -> bool {
    let as_many = |expected: usize, got: usize| got == expected || cut && got > expected;
    match (expected, got) {
        (Value::String(expected), Value::String(got)) if expected == "{ts}" => is_time(got),
        (Value::Array(expected), Value::Array(got)) => {
            as_many(expected.len(), got.len())
                && expected
                    .iter()
                    .zip(got)
                    .all(|(expected, got)| same_json(expected, got, false))
        }
        (Value::Object(expected), Value::Object(got)) => {
            let same = |(name, expected)| {
                got.get(name)
                    .is_some_and(|got| same_json(expected, got, cut))
            };
            as_many(expected.len(), got.len()) && expected.iter().all(same)
        }
        _ => expected == got,
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`
fn is_time(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    form == "0000-00-00T00:00:00Z"
}

#[tokio::test]
async fn every_observed_exchange() {
    let rows: Vec<Row> = OBSERVED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let known: Vec<_> = DIFFERENT.iter().chain(NOT_SERVED).collect();
    let unknown = known
        .iter()
        .filter(|(id, ..)| !rows.iter().any(|row| row.id == *id));
    let mut wrong: Vec<String> = unknown
        .map(|(id, ..)| format!("{id} is listed and no row"))
        .collect();
    // Lists show all that there is: the rows about them have stages of their own.
    let (common, empty, listed) = (
        Stage::new().await,
        Stage::new().await,
        Stage::with_list().await,
    );
    let mut agree = 0;
    for row in &rows {
        let stage = match row.group.as_str() {
            "versions" => &empty,
            "image-list" => &listed,
            _ => &common,
        };
        let names = stage.prepare(row).await;
        let answer = stage.send(row, &names).await;
        let differences = row.differences(&answer, names);
        match known.iter().find(|(id, ..)| *id == row.id) {
            None if differences.is_empty() => agree += 1,
            None => wrong.push(format!("{}\n    {}", row.id, differences.join("\n    "))),
            Some(_) if differences.is_empty() => {
                wrong.push(format!("{} agrees now: it need not be listed", row.id));
            }
            Some((id, status, reason)) if answer.status != *status => {
                wrong.push(format!("{id}: {}, not {status}: {reason}", answer.status));
            }
            Some(_) => {}
        }
    }
    println!(
        "{agree} agree, {} differ on purpose, {} not served",
        DIFFERENT.len(),
        NOT_SERVED.len()
    );
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
