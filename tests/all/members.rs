//! The life cycle of a membership, as the owner and the member see it.

use serde_json::json;

use crate::harness::{ADMIN, Harness, MEMBER, MEMBER2, ManualClock, OWNER, Who, options};
use local::options::Options;

#[tokio::test]
async fn shared_accepted_listed_and_taken_away() {
    let harness = Harness::new().await;
    let image = harness.image(json!({"name": "debian"})).await;
    let members = format!("/v2/images/{image}/members");

    let added = harness.share(&image, MEMBER).await.expect(200).json();
    assert_eq!(added["status"], "pending");
    assert_eq!(added["member_id"], MEMBER);
    assert_eq!(added["image_id"], image);
    assert_eq!(added["schema"], "/v2/schemas/member");
    assert_eq!(added["created_at"], added["updated_at"]);

    assert!(harness.listed(Who::Member, "").await.is_empty());
    assert_eq!(
        harness.listed(Who::Member, "?member_status=pending").await,
        [image.clone()]
    );

    let accepted = harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    assert_eq!(accepted.json()["status"], "accepted");
    assert_eq!(harness.listed(Who::Member, "").await, [image.clone()]);
    assert!(harness.listed(Who::Member2, "").await.is_empty());

    let rejected = harness
        .answer(Who::Member, &image, MEMBER, "rejected")
        .await
        .expect(200);
    assert_eq!(rejected.json()["status"], "rejected");
    assert!(harness.listed(Who::Member, "").await.is_empty());
    // A rejected image is hidden in lists but can still be used.
    harness
        .get(Who::Member, &format!("/v2/images/{image}"))
        .await
        .expect(200);

    harness
        .delete(Who::Owner, &format!("{members}/{MEMBER}"))
        .await
        .expect(204);
    harness
        .delete(Who::Owner, &format!("{members}/{MEMBER}"))
        .await
        .expect(404);
    harness
        .get(Who::Member, &format!("/v2/images/{image}"))
        .await
        .expect(404);
    harness
        .get(Who::Member, &format!("{members}/{MEMBER}"))
        .await
        .expect(404);
    assert_eq!(
        harness.get(Who::Owner, &members).await.expect(200).json()["members"],
        json!([])
    );
}

#[tokio::test]
async fn the_same_status_again_leaves_the_time_as_it_is() {
    let (harness, clock): (Harness, ManualClock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    clock.forward(10);
    let first = harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200)
        .json();
    assert_ne!(first["created_at"], first["updated_at"]);
    clock.forward(10);
    let again = harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200)
        .json();
    assert_eq!(first, again);
    let path = format!("/v2/images/{image}/members/{MEMBER}");
    assert_eq!(
        harness.get(Who::Member, &path).await.expect(200).json(),
        first
    );
}

#[tokio::test]
async fn a_member_added_again_is_a_new_membership() {
    let (harness, clock) = Harness::with_clock().await;
    let image = harness.image(json!({})).await;
    let first = harness.share(&image, MEMBER).await.expect(200).json();
    harness
        .answer(Who::Member, &image, MEMBER, "accepted")
        .await
        .expect(200);
    harness.share(&image, MEMBER).await.expect(409);
    clock.forward(5);
    harness
        .delete(Who::Owner, &format!("/v2/images/{image}/members/{MEMBER}"))
        .await
        .expect(204);
    clock.forward(5);
    let second = harness.share(&image, MEMBER).await.expect(200).json();
    assert_eq!(second["status"], "pending");
    assert_ne!(first["created_at"], second["created_at"]);
    assert!(harness.listed(Who::Member, "").await.is_empty());
}

