//! The paging of the batch API's lists: `limit` from 1 to 1000 and an opaque `marker`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::error::ApiError;
use crate::domain::ims_code::ImsCode;

/// Most rows of a page.
pub const LIMIT_MAX: usize = 1000;

/// What a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows, at most.
    pub limit: usize,
    /// Where to go on, as it was handed out.
    pub marker: Option<String>,
}

/// The page that a query asks for.
///
/// # Errors
/// IMG.0001 for a limit that is not a number from 1 to 1000.
pub fn of_query(query: &[(String, String)], default: usize) -> Result<Page, ApiError> {
    let last = |wanted: &str| {
        query
            .iter()
            .rev()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let limit = match last("limit") {
        None => default,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                ApiError::ims_because(
                    ImsCode::BadRequest,
                    format!("limit must be a whole number from 1 to {LIMIT_MAX}."),
                )
            })?,
    };
    Ok(Page {
        limit,
        marker: last("marker")
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
    })
}

/// A marker to hand out.
pub fn encode_marker(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What a marker stands for; `None` if it was not handed out by us.
pub fn decode_marker(marker: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(marker.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}

/// The refusal of a marker that was not handed out by us.
pub fn bad_marker() -> ApiError {
    ApiError::ims_because(
        ImsCode::BadRequest,
        "marker is not one that a page has given.",
    )
}
