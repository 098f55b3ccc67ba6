//! Invitations and shares: what is shared with a project, and what a project shares with others.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::id::ProjectId;
use shared::domain::image::Image;
use shared::domain::policy::{Caller, Role};
use shared::http::page::encode_marker;
use shared::store::members::{Changed, Stamp};

use crate::budget::requests;
use crate::harness::{ADMIN, Harness, MEMBER, MEMBER2, OWNER, THIRD, Who, origin};

fn invitations(project: &str, query: &str) -> String {
    format!("/v1/{project}/cloudimages/invitations{query}")
}

fn shares(query: &str) -> String {
    format!("/v1/{OWNER}/cloudimages/shares{query}")
}

/// All rows of a list, page by page.
async fn rows(harness: &Harness, who: Who, path: &str) -> Vec<Value> {
    let list = if path.contains("/shares") {
        "shares"
    } else {
        "invitations"
    };
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    loop {
        let after = marker.map(|marker| format!("&marker={marker}"));
        let path = format!("{path}{}", after.unwrap_or_default());
        let page = harness.get(who, &path).await.expect(200).json();
        let found = page[list].as_array().unwrap();
        assert_eq!(page["page_info"]["current_count"], found.len());
        all.extend(found.iter().cloned());
        match page["page_info"]["next_marker"].as_str() {
            Some(next) => marker = Some(next.to_owned()),
            None => return all,
        }
    }
}

/// The image and the member of each row.
async fn pairs(harness: &Harness, who: Who, path: &str) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = rows(harness, who, path).await.into_iter();
    rows.map(|row| (text(&row, "image_id"), text(&row, "member_id")))
        .collect()
}

async fn images(harness: &Harness, who: Who, path: &str) -> Vec<String> {
    let pairs = pairs(harness, who, path).await.into_iter();
    pairs.map(|(image, _)| image).collect()
}

#[tokio::test]
async fn an_invitation_names_the_image_and_its_owner() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"name": "debian"})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let found = rows(&harness, Who::Member, &invitations(MEMBER, "?limit=5")).await;
    let [row] = &found[..] else {
        panic!("{found:?}");
    };
    let expected = json!({
        "image_id": image, "image_name": "debian", "owner": OWNER, "member_id": MEMBER,
        "member_type": "project", "status": "pending",
        "created_at": row["created_at"], "updated_at": row["updated_at"],
    });
    assert_eq!(*row, expected);
    assert_eq!(
        rows(&harness, Who::Owner, &shares("?limit=5")).await,
        [expected]
    );
    // A name is not required.
    let nameless = harness.image(json!({})).await;
    harness.share(&nameless, MEMBER).await.expect(200);
    let found = rows(&harness, Who::Member, &invitations(MEMBER, "?limit=5")).await;
    assert_eq!(found[0]["image_name"], Value::Null);
}

#[tokio::test]
async fn invitations_are_those_of_a_status() {
    let harness = Harness::new().await;
    let mut shared = Vec::new();
    for status in ["pending", "accepted", "rejected", "pending"] {
        let image = harness.image(json!({"name": status})).await;
        harness.share(&image, MEMBER).await.expect(200);
        harness
            .answer(Who::Member, &image, MEMBER, status)
            .await
            .expect(200);
        shared.push(image);
    }
    let of = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| shared[*place].clone()).collect()
    };
    for (query, expected) in [
        ("?limit=1", of(&[3, 0])),
        ("?limit=1&status=pending", of(&[3, 0])),
        ("?status=accepted", of(&[1])),
        ("?status=rejected", of(&[2])),
        ("?limit=1&status=all", of(&[3, 2, 1, 0])),
        ("?limit=2&status=all", of(&[3, 2, 1, 0])),
        ("?limit=3&status=all&name=pending", of(&[3, 0])),
        ("?status=all&name=rejected", of(&[2])),
        ("?name=", of(&[])),
    ] {
        let found = images(&harness, Who::Member, &invitations(MEMBER, query)).await;
        assert_eq!(found, expected, "{query}");
    }
    // By the owner of the image.
    let other = harness.post(Who::Third, "/v2/images", json!({})).await;
    let other = other.expect(201).text("/id");
    let path = format!("/v2/images/{other}/members");
    let add = harness.post(Who::Third, &path, json!({"member": MEMBER}));
    add.await.expect(200);
    for (owner, expected) in [
        (THIRD, vec![other.clone()]),
        (OWNER, of(&[3, 0])),
        (MEMBER, vec![]),
    ] {
        let query = format!("?limit=1&owner={owner}");
        let found = images(&harness, Who::Member, &invitations(MEMBER, &query)).await;
        assert_eq!(found, expected, "{owner}");
    }
}

