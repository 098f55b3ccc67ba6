//! Every path of the API and the function that answers it.
//!
//! The gateway's template, the local server and the tests all hold to this table. What a path is, and
//! which spellings are the same path, is in [`Path`].

mod path;

use percent_encoding::percent_decode_str;

pub use path::{Family, NotUtf8, Path, is_v2};

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
    route("PUT", "/v2/images/{image_id}/tags/{tag}", Function::Images),
    route(
        "DELETE",
        "/v2/images/{image_id}/tags/{tag}",
        Function::Images,
    ),
    route(
        "POST",
        "/v2/images/{image_id}/actions/deactivate",
        Function::Images,
    ),
    route(
        "POST",
        "/v2/images/{image_id}/actions/reactivate",
        Function::Images,
    ),
    route("GET", "/v2/images/{image_id}/tasks", Function::Images),
    route("GET", "/v2/schemas/{schema}", Function::Discovery),
    route("GET", "/v2/info/import", Function::Discovery),
    route("GET", "/v2/info/stores", Function::Discovery),
    route("GET", "/v2/info/stores/detail", Function::Discovery),
    route("GET", "/v2/info/usage", Function::Discovery),
    route("GET", "/v2/tasks", Function::Discovery),
    route("GET", "/v2/tasks/{task_id}", Function::Discovery),
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

impl Path {
    /// Finds who answers a request: what is nobody's goes to discovery.
    pub fn resolve(&self, method: &str) -> Destination {
        for route in ROUTES {
            if route.method == method
                && let Some(parameters) = self.matched(route.path)
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
    pub fn allowed(&self) -> Option<String> {
        let mut found: Option<&str> = None;
        let mut methods: Vec<&str> = Vec::new();
        for route in ROUTES {
            if self.matched(route.path).is_some() && found.is_none_or(|first| first == route.path) {
                found = Some(route.path);
                methods.push(route.method);
            }
        }
        found.map(|_| methods.join(", "))
    }

    /// Whether a request is answered without a token: discovery of versions, a browser's preflight.
    pub fn is_open(&self, method: &str) -> bool {
        let first = self.segments.first().map(String::as_str);
        method == "OPTIONS" || first != Some("v2") && self.allowed().is_none()
    }

    /// The parameters of the path, if it has the form of a pattern. An empty segment is no parameter.
    fn matched(&self, pattern: &'static str) -> Option<Vec<(&'static str, String)>> {
        let parts = || pattern.split('/').skip(1).zip(&self.segments);
        let same_length = pattern.split('/').skip(1).count() == self.segments.len();
        let fits = same_length
            && parts().all(|(part, segment)| match parameter(part) {
                Some(_) => !segment.is_empty(),
                None => part == segment,
            });
        fits.then(|| {
            parts()
                .filter_map(|(part, segment)| Some((parameter(part)?, segment.clone())))
                .collect()
        })
    }
}

/// The name of the parameter that a part of a pattern is.
fn parameter(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// A text percent-decoded once, as UTF-8; `None` if it is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who answers.
    pub function: Function,
    /// The route's path, if the path and method are one of ours.
    pub resource: Option<&'static str>,
    /// The path's parameters, decoded.
    pub parameters: Vec<(&'static str, String)>,
}

impl Destination {
    /// The parameter of that name, decoded.
    pub fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Path {
        Path::parse(raw).unwrap()
    }

    #[test]
    fn a_path_finds_its_function() {
        let found = path("/v2/images/a/members/b%2Fc%252F").resolve("PUT");
        assert_eq!(found.function, Function::UpdateMember);
        assert_eq!(found.parameter("image_id"), Some("a"));
        assert_eq!(found.parameter("member_id"), Some("b/c%2F"));
        let quota = path("/v1/cloudimages/quota").resolve("GET");
        assert_eq!(quota.function, Function::Images);
        let members = path("/v1/a%2Fb/cloudimages/i/members").resolve("GET");
        assert_eq!(members.parameter("project_id"), Some("a/b"));
        for (method, nobodys) in [
            ("GET", "/v2/images/"),
            ("GET", "/v2/images/a%2Fb"),
            ("GET", "/v2/images/a%2Fb/members"),
            ("GET", "/v2.99/images"),
            ("GET", "/v2.+9/images"),
            ("GET", "/v1/images/x/members"),
            ("POST", "/v2/images/."),
            ("POST", "/v2/images/.."),
            ("POST", "/v2/images//members"),
            ("get", "/v2/images"),
        ] {
            assert_eq!(path(nobodys).resolve(method).resource, None, "{nobodys}");
        }
    }

    #[test]
    fn only_discovery_is_open() {
        for open in ["/", "/versions", "/v3/", "/v1/nonsense", "/healthcheck"] {
            assert!(path(open).is_open("GET"), "{open}");
        }
        for closed in [
            "/v2",
            "//v2.9/images",
            "/v2/nonsense",
            "/v1/cloudimages/job/x",
        ] {
            assert!(!path(closed).is_open("GET"), "{closed}");
            assert!(path(closed).is_open("OPTIONS"), "{closed}");
        }
    }

    #[test]
    fn a_path_lists_its_methods() {
        for (sent, methods) in [
            ("/v2/images/x/members/y", Some("GET, PUT, DELETE")),
            ("/v2/images", Some("GET, POST")),
            ("/v2/images/x/actions/reactivate", Some("POST")),
            ("/v2/images/x/actions/bogus", None),
            ("/v2/nonsense", None),
        ] {
            assert_eq!(path(sent).allowed().as_deref(), methods, "{sent}");
        }
    }
}
