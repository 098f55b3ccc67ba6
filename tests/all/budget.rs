//! The request budget: the DynamoDB requests of each operation on its happy path, counted by the
//! engine.

use std::collections::BTreeMap;

use local::options::Options;
use serde_json::{Value, json};
use shared::http::{Handled, Request};
use shared::runtime::metrics;

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, Who, options};

/// The requests that some work makes, by operation.
pub async fn requests<F: Future>(harness: &Harness, work: F) -> BTreeMap<String, u64> {
    let before = harness.store_requests();
    work.await;
    harness
        .store_requests()
        .into_iter()
        .filter_map(|(operation, count)| {
            let new = count - before.get(&operation).copied().unwrap_or(0);
            (new > 0).then_some((operation, new))
        })
        .collect()
}

fn spent(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs
        .iter()
        .map(|(operation, count)| ((*operation).to_owned(), *count))
        .collect()
}

#[tokio::test]
async fn the_happy_paths_keep_their_budget() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"name": "named"})).await;
    let path = format!("/v2/images/{image}");
    let members = format!("{path}/members");
    let row = format!("{members}/{MEMBER}");
    let mut table = Vec::new();
    let mut check = |what: &str, found: BTreeMap<String, u64>, expected: &[(&str, u64)]| {
        assert_eq!(found, spent(expected), "{what}");
        table.push(format!("{what:<16} {found:?}"));
    };

    let create = harness.post(Who::Owner, "/v2/images", json!({}));
    check(
        "create image",
        requests(&harness, create).await,
        &[("PutItem", 1)],
    );
    // The register of projects with rules, which the instance then remembers.
    let add = async { harness.share(&image, "first").await.expect(200) };
    check(
        "first add",
        requests(&harness, add).await,
        &[("GetItem", 1), ("TransactWriteItems", 1)],
    );
    let add = async { harness.share(&image, MEMBER).await.expect(200) };
    check(
        "add",
        requests(&harness, add).await,
        &[("TransactWriteItems", 1)],
    );
    let path_of_rules = format!("/v1/{MEMBER2}/cloudimages/trusted-owners");
    let rules = json!({"rules": [{"owner": OWNER, "mode": "accept"}]});
    let set = async { harness.put(Who::Member2, &path_of_rules, rules).await };
    check(
        "set rules",
        requests(&harness, set).await,
        &[("TransactWriteItems", 1)],
    );
    let show = async { harness.get(Who::Member2, &path_of_rules).await.expect(200) };
    check(
        "show rules",
        requests(&harness, show).await,
        &[("GetItem", 1)],
    );
    let show = async { harness.get(Who::Member, &row).await.expect(200) };
    check(
        "show member",
        requests(&harness, show).await,
        &[("BatchGetItem", 1)],
    );
    let list = async { harness.get(Who::Owner, &members).await.expect(200) };
    check(
        "list members",
        requests(&harness, list).await,
        &[("Query", 1)],
    );
    let update = async {
        harness
            .answer(Who::Member, &image, MEMBER, "accepted")
            .await
            .expect(200)
    };
    check(
        "update",
        requests(&harness, update).await,
        &[("BatchGetItem", 1), ("UpdateItem", 1)],
    );
    let show = async { harness.get(Who::Member, &path).await.expect(200) };
    check(
        "show image",
        requests(&harness, show).await,
        &[("BatchGetItem", 1)],
    );
    // Own, public and accepted images are three sorted streams, whose rows hold the images.
    let list = async { harness.get(Who::Member, "/v2/images").await.expect(200) };
    check(
        "list images",
        requests(&harness, list).await,
        &[("Query", 3)],
    );
    for (what, query) in [
        ("images by name", "name=named"),
        ("accepted by name", "name=n"),
    ] {
        let path = format!("/v2/images?{query}");
        let list = async { harness.get(Who::Member, &path).await.expect(200) };
        let found = requests(&harness, list).await;
        let read = u64::from(query == "name=named");
        // One for own images and those that were accepted, one for those of all.
        let mut expected = vec![("ExecuteStatement", 2)];
        expected.extend((read > 0).then_some(("BatchGetItem", read)));
        check(what, found, &expected);
    }
    let by_id = format!("/v2/images?id={image}");
    let list = async { harness.get(Who::Member, &by_id).await.expect(200) };
    check(
        "images by id",
        requests(&harness, list).await,
        &[("BatchGetItem", 1)],
    );
    // One stream for a status.
    let path = format!("/v1/{MEMBER}/cloudimages/invitations?status=accepted");
    let list = async { harness.get(Who::Member, &path).await.expect(200) };
    check(
        "invitations",
        requests(&harness, list).await,
        &[("Query", 1)],
    );
    // One stream, and the images with the memberships.
    let path = format!("/v1/{OWNER}/cloudimages/shares");
    let list = async { harness.get(Who::Owner, &path).await.expect(200) };
    check(
        "shares",
        requests(&harness, list).await,
        &[("BatchGetItem", 1), ("Query", 1)],
    );
    let remove = async { harness.delete(Who::Owner, &row).await.expect(204) };
    check(
        "remove",
        requests(&harness, remove).await,
        &[("TransactWriteItems", 1)],
    );

    println!("{}", table.join("\n"));
}

