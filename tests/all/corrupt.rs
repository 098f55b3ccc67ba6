//! A record that does not parse: a 5xx without internal details, and other records are unaffected.

use serde_json::json;
use shared::store::keys as at;

use crate::harness::{Harness, MEMBER, MEMBER2, Who};

/// Corrupts one attribute of an item directly in the store.
async fn corrupt(harness: &Harness, pk: String, sk: String, attribute: &str) {
    let body = json!({
        "TableName": "imshare",
        "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
        "UpdateExpression": "SET #a = :v",
        "ExpressionAttributeNames": {"#a": attribute},
        "ExpressionAttributeValues": {":v": {"S": "spoilt-secret"}},
    });
    let (status, answer) = harness
        .server
        .engine
        .as_ref()
        .unwrap()
        .perform("UpdateItem", &body.to_string())
        .await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_corrupt_record_is_a_500_and_takes_nobody_along() {
    let harness = Harness::new().await;
    let (good, bad) = (
        harness.image(json!({})).await,
        harness.image(json!({})).await,
    );
    for image in [&good, &bad] {
        harness.share(image, MEMBER).await.expect(200);
        harness.share(image, MEMBER2).await.expect(200);
        harness
            .answer(Who::Member, image, MEMBER, "accepted")
            .await
            .expect(200);
    }
    let pk = format!("IMAGE#{bad}");
    corrupt(
        &harness,
        pk.clone(),
        "MEM#".to_owned() + MEMBER2,
        at::STATUS,
    )
    .await;
    let broken = harness
        .get(Who::Member2, &format!("/v2/images/{bad}/members/{MEMBER2}"))
        .await
        .expect(500);
    assert!(
        !broken.body.contains("spoilt") && !broken.body.contains("pk="),
        "{}",
        broken.body
    );
    harness
        .get(Who::Member, &format!("/v2/images/{bad}/members/{MEMBER}"))
        .await
        .expect(200);

    corrupt(&harness, pk.clone(), "IMAGE".to_owned(), at::PROJECTION).await;
    harness
        .get(Who::Owner, &format!("/v2/images/{bad}"))
        .await
        .expect(500);
    assert_eq!(harness.listed(Who::Owner, "").await, [good.clone()]);
    // The membership holds what was shared; it is corrupt apart from the image.
    assert_eq!(harness.listed(Who::Member, "").await.len(), 2);
    let membership = "MEM#".to_owned() + MEMBER;
    corrupt(&harness, pk, membership, at::PROJECTION).await;
    assert_eq!(harness.listed(Who::Member, "").await, [good.clone()]);
    // Its entry of a batch fails alone.
    let body = json!({"images": [bad, good], "project_id": MEMBER, "status": "rejected"});
    let job = harness
        .put(Who::Member, "/v1/cloudimages/members", body)
        .await
        .expect(200)
        .text("/job_id");
    let job = harness.ended(Who::Member, &job).await;
    assert_eq!(job["entities"]["results"][0]["error_code"], "IMG.0113");
    assert_eq!(job["entities"]["results"][1]["status"], "success");
}
