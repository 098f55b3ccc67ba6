//! Every path of the API and the function that answers it.
//!
//! The gateway's template, the local server and the tests all hold to this table. What a path is, and
//! which spellings are the same path, is in [`Path`].

mod operation;
mod path;
mod unrouted;

use percent_encoding::percent_decode_str;

pub use operation::{
    BatchKind, Discover, Function, OnImages, OnTrustedOwners, Operation, ReadJobs, ReadMembers,
};
pub use path::{Family, NotUtf8, Path, V2_MINORS, is_v2};
pub use unrouted::{NotServed, Unrouted};

/// One method of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for a segment that is a parameter.
    pub path: &'static str,
    /// What it asks for.
    pub operation: Operation,
}

/// The paths that more than one method has.
const IMAGES: &str = "/v2/images";
const IMAGE: &str = "/v2/images/{image_id}";
const MEMBERS: &str = "/v2/images/{image_id}/members";
const MEMBER: &str = "/v2/images/{image_id}/members/{member_id}";
const TAG: &str = "/v2/images/{image_id}/tags/{tag}";
const BATCH: &str = "/v1/cloudimages/members";
const TRUSTED_OWNERS: &str = "/v1/{project_id}/cloudimages/trusted-owners";

const fn route(method: &'static str, path: &'static str, operation: Operation) -> Route {
    Route {
        method,
        path,
        operation,
    }
}

const fn images(method: &'static str, path: &'static str, operation: OnImages) -> Route {
    route(method, path, Operation::Images(operation))
}

const fn members(path: &'static str, operation: ReadMembers) -> Route {
    route("GET", path, Operation::Members(operation))
}

const fn jobs(path: &'static str, operation: ReadJobs) -> Route {
    route("GET", path, Operation::Jobs(operation))
}

const fn discover(path: &'static str, operation: Discover) -> Route {
    route("GET", path, Operation::Discovery(operation))
}

/// The API. Methods of one path stand in the order in which `Allow` lists them.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    images("GET", IMAGES, OnImages::List),
    images("POST", IMAGES, OnImages::Create),
    images("GET", IMAGE, OnImages::Show),
    images("PATCH", IMAGE, OnImages::Change),
    images("DELETE", IMAGE, OnImages::Delete),
    members(MEMBERS, ReadMembers::List),
    route("POST", MEMBERS, Operation::AddMember),
    members(MEMBER, ReadMembers::Show),
    route("PUT", MEMBER, Operation::UpdateMember),
    route("DELETE", MEMBER, Operation::RemoveMember),
    images("PUT", TAG, OnImages::AddTag),
    images("DELETE", TAG, OnImages::RemoveTag),
    images("POST", "/v2/images/{image_id}/actions/deactivate", OnImages::Deactivate),
    images("POST", "/v2/images/{image_id}/actions/reactivate", OnImages::Reactivate),
    images("GET", "/v2/images/{image_id}/tasks", OnImages::ListTasks),
    discover("/v2/schemas/{schema}", Discover::ShowSchema),
    discover("/v2/info/import", Discover::ShowImportMethods),
    discover("/v2/info/stores", Discover::ListStores),
    discover("/v2/info/stores/detail", Discover::ListStoresInDetail),
    discover("/v2/info/usage", Discover::ShowUsage),
    discover("/v2/tasks", Discover::ListTasks),
    discover("/v2/tasks/{task_id}", Discover::ShowTask),
    images("GET", "/v2/cloudimages", OnImages::ListCloud),
    route("POST", BATCH, Operation::Batch(BatchKind::Add)),
    route("PUT", BATCH, Operation::Batch(BatchKind::Update)),
    route("DELETE", BATCH, Operation::Batch(BatchKind::Remove)),
    images("GET", "/v1/cloudimages/quota", OnImages::ShowQuota),
    jobs("/v1/cloudimages/job/{job_id}", ReadJobs::Show),
    jobs("/v1/{project_id}/jobs", ReadJobs::List),
    jobs("/v1/{project_id}/jobs/{job_id}", ReadJobs::ShowOfProject),
    members("/v1/{project_id}/cloudimages/invitations", ReadMembers::ListInvitations),
    members("/v1/{project_id}/cloudimages/shares", ReadMembers::ListShares),
    route("GET", TRUSTED_OWNERS, Operation::TrustedOwners(OnTrustedOwners::Show)),
    route("PUT", TRUSTED_OWNERS, Operation::TrustedOwners(OnTrustedOwners::Replace)),
    members("/v1/{project_id}/cloudimages/{image_id}/members", ReadMembers::ListCloud),
    members("/v1/{project_id}/cloudimages/{image_id}/members/{member_id}", ReadMembers::ShowCloud),
];

impl Path {
    /// Finds what a request asks for.
    pub fn resolve(&self, method: &str) -> Destination {
        for route in ROUTES {
            if route.method == method
                && let Some(parameters) = self.matched(route.path)
            {
                return Destination {
                    operation: Some(route.operation),
                    resource: Some(route.path),
                    parameters,
                };
            }
        }
        Destination {
            operation: None,
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
    /// What it asks for, if it has a route.
    pub operation: Option<Operation>,
    /// The route's path, if it has one.
    pub resource: Option<&'static str>,
    /// The path's parameters, decoded.
    pub parameters: Vec<(&'static str, String)>,
}

impl Destination {
    /// The function that answers: what has no route is discovery's.
    pub fn function(&self) -> Function {
        self.operation
            .map_or(Function::Discovery, Operation::function)
    }

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
        assert_eq!(found.function(), Function::UpdateMember);
        assert_eq!(found.parameter("image_id"), Some("a"));
        assert_eq!(found.parameter("member_id"), Some("b/c%2F"));
        let quota = path("/v1/cloudimages/quota").resolve("GET");
        assert_eq!(quota.function(), Function::Images);
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
