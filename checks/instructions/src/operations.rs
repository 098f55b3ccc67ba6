//! The operations that are counted. Ids, names and times are the same in each run.

use std::path::Path;

use serde_json::{Value, json};
use shared::domain::entries::CHUNK_IMAGES;
use shared::http::{Handled, Request};
use shared::runtime::app::App;

use crate::meter;
use crate::service::{Call, Service, request};

/// The project that owns images.
const OWNER: &str = "owner";
/// The project that they are shared with.
const MEMBER: &str = "member";
/// The owner of the images that are listed, and the project that they are shared with.
const LISTED_OWNER: &str = "listed-owner";
const LISTED_MEMBER: &str = "listed-member";

/// How many images the lists are of.
const LISTED: usize = 1_000;
/// How many members the listed image has.
const MEMBERS: usize = 10;
/// How often a cheap operation is run; one more run goes before, which is not counted.
const ROUNDS: usize = 20;
/// How often a dear one is run.
const FEW: usize = 2;

/// Creates the images that are listed, in files of this directory. This is not counted, so it is done
/// by itself: it would take minutes under Callgrind.
pub fn prepare(directory: &Path) {
    let service = Service::new(Some(directory));
    let ids: Vec<String> = (0..LISTED).map(|k| image(4, k)).collect();
    for (number, id) in ids.iter().enumerate() {
        create(&service, LISTED_OWNER, id, &format!("img-{number:04}"));
    }
    let share = json!({"images": ids, "projects": [LISTED_MEMBER]});
    let half = &ids[..LISTED / 2];
    let accept = json!({"images": half, "project_id": LISTED_MEMBER, "status": "accepted"});
    for (project, method, body) in [
        (LISTED_OWNER, "POST", share),
        (LISTED_MEMBER, "PUT", accept),
    ] {
        send(&service, project, method, body);
        for message in service.messages() {
            service.run(message);
        }
    }
}

/// Runs and counts all of them. The images that are listed are in this directory.
pub fn run(directory: &Path) {
    let service = Service::new(None);
    members(&service);
    images(&service);
    batches(&service);
    lists(&Service::new(Some(directory)));
}

/// The id of the n-th image of a kind.
fn image(kind: u8, number: usize) -> String {
    format!("{kind:08}-0000-4000-8000-{number:012}")
}

fn get(path: impl Into<String>) -> Call {
    ("GET", path.into(), None)
}

/// Counts the requests of a project after the first, which fills caches.
fn count<H, F>(service: &Service, name: &str, project: &str, calls: Vec<Call>, handler: H)
where
    H: Fn(App, Request) -> F + Copy,
    F: Future<Output = Handled>,
{
    let mut requests = calls.into_iter().map(|call| request(project, call));
    service.answer(requests.next().expect("a first request"), handler);
    let requests: Vec<Request> = requests.collect();
    let rounds = requests.len() as u64;
    let mut requests = requests.into_iter();
    meter::count(name, rounds, &mut || {
        for request in requests.by_ref() {
            service.answer(request, handler);
        }
    });
}

fn create(service: &Service, owner: &str, id: &str, name: &str) {
    let body = json!({"id": id, "name": name, "visibility": "shared"});
    let call = ("POST", "/v2/images".to_owned(), Some(body));
    service.answer(request(owner, call), images::handle);
}

fn members(service: &Service) {
    let id = image(1, 0);
    create(service, OWNER, &id, "members");
    let members = format!("/v2/images/{id}/members");
    let add = |member: &str| ("POST", members.clone(), Some(json!({"member": member})));
    let other = |number: usize| format!("member-{number}");
    service.answer(request(OWNER, add(MEMBER)), add_member::handle);
    for number in 1..MEMBERS {
        service.answer(request(OWNER, add(&other(number))), add_member::handle);
    }
    let own = format!("{members}/{MEMBER}");
    let rounds = 0..=ROUNDS;

    let calls = rounds.clone().map(|_| get(own.clone())).collect();
    count(
        service,
        "show a member",
        MEMBER,
        calls,
        read_members::handle,
    );
    let calls = rounds.clone().map(|_| get(members.clone())).collect();
    count(
        service,
        "list 10 members",
        OWNER,
        calls,
        read_members::handle,
    );
    let answer = |round: usize| {
        let status = ["accepted", "rejected"][round % 2];
        ("PUT", own.clone(), Some(json!({"status": status})))
    };
    let calls = rounds.clone().map(answer).collect();
    count(
        service,
        "update a member",
        MEMBER,
        calls,
        update_member::handle,
    );
    let calls = rounds.clone().map(|round| add(&other(MEMBERS + round)));
    count(
        service,
        "add a member",
        OWNER,
        calls.collect(),
        add_member::handle,
    );
    let remove = |round: usize| {
        (
            "DELETE",
            format!("{members}/{}", other(MEMBERS + round)),
            None,
        )
    };
    let calls = rounds.map(remove).collect();
    count(
        service,
        "remove a member",
        OWNER,
        calls,
        remove_member::handle,
    );
}

