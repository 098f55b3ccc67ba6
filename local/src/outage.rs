//! Outages of a remote DynamoDB or SQS: an error at the start, one line of the log while running.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a connection may take at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the first response may take at the start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The first pause between tries; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Waits for the first response of a service that an option names. Connects first, so that a wrong
/// address fails at once instead of after the SDK's retries.
///
/// # Errors
/// One sentence that names the service and its URL.
pub async fn first_answer<T>(
    service: &str,
    url: &str,
    answer: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let unreachable = |why: &str| format!("cannot reach {service} at {url}: {why}");
    let address = address(url).ok_or_else(|| unreachable("that is not an http or https URL"))?;
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(unreachable(&error.to_string())),
        Err(_) => return Err(unreachable("no connection within 3 s")),
    }
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answered) => answered.map_err(|why| unreachable(&why)),
        Err(_) => Err(unreachable("no answer within 20 s")),
    }
}

/// `host:port` of a URL.
fn address(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = rest
        .split(['/', '?'])
        .next()
        .filter(|host| !host.is_empty())?;
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    Some(match has_port {
        true => host.to_owned(),
        false => format!("{host}:{port}"),
    })
}

/// Tracks the outages of a service that is polled: logs each once and spaces the tries.
#[derive(Debug)]
pub struct Outage {
    what: &'static str,
    since: Option<Instant>,
    pause: Duration,
}

impl Outage {
    /// Starts without an outage.
    pub fn none(what: &'static str) -> Self {
        Self {
            what,
            since: None,
            pause: PAUSE,
        }
    }

    /// Records a failure and returns how long to wait. Only the first failure of an outage is
    /// logged.
    pub fn failed(&mut self, why: &str) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::error!(error.why = why, "{} does not work: trying again", self.what);
        }
        let pause = self.pause;
        self.pause = PAUSE_MAX.min(pause * 2);
        pause
    }

    /// Whether the last try failed.
    pub fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Records a success, and logs it if it ends an outage.
    pub fn worked(&mut self) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs();
            tracing::warn!(outage.seconds = seconds, "{} works again", self.what);
        }
        self.pause = PAUSE;
    }
}
