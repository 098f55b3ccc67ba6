//! The access rules of an application credential: the requests that its tokens may make.
//!
//! Keystone validates such a token only for a service that declares that it enforces the rules. The
//! authorizer puts them into its context, which a gateway caches for all requests with one token, so
//! the functions check each request. Rules mean what they mean in keystonemiddleware.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::Value;

use crate::http::routes::{Path, is_v2};

/// This service's type in Keystone's catalog.
const SERVICE: &str = "image";
/// The largest size of the rules in the authorizer's context, in bytes.
const CONTEXT_MAX: usize = 4096;
/// The longest path that is compared with rules, in bytes. Those of operations are shorter, and the time of
/// a comparison grows with the lengths of both.
const PATH_MAX: usize = 8 * 1024;

/// The requests to this service that a token may make: those that match one of the rules. An empty
/// list permits none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    method: String,
    path: String,
}

/// Why the rules of a token cannot be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRules {
    /// They do not have the form that Keystone gives them.
    Malformed,
    /// The rules for this service do not fit into the authorizer's context.
    TooLong,
}

impl AccessRules {
    /// Selects the rules for this service from Keystone's list.
    ///
    /// # Errors
    /// If the list is malformed or too long: the token must then be refused.
    pub fn of_keystone(rules: &Value) -> Result<Self, BadRules> {
        let rules = rules.as_array().ok_or(BadRules::Malformed)?;
        let mut ours = Vec::new();
        for rule in rules {
            let text = |name: &str| rule.get(name)?.as_str();
            let (Some(service), Some(method), Some(path)) =
                (text("service"), text("method"), text("path"))
            else {
                return Err(BadRules::Malformed);
            };
            let rule = Rule {
                method: method.to_owned(),
                path: path.to_owned(),
            };
            if service == SERVICE && !ours.contains(&rule) {
                ours.push(rule);
            }
        }
        let rules = Self(ours);
        match rules.to_context().len() <= CONTEXT_MAX {
            true => Ok(rules),
            false => Err(BadRules::TooLong),
        }
    }

    /// Serializes the rules for the authorizer's context.
    pub fn to_context(&self) -> String {
        let rules = self.0.iter().map(|rule| {
            Value::from(vec![
                Value::from(rule.method.as_str()),
                Value::from(rule.path.as_str()),
            ])
        });
        Value::from_iter(rules).to_string()
    }

    /// Parses what [`Self::to_context`] has written; `None` if it is anything else.
    pub fn of_context(text: &str) -> Option<Self> {
        let rules: Vec<(String, String)> = serde_json::from_str(text).ok()?;
        let rules = rules.into_iter();
        Some(Self(
            rules.map(|(method, path)| Rule { method, path }).collect(),
        ))
    }

    /// Whether a request matches one of the rules. The path is compared in the canonical spelling by
    /// which the request is routed, so that no other spelling gets around a rule.
    pub fn permit(&self, method: &str, path: &Path) -> bool {
        let path = path.to_string();
        path.len() <= PATH_MAX
            && self
                .0
                .iter()
                .any(|rule| rule.method == method && matches(&Pattern::parse(&rule.path), &path))
    }
}

/// The characters that a canonical path percent-encodes: all but the unreserved ones of RFC 3986 and
/// the slash.
const COMPARED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The path of a rule with `v2` in place of `v2.<minor>`.
fn with_plain_version(path: &str) -> String {
    match path.strip_prefix('/').and_then(|rest| rest.split_once('/')) {
        Some((version, rest)) if is_v2(version) => format!("/v2/{rest}"),
        _ => path.to_owned(),
    }
}

/// The parsed path of a rule.
struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// These bytes of a canonical path.
    Literal(Vec<u8>),
    /// `*` or `{name}`: at least one byte, and no slash.
    Segment,
    /// `**`: anything, nothing included.
    Rest,
}

impl Pattern {
    /// Parses a rule's path. An unpaired brace is ignored, as in keystonemiddleware.
    fn parse(path: &str) -> Self {
        let with_version = with_plain_version(path);
        let mut rest = with_version.as_str();
        let mut parts = Vec::new();
        while let Some(first) = rest.chars().next() {
            let tag = rest.find('}').filter(|_| first == '{');
            let (part, length) = if let Some(end) = tag {
                (Some(Part::Segment), end + 1)
            } else if rest.starts_with("**") {
                (Some(Part::Rest), 2)
            } else if first == '*' {
                (Some(Part::Segment), 1)
            } else if matches!(first, '{' | '}') {
                (None, 1)
            } else {
                let end = rest.find(['*', '{', '}']).unwrap_or(rest.len());
                let (literal, _) = rest.split_at(end);
                let decoded: Vec<u8> = percent_decode_str(literal).collect();
                let encoded = percent_encode(&decoded, COMPARED).to_string();
                (Some(Part::Literal(encoded.into_bytes())), end)
            };
            parts.extend(part);
            rest = rest.get(length..).unwrap_or_default();
        }
        Self(parts)
    }
}

