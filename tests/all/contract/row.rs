//! One exchange: what is sent, and how an answer is compared with the one that was observed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::Names;
use crate::harness::{HttpResponse, Who};

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
#[derive(Clone, Deserialize)]
pub struct Row {
    pub id: String,
    pub group: String,
    pub caller: String,
    /// What the image was, and what it became: `shared->private`.
    pub visibility: String,
    pub method: String,
    pub path: String,
    pub request_headers: BTreeMap<String, String>,
    pub request_body: Option<String>,
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub note: String,
    /// The request id of our answer if it is not the one of the request.
    #[serde(skip)]
    request_id: Option<String>,
}

/// What we answer on purpose instead of what was observed.
#[derive(Deserialize)]
pub struct Difference {
    pub id: String,
    pub reason: String,
    status: u16,
    content_type: Option<String>,
    request_id: Option<String>,
    body: String,
}

impl Row {
    /// The exchange with our answer.
    pub fn with(&self, difference: &Difference) -> Self {
        let mut row = self.clone();
        row.status = difference.status;
        if let Some(media) = &difference.content_type {
            row.headers.insert("content-type".to_owned(), media.clone());
        }
        row.request_id.clone_from(&difference.request_id);
        row.body.clone_from(&difference.body);
        row
    }

    /// Whether other rows may find the image that this one leaves: it only reads, or is refused.
    pub fn changes_nothing(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") || self.status >= 400
    }

    pub fn who(&self) -> Who {
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
    pub fn image(&self) -> Option<&str> {
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
    pub fn sent(&self, names: &Names) -> Option<Vec<u8>> {
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
    pub fn differences(&self, answer: &HttpResponse, mut names: Names) -> Vec<String> {
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
        let sent = self.request_headers.get("X-Openstack-Request-Id");
        let got = answer.header("x-openstack-request-id").unwrap_or_default();
        let (expected, same) = match self.request_id.as_ref().or(sent) {
            Some(id) => (names.fill(id), got == names.fill(id)),
            None => ("req-".to_owned(), got.starts_with("req-")),
        };
        check("x-openstack-request-id", same, &expected, got);
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

fn same_body(expected: &str, answer: &HttpResponse) -> bool {
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
