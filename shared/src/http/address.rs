//! Hosts and URLs in links and headers. Only a value that parses is ever echoed.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The longest host name, in characters.
const NAME_MAX: usize = 253;

/// A host with an optional port, as in the `Host` header. It has no character that could end a quoted
/// string, a header or an HTML attribute, so it is safe in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Parses `host` or `host:port`; an IPv6 address is in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let port = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                port
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                is_name(name).then_some(port)?
            }
        };
        let valid = match port.strip_prefix(':') {
            Some(number) => is_port(number),
            None => port.is_empty(),
        };
        valid.then(|| Self(text.to_owned()))
    }

    /// The host as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(known)
}

fn is_port(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<u16>().is_ok()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL by which clients reach the service, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Describes the form that [`Endpoint::from_str`] accepts.
    pub const FORM: &str = "an http or https URL such as https://images.example.com, without a \
                            query";

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a URL of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEndpoint;

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}", Endpoint::FORM)
    }
}

impl std::error::Error for BadEndpoint {}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let (_, rest) = split_scheme(text).ok_or(BadEndpoint)?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Host::parse(host).ok_or(BadEndpoint)?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !path.bytes().all(known) {
            return Err(BadEndpoint);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Splits off the scheme, `http` or `https`.
pub(super) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    ["http", "https"]
        .contains(&scheme)
        .then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_character_that_ends_a_quoted_string() {
        for good in [
            "localhost",
            "images.example.com:443",
            "127.0.0.1:9292",
            "[::1]",
            "[fe80::1]:80",
            "a_b-c:0",
        ] {
            assert_eq!(Host::parse(good).as_ref().map(Host::as_str), Some(good));
        }
        for bad in [
            "", ":80", "a\"b", "a'b", "a b", "a<b", "a/b", "a,b", "a;b", "a@b", "a:b", "a:",
            "a:65536", "a:+80", "a:80:80", "[::1", "[::1]80", "[x]", "::1", "é", "a\\b", "a%22b",
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
        assert_eq!(Host::parse(&"a".repeat(NAME_MAX + 1)), None);
    }

    #[test]
    fn an_endpoint_is_a_url_without_a_query() {
        let parse = |text: &str| text.parse::<Endpoint>().map(|url| url.as_str().to_owned());
        assert_eq!(parse("https://a.b/"), Ok("https://a.b".to_owned()));
        assert_eq!(parse("http://a:1/v/x"), Ok("http://a:1/v/x".to_owned()));
        for bad in [
            "",
            "a.b",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://a/\"",
            "https://a#b",
        ] {
            assert_eq!(parse(bad), Err(BadEndpoint), "{bad}");
        }
    }
}
