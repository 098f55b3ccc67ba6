//! Short work goes first in one process.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::error::ApiError;
use shared::runtime::api::answer;
use shared::runtime::precedence::Precedence;
use tokio::time::{Instant, sleep};

use crate::harness::Harness;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn long_work_waits_for_short_work_and_not_longer_than_it_may() {
    let precedence = Arc::new(Precedence::default());
    let begin = Instant::now();
    precedence.step_aside(LONG).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);

    // Two pieces of short work, with less than the quiet time between them.
    let first = precedence.short();
    let second = async {
        sleep(Duration::from_millis(10)).await;
        drop(first);
        sleep(Duration::from_millis(1)).await;
        let second = precedence.short();
        sleep(Duration::from_millis(10)).await;
        drop(second);
    };
    tokio::join!(precedence.step_aside(LONG), second);
    assert!(begin.elapsed() >= Duration::from_millis(23));
    assert!(begin.elapsed() < LONG);

    let begin = Instant::now();
    let _endless = precedence.short();
    precedence.step_aside(Duration::from_millis(30)).await;
    assert_eq!(begin.elapsed().as_millis(), 30);
}

/// A read waits for no write, so it need not hold batches up, however often a client asks for its job.
#[tokio::test]
async fn requests_that_write_are_short_work_and_reads_are_not() {
    let harness = Harness::new().await;
    let app = &harness.server.app;
    tokio::time::pause();
    for (event, is_short) in [
        (include_str!("../../events/get-job/by-id.json"), false),
        (include_str!("../../events/batch-update/share.json"), true),
    ] {
        let request = lambda_http::request::from_str(event).unwrap();
        let begin = Instant::now();
        let answered = answer(app.clone(), request, |app, _| async move {
            app.precedence().step_aside(Duration::from_millis(30)).await;
            Err(ApiError::internal("only the wait counts"))
        });
        assert_eq!(answered.await.status(), 500);
        assert_eq!(begin.elapsed() > Duration::ZERO, is_short);
    }
}