#[tokio::test]
async fn the_quota_is_exact_and_comes_before_the_duplicate() {
    let harness = Harness::with(Options {
        member_quota: 2,
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    harness.share(&image, "x").await.expect(200);
    let full = harness.share(&image, "y").await.expect(413);
    assert!(
        full.body.contains("Attempted: 3, Maximum: 2"),
        "{}",
        full.body
    );
    harness.share(&image, "x").await.expect(413);
    harness
        .delete(Who::Owner, &format!("/v2/images/{image}/members/x"))
        .await
        .expect(204);
    harness.share(&image, MEMBER).await.expect(409);
    harness.share(&image, "y").await.expect(200);

    let none = Harness::with(Options {
        member_quota: 0,
        ..options()
    })
    .await;
    let image = none.image(json!({})).await;
    none.share(&image, MEMBER).await.expect(413);
    let endless = Harness::with(Options {
        member_quota: -1,
        ..options()
    })
    .await;
    let image = endless.image(json!({})).await;
    for i in 0..200 {
        endless.share(&image, &format!("m{i}")).await.expect(200);
    }
    let members = endless
        .get(Who::Owner, &format!("/v2/images/{image}/members"))
        .await
        .json();
    let members = members["members"].as_array().unwrap();
    let order: Vec<_> = members
        .iter()
        .map(|m| m["member_id"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (0..200).map(|i| format!("m{i}")).collect();
    assert_eq!(order, expected, "in the order in which they were added");
}

#[tokio::test]
async fn memberships_outlive_private_and_public_times() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share_accepted(&image, Who::Member).await;
    for visibility in ["private", "community", "public"] {
        harness.set_visibility(Who::Admin, &image, visibility).await;
        let seen = harness
            .get(Who::Member, &format!("/v2/images/{image}"))
            .await
            .status;
        assert_eq!(
            seen,
            if visibility == "private" { 404 } else { 200 },
            "{visibility}"
        );
        harness.share(&image, MEMBER2).await.expect(403);
        harness.set_visibility(Who::Admin, &image, "shared").await;
        let members = harness
            .get(Who::Owner, &format!("/v2/images/{image}/members"))
            .await
            .json();
        assert_eq!(members["members"][0]["status"], "accepted");
        assert_eq!(harness.listed(Who::Member, "").await, [image.clone()]);
    }
}

#[tokio::test]
async fn a_deleted_image_is_gone_at_once_and_its_memberships_with_it() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let kept = harness.image(json!({})).await;
    for id in [&image, &kept] {
        harness.share_accepted(id, Who::Member).await;
    }
    harness
        .delete(Who::Member, &format!("/v2/images/{image}"))
        .await
        .expect(403);
    harness
        .delete(Who::Third, &format!("/v2/images/{image}"))
        .await
        .expect(404);
    harness
        .delete(Who::Owner, &format!("/v2/images/{image}"))
        .await
        .expect(204);
    assert_eq!(harness.listed(Who::Member, "").await, [kept.clone()]);
    for who in [Who::Owner, Who::Member, Who::Admin] {
        harness
            .get(who, &format!("/v2/images/{image}"))
            .await
            .expect(404);
        harness
            .get(who, &format!("/v2/images/{image}/members"))
            .await
            .expect(404);
        harness
            .answer(who, &image, MEMBER, "accepted")
            .await
            .expect(404);
    }
    harness.share(&image, MEMBER2).await.expect(404);
    harness
        .delete(Who::Owner, &format!("/v2/images/{image}"))
        .await
        .expect(404);
    // Its id stays reserved for as long as an old message about it can be in flight.
    harness
        .post(Who::Owner, "/v2/images", json!({"id": image}))
        .await
        .expect(409);

    // The message of the deletion cleans up the membership.
    let id = shared::domain::id::ImageId::canonical(&image).unwrap();
    let member = shared::domain::id::ProjectId::parse(MEMBER).unwrap();
    for _ in 0..400 {
        let facts = harness
            .server
            .app
            .store()
            .facts(id, &[&member])
            .await
            .unwrap();
        if facts
            .membership(&member)
            .is_some_and(|m| m.clone().present().is_none())
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the membership stays unburied");
}

#[tokio::test]
async fn a_member_may_leave_where_that_is_configured() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let row = format!("/v2/images/{image}/members/{MEMBER}");
    harness.delete(Who::Member, &row).await.expect(403);

    let harness = Harness::with(Options {
        member_may_leave: true,
        ..options()
    })
    .await;
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    harness.share(&image, MEMBER2).await.expect(200);
    let row = |member: &str| format!("/v2/images/{image}/members/{member}");
    harness.delete(Who::Member, &row(MEMBER2)).await.expect(404);
    harness
        .delete(Who::MemberReader, &row(MEMBER))
        .await
        .expect(403);
    harness
        .delete(Who::Third, &row(crate::harness::THIRD))
        .await
        .expect(404);
    harness.delete(Who::Member, &row(MEMBER)).await.expect(204);
    harness.delete(Who::Member, &row(MEMBER)).await.expect(404);
    let rest = harness
        .get(Who::Owner, &format!("/v2/images/{image}/members"))
        .await
        .json();
    assert_eq!(rest["members"].as_array().unwrap().len(), 1);
    // The count was decremented too.
    assert_eq!(harness.member_count(&image).await, 1);
}

#[tokio::test]
async fn names_of_all_kinds_are_stored_and_found() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let long = "😀".repeat(255);
    let odd: Vec<(&str, String)> = vec![
        ("a/b", "a%2Fb".into()),
        ("a%2Fc", "a%252Fc".into()),
        ("été", "%C3%A9t%C3%A9".into()),
        ("a#b?c", "a%23b%3Fc".into()),
        (" ", "%20".into()),
        ("a\nb", "a%0Ab".into()),
        ("\u{0}", "%00".into()),
        (&long, "%F0%9F%98%80".repeat(255)),
        ("MEM#IMAGE", "MEM%23IMAGE".into()),
        ("+", "+".into()),
    ];
    for (name, encoded) in &odd {
        harness.share(&image, name).await.expect(200);
        harness.share(&image, name).await.expect(409);
        let path = format!("/v2/images/{image}/members/{encoded}");
        assert_eq!(
            harness.get(Who::Owner, &path).await.expect(200).json()["member_id"],
            *name
        );
        harness
            .put(Who::Admin, &path, json!({"status": "accepted"}))
            .await
            .expect(200);
        harness.delete(Who::Owner, &path).await.expect(204);
    }
    harness
        .get(Who::Owner, &format!("/v2/images/{image}/members/%FF"))
        .await
        .expect(400);
    harness
        .get(Who::Owner, "/v2/images/%FF/members")
        .await
        .expect(400);
}

#[tokio::test]
async fn a_bad_body_changes_nothing_and_says_what_is_wrong() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    let members = format!("/v2/images/{image}/members");
    let deep = format!(
        "{{\"member\": \"x\", \"y\": {}{}}}",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "Body expected"),
        (b"{".to_vec(), "Malformed"),
        (b"null".to_vec(), "Unexpected body type"),
        (b"[]".to_vec(), "Expected a member in the form"),
        (b"{}".to_vec(), "not specified"),
        (br#"{"member": ""}"#.to_vec(), "can't be empty"),
        (br#"{"member": 12345}"#.to_vec(), "must be a string"),
        (br#"{"member": true}"#.to_vec(), "must be a string"),
        (br#"{"member": ["a"]}"#.to_vec(), "must be a string"),
        (br#"{"member": {"a": 1}}"#.to_vec(), "must be a string"),
        (br#"{"member": "\ud800"}"#.to_vec(), "Malformed"),
        (br#"{"member": "x", "y": NaN}"#.to_vec(), "Malformed"),
        (b"{\"member\": \"\xff\xfe\"}".to_vec(), "Malformed"),
        (deep.into_bytes(), "Malformed"),
        (
            format!(r#"{{"member": "{}"}}"#, "x".repeat(256)).into_bytes(),
            "255 characters",
        ),
    ];
    for (body, words) in cases {
        // Even for a caller that may not see the image: a malformed body is reported first.
        for who in [Who::Owner, Who::Third] {
            let answer = harness
                .send_with(who, "POST", &members, &[], Some(body.clone()))
                .await;
            let answer = answer.expect(400);
            assert!(answer.body.contains(words), "{words}: {}", answer.body);
        }
    }
    harness.share(&image, &"x".repeat(255)).await.expect(200);
    let big = vec![b' '; 1024 * 1024 + 1];
    harness
        .send_with(Who::Owner, "POST", &members, &[], Some(big))
        .await
        .expect(413);
    let hundred = format!(
        "{{\"member\": \"deep\", \"y\": {}{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    harness
        .send(Who::Owner, "POST", &members, Some(&hundred))
        .await
        .expect(200);
    harness
        .send(
            Who::Owner,
            "POST",
            &members,
            Some(r#"{"member": "a", "member": "b"}"#),
        )
        .await
        .expect(200);
    let names = harness.get(Who::Owner, &members).await.json();
    let names: Vec<_> = names["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["member_id"])
        .collect();
    assert_eq!(
        names,
        [&json!("x".repeat(255)), &json!("deep"), &json!("b")]
    );
}

#[tokio::test]
async fn the_owner_may_share_with_itself_but_never_answers() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    harness.share(&image, OWNER).await.expect(200);
    harness
        .answer(Who::Owner, &image, OWNER, "accepted")
        .await
        .expect(403);
    harness
        .answer(Who::Admin, &image, OWNER, "accepted")
        .await
        .expect(200);
    assert_eq!(harness.listed(Who::Owner, "").await, [image.clone()]);
    harness.share(&image, ADMIN).await.expect(200);
}

#[tokio::test]
async fn a_new_image_has_no_locations() {
    let harness = Harness::new().await;
    let body = json!({"name": "n", "locations": [{"url": "http://example", "metadata": {}}]});
    let answer = harness
        .post(Who::Owner, "/v2/images", body)
        .await
        .expect(403);
    assert!(answer.body.contains("Attribute 'locations' is reserved."));
    assert!(harness.listed(Who::Owner, "").await.is_empty());
}

#[tokio::test]
async fn the_name_of_a_custom_property_has_255_characters_at_most_or_none() {
    let harness = Harness::new().await;
    let long = "n".repeat(256);
    let body = json!({ long: "value" });
    let answer = harness
        .post(Who::Owner, "/v2/images", body)
        .await
        .expect(400);
    assert!(answer.body.contains("255"), "{}", answer.body);
    assert!(harness.listed(Who::Owner, "").await.is_empty());
    // The store allows no empty keys; the names that stand for an empty one are escaped.
    for (name, value) in [("", "a"), ("\0", "b"), ("\0\0", "c"), (" ", "d")] {
        let image = harness.image(json!({ name: value })).await;
        let path = format!("/v2/images/{image}");
        let shown = harness.get(Who::Owner, &path).await.expect(200).json();
        assert_eq!(shown[name], value, "{name:?}");
    }
}