/// Whatever an index may still hold, only what GET of the image shows is listed.
#[tokio::test]
async fn what_ends_or_is_hidden_is_in_no_list() {
    let harness = Harness::new().await;
    let (list, owners) = (invitations(MEMBER, "?status=all"), shares("?limit=9"));
    let mut shared = Vec::new();
    for _ in 0..5 {
        let image = harness.image(json!({})).await;
        harness.share(&image, MEMBER).await.expect(200);
        harness.share(&image, MEMBER2).await.expect(200);
        shared.push(image);
    }
    let [unshared, private, community, deleted, kept] = &shared[..] else {
        panic!("five images");
    };
    let row = format!("/v2/images/{unshared}/members/{MEMBER}");
    harness.delete(Who::Owner, &row).await.expect(204);
    harness.set_visibility(Who::Owner, private, "private").await;
    harness
        .set_visibility(Who::Owner, community, "community")
        .await;
    let path = format!("/v2/images/{deleted}");
    harness.delete(Who::Owner, &path).await.expect(204);
    let of = |image: &str, member: &str| (image.to_owned(), member.to_owned());
    assert_eq!(
        pairs(&harness, Who::Member, &list).await,
        [of(kept, MEMBER)]
    );
    let expected = [of(kept, MEMBER2), of(kept, MEMBER), of(unshared, MEMBER2)];
    assert_eq!(pairs(&harness, Who::Owner, &owners).await, expected);
    // Shared again, it is there as before.
    harness.set_visibility(Who::Owner, private, "shared").await;
    assert_eq!(
        pairs(&harness, Who::Member, &list).await,
        [of(kept, MEMBER), of(private, MEMBER)]
    );
    let again = pairs(&harness, Who::Owner, &owners).await;
    assert_eq!(again.len(), 5, "{again:?}");
    // A new name is shown at once.
    let change = json!([{"op": "add", "path": "/name", "value": "renamed"}]);
    let path = format!("/v2/images/{kept}");
    harness.patch(Who::Owner, &path, change).await.expect(200);
    let found = rows(&harness, Who::Member, &invitations(MEMBER, "?name=renamed")).await;
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn shares_move_with_their_image_to_another_owner() {
    let harness = Harness::new().await;
    let (given, kept) = (
        harness.image(json!({})).await,
        harness.image(json!({})).await,
    );
    for image in [&given, &kept] {
        harness.share(image, MEMBER).await.expect(200);
    }
    let path = format!("/v2/images/{given}");
    let change = json!([{"op": "replace", "path": "/owner", "value": THIRD}]);
    harness.patch(Who::Admin, &path, change).await.expect(200);
    // The admin's instance had seen it as the old owner's: a share now is one of the new owner.
    let members = format!("{path}/members");
    let add = harness.post(Who::Admin, &members, json!({"member": MEMBER2}));
    add.await.expect(200);
    let new_owner = format!("/v1/{THIRD}/cloudimages/shares?limit=9");
    let found = pairs(&harness, Who::Third, &new_owner).await;
    let of = |member: &str| (given.clone(), member.to_owned());
    assert_eq!(found, [of(MEMBER2), of(MEMBER)]);
    let found = images(&harness, Who::Owner, &shares("?limit=9")).await;
    assert_eq!(found, [kept]);
    let found = rows(&harness, Who::Member, &invitations(MEMBER, "?limit=9")).await;
    let owners: Vec<_> = found.iter().map(|row| row["owner"].clone()).collect();
    assert_eq!(owners, [OWNER, THIRD]);
}

#[tokio::test]
async fn shares_are_filtered_by_image_member_and_status() {
    let harness = Harness::new().await;
    let mut all = Vec::new();
    let mut made = Vec::new();
    for _ in 0..3 {
        let image = harness.image(json!({})).await;
        for member in [MEMBER, MEMBER2, "a", "b"] {
            harness.share(&image, member).await.expect(200);
            all.insert(0, (image.clone(), member.to_owned()));
        }
        harness
            .answer(Who::Member, &image, MEMBER, "accepted")
            .await
            .expect(200);
        made.push(image);
    }
    let image = &made[1];
    for limit in [1, 2, 5, 100] {
        let list = |query: &str| shares(&format!("?limit={limit}{query}"));
        assert_eq!(pairs(&harness, Who::Owner, &list("")).await, all);
        let of_member: Vec<_> = all.iter().filter(|(_, m)| m == "a").cloned().collect();
        let found = pairs(&harness, Who::Owner, &list("&member=a")).await;
        assert_eq!(found, of_member);
        let mut of_image: Vec<_> = all.iter().filter(|(i, _)| i == image).cloned().collect();
        of_image.sort();
        let found = pairs(&harness, Who::Owner, &list(&format!("&image={image}"))).await;
        assert_eq!(found, of_image);
        let query = format!("&image={image}&member=b");
        let found = pairs(&harness, Who::Owner, &list(&query)).await;
        assert_eq!(found, [(image.clone(), "b".to_owned())]);
        let found = pairs(&harness, Who::Owner, &list("&status=accepted")).await;
        assert!(found.len() == 3 && found.iter().all(|(_, member)| member == MEMBER));
        let query = format!("&image={image}&status=pending");
        let found = pairs(&harness, Who::Owner, &list(&query)).await;
        assert_eq!(found.len(), 3);
        let found = pairs(&harness, Who::Owner, &list("&member=nobody")).await;
        assert!(found.is_empty());
    }
}

#[tokio::test]
async fn lists_are_for_those_who_act_for_the_project() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    for (who, path, status, rows) in [
        (Who::Member, invitations(MEMBER, ""), 200, 1),
        (Who::MemberReader, invitations(MEMBER, ""), 200, 1),
        (Who::Admin, invitations(MEMBER, ""), 200, 1),
        (Who::Admin, invitations(ADMIN, ""), 200, 0),
        (Who::Owner, invitations(MEMBER, ""), 400, 0),
        (Who::OwnerNoRole, invitations(OWNER, ""), 403, 0),
        (Who::NoToken, invitations(MEMBER, ""), 401, 0),
        (Who::Owner, shares(""), 200, 1),
        (Who::OwnerReader, shares(""), 200, 1),
        (Who::Admin, shares(""), 200, 1),
        (Who::Member, shares(""), 400, 0),
        (Who::OwnerNoRole, shares(""), 403, 0),
    ] {
        let answer = harness.get(who, &path).await.expect(status);
        if status == 200 {
            let count = answer.json()["page_info"]["current_count"].clone();
            assert_eq!(count, rows, "{who:?} {path}");
        }
    }
    // Of another project's image a project learns nothing: its shares are not there.
    let foreign = format!("/v1/{THIRD}/cloudimages/shares?image={image}");
    assert!(pairs(&harness, Who::Third, &foreign).await.is_empty());
}