/// Whether the whole of a canonical path matches a pattern.
///
/// It follows all ways of matching at the same time and never backtracks: users write patterns, so no
/// pattern may take exponential time.
fn matches(pattern: &Pattern, path: &str) -> bool {
    let path = path.as_bytes();
    // The positions up to which the parts so far can match.
    let mut ends = vec![false; path.len() + 1];
    if let Some(start) = ends.first_mut() {
        *start = true;
    }
    for part in &pattern.0 {
        ends = advance(part, &ends, path);
    }
    ends.last().copied().unwrap_or(false)
}

/// The positions that one more part leads to.
fn advance(part: &Part, starts: &[bool], path: &[u8]) -> Vec<bool> {
    let mut ends = vec![false; starts.len()];
    // Whether an earlier match of this part extends up to here.
    let mut open = false;
    for (at, end) in ends.iter_mut().enumerate() {
        let begins = |at: usize| starts.get(at).copied().unwrap_or(false);
        let before = at.checked_sub(1);
        *end = match part {
            Part::Literal(literal) => at.checked_sub(literal.len()).is_some_and(|start| {
                begins(start) && path.get(start..at) == Some(literal.as_slice())
            }),
            Part::Segment => {
                let slash = before.and_then(|before| path.get(before)) == Some(&b'/');
                open = !slash && (open || before.is_some_and(begins));
                open
            }
            Part::Rest => {
                open = open || begins(at);
                open
            }
        };
    }
    ends
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn permits(pattern: &str, path: &str) -> bool {
        let rule = json!([{"service": "image", "method": "GET", "path": pattern}]);
        let Ok(path) = Path::parse(path) else {
            return false;
        };
        AccessRules::of_keystone(&rule)
            .unwrap()
            .permit("GET", &path)
    }

    /// The examples of keystonemiddleware's own tests.
    #[test]
    fn patterns_match_as_in_keystonemiddleware() {
        for (path, pattern) in [
            ("/v2/servers", "/v2/servers"),
            ("/v2/servers/123", "/v2/servers/{server_id}"),
            ("/v2/servers/123/", "/v2/servers/{server_id}/"),
            ("/v2/servers/123", "/v2/servers/*"),
            ("/v2/servers/123/", "/v2/servers/*/"),
            ("/v2/servers/123", "/v2/servers/**"),
            ("/v2/servers/123/", "/v2/servers/**"),
            ("/v2/servers/123/456", "/v2/servers/**"),
            ("/v2/servers", "**"),
            ("/v2/servers/", "**"),
            ("/v2/servers/123/volume/456", "**"),
            ("/v2/servers/123/456", "/v2/*/*/*"),
            (
                "/v2/123/servers/466",
                "/v2/{project_id}/servers/{server_id}",
            ),
        ] {
            assert!(permits(pattern, path), "{path} {pattern}");
        }
        for (path, pattern) in [
            ("/v2/servers/someuuid", "/v2/servers"),
            ("/v2/servers//", "/v2/servers/{server_id}"),
            ("/v2/servers/123/", "/v2/servers/{server_id}"),
            ("/v2/servers/123/456", "/v2/servers/{server_id}"),
            ("/v2/servers/123/456", "/v2/servers/*"),
            ("/v2/servers", "v2/servers"),
            ("/v2/servers/123/456/789", "/v2/*/*/*"),
            ("/v2/servers/123/", "/v2/*/*/*"),
            ("/v2/servers/", "/v2/servers/{server_id}"),
            ("/v2/servers", "/v2/servers/{server_id}"),
        ] {
            assert!(!permits(pattern, path), "{path} {pattern}");
        }
    }

    #[test]
    fn a_wildcard_is_a_part_of_a_segment_too() {
        for (path, pattern, fine) in [
            ("/v2/images/abc", "/v2/images/a*", true),
            ("/v2/images/a", "/v2/images/a*", false),
            ("/v2/images/abc", "/v2/images/*c", true),
            ("/v2/images/abc/c", "/v2/images/*c", false),
            ("/v2/images/x/members", "/v2/**/members", true),
            ("/v2/members", "/v2/**members", true),
            ("/v2/images/x", "/v2/images**", true),
            ("/v2/images", "/v2/images**", true),
            ("/v2/images", "/v2/images***", false),
            ("/v2/imagesX", "/v2/images***", true),
            ("/v2/images", "/v2/im}ages{", true),
            ("/v2/images", "", false),
            // A dot is a dot.
            ("/v2/images", "/v2/imag.s", false),
        ] {
            assert_eq!(permits(pattern, path), fine, "{path} {pattern}");
        }
    }

    #[test]
    fn every_spelling_of_a_path_is_that_path() {
        for path in [
            "/v2/images/x/members",
            "/v2.9/images/x/members",
            "//v2/images/x/members",
            "/v2//images/x//members",
            "/v2/%69mages/x/%6Dembers",
            "/%76%32%2E9/images/x/members",
            "/v2/images/../images/x/./members",
            "/v2%2Fimages/x/members",
            "/v2/images/x%2Fmembers",
        ] {
            assert!(permits("/v2/images/*/members", path), "{path}");
            assert!(permits("/v2.4/images/*/members", path), "{path}");
            assert!(!permits("/v2/images/*", path), "{path}");
        }
        // A member's id, encoded by both or by one.
        for pattern in ["/v2/images/*/members/%c3%a9", "/v2/images/*/members/é"] {
            assert!(permits(pattern, "/v2/images/x/members/%C3%A9"), "{pattern}");
        }
        // A star in a path is no wildcard, and a wildcard in a rule no star.
        assert!(!permits("/v2/images/x", "/v2/images/*"));
        assert!(permits("/v2/images/%2A", "/v2/images/*"));
        assert!(!permits("/v2/images/%2A", "/v2/images/x"));
        assert!(!permits("/v2/images/**", "/v2/images/%FF"));
    }

    #[test]
    fn only_rules_of_this_service_and_method_count() {
        let rules = json!([
            {"id": "1", "service": "compute", "method": "GET", "path": "/v2/images"},
            {"id": "2", "service": "image", "method": "POST", "path": "/v2/images"},
            {"id": "3", "service": "image", "method": "POST", "path": "/v2/images"},
        ]);
        let rules = AccessRules::of_keystone(&rules).unwrap();
        let images = Path::parse("/v2/images").unwrap();
        assert!(!rules.permit("GET", &images));
        assert!(!rules.permit("post", &images));
        assert!(rules.permit("POST", &images));
        assert_eq!(rules.to_context(), r#"[["POST","/v2/images"]]"#);
        let none = AccessRules::of_keystone(&json!([])).unwrap();
        assert!(!none.permit("GET", &images));
    }

    #[test]
    fn rules_survive_the_context_and_what_is_not_rules_does_not() {
        let written = json!([
            {"service": "image", "method": "GET", "path": "/v2/\"é\"/**"},
            {"service": "image", "method": "PUT", "path": "/"},
        ]);
        let rules = AccessRules::of_keystone(&written).unwrap();
        assert_eq!(AccessRules::of_context(&rules.to_context()), Some(rules));
        for bad in ["", "null", "{}", r#"[["GET"]]"#, r#"[["GET","/","/"]]"#] {
            assert_eq!(AccessRules::of_context(bad), None, "{bad}");
        }
        for bad in [
            json!(null),
            json!({}),
            json!(["GET /"]),
            json!([{"service": "image", "method": "GET"}]),
            json!([{"service": "image", "method": "GET", "path": null}]),
        ] {
            assert_eq!(
                AccessRules::of_keystone(&bad),
                Err(BadRules::Malformed),
                "{bad}"
            );
        }
        let path = format!("/{}", "x".repeat(200));
        let many = |service: &str| -> Value {
            (0..20)
                .map(|n| json!({"service": service, "method": "GET", "path": format!("{path}{n}")}))
                .collect()
        };
        assert_eq!(
            AccessRules::of_keystone(&many("image")),
            Err(BadRules::TooLong)
        );
        assert!(AccessRules::of_keystone(&many("compute")).is_ok());
    }

    /// With a path of 128 KB, which the local server takes, one request would cost seconds.
    #[test]
    fn a_path_that_no_operation_can_have_is_compared_with_no_rule() {
        // Each of 255 characters that take four bytes, and twelve when they are encoded.
        let id = "%F0%9F%98%80".repeat(255);
        let longest = format!("/v1/{id}/cloudimages/{id}/members");
        assert!(permits("**", &longest));
        let image = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        assert!(permits(
            "**",
            &format!("/v1/{id}/cloudimages/{image}/members/{id}")
        ));
        assert!(!permits("**", &format!("/v2/{}", "!".repeat(PATH_MAX / 3))));
    }

    /// Exponential for a matcher that goes back.
    #[test]
    fn no_pattern_takes_long() {
        let pattern = format!("/{}b", "*a".repeat(100));
        let path = format!("/{}", "a".repeat(5000));
        let started = std::time::Instant::now();
        assert!(!permits(&pattern, &path));
        let pattern = format!("/{}b", "**a".repeat(70));
        assert!(!permits(&pattern, &path));
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }
}
