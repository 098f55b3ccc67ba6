//! The `Accept` header: content negotiation by RFC 9110, with Glance's exceptions.

/// A parsed `Accept` header.
#[derive(Clone, Debug, PartialEq)]
pub enum Accept {
    /// The header is malformed. Glance treats it as accepting anything.
    Anything,
    /// These media ranges; none if the header is empty or missing.
    Ranges(Vec<Range>),
}

/// A media range and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    kind: String,
    subtype: String,
    /// Whether it has parameters. Then it matches no media type without parameters.
    has_parameters: bool,
    /// The weight in thousandths.
    weight: u16,
}

impl Accept {
    /// Parses the values of all `Accept` headers of a request, joined by commas.
    pub fn parse(header: &str) -> Self {
        let ranges: Option<Vec<Range>> = split_unquoted(header, ',')
            .into_iter()
            .map(str::trim)
            .filter(|range| !range.is_empty())
            .map(Range::parse)
            .collect();
        ranges.map_or(Self::Anything, Self::Ranges)
    }

    /// Returns the offer of the greatest weight, the first of several. `None` if none is acceptable.
    pub fn best<'a>(&self, offers: &[&'a str]) -> Option<&'a str> {
        let mut best: Option<(&'a str, u16)> = None;
        for offer in offers {
            let weight = self.weight(offer);
            if weight > 0 && best.is_none_or(|(_, before)| weight > before) {
                best = Some((offer, weight));
            }
        }
        best.map(|(offer, _)| offer)
    }

    /// The weight of a media type: that of the most specific range that matches it.
    fn weight(&self, offer: &str) -> u16 {
        let ranges = match self {
            Self::Anything => return FULL_WEIGHT,
            Self::Ranges(ranges) => ranges,
        };
        let mut best = (0, 0);
        for range in ranges {
            let specificity = range.specificity(offer);
            if specificity > best.0 {
                best = (specificity, range.weight);
            }
        }
        best.1
    }
}

const FULL_WEIGHT: u16 = 1000;

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = split_unquoted(text, ';').into_iter().map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut range = Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            has_parameters: false,
            weight: FULL_WEIGHT,
        };
        let mut weighed = false;
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part, None),
            };
            let quoted = value.is_some_and(|value| {
                value.len() > 1 && value.starts_with('"') && value.ends_with('"')
            });
            if !is_token(name) || !(quoted || value.is_none_or(is_token)) {
                return None;
            }
            match value {
                // Extensions follow the weight, and need no value.
                _ if weighed => {}
                Some(value) if name.eq_ignore_ascii_case("q") => {
                    range.weight = weight_of(value)?;
                    weighed = true;
                }
                Some(_) => range.has_parameters = true,
                None => return None,
            }
        }
        Some(range)
    }

    /// How specifically the range matches a media type; 0 if it does not.
    fn specificity(&self, offer: &str) -> u8 {
        let (kind, subtype) = offer.split_once('/').unwrap_or((offer, ""));
        match (self.kind.as_str(), self.subtype.as_str()) {
            _ if self.has_parameters => 0,
            (k, s) if k == kind && s == subtype => 3,
            (k, "*") if k == kind => 2,
            ("*", "*") => 1,
            _ => 0,
        }
    }
}

/// `0`, `1`, or either with up to three digits behind the point, at most 1; in thousandths.
fn weight_of(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(FULL_WEIGHT),
        _ => None,
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Splits at separators outside of quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let splits = c == separator && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        splits
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Glance 33 chooses between its two forms of an error.
    #[test]
    fn the_best_of_two_offers() {
        const HTML: Option<&str> = Some("text/html");
        const JSON: Option<&str> = Some("application/json");
        for (accept, best) in [
            ("", None),
            ("text/plain", None),
            ("application/xml", None),
            ("a/b", None),
            ("application/json", JSON),
            ("APPLICATION/JSON", JSON),
            (" application/json", JSON),
            ("application/json, text/plain", JSON),
            ("*/*", HTML),
            ("text/*", HTML),
            ("text/html", HTML),
            ("application/json, */*", HTML),
            ("text/html;q=0.9, application/json;q=0.5", HTML),
            ("application/json;q=0.9, */*;q=0.1", JSON),
            ("application/json;q=0.2, text/html;q=0.1", JSON),
            ("application/json,,text/html;q=0.1", JSON),
            ("application/*", JSON),
            ("application/json ; q=0.5", JSON),
            ("application/json;q=1.0", JSON),
            ("application/json;q=0", None),
            // A parameter makes it another media type than the one on offer.
            ("application/json; charset=utf-8", None),
            ("application/json;indent=2;q=0.3", None),
            ("application/json;profile=\"a,b;c\"", None),
            ("text/html;level=1", None),
            // Malformed.
            ("garbage", HTML),
            ("application/json, garbage", HTML),
            ("application/json;q=abc", HTML),
            ("application/json;q=1.5", HTML),
            ("application/json;q=0.0001", HTML),
            ("application/json;q", HTML),
            ("a/b;c", HTML),
            ("/", HTML),
            ("*", HTML),
        ] {
            let found = Accept::parse(accept).best(&["text/html", "application/json"]);
            assert_eq!(found, best, "{accept}");
        }
    }
}
