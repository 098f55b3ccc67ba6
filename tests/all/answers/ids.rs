//! Image ids: chosen by the client, returned, and looked up.

use serde_json::json;

use crate::harness::{Harness, Who};

/// A UUID in any case is one id: the image gets it in lower case.
#[tokio::test]
async fn an_image_is_found_under_the_id_that_was_given_back() {
    let harness = Harness::new().await;
    let upper = "ABCDEF01-0000-4000-8000-00000000000A";
    let made = harness.post(Who::Owner, "/v2/images", json!({"id": upper}));
    let made = made.await.expect(201);
    let id = made.text("/id");
    assert_eq!(id, upper.to_lowercase());
    assert!(made.header("location").unwrap().ends_with(&id));
    let path = made.text("/self");
    assert_eq!(
        harness.get(Who::Owner, &path).await.expect(200).text("/id"),
        id
    );
    assert_eq!(
        harness.listed(Who::Owner, &format!("?id={id}")).await,
        [id.clone()]
    );
    assert!(
        harness
            .listed(Who::Owner, &format!("?marker={id}"))
            .await
            .is_empty()
    );
    for again in [upper, &id] {
        let body = json!({"id": again});
        harness
            .post(Who::Owner, "/v2/images", body)
            .await
            .expect(409);
    }
    // As in Glance, a path with another spelling of the id names no image.
    let path = format!("/v2/images/{upper}");
    harness.get(Who::Owner, &path).await.expect(404);
}
