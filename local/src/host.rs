//! The `Host` that a request names. A browser on this machine can be led here by a page from elsewhere, under a name
//! of that page's own.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;

/// Whether the `Host` header has an address or the name of this machine.
pub(crate) fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get("host").and_then(|host| host.to_str().ok()) else {
        return true;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = || {
        name.trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
    };
    name.eq_ignore_ascii_case("localhost")
        || address().is_ok_and(|address| address.is_loopback())
        || host
            .parse::<SocketAddr>()
            .is_ok_and(|host| host.ip().is_loopback())
}