#[tokio::test]
async fn a_malformed_argument_is_named() {
    let harness = Harness::new().await;
    for (path, code, word) in [
        (invitations(OWNER, "?status=Pending"), "IMG.0001", "status"),
        (invitations(OWNER, "?status="), "IMG.0001", "status"),
        (invitations(OWNER, "?limit=0"), "IMG.0001", "limit"),
        (invitations(OWNER, "?limit=1001"), "IMG.0001", "limit"),
        (invitations(OWNER, "?marker=%25"), "IMG.0001", "marker"),
        (invitations(OWNER, "?owner="), "IMG.0067", "project"),
        (shares("?member="), "IMG.0067", "project"),
        (shares("?image=x"), "IMG.0066", "image"),
        (shares("?status=none"), "IMG.0001", "status"),
    ] {
        let answer = harness.get(Who::Owner, &path).await.expect(400);
        assert_eq!(answer.text("/error/code"), code, "{path}");
        assert!(answer.text("/error/message").contains(word), "{path}");
    }
    let path = shares("");
    let with_body = harness.send(Who::Owner, "GET", &path, Some("{}"));
    with_body.await.expect(400);
}

/// A page that a filter leaves short of rows ends after so many of them, and the list goes on.
#[tokio::test]
async fn a_filter_that_leaves_rows_out_costs_a_bounded_number_of_requests() {
    let harness = Harness::with(local::options::Options {
        member_quota: -1,
        ..crate::harness::options()
    })
    .await;
    let projects: Vec<String> = (0..1_000).map(|i| format!("p{i:04}")).collect();
    for _ in 0..3 {
        let image = harness.image(json!({"name": "n"})).await;
        let body = json!({"images": [image], "projects": projects});
        let answer = harness.post(Who::Owner, "/v1/cloudimages/members", body);
        let job = answer.await.expect(200).text("/job_id");
        harness.ended(Who::Owner, &job).await;
    }
    let cost = async |path: &str| {
        let read = async { harness.get(Who::Owner, path).await.expect(200) };
        requests(&harness, read).await.into_values().sum::<u64>()
    };
    let path = shares("?status=accepted&limit=1");
    let spent = cost(&path).await;
    assert!(spent <= 25, "{spent} requests");
    let page = harness.get(Who::Owner, &path).await.json();
    assert_eq!(page["shares"], json!([]));
    assert!(page["page_info"]["next_marker"].is_string());
    assert!(rows(&harness, Who::Owner, &path).await.is_empty());
    // The index alone tells who the member is.
    let path = shares("?member=p0500&limit=1000");
    assert!(cost(&path).await <= 4);
    let found = pairs(&harness, Who::Owner, &path).await;
    assert_eq!(found.len(), 3);
    let members: BTreeSet<_> = found.into_iter().map(|(_, member)| member).collect();
    assert_eq!(members, BTreeSet::from(["p0500".to_owned()]));
}

