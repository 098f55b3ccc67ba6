//! The principal of a token. The authorizer writes it into the gateway's context, and functions read
//! it from there; the local server attaches it to the request as an extension.

use serde_json::Value;

use crate::auth::access_rules::AccessRules;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::policy::{Caller, Role};
use crate::domain::time::Timestamp;
use crate::http::Request;
use crate::http::request;

/// The names of the context's fields.
const PROJECT: &str = "project_id";
const USER: &str = "user_id";
const ROLES: &str = "roles";
const EXPIRES_AT: &str = "expires_at";
const ACCESS_RULES: &str = "access_rules";

/// What a token authenticates: a user in a project with a role, until it expires, for some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's id.
    pub user: String,
    /// The project that the token is scoped to.
    pub project: ProjectId,
    /// The strongest of the token's roles.
    pub role: Role,
    /// When the token expires.
    pub expires_at: Option<Timestamp>,
    /// The requests that the token may make, if its application credential restricts them.
    pub access_rules: Option<AccessRules>,
}

impl Principal {
    /// Serializes the principal as names and values. The token is not among them.
    pub fn to_context(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            (PROJECT, String::from(self.project.clone())),
            (USER, self.user.clone()),
            (ROLES, self.role.with_implied().to_owned()),
        ];
        fields.extend(self.expires_at.map(|until| (EXPIRES_AT, until.stored())));
        let rules = self.access_rules.as_ref();
        fields.extend(rules.map(|rules| (ACCESS_RULES, rules.to_context())));
        fields
    }

    /// Parses the context; `None` if it has no principal.
    ///
    /// # Errors
    /// 401 if a field is not as [`Self::to_context`] writes it: a restriction that does not parse must
    /// not be dropped.
    pub fn of_context<'a>(
        field: impl Fn(&str) -> Option<&'a Value>,
    ) -> Option<Result<Self, ApiError>> {
        field(PROJECT)?;
        Some(Self::of_fields(field).ok_or(ApiError::Unauthorized))
    }

    fn of_fields<'a>(field: impl Fn(&str) -> Option<&'a Value>) -> Option<Self> {
        // `None` if the field exists and is not a text.
        let text = |name: &str| match field(name) {
            None => Some(None),
            Some(value) => value.as_str().map(Some),
        };
        let expires_at = match text(EXPIRES_AT)? {
            None => None,
            Some(until) => Some(Timestamp::parse(until)?),
        };
        let access_rules = match text(ACCESS_RULES)? {
            None => None,
            Some(rules) => Some(AccessRules::of_context(rules)?),
        };
        Some(Self {
            user: text(USER)?.unwrap_or_default().to_owned(),
            project: ProjectId::parse(text(PROJECT)??).ok()?,
            role: Role::of_implied(text(ROLES)?.unwrap_or_default()),
            expires_at,
            access_rules,
        })
    }

    /// Returns the caller, if the token permits a request.
    ///
    /// # Errors
    /// 401 if the token has expired, or does not permit the request.
    pub fn caller(self, request: &Request, now: Timestamp) -> Result<Caller, ApiError> {
        // A gateway may cache the context longer than the token lives.
        if self.expires_at.is_some_and(|until| until <= now) {
            return Err(ApiError::Unauthorized);
        }
        if let Some(rules) = &self.access_rules {
            let path = request::target(request).map_err(ApiError::from)?;
            if !rules.permit(request.method().as_str(), &path) {
                return Err(ApiError::Unauthorized);
            }
        }
        Ok(Caller {
            user: self.user,
            project: self.project,
            role: self.role,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn principal() -> Principal {
        let rules = json!([{"service": "image", "method": "GET", "path": "/v2/images"}]);
        Principal {
            user: "u-1".to_owned(),
            project: ProjectId::parse("a#b,\n\"☃").unwrap(),
            role: Role::Member,
            expires_at: Timestamp::parse("2025-10-09T08:53:20Z"),
            access_rules: AccessRules::of_keystone(&rules).ok(),
        }
    }

    fn context(principal: &Principal) -> Map<String, Value> {
        let fields = principal.to_context().into_iter();
        fields
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect()
    }

    fn read(context: &Map<String, Value>) -> Option<Result<Principal, ApiError>> {
        Principal::of_context(|name| context.get(name))
    }

    #[test]
    fn what_is_written_is_read() {
        for role in Role::ALL {
            for (expires_at, access_rules) in [
                (None, None),
                (principal().expires_at, principal().access_rules),
            ] {
                let written = Principal {
                    role,
                    expires_at,
                    access_rules,
                    ..principal()
                };
                let found = read(&context(&written)).unwrap();
                assert!(found.is_ok_and(|found| found == written));
            }
        }
        assert!(read(&Map::new()).is_none());
    }

    #[test]
    fn a_restriction_that_cannot_be_read_is_not_left_out() {
        for (name, bad) in [
            (PROJECT, json!("")),
            (PROJECT, json!(1)),
            (PROJECT, json!(null)),
            (USER, json!(["u"])),
            (ROLES, json!(["admin"])),
            (EXPIRES_AT, json!("")),
            (EXPIRES_AT, json!("soon")),
            (EXPIRES_AT, json!(4_070_908_800_u32)),
            (EXPIRES_AT, json!(null)),
            (ACCESS_RULES, json!("")),
            (ACCESS_RULES, json!([])),
            (ACCESS_RULES, json!(null)),
        ] {
            let mut context = context(&principal());
            context.insert(name.to_owned(), bad.clone());
            let found = read(&context).unwrap();
            assert!(matches!(found, Err(ApiError::Unauthorized)), "{name} {bad}");
        }
    }

    #[test]
    fn a_token_is_good_until_it_ends_and_for_what_it_permits() {
        let until = principal().expires_at.unwrap();
        let before = until.plus_seconds(-1);
        let calls = |principal: Principal, method: &str, now| {
            let mut request = Request::default();
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = "/v2/images".parse().unwrap();
            principal.caller(&request, now).is_ok()
        };
        assert!(calls(principal(), "GET", before));
        assert!(!calls(principal(), "GET", until));
        assert!(!calls(principal(), "POST", before));
        let free = Principal {
            access_rules: None,
            expires_at: None,
            ..principal()
        };
        assert!(calls(free, "POST", until));
    }
}
