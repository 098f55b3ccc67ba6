//! The arguments of a query: read, and written into a link.

use std::borrow::Cow;
use std::collections::HashMap;

use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::request::Request;
use crate::domain::error::ApiError;

/// What a link leaves as it is; a space becomes a plus. This is Python's `urlencode`, which writes
/// Glance's links. Form encoding, as in `form_urlencoded`, leaves `*` and encodes `~`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

/// The arguments of a query, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a>(pub &'a [(String, String)]);

impl<'a> Arguments<'a> {
    /// The values of one name.
    pub fn of(self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let all = self.0.iter();
        all.filter(move |(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first of them.
    pub fn first(self, name: &'a str) -> Option<&'a str> {
        self.of(name).next()
    }

    /// The last of them.
    pub fn last(self, name: &'a str) -> Option<&'a str> {
        self.of(name).next_back()
    }
}

/// The decoded arguments of the query in their order; by their names if the order is not known.
pub fn query(request: &Request) -> Vec<(String, String)> {
    if let Some(sent) = sent(request) {
        return parse(sent);
    }
    let parameters = request.query_string_parameters();
    let mut all: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // A fixed order makes links stable. Values of one name stay in theirs.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// The query as it was sent. A REST API does not say it: what its request has for one is made from the
/// map. Without a gateway the request is the client's own.
fn sent(request: &Request) -> Option<&str> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(_)) => None,
        Some(_) | None => request.uri().query(),
    }
}

/// Decodes a query. A name or a value that is not UTF-8 stays as it was sent: the library would replace
/// what it cannot decode, so that different values become the same.
fn parse(sent: &str) -> Vec<(String, String)> {
    let kept: String = sent
        .split_inclusive(['&', '='])
        .map(|part| match percent_decode_str(part).decode_utf8() {
            Ok(_) => Cow::Borrowed(part),
            Err(_) => Cow::Owned(part.replace('%', "%25")),
        })
        .collect();
    form_urlencoded::parse(kept.as_bytes())
        .into_owned()
        .collect()
}

/// Like [`query`], for those who look at every argument.
///
/// # Errors
/// 400 if the query is not UTF-8.
pub fn utf8_query(request: &Request) -> Result<Vec<(String, String)>, ApiError> {
    match request.uri().query() {
        Some(sent) if percent_decode_str(sent).decode_utf8().is_err() => {
            Err(ApiError::bad_request(
                "Error decoding your request. Either the URL or the request body contained \
                 characters that could not be decoded by Glance",
            ))
        }
        _ => Ok(query(request)),
    }
}

/// Arguments in the order of their first: each name once with its last value, unless `repeats` it.
pub fn each_once(arguments: &[(String, String)], repeats: fn(&str) -> bool) -> Vec<(&str, &str)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in arguments {
        match places
            .get(name.as_str())
            .and_then(|place| pairs.get_mut(*place))
        {
            Some(pair) if !repeats(name) => pair.1 = value,
            Some(_) | None => {
                places.insert(name, pairs.len());
                pairs.push((name, value));
            }
        }
    }
    pairs
}

/// The link to a page of a list: its arguments without any marker, each name once with its last value
/// unless `repeats` it, and the marker of that page.
pub fn link(
    path: &str,
    arguments: &[(String, String)],
    repeats: fn(&str) -> bool,
    marker: Option<String>,
) -> String {
    let mut pairs = each_once(arguments, repeats);
    pairs.retain(|(name, _)| *name != "marker");
    if let Some(marker) = &marker {
        pairs.push(("marker", marker));
    }
    let encode = |text: &str| {
        let encoded = utf8_percent_encode(text, KEPT).to_string();
        encoded.replace(' ', "+")
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::aws_lambda_events::apigw::{
        ApiGatewayProxyRequestContext, ApiGatewayV2httpRequestContext,
    };
    use lambda_http::http::Request as Http;
    use lambda_http::request::RequestContext;

    use super::*;

    const SENT: &str = "z=1&a+b=%C3%BC&c&z=2&&%20=%FF";

    fn request(context: Option<RequestContext>) -> Request {
        let request = Http::get(format!("http://images.example/v2/images?{SENT}"));
        let request = request.body(lambda_http::Body::Empty).unwrap();
        match context {
            Some(context) => request.with_request_context(context),
            None => request,
        }
    }

    #[test]
    fn arguments_keep_the_order_in_which_they_were_sent_if_it_is_known() {
        let expected = [
            ("z", "1"),
            ("a b", "ü"),
            ("c", ""),
            ("z", "2"),
            (" ", "%FF"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let http_api = RequestContext::ApiGatewayV2(ApiGatewayV2httpRequestContext::default());
        assert_eq!(query(&request(Some(http_api))), expected);
        assert_eq!(query(&request(None)), expected);
        // A REST API: the query in its request is in no order.
        let map = [("z", vec!["2", "1"]), ("a b", vec!["x"])];
        let map = map.map(|(name, values)| {
            let values = values.into_iter().map(str::to_owned).collect();
            (name.to_owned(), values)
        });
        let map = std::collections::HashMap::<String, Vec<String>>::from(map);
        let rest = RequestContext::ApiGatewayV1(ApiGatewayProxyRequestContext::default());
        let gateway = request(Some(rest)).with_query_string_parameters(map);
        let expected = [("a b", "x"), ("z", "2"), ("z", "1")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query(&gateway), expected);
    }
}
