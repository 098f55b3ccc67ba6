//! Every path of the API and the function that answers it.
//!
//! The gateway's template, the local server and the tests all hold to this table.

use percent_encoding::percent_decode_str;

/// The API functions: one binary and one policy each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// Shares an image with a project.
    AddMember,
    /// Answers for a member.
    UpdateMember,
    /// Ends a membership.
    RemoveMember,
    /// Lists memberships and shows one.
    ReadMembers,
    /// Accepts a batch and makes it a job.
    BatchUpdate,
    /// Shows jobs.
    GetJob,
    /// Images' records, one or many.
    Images,
    /// Versions, schemas, and every path or method that is nobody else's.
    Discovery,
}

impl Function {
    /// The name of its directory, binary and resource.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddMember => "add-member",
            Self::UpdateMember => "update-member",
            Self::RemoveMember => "remove-member",
            Self::ReadMembers => "read-members",
            Self::BatchUpdate => "batch-update",
            Self::GetJob => "get-job",
            Self::Images => "images",
            Self::Discovery => "discovery",
        }
    }
}

/// One method of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for a segment that is a parameter.
    pub path: &'static str,
    /// Who answers.
    pub function: Function,
}

const fn route(method: &'static str, path: &'static str, function: Function) -> Route {
    Route {
        method,
        path,
        function,
    }
}

/// The API. Methods of one path stand in the order in which `Allow` lists them.
pub const ROUTES: &[Route] = &[
    route("GET", "/v2/images", Function::Images),
    route("POST", "/v2/images", Function::Images),
    route("GET", "/v2/images/{image_id}", Function::Images),
    route("PATCH", "/v2/images/{image_id}", Function::Images),
    route("DELETE", "/v2/images/{image_id}", Function::Images),
    route(
        "GET",
        "/v2/images/{image_id}/members",
        Function::ReadMembers,
    ),
    route("POST", "/v2/images/{image_id}/members", Function::AddMember),
    route(
        "GET",
        "/v2/images/{image_id}/members/{member_id}",
        Function::ReadMembers,
    ),
    route(
        "PUT",
        "/v2/images/{image_id}/members/{member_id}",
        Function::UpdateMember,
    ),
    route(
        "DELETE",
        "/v2/images/{image_id}/members/{member_id}",
        Function::RemoveMember,
    ),
    route("GET", "/v2/schemas/{schema}", Function::Discovery),
    route("GET", "/v2/cloudimages", Function::Images),
    route("POST", "/v1/cloudimages/members", Function::BatchUpdate),
    route("PUT", "/v1/cloudimages/members", Function::BatchUpdate),
    route("DELETE", "/v1/cloudimages/members", Function::BatchUpdate),
    route("GET", "/v1/cloudimages/quota", Function::Images),
    route("GET", "/v1/cloudimages/job/{job_id}", Function::GetJob),
    route("GET", "/v1/{project_id}/jobs", Function::GetJob),
    route("GET", "/v1/{project_id}/jobs/{job_id}", Function::GetJob),
    route(
        "GET",
        "/v1/{project_id}/cloudimages/{image_id}/members",
        Function::ReadMembers,
    ),
    route(
        "GET",
        "/v1/{project_id}/cloudimages/{image_id}/members/{member_id}",
        Function::ReadMembers,
    ),
];

/// Minor versions of the v2 API that a path may name; `/v2.9/images` is `/v2/images`.
pub const V2_MINORS: std::ops::RangeInclusive<u8> = 0..=18;

/// Which family of clients a path belongs to: it decides the form of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// OpenStack Image v2.
    Glance,
    /// Image Management Service.
    Ims,
}

