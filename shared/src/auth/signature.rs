//! Verifies requests that are signed with an access key instead of carrying a token, by the algorithm
//! `SDK-HMAC-SHA256`: `Authorization: SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…`.
//!
//! A captured request can be replayed for 15 minutes. Repeated signatures are not refused, because
//! pollers repeat a request, and so its signature, within one second.

use std::collections::HashSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use lambda_http::http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

use crate::domain::error::BadSignature;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// The algorithm's name, with which `Authorization` and the signed text begin.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// The header with the time of signing.
pub const DATE: &str = "x-sdk-date";
/// The optional header with the body's digest.
const CONTENT_DIGEST: &str = "x-sdk-content-sha256";
/// The value of that header if the body is not signed. The SDKs of IMS leave every body unsigned that is
/// not JSON by its media type, such as that of a PATCH.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far the signer's clock may be off, in seconds.
const DATE_WINDOW: i64 = 15 * 60;
/// The longest access key id.
const ACCESS_MAX: usize = 128;
/// The characters that a canonical path and query percent-encode.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The signed parts of a request, as the client sent them, before any normalization.
#[derive(Clone, Copy)]
pub struct Signable<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as the client sent it.
    pub path: &'a str,
    /// The query as the client sent it, without its question mark.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// A parsed `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The access key's id.
    pub access: &'a str,
    signed_headers: Vec<&'a str>,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    /// Parses an `Authorization` header; `None` if it is not of this algorithm.
    ///
    /// # Errors
    /// If parts are missing or malformed, or a header that must be signed is not.
    pub fn read(authorization: &'a str) -> Option<Result<Self, BadSignature>> {
        let parts = authorization.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        Some(Self::of_parts(parts).ok_or(BadSignature::Signature))
    }

    fn of_parts(parts: &'a str) -> Option<Self> {
        let (mut access, mut signed_headers, mut signature) = (None, None, None);
        for part in parts.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let place = match name {
                "Access" => &mut access,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        let access = access.filter(|id: &&str| (1..=ACCESS_MAX).contains(&id.len()))?;
        let signed_headers: Vec<&str> = signed_headers?.split(';').collect();
        if !["host", DATE].iter().all(|h| signed_headers.contains(h)) {
            return None;
        }
        // Each name adds its header's whole value to what is signed.
        let mut named = HashSet::new();
        if !signed_headers
            .iter()
            .all(|it| named.insert(it.to_ascii_lowercase()))
        {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature?, &mut bytes).ok()?;
        Some(Self {
            access,
            signed_headers,
            signature: bytes,
        })
    }

    /// Checks a request's date. It comes first, because it costs nothing.
    ///
    /// # Errors
    /// If it is missing, malformed or too far from now.
    pub fn check_date(request: Signable<'_>, now: Timestamp) -> Result<(), BadSignature> {
        let date = header(request.headers, DATE).ok_or(BadSignature::Signature)?;
        let date = std::str::from_utf8(date)
            .ok()
            .and_then(Timestamp::parse_basic);
        let date = date.ok_or(BadSignature::Signature)?;
        let away = (now.unix_seconds() - date.unix_seconds()).abs();
        (away <= DATE_WINDOW)
            .then_some(())
            .ok_or(BadSignature::Date)
    }

    /// Checks that the key signed exactly this request.
    ///
    /// # Errors
    /// If it did not.
    pub fn check(&self, request: Signable<'_>, key: &Secret) -> Result<(), BadSignature> {
        let payload = self.payload(request).ok_or(BadSignature::Signature)?;
        // The comparison takes constant time.
        let fits = canonical_paths(request.path).iter().any(|path| {
            mac(request, path, &self.signed_headers, &payload, key)
                .is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
        });
        fits.then_some(()).ok_or(BadSignature::Signature)
    }

    /// What stands for the body in the signed text: its digest, or that it is not signed. Only the signer can
    /// say the latter, in a signed header. `None` if the header with the digest has another one.
    fn payload(&self, request: Signable<'_>) -> Option<String> {
        let digest = hex::encode(Sha256::digest(request.body));
        let claimed = request.headers.get(CONTENT_DIGEST);
        let Some(claimed) = claimed.map(|claimed| claimed.as_bytes()) else {
            return Some(digest);
        };
        if claimed == UNSIGNED.as_bytes() && self.signed_headers.contains(&CONTENT_DIGEST) {
            // An empty body is signed in any case.
            let signed = request.body.is_empty();
            return Some(if signed { digest } else { UNSIGNED.to_owned() });
        }
        let fits = claimed.eq_ignore_ascii_case(digest.as_bytes());
        fits.then_some(digest)
    }
}

/// Signs a request and these of its headers. Returns the value of `Authorization`; `None` unless each
/// header is there exactly once.
pub fn sign(
    request: Signable<'_>,
    signed_headers: &[&str],
    access: &str,
    key: &Secret,
) -> Option<String> {
    let digest = hex::encode(Sha256::digest(request.body));
    let path = canonical_path(request.path);
    let signature = mac(request, &path, signed_headers, &digest, key)?.finalize();
    Some(format!(
        "{ALGORITHM} Access={access}, SignedHeaders={}, Signature={}",
        signed_headers.join(";"),
        hex::encode(signature.into_bytes())
    ))
}

fn mac(
    request: Signable<'_>,
    path: &str,
    signed_headers: &[&str],
    digest: &str,
    key: &Secret,
) -> Option<Hmac<Sha256>> {
    let mut text = format!("{ALGORITHM}\n").into_bytes();
    text.extend_from_slice(header(request.headers, DATE)?);
    let canonical = canonical_request(request, path, signed_headers, digest)?;
    text.extend_from_slice(format!("\n{}", hex::encode(Sha256::digest(canonical))).as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).ok()?;
    mac.update(&text);
    Some(mac)
}

fn canonical_request(
    request: Signable<'_>,
    path: &str,
    signed_headers: &[&str],
    digest: &str,
) -> Option<Vec<u8>> {
    let query = canonical_query(request.query);
    let mut text = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(header(request.headers, name)?.trim_ascii());
        text.push(b'\n');
    }
    text.extend_from_slice(format!("\n{}\n{digest}", signed_headers.join(";")).as_bytes());
    Some(text)
}

/// The arguments, decoded, sorted by name and value, and encoded again.
///
/// `form_urlencoded` does not fit: it replaces bytes that are not UTF-8, so that two queries would have
/// one signature, and it encodes `*`, `~` and spaces differently from the algorithm.
fn canonical_query(query: &str) -> String {
    let decoded = |text: &str| -> Vec<u8> { percent_decode_str(&text.replace('+', " ")).collect() };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    pairs.sort();
    let pairs = pairs.iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The canonical forms of a path. Most clients decode the path before they split it into segments and
/// so sign an encoded slash as a plain one; others keep it. Accepting both is safe: only the last
/// segment of a path may contain a slash, so two such paths never name two records.
fn canonical_paths(path: &str) -> Vec<String> {
    let kept = canonical_path(path);
    match kept.contains(ENCODED_SLASH) {
        true => vec![kept.replace(ENCODED_SLASH, "/"), kept],
        false => vec![kept],
    }
}

/// A slash within a segment of a canonical path.
const ENCODED_SLASH: &str = "%2F";

/// The path with each segment decoded and encoded again, and a slash at its end.
fn canonical_path(path: &str) -> String {
    let segments = path.split('/');
    let segments = segments.map(|each| encoded(&percent_decode_str(each).collect::<Vec<u8>>()));
    let mut path = segments.collect::<Vec<_>>().join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// The value of a header that is there exactly once.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

#[cfg(test)]
mod tests;
