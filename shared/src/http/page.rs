//! The paging of the batch API's lists: `limit` from 1 to 1000 and an opaque `marker`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::domain::error::ApiError;
use crate::domain::ims_code::ImsCode;

use super::query::Arguments;

/// Most rows of a page.
pub const LIMIT_MAX: usize = 1000;
/// Most bytes that a marker stands for: those of a sort key of DynamoDB, which refuses longer ones.
const POSITION_MAX: usize = 1024;

/// The page that a query asks for, after a row that `M` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<M> {
    /// Rows, at most.
    pub limit: usize,
    /// The last row of the page before; none for the first page.
    pub after: Option<M>,
}

impl<M> PageRequest<M> {
    /// Reads the page from a query. `parse` gives what a marker stands for, or `None` if it was not
    /// handed out by us.
    ///
    /// # Errors
    /// IMG.0001 for a limit that is not a number from 1 to 1000, or for a marker that is none.
    pub fn of_query(
        query: &[(String, String)],
        default: usize,
        parse: impl FnOnce(&str) -> Option<M>,
    ) -> Result<Self, ApiError> {
        let query = Arguments(query);
        let bad = |message: String| ApiError::ims_because(ImsCode::BadRequest, message);
        let limit = match query.last("limit") {
            None => default,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| {
                    bad(format!(
                        "limit must be a whole number from 1 to {LIMIT_MAX}."
                    ))
                })?,
        };
        let after = match query.last("marker").filter(|marker| !marker.is_empty()) {
            None => None,
            Some(marker) => Some(
                parse(marker)
                    .ok_or_else(|| bad("marker is not one that a page has given.".to_owned()))?,
            ),
        };
        Ok(Self { limit, after })
    }
}

/// What an answer says of its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PageInfo {
    /// Rows on this page.
    pub current_count: usize,
    /// Rows on all pages, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, minimum = 0))]
    pub total_count: Option<usize>,
    /// The marker of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next_marker: Option<String>,
}

/// A marker to hand out.
pub fn encode_marker(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What a marker stands for; `None` if it was not handed out by us.
pub fn decode_marker(marker: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(marker.trim_end_matches('=')).ok()?;
    let handed_out = (1..=POSITION_MAX).contains(&bytes.len());
    handed_out.then(|| String::from_utf8(bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DynamoDB answers a query that begins after such a key with an error, which would be ours.
    #[test]
    fn a_marker_stands_for_what_can_be_a_sort_key() {
        let longest = "k".repeat(POSITION_MAX);
        for key in ["k", &longest] {
            assert_eq!(decode_marker(&encode_marker(key)).as_deref(), Some(key));
        }
        let too_long = encode_marker(&"k".repeat(POSITION_MAX + 1));
        for bad in ["", "=", "==", "?", "_w", &too_long] {
            assert_eq!(decode_marker(bad), None, "{bad}");
        }
    }
}