/// The family of a path.
pub fn family(path: &str) -> Family {
    if path.starts_with("/v1/") || path == "/v2/cloudimages" {
        Family::Ims
    } else {
        Family::Glance
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who answers.
    pub function: Function,
    /// The route's path, if the path and method are one of ours.
    pub resource: Option<&'static str>,
    /// The path's parameters, encoded as they came.
    pub parameters: Vec<(&'static str, String)>,
}

/// Finds who answers a request: what is nobody's goes to discovery.
///
/// A deployed gateway does the same, but for the spellings that [`normalized`] mends: to it a path
/// with a minor version or a double slash is nobody's.
pub fn resolve(method: &str, path: &str) -> Destination {
    let path = normalized(path);
    for route in ROUTES {
        if route.method == method
            && let Some(parameters) = matched(route.path, &path)
        {
            return Destination {
                function: route.function,
                resource: Some(route.path),
                parameters,
            };
        }
    }
    Destination {
        function: Function::Discovery,
        resource: None,
        parameters: Vec::new(),
    }
}

/// The methods of a path that is ours, as `Allow` lists them; `None` if no route has the path.
pub fn allowed(path: &str) -> Option<String> {
    let path = normalized(path);
    let mut found: Option<&str> = None;
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES {
        if matched(route.path, &path).is_some() && found.is_none_or(|first| first == route.path) {
            found = Some(route.path);
            methods.push(route.method);
        }
    }
    found.map(|_| methods.join(", "))
}

/// Whether a request is answered without a token: discovery of versions, a browser's question.
pub fn is_open(method: &str, path: &str) -> bool {
    let first = normalized(path).split('/').nth(1).map(str::to_owned);
    method == "OPTIONS" || first.as_deref() != Some("v2") && allowed(path).is_none()
}

/// The path with one leading slash, no dot segments, and `v2.<minor>` written as `v2`.
pub fn normalized(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.trim_start_matches('/').split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    if let Some(first) = segments.first_mut()
        && let Some(minor) = first.strip_prefix("v2.")
        && minor
            .parse()
            .is_ok_and(|minor: u8| V2_MINORS.contains(&minor))
        && (minor == "0" || !minor.starts_with('0'))
    {
        *first = "v2";
    }
    format!("/{}", segments.join("/"))
}

fn matched(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            // An empty segment is no parameter.
            Some(_) if segment.is_empty() => return None,
            Some(name) => parameters.push((name, segment.to_owned())),
            None if expected == segment => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

/// A path segment decoded once, as UTF-8; `None` if it is not UTF-8.
pub fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_function() {
        let found = resolve("PUT", "/v2/images/a%2Fb/members/c");
        assert_eq!(found.function, Function::UpdateMember);
        assert_eq!(
            found.parameters,
            [
                ("image_id", "a%2Fb".to_owned()),
                ("member_id", "c".to_owned())
            ]
        );
        assert_eq!(
            resolve("GET", "//v2.9/images/x/../y/members").parameters[0].1,
            "y"
        );
        for nobodys in [
            "/v2/images/",
            "/v2/images//members",
            "/v2.99/images",
            "/v1/images/x/members",
        ] {
            assert_eq!(resolve("GET", nobodys).resource, None, "{nobodys}");
        }
        assert_eq!(resolve("get", "/v2/images").resource, None);
        assert_eq!(
            resolve("GET", "/v1/cloudimages/quota").function,
            Function::Images
        );
    }

    #[test]
    fn only_discovery_is_open() {
        for path in ["/", "/versions", "/v3/", "/v1/nonsense", "/healthcheck"] {
            assert!(is_open("GET", path), "{path}");
        }
        for path in [
            "/v2",
            "//v2.9/images",
            "/v2/nonsense",
            "/v1/cloudimages/job/x",
        ] {
            assert!(!is_open("GET", path), "{path}");
            assert!(is_open("OPTIONS", path), "{path}");
        }
    }

    #[test]
    fn a_path_lists_its_methods() {
        assert_eq!(
            allowed("/v2/images/x/members/y").as_deref(),
            Some("GET, PUT, DELETE")
        );
        assert_eq!(allowed("/v2/images").as_deref(), Some("GET, POST"));
        assert_eq!(allowed("/v2/nonsense"), None);
    }
}
