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
        let digest = hex::encode(Sha256::digest(request.body));
        if let Some(claimed) = request.headers.get(CONTENT_DIGEST)
            && !claimed.as_bytes().eq_ignore_ascii_case(digest.as_bytes())
        {
            return Err(BadSignature::Signature);
        }
        // The comparison takes constant time.
        let fits = canonical_paths(request.path).iter().any(|path| {
            mac(request, path, &self.signed_headers, &digest, key)
                .is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
        });
        fits.then_some(()).ok_or(BadSignature::Signature)
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
mod tests {
    use super::*;

    const KEY: &str = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc";
    const SIGNED: [&str; 3] = ["content-type", "host", "x-sdk-date"];

    fn headers() -> HeaderMap {
        [
            ("content-type", "application/json"),
            ("host", "service.region.example.com"),
            ("x-sdk-date", "20191115T033655Z"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
    }

    const QUERY: &str = "marker=13551d6b-755d-4757-b956-536f674975c0&limit=2";

    fn request(headers: &HeaderMap) -> Signable<'_> {
        Signable {
            method: "GET",
            path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/",
            query: QUERY,
            headers,
            body: b"",
        }
    }

    /// The example of the algorithm's documentation.
    #[test]
    fn the_published_example_has_its_signature() {
        let (headers, key) = (headers(), Secret::new(KEY.to_owned()));
        let request = request(&headers);
        let authorization = sign(request, &SIGNED, "AK", &key).unwrap();
        assert_eq!(
            authorization,
            "SDK-HMAC-SHA256 Access=AK, SignedHeaders=content-type;host;x-sdk-date, \
             Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
        );
        let claim = Claim::read(&authorization)
            .unwrap()
            .unwrap_or_else(|_| panic!());
        assert_eq!(claim.access, "AK");
        assert_eq!(claim.check(request, &key), Ok(()));
    }

    #[test]
    fn what_is_signed_cannot_be_changed() {
        let (headers, key) = (headers(), Secret::new(KEY.to_owned()));
        let good = request(&headers);
        let authorization = sign(good, &SIGNED, "AK", &key).unwrap();
        let claim = Claim::read(&authorization)
            .unwrap()
            .unwrap_or_else(|_| panic!());
        let other_query = QUERY.replace("limit=2", "limit=3");
        let mut other_host = headers.clone();
        other_host.insert("host", "elsewhere".parse().unwrap());
        let mut two_hosts = headers.clone();
        two_hosts.append("host", "elsewhere".parse().unwrap());
        let mut unsigned = headers.clone();
        unsigned.insert("accept", "*/*".parse().unwrap());
        let mut digest = headers.clone();
        digest.insert(CONTENT_DIGEST, "UNSIGNED-PAYLOAD".parse().unwrap());
        for (what, changed, fine) in [
            ("nothing", good, true),
            (
                "a header that is not signed",
                Signable {
                    headers: &unsigned,
                    ..good
                },
                true,
            ),
            (
                "one more slash",
                Signable {
                    path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs//",
                    ..good
                },
                false,
            ),
            (
                "the last slash",
                Signable {
                    path: good.path.trim_end_matches('/'),
                    ..good
                },
                true,
            ),
            (
                "the method",
                Signable {
                    method: "DELETE",
                    ..good
                },
                false,
            ),
            (
                "the path",
                Signable {
                    path: "/v1/x/vpcs/",
                    ..good
                },
                false,
            ),
            (
                "the query",
                Signable {
                    query: &other_query,
                    ..good
                },
                false,
            ),
            (
                "a signed header",
                Signable {
                    headers: &other_host,
                    ..good
                },
                false,
            ),
            (
                "one header more",
                Signable {
                    headers: &two_hosts,
                    ..good
                },
                false,
            ),
            (
                "the body",
                Signable {
                    body: b"{}",
                    ..good
                },
                false,
            ),
            (
                "the body's digest",
                Signable {
                    headers: &digest,
                    ..good
                },
                false,
            ),
        ] {
            assert_eq!(claim.check(changed, &key).is_ok(), fine, "{what}");
        }
        let other_key = Secret::new(KEY.to_lowercase());
        assert_eq!(claim.check(good, &other_key), Err(BadSignature::Signature));
    }

    #[test]
    fn an_authorization_is_read_or_refused() {
        let signature = "0".repeat(64);
        let read = |text: &str| Claim::read(text).map(|claim| claim.is_ok());
        let whole = |access: &str, signed: &str, signature: &str| {
            format!("{ALGORITHM} Access={access}, SignedHeaders={signed}, Signature={signature}")
        };
        assert_eq!(
            read(&whole("AK", "host;x-sdk-date", &signature)),
            Some(true)
        );
        for bad in [
            whole("", "host;x-sdk-date", &signature),
            whole("AK", "host", &signature),
            whole("AK", "x-sdk-date", &signature),
            whole("AK", "host;a;x-sdk-date;a", &signature),
            whole("AK", "host;a;x-sdk-date;A", &signature),
            whole("AK", "host;x-sdk-date", "00"),
            whole("AK", "host;x-sdk-date", &"g".repeat(64)),
            whole("AK", "host;x-sdk-date", &signature) + ", Access=AK",
            format!("{ALGORITHM} Access=AK"),
            format!("{ALGORITHM} "),
        ] {
            assert_eq!(read(&bad), Some(false), "{bad}");
        }
        assert_eq!(read("Bearer abc"), None);
        assert_eq!(read("SDK-HMAC-SHA2567 Access=AK"), None);
    }

    #[test]
    fn a_date_is_near() {
        let headers = headers();
        let signed = Timestamp::parse("2019-11-15T03:36:55Z").unwrap();
        for (seconds, outcome) in [
            (0, Ok(())),
            (900, Ok(())),
            (-900, Ok(())),
            (901, Err(BadSignature::Date)),
            (-901, Err(BadSignature::Date)),
        ] {
            let now = signed.plus_seconds(seconds);
            assert_eq!(Claim::check_date(request(&headers), now), outcome);
        }
        let mut odd = headers.clone();
        odd.insert(DATE, "yesterday".parse().unwrap());
        let found = Claim::check_date(request(&odd), signed);
        assert_eq!(found, Err(BadSignature::Signature));
    }
}
