//! Writes that were applied although their requests failed.

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use local::engine::Engine;
use local::transport;
use serde_json::json;
use shared::domain::id::{ImageId, ProjectId};
use shared::domain::image::Image;
use shared::domain::member::MemberStatus;
use shared::domain::policy::{Caller, Role};
use shared::domain::visibility::Visibility;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::store::list::{Source, Start};
use shared::store::members::Stamp;

use crate::harness::{Harness, MEMBER, OWNER, Who, origin};

/// A store that applies what is written to images, and says that it has failed for good.
#[derive(Clone, Debug)]
struct Unanswered(Engine);

impl HttpConnector for Unanswered {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (operation, body) = transport::parts(&request).unwrap();
            let answer = engine.perform(operation, body).await;
            transport::response(
                match body.contains("#projection") && operation == "UpdateItem" {
                    true => {
                        let error = json!({"__type": transport::UNUSABLE, "message": "by a test"});
                        (transport::UNUSABLE_STATUS, error.to_string())
                    }
                    false => answer,
                },
            )
        })
    }
}

/// A write whose answer is lost may have been applied: lists look at the table until it is known.
#[tokio::test]
async fn access_that_a_failed_request_has_ended_does_not_show() {
    let (harness, clock) = Harness::with_clock().await;
    let good = &harness.server.app;
    let engine = harness.server.engine.clone().unwrap();
    let bad = App::new(
        good.config().clone(),
        Clients::dynamodb_through(Unanswered(engine)),
        Clients::sqs_in_process(harness.server.queue.clone().unwrap()),
        shared::auth::Authentication::default(),
        clock.clock(),
    );
    let mut images = Vec::new();
    for _ in 0..2 {
        let image = harness.image(json!({})).await;
        harness.share_accepted(&image, Who::Member).await;
        images.push(ImageId::canonical(&image).unwrap());
    }
    let owner = Caller {
        user: "u-owner".to_owned(),
        project: ProjectId::parse(OWNER).unwrap(),
        role: Role::Member,
    };
    let stamp = Stamp::direct(bad.operation(), bad.now(), origin());
    let deleted = bad.store().delete_image(&owner, images[0], stamp);
    deleted.await.err().unwrap();
    let seen = bad.store().image(images[1]).await.unwrap().unwrap();
    let hidden = Image {
        visibility: Visibility::Private,
        op: bad.operation().not_before(seen.op),
        ..seen.clone()
    };
    let replaced = bad.store().replace_image(&seen, &hidden, bad.now());
    replaced.await.err().unwrap();
    let member = ProjectId::parse(MEMBER).unwrap();
    let source = || Source::SharedWith(member.clone(), MemberStatus::Accepted);
    let start = Start {
        after: None,
        ascending: false,
        first: None,
        name: None,
        filters: Vec::new(),
        times: false,
    };
    let mut stream = bad.store().stream(source(), start);
    let mut rows = Vec::new();
    while stream.peek().await.unwrap().is_some() {
        rows.extend(stream.take().map(|row| (source(), row)));
    }
    assert_eq!(rows.len(), 2, "the index has them still");
    let shown = bad
        .store()
        .images_of(&member, rows, bad.now())
        .await
        .unwrap();
    assert!(shown.iter().all(|(_, image)| image.is_none()), "{shown:?}");
}
