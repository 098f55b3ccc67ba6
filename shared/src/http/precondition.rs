//! The header `If-Match`: a change is made only to what the caller has seen.

use lambda_http::http::header;

use super::request::Request;
use crate::domain::error::ApiError;

/// What a request expects its target to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Anything that exists: `*`.
    Any,
    /// What has one of these ETags. A weak one matches nothing, so it is not kept.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Reads the header; `None` if the request expects nothing.
    ///
    /// # Errors
    /// 400 if it is neither `*` nor a list of ETags.
    pub fn of(request: &Request) -> Result<Option<Self>, ApiError> {
        let values = request.headers().get_all(header::IF_MATCH);
        let values: Option<Vec<&str>> = values.iter().map(|value| value.to_str().ok()).collect();
        let malformed =
            || ApiError::bad_request("If-Match must be * or a list of ETags in double quotes.");
        match values.ok_or_else(malformed)? {
            none if none.is_empty() => Ok(None),
            values => Self::parse(&values.join(","))
                .map(Some)
                .ok_or_else(malformed),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let (mut tags, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let (weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
            if tag.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                return None;
            }
            if !weak {
                tags.push(format!("\"{tag}\""));
            }
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                // A comma is followed by another tag.
                Some(next) if !next.trim_start().is_empty() => next.trim_start(),
                None if after.is_empty() => after,
                Some(_) | None => return None,
            };
        }
        (!text.trim().is_empty()).then_some(Self::OneOf(tags))
    }

    /// Checks what is there, by its ETag.
    ///
    /// # Errors
    /// 412 if it is not what the request expects.
    pub fn check(&self, etag: &str) -> Result<(), ApiError> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(tags) if tags.iter().any(|tag| tag == etag) => Ok(()),
            Self::OneOf(_) => Err(ApiError::precondition_failed(
                "It has changed since it was read: If-Match names another state.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_etags_is_read() {
        let of = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
            Some(IfMatch::OneOf(tags))
        };
        for (text, expected) in [
            ("*", Some(IfMatch::Any)),
            (" * ", Some(IfMatch::Any)),
            (r#""a""#, of(&["a"])),
            (r#""""#, of(&[""])),
            (r#""a", "b,c" ,"d""#, of(&["a", "b,c", "d"])),
            (r#"W/"a""#, of(&[])),
            (r#"W/"a", "b""#, of(&["b"])),
            ("", None),
            ("a", None),
            (r#""a"#, None),
            (r#""a" "b""#, None),
            (r#""a","#, None),
            (r#""a", *"#, None),
            ("\"a b\"", None),
            (r#"w/"a""#, None),
        ] {
            assert_eq!(IfMatch::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_expected_is_changed() {
        let expected = IfMatch::parse(r#""a", W/"b""#).unwrap();
        for (etag, ok) in [("\"a\"", true), ("\"b\"", false), ("a", false)] {
            assert_eq!(expected.check(etag).is_ok(), ok, "{etag}");
        }
        assert!(IfMatch::Any.check("\"x\"").is_ok());
    }
}
