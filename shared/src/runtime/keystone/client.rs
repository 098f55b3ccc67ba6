//! An HTTP client for one service, with kept connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an idle connection is kept. A proxy or NAT in between may drop longer ones silently.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Most bytes of a response that are read.
const ANSWER_MAX: usize = 1024 * 1024;

/// Whether a client speaks TLS.
#[derive(Clone, Copy, Debug)]
pub enum Tls<'a> {
    /// Plain HTTP: no certificates are loaded.
    Off,
    /// With the certificates of the host, and those of a file in PEM.
    On(Option<&'a Path>),
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A response, read to its end. It has no `Debug`, because its headers or its body may hold a
/// token.
pub struct FullResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl FullResponse {
    /// Whether the body has this text.
    pub fn says(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text)
    }

    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    /// If there are no certificates, or the file is not one of certificates.
    pub fn new(tls: Tls<'_>) -> std::io::Result<Self> {
        // Name the provider: with several in one process rustls picks no default.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?;
        let roots = match tls {
            Tls::Off => RootCertStore::empty(),
            Tls::On(file) => roots(file)?,
        };
        let config = config.with_root_certificates(roots);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Ok(Self { inner })
    }

    /// Sends an idempotent request. It is sent again if the connection ended under it, which
    /// happens to kept connections.
    ///
    /// # Errors
    /// One sentence for the log.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<FullResponse, String> {
        let response = match self.inner.request(request.clone()).await {
            Err(error) if !error.is_connect() => self.inner.request(request).await,
            first => first,
        };
        let (parts, body) = response.map_err(|error| words(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| words(&*error))?.to_bytes();
        Ok(FullResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}

/// The certificates that verify a server's: the host's, which `SSL_CERT_FILE` may name, and those of
/// a file.
fn roots(file: Option<&Path>) -> std::io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        let bad = |why: &dyn std::fmt::Display| {
            std::io::Error::other(format!("KEYSTONE_CA_FILE: {}: {why}", file.display()))
        };
        let found = CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))?;
        let found: Result<Vec<_>, _> = found.collect();
        let found = found.map_err(|error| bad(&error))?;
        if found.is_empty() {
            return Err(bad(&"no certificate in it"));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
    }
    match roots.is_empty() {
        true => Err(std::io::Error::other("the host has no certificates")),
        false => Ok(roots),
    }
}

/// An error and its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
