//! HTTP: one request at a time, tried again when that is safe, with errors in the user's words.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{Exit, Failure, Outcome};
use crate::visible::visible_line;

/// How long a connection may take, and a whole request.
const CONNECT: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(60);
/// The largest answer: a page of 1,000 images is below 4 MB, a list of all of a cloud's projects may be larger.
const ANSWER_MAX: u64 = 64 << 20;
/// The pauses before a request is sent again, in milliseconds.
const PAUSES: [u64; 2] = [300, 900];
/// The longest pause that a server's `Retry-After` gets.
const RETRY_AFTER_MAX: u64 = 5;

/// How connections are trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A file of certificates to trust instead of the system's.
    pub cacert: Option<PathBuf>,
    /// Trust every certificate.
    pub insecure: bool,
}

/// A client of HTTP and HTTPS.
#[derive(Debug)]
pub struct Http {
    trust: Trust,
    time_limit: Duration,
    retries: bool,
    plain: OnceCell<Agent>,
    secure: OnceCell<Agent>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What answers, as the user knows it: "the image service".
    pub service: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its URL.
    pub url: &'a str,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its JSON body.
    pub body: Option<&'a Value>,
    /// Whether sending it twice does no harm.
    pub repeatable: bool,
}

/// A server's answer, of any status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    service: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Http {
    /// A client that trusts connections like this.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            time_limit: REQUEST,
            retries: true,
            plain: OnceCell::new(),
            secure: OnceCell::new(),
        }
    }

    /// A client that would rather fail than wait, for completion.
    pub fn impatient(trust: Trust, time_limit: Duration) -> Self {
        Self {
            time_limit,
            retries: false,
            ..Self::new(trust)
        }
    }

    /// Sends a request until it has an answer that is worth having.
    ///
    /// # Errors
    /// If there is no answer, or the server says after all tries that it is away.
    pub fn send(&self, request: &Request<'_>) -> Outcome<Answer> {
        let mut pauses = PAUSES.iter().filter(|_| self.retries && request.repeatable);
        loop {
            let (failure, wait) = match self.send_once(request) {
                Ok(answer) if matches!(answer.status, 429 | 502 | 503 | 504) => {
                    let wait = answer
                        .header("retry-after")
                        .and_then(|text| text.parse().ok());
                    (answer.failure(), wait)
                }
                outcome => match outcome {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => (failure, None),
                },
            };
            if failure.exit != Exit::Away {
                return Err(failure);
            }
            let Some(pause) = pauses.next() else {
                return Err(failure);
            };
            sleep(match wait {
                Some(seconds) => Duration::from_secs(RETRY_AFTER_MAX.min(seconds)),
                None => Duration::from_millis(pause + fastrand::u64(0..100)),
            });
        }
    }

    fn send_once(&self, request: &Request<'_>) -> Outcome<Answer> {
        let service = request.service;
        let agent = self.agent(request.url)?;
        let mut build = ureq::http::Request::builder()
            .method(request.method)
            .uri(request.url)
            .header("accept", "application/json");
        for (name, value) in &request.headers {
            build = build.header(*name, value);
        }
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::wrong_use(format!(
                "{:?} is no address of {service}: {error}; an address starts with https:// or http://",
                request.url
            ))
        };
        let sent = match request.body {
            None => agent.run(build.body(()).map_err(|error| wrong(&error))?),
            Some(body) => {
                let build = build.header("content-type", "application/json");
                let built = build.body(body.to_string());
                agent.run(built.map_err(|error| wrong(&error))?)
            }
        };
        let no_answer = |error: ureq::Error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => wrong(&error),
            error => Failure::away(format!(
                "cannot reach {service} at {}: {}; check the address, or try again later",
                origin(request.url),
                words(&error)
            )),
        };
        let mut answer = sent.map_err(no_answer)?;
        let body = answer.body_mut().with_config().limit(ANSWER_MAX);
        let body = body.read_to_vec().map_err(no_answer)?;
        let headers = answer.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Ok(Answer {
            status: answer.status().as_u16(),
            service,
            headers: headers.collect(),
            body,
        })
    }

    /// The agent for a URL. The system's certificates are read when the first HTTPS URL needs them.
    fn agent(&self, url: &str) -> Outcome<&Agent> {
        let secure = url.starts_with("https:");
        let cell = if secure { &self.secure } else { &self.plain };
        if let Some(agent) = cell.get() {
            return Ok(agent);
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .user_agent(concat!("imshare/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT.min(self.time_limit)))
            .timeout_global(Some(self.time_limit));
        if secure {
            config = config.tls_config(self.trust.tls()?);
        }
        Ok(cell.get_or_init(|| config.build().new_agent()))
    }
}

impl Trust {
    fn tls(&self) -> Outcome<TlsConfig> {
        let certificates = match (&self.cacert, self.insecure) {
            (_, true) => Vec::new(),
            (Some(path), false) => {
                let pem = std::fs::read(path).map_err(|error| {
                    Failure::wrong_use(format!(
                        "cannot read the certificates {}: {error}",
                        path.display()
                    ))
                })?;
                let items = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                items.collect()
            }
            (None, false) => {
                let found = rustls_native_certs::load_native_certs().certs;
                let found = found
                    .iter()
                    .map(|each| Certificate::from_der(each).to_owned());
                found.collect::<Vec<_>>()
            }
        };
        if certificates.is_empty() && !self.insecure {
            return Err(Failure::wrong_use(
                "there is no certificate to trust: name a file of them with --os-cacert",
            ));
        }
        // The provider is named, so that no feature of another crate can choose it.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&certificates))
            .disable_verification(self.insecure)
            .build())
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body of a 2xx as JSON.
    ///
    /// # Errors
    /// If the status is another one, or the body has another form.
    pub fn json<T: DeserializeOwned>(self) -> Outcome<T> {
        if !(200..300).contains(&self.status) {
            return Err(self.failure());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::away(format!(
                "{} answers in a form that this command does not know ({error}): is it imshare, in a \
                 version that fits?{}",
                self.service,
                self.request_id()
            ))
        })
    }

    /// The server's words about what is wrong: their first line, since the rest of some is the whole
    /// schema that a request breaks. What would move a terminal's cursor is made visible.
    pub fn message(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let places = ["/error/message", "/message", "/error/title"];
        let text = places
            .iter()
            .find_map(|place| body.pointer(place)?.as_str())?;
        let line = text.trim().lines().next()?.trim_end_matches('.');
        Some(visible_line(line))
    }

    /// The server's code of what is wrong, in the IMS family.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.pointer("/error/code")?.as_str()?.to_owned())
    }

    fn request_id(&self) -> String {
        let id = self.header("x-openstack-request-id");
        id.map_or_else(String::new, |id| format!(" ({id})"))
    }

    /// The server's words in quotes, its status and the id of the request.
    pub fn said(&self) -> String {
        let words = self
            .message()
            .map_or_else(String::new, |text| format!("\"{text}\" "));
        let id = self.header("x-openstack-request-id");
        let id = id.map_or_else(String::new, |id| format!(", {id}"));
        format!("{words}({}{id})", self.status)
    }

    /// An answer that is an error, as a failure.
    pub fn failure(&self) -> Failure {
        let (service, said) = (self.service, self.said());
        match self.status {
            401 => Failure::refused(format!(
                "{service} does not accept this login: {said}; log in again, or check the OS_ variables"
            )),
            403 => Failure::refused(format!(
                "{service} refuses this: {said}; ask for a role that may do it: member as a rule, admin for \
                 public images"
            )),
            429 | 500.. => Failure::away(format!(
                "{service} is not able to answer: {said}; try again later"
            )),
            300..=399 => Failure::wrong_use(match self.header("location") {
                Some(place) => format!(
                    "{service} sends this command elsewhere ({}, to {place}): use that address",
                    self.status
                ),
                None => format!("{service} is not at this address: {said}; check it"),
            }),
            _ => Failure::wrong_use(format!("{service} does not take this: {said}")),
        }
    }
}

/// What stays as it is in a segment of a path.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, &SEGMENT).to_string()
}

/// What went wrong with a connection, in few words.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            _ if speaks_no_tls(error) => {
                "it does not speak TLS; is the address http://?".to_owned()
            }
            _ => error.to_string(),
        },
        ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        error => error.to_string(),
    }
}

/// Whether what was answered to a TLS greeting is no TLS, such as plain HTTP.
fn speaks_no_tls(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
}

/// The scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |place| place + 3);
    let rest = url.get(host..).unwrap_or_default();
    let end = rest
        .find(['/', '?'])
        .map_or(url.len(), |place| host + place);
    url.get(..end).unwrap_or(url)
}