/// Shares this many more new images of the owner with the member.
async fn share_many(harness: &Harness, count: usize) {
    let app = &harness.server.app;
    let caller = Caller {
        user: "u-owner".to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Member,
    };
    let member = [ProjectId::parse(MEMBER).unwrap()];
    for _ in 0..count {
        let (op, now) = (app.operation(), app.now());
        let body = json!({"name": "n"});
        let image = Image::from_request(body, app.policy(), &caller, op, now).unwrap();
        assert!(app.store().create_image(&image).await.unwrap());
        let stamp = Stamp::direct(app.operation(), app.now(), origin());
        let add = app
            .store()
            .add_members(&caller, image.id, &member, -1, stamp);
        assert!(matches!(add.await.unwrap(), Changed::Members(_)));
    }
}

/// The cost of a page depends on the page. `IMSHARE_SHARE_SIZES` sets other sizes, as in `100,100000`.
#[tokio::test]
async fn a_page_costs_the_same_however_many_rows_there_are() {
    let sizes = std::env::var("IMSHARE_SHARE_SIZES").unwrap_or_else(|_| "100,1000".to_owned());
    let harness = Harness::new().await;
    let (mut made, mut costs) = (0, Vec::new());
    for size in sizes.split(',').map(|size| size.parse::<usize>().unwrap()) {
        share_many(&harness, size - made).await;
        made = size;
        let mut found = Vec::new();
        for (who, path) in [
            (Who::Member, invitations(MEMBER, "?limit=25")),
            (Who::Member, invitations(MEMBER, "?limit=25&status=all")),
            (Who::Owner, shares("?limit=25")),
        ] {
            let read = async { harness.get(who, &path).await.expect(200) };
            found.push(requests(&harness, read).await);
        }
        println!("{size}: {found:?}");
        costs.push(found);
    }
    assert!(costs.windows(2).all(|pair| pair[0] == pair[1]), "{costs:?}");
}

/// DynamoDB refuses a sort key that is empty or has more than 1,024 bytes, and so does the engine here.
#[tokio::test]
async fn a_marker_that_no_page_has_given_is_no_error_of_ours() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let long = encode_marker(&"k".repeat(1025));
    for list in [
        "cloudimages/invitations?status=all",
        "cloudimages/shares?limit=1",
        &format!("cloudimages/shares?image={image}"),
        &format!("cloudimages/{image}/members?limit=1"),
        "jobs?limit=1",
    ] {
        for marker in ["=", "==", "a", "_w", &long] {
            let path = format!("/v1/{OWNER}/{list}&marker={marker}");
            let answer = harness.get(Who::Owner, &path).await;
            assert_eq!(answer.status, 400, "{list} {marker}: {}", answer.body);
        }
    }
}