#[tokio::test]
async fn a_batch_keeps_its_budget() {
    let harness = Harness::new().await;
    let mut images = Vec::new();
    for _ in 0..200 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        images.push(image);
    }
    let body = json!({"images": images, "project_id": MEMBER, "status": "accepted"});
    let mut job = String::new();
    let whole = requests(&harness, async {
        job = harness
            .put(Who::Member, "/v1/cloudimages/members", body)
            .await
            .expect(200)
            .text("/job_id");
        // Waits without a request to the store.
        while harness
            .server
            .queue
            .as_ref()
            .unwrap()
            .len(local::queue::BATCHES)
            .unwrap()
            > 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    // One to accept the job and one to record that all messages were sent; one write for each
    // entry; two more for each of the four chunks, and one for the last, which gives back what the job
    // counts.
    let expected = spent(&[
        ("TransactWriteItems", 1 + 4 + 1),
        ("BatchGetItem", 4),
        ("UpdateItem", 200 + 1),
    ]);
    assert_eq!(whole, expected);
    let show = async {
        harness
            .get(Who::Member, &format!("/v1/cloudimages/job/{job}"))
            .await
            .expect(200)
    };
    let shown = requests(&harness, show).await;
    assert_eq!(shown, spent(&[("GetItem", 1), ("BatchGetItem", 1)]));
}

/// The event of a list, with other query parameters.
fn event(fixture: &str, project: &str, path: &str, query: &[(&str, &str)]) -> Request {
    let mut event: Value = serde_json::from_str(fixture).unwrap();
    event["path"] = json!(path);
    event["requestContext"]["path"] = json!(path);
    event["pathParameters"] = Value::Null;
    event["requestContext"]["authorizer"]["project_id"] = json!(project);
    let query: BTreeMap<_, _> = query.iter().copied().collect();
    event["queryStringParameters"] = json!(query);
    event["multiValueQueryStringParameters"] = query
        .into_iter()
        .map(|(name, value)| (name, [value]))
        .collect();
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// The requests and read units of a list.
async fn cost(
    harness: &Harness,
    list: impl Future<Output = Handled>,
) -> (BTreeMap<String, u64>, f64) {
    let mut units = 0.0;
    let counted = requests(harness, async {
        let (answer, usage) = metrics::measured(list).await;
        assert_eq!(answer.unwrap().unwrap().status(), 200);
        units = usage.units;
    });
    (counted.await, units)
}

/// The cost of a list depends on its page, not on the number of records. `IMSHARE_LIST_SIZES` sets
/// other sizes, as in `100,1000,10000`.
#[tokio::test]
async fn lists_cost_the_same_however_much_there_is() {
    let sizes = std::env::var("IMSHARE_LIST_SIZES").unwrap_or_else(|_| "30,60,120".to_owned());
    let harness = Harness::with(Options {
        member_quota: -1,
        ..options()
    })
    .await;
    let app = || harness.server.app.clone();
    let crowded = harness.image(json!({})).await;
    let images = include_str!("../../events/images/list.json");
    let members = include_str!("../../events/read-members/ims-page.json");
    let mut costs: Vec<Vec<_>> = Vec::new();
    let mut made = 0;
    for size in sizes.split(',').map(|size| size.parse::<usize>().unwrap()) {
        // So many images are shared with the member (all but three of them accepted), so many are
        // public, and one image has so many members.
        while made < size {
            let name = if made == 3 { "the third" } else { "another" };
            let image = harness.image(json!({"name": name})).await;
            harness.share(&image, MEMBER).await.expect(200);
            if made >= 3 {
                harness
                    .answer(Who::Member, &image, MEMBER, "accepted")
                    .await
                    .expect(200);
            }
            harness
                .post(Who::Admin, "/v2/images", json!({"visibility": "public"}))
                .await
                .expect(201);
            harness
                .share(&crowded, &format!("member-{made:05}"))
                .await
                .expect(200);
            made += 1;
        }
        let mut found = Vec::new();
        for (what, query) in [
            ("images", &[("limit", "25")][..]),
            ("pending", &[("limit", "25"), ("member_status", "pending")]),
            ("public", &[("limit", "25"), ("visibility", "public")]),
            ("by name", &[("name", "the third")]),
            ("by id", &[("id", crowded.as_str())]),
        ] {
            let list = images::handle(app(), event(images, MEMBER, "/v2/images", query));
            let (requests, units) = cost(&harness, list).await;
            found.push((what, requests, units));
        }
        let path = format!("/v1/{OWNER}/cloudimages/{crowded}/members");
        let list = event(members, OWNER, &path, &[("limit", "25")]);
        let (requests, units) = cost(&harness, read_members::handle(app(), list)).await;
        found.push(("members", requests, units));
        for (what, project, list, query) in [
            ("invitations", MEMBER, "invitations", &[("limit", "25")][..]),
            ("answered", MEMBER, "invitations", &[("status", "all")]),
            ("shares", OWNER, "shares", &[("limit", "25")]),
        ] {
            let path = format!("/v1/{project}/cloudimages/{list}");
            let list = event(members, project, &path, query);
            let (requests, units) = cost(&harness, read_members::handle(app(), list)).await;
            found.push((what, requests, units));
        }
        println!("{size}: {found:?}");
        costs.push(found);
    }
    for pair in costs.windows(2) {
        for (few, many) in pair[0].iter().zip(&pair[1]) {
            assert_eq!((few.0, &few.1), (many.0, &many.1));
            // Units are counted in halves.
            assert!(
                few.2 > 0.0 && (few.2 - many.2).abs() <= 0.5,
                "{few:?} {many:?}"
            );
        }
    }
}

/// All pages together are the list, each image once, newest first.
#[tokio::test]
async fn pages_put_together_are_the_list() {
    let harness = Harness::new().await;
    let mut expected = Vec::new();
    for i in 0..23 {
        let id = match i % 3 {
            0 => harness
                .post(Who::Member, "/v2/images", json!({}))
                .await
                .text("/id"),
            1 => {
                let id = harness.image(json!({"name": format!("n{i:02}")})).await;
                harness.share_accepted(&id, Who::Member).await;
                id
            }
            _ => harness
                .post(Who::Admin, "/v2/images", json!({"visibility": "public"}))
                .await
                .text("/id"),
        };
        expected.push(id);
    }
    for (query, ascending) in [
        ("?limit=4", false),
        ("?limit=4&sort=created_at:asc", true),
        ("?limit=7&sort=name:asc", false),
    ] {
        let mut found = Vec::new();
        let mut next = Some(format!("/v2/images{query}"));
        while let Some(path) = next {
            let page = harness.get(Who::Member, &path).await.expect(200).json();
            found.extend(
                page["images"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|i| i["id"].as_str().unwrap().to_owned()),
            );
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(found.len(), 23, "{query}");
        if query.contains("name") {
            found.sort();
            let mut all = expected.clone();
            all.sort();
            assert_eq!(found, all);
        } else {
            let mut all = expected.clone();
            if !ascending {
                all.reverse();
            }
            assert_eq!(found, all, "{query}");
        }
    }
}