fn images(service: &Service) {
    let rounds = 0..=ROUNDS;
    let create = |round: usize| {
        let body = json!({"id": image(2, round), "name": format!("image {round}")});
        ("POST", "/v2/images".to_owned(), Some(body))
    };
    let calls = rounds.clone().map(create).collect();
    count(service, "create an image", OWNER, calls, images::handle);
    let path = format!("/v2/images/{}", image(2, 0));
    let calls = rounds.clone().map(|_| get(path.clone())).collect();
    count(service, "show an image", OWNER, calls, images::handle);
    let rename = |round: usize| {
        let name = format!("renamed {round}");
        let change = json!([{"op": "replace", "path": "/name", "value": name}]);
        ("PATCH", path.clone(), Some(change))
    };
    let mut calls = rounds.map(rename).map(|call| {
        let mut request = request(OWNER, call);
        let media = "application/openstack-images-v2.1-json-patch";
        let media = media.parse().expect("a media type");
        request.headers_mut().insert("content-type", media);
        request
    });
    service.answer(calls.next().expect("a first request"), images::handle);
    let calls: Vec<Request> = calls.collect();
    let mut calls = calls.into_iter();
    meter::count("change an image", ROUNDS as u64, &mut || {
        for request in calls.by_ref() {
            service.answer(request, images::handle);
        }
    });
}

/// Sends a batch and returns the id of its job.
fn send(service: &Service, project: &str, method: &'static str, body: Value) -> String {
    let call = (method, "/v1/cloudimages/members".to_owned(), Some(body));
    let response = service.answer(request(project, call), batch_update::handle);
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    body["job_id"].as_str().expect("a job").to_owned()
}

fn batches(service: &Service) {
    let ids: Vec<String> = (0..CHUNK_IMAGES * (FEW + 1)).map(|k| image(3, k)).collect();
    for id in &ids {
        create(service, OWNER, id, "batches");
    }
    let share = json!({"images": ids, "projects": [MEMBER]});
    let accept = json!({"images": ids, "project_id": MEMBER, "status": "accepted"});
    let mut job = String::new();
    for (name, project, method, body) in [
        ("share a chunk of 50", OWNER, "POST", &share),
        ("accept a chunk of 50", MEMBER, "PUT", &accept),
        ("unshare a chunk of 50", OWNER, "DELETE", &share),
    ] {
        job = send(service, project, method, body.clone());
        let mut messages = service.messages().into_iter();
        service.run(messages.next().expect("a first chunk"));
        let rounds = messages.len() as u64;
        assert_eq!(rounds, FEW as u64);
        meter::count(name, rounds, &mut || {
            for message in messages.by_ref() {
                service.run(message);
            }
        });
    }
    let poll = get(format!("/v1/cloudimages/job/{job}"));
    let calls = (0..=ROUNDS).map(|_| poll.clone()).collect();
    count(service, "poll a job of 150", OWNER, calls, get_job::handle);

    let hundred = json!({"images": ids[..100], "projects": [MEMBER]});
    let call = ("POST", "/v1/cloudimages/members".to_owned(), Some(hundred));
    let calls = (0..=ROUNDS).map(|_| call.clone()).collect();
    count(
        service,
        "start a batch of 100",
        OWNER,
        calls,
        batch_update::handle,
    );
    service.messages();
}

fn lists(service: &Service) {
    for (name, project, query, rounds) in [
        (
            "list 1,000 images: a page of the owner",
            LISTED_OWNER,
            "",
            ROUNDS / 4,
        ),
        (
            "list 1,000 images: a page of the member",
            LISTED_MEMBER,
            "",
            ROUNDS / 4,
        ),
        (
            "list 1,000 images: a page of the pending",
            LISTED_MEMBER,
            "?member_status=pending",
            ROUNDS / 4,
        ),
        (
            "list 1,000 images: one by its name",
            LISTED_OWNER,
            "?name=img-0500",
            FEW,
        ),
        (
            "list 1,000 images: all at once",
            LISTED_OWNER,
            "?limit=1000",
            1,
        ),
    ] {
        let calls = (0..=rounds).map(|_| get(format!("/v2/images{query}")));
        count(service, name, project, calls.collect(), images::handle);
    }
    for (name, project, list) in [
        (
            "list 1,000 images: a page of invitations",
            LISTED_MEMBER,
            "invitations",
        ),
        (
            "list 1,000 images: a page of shares",
            LISTED_OWNER,
            "shares",
        ),
    ] {
        let path = format!("/v1/{project}/cloudimages/{list}");
        let calls = (0..=ROUNDS / 4).map(|_| get(path.clone()));
        count(
            service,
            name,
            project,
            calls.collect(),
            read_members::handle,
        );
    }
}
