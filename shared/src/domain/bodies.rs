//! The bodies of requests about members and batches. Pure.
//!
//! They are not parsed by a derive: clients print the sentences about what is wrong with a body, and
//! know those of Glance and of IMS.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::id::{BadProjectId, PROJECT_ID_MAX_CHARS, ProjectId};
use super::ims_code::ImsCode;
use super::member::MemberStatus;
#[cfg(feature = "openapi")]
use super::openapi;
use super::trust::{RULES_MAX, TrustMode, TrustRule};

/// The longest vault id, in characters.
const VAULT_ID_MAX: usize = 255;

/// The body of a request that shares an image with a project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewMember {
    /// The project to share the image with.
    pub member: ProjectId,
}

impl NewMember {
    /// Parses the body.
    ///
    /// # Errors
    /// 400 with Glance's sentence for a body that names no project.
    pub fn parse(body: &Value) -> Result<Self, ApiError> {
        let Value::Object(body) = body else {
            return Err(ApiError::bad_request(
                "Expected a member in the form: {\"member\": \"image_id\"}",
            ));
        };
        let empty = || ApiError::bad_request("Member can't be empty");
        let member = match body.get("member") {
            None => Err(ApiError::bad_request("Member to be added not specified")),
            Some(Value::String(text)) => ProjectId::parse(text.as_str()).map_err(|bad| match bad {
                BadProjectId::Empty => empty(),
                BadProjectId::TooLong => ApiError::bad_request(format!(
                    "Member can't be longer than {PROJECT_ID_MAX_CHARS} characters"
                )),
            }),
            Some(Value::Null | Value::Bool(false)) => Err(empty()),
            Some(Value::Number(number)) if number.as_f64() == Some(0.0) => Err(empty()),
            Some(Value::Array(items)) if items.is_empty() => Err(empty()),
            Some(Value::Object(entries)) if entries.is_empty() => Err(empty()),
            Some(Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(ApiError::bad_request("Member must be a string"))
            }
        };
        member.map(|member| Self { member })
    }
}

/// The body of a member's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Answer))]
pub struct MemberAnswer {
    /// What the project answers.
    // `None` for a word that is no status: Glance reports that after everything else.
    #[cfg_attr(feature = "openapi", schema(value_type = MemberStatus))]
    pub status: Option<MemberStatus>,
    /// The vault for an image that was made from a backup of a whole server.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 255))]
    pub vault_id: Option<String>,
}

impl MemberAnswer {
    /// Parses the body.
    ///
    /// # Errors
    /// 400 with Glance's sentence for a body without a status, or with a vault that cannot be one.
    pub fn parse(body: &Value) -> Result<Self, ApiError> {
        let Value::Object(body) = body else {
            return Err(ApiError::bad_request(
                "Expected a status in the form: {\"status\": \"status\"}",
            ));
        };
        let status = body
            .get("status")
            .ok_or_else(|| ApiError::bad_request("Status not specified"))?;
        let vault_id = vault_of(body).map_err(|NoVault| {
            ApiError::bad_request(format!(
                "The vault_id must be a string of 1 to {VAULT_ID_MAX} characters."
            ))
        })?;
        Ok(Self {
            status: status.as_str().and_then(MemberStatus::parse),
            vault_id,
        })
    }
}

/// The body of a batch that shares images with projects, or ends their memberships: every image with
/// every project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", serde(deny_unknown_fields))]
pub struct BatchMembers {
    /// The images as the request names them: one that is no image's id fails its own entries only.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::image_ids))]
    pub images: Vec<String>,
    /// The projects.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::batch_projects))]
    pub projects: Vec<ProjectId>,
}

impl BatchMembers {
    /// Parses the body.
    ///
    /// # Errors
    /// A code of IMS for what is missing, of another type, or unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let body = object(bytes, &["images", "projects"])?;
        let images = texts(&body, "images")?;
        let projects = texts(&body, "projects")?;
        let projects = projects.iter().map(|project| project_of(project));
        Ok(Self {
            images,
            projects: projects.collect::<Result<_, _>>()?,
        })
    }
}

/// The body of a batch that accepts or rejects images for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", serde(deny_unknown_fields))]
pub struct BatchAnswers {
    /// The images as the request names them: one that is no image's id fails its own entries only.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::image_ids))]
    pub images: Vec<String>,
    /// The project that answers.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::batch_project))]
    pub project_id: ProjectId,
    /// Accepted or rejected.
    #[cfg_attr(feature = "openapi", schema(schema_with = openapi::batch_status))]
    pub status: MemberStatus,
    /// The vault for images that were made from a backup of a whole server.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 255))]
    pub vault_id: Option<String>,
}

impl BatchAnswers {
    /// Parses the body. Whether the caller may answer for the project is asked as soon as that is
    /// known: what else is wrong with the body is only said to who may.
    ///
    /// # Errors
    /// A code of IMS for what is missing, of another type, or unknown; or what `may` says.
    pub fn parse(
        bytes: &[u8],
        may: impl FnOnce(&ProjectId) -> Result<(), ApiError>,
    ) -> Result<Self, ApiError> {
        let body = object(bytes, &["images", "project_id", "status", "vault_id"])?;
        let images = texts(&body, "images")?;
        let project_id = match body.get("project_id") {
            Some(Value::String(text)) => project_of(text)?,
            Some(_) => return Err(bad("project_id must be a string.")),
            None => return Err(bad("project_id is missing.")),
        };
        may(&project_id)?;
        let status = body.get("status").and_then(Value::as_str);
        let status = status
            .and_then(MemberStatus::parse)
            .filter(|status| matches!(status, MemberStatus::Accepted | MemberStatus::Rejected))
            .ok_or_else(|| bad("status must be \"accepted\" or \"rejected\"."))?;
        let vault_id = vault_of(&body).map_err(|NoVault| {
            bad(format!(
                "vault_id must be a string of 1 to {VAULT_ID_MAX} characters."
            ))
        })?;
        Ok(Self {
            images,
            project_id,
            status,
            vault_id,
        })
    }
}

/// Parses the body that sets a project's rules about trusted owners.
///
/// # Errors
/// A code of IMS for what is missing, of another type, or unknown; for a rule about the project itself, a
/// second rule about an owner, and more rules than [`RULES_MAX`].
pub fn trust_rules(bytes: &[u8], project: &ProjectId) -> Result<Vec<TrustRule>, ApiError> {
    let body = object(bytes, &["rules"])?;
    let rules = match body.get("rules") {
        Some(Value::Array(rules)) => rules,
        Some(_) => return Err(bad("rules must be a list.")),
        None => return Err(bad("rules is missing.")),
    };
    if rules.len() > RULES_MAX {
        let message = format!("{} rules at once, Maximum: {RULES_MAX}.", rules.len());
        return Err(ApiError::ims_because(ImsCode::TooMany, message));
    }
    let mut parsed: Vec<TrustRule> = Vec::with_capacity(rules.len());
    for rule in rules {
        let rule = trust_rule(rule)?;
        if rule.owner == *project {
            let message = "A project has no rule about itself.";
            return Err(ApiError::ims_because(ImsCode::SharingWithYourself, message));
        }
        if parsed.iter().any(|other| other.owner == rule.owner) {
            return Err(bad(format!("There are two rules about {}.", rule.owner)));
        }
        parsed.push(rule);
    }
    Ok(parsed)
}

fn trust_rule(rule: &Value) -> Result<TrustRule, ApiError> {
    let Value::Object(rule) = rule else {
        return Err(bad("A rule must be an object with owner and mode."));
    };
    only(rule, &["owner", "mode"])?;
    let owner = match rule.get("owner") {
        Some(Value::String(text)) => project_of(text)?,
        Some(_) => return Err(bad("owner must be a string.")),
        None => return Err(bad("owner is missing.")),
    };
    let mode = rule.get("mode").and_then(Value::as_str);
    let mode = mode
        .and_then(TrustMode::parse)
        .ok_or_else(|| bad("mode must be \"accept\" or \"reject\"."))?;
    Ok(TrustRule { owner, mode })
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::ims_because(ImsCode::BadRequest, message)
}

/// The JSON object of a batch, if it has no other keys than these: a key that is ignored would look
/// like one that has worked.
fn object(bytes: &[u8], known: &[&str]) -> Result<Map<String, Value>, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::ims(ImsCode::EmptyBody));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return Err(ApiError::ims(ImsCode::BadRequest));
    };
    only(&body, known)?;
    Ok(body)
}

fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(bad(format!(
            "{unknown} is not supported here; the body may have {}.",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// A list of strings that is not empty.
fn texts(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, ApiError> {
    let Some(value) = body.get(name) else {
        return Err(bad(format!("{name} is missing.")));
    };
    let items = value.as_array().filter(|items| !items.is_empty());
    let texts = items.and_then(|items| {
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect()
    });
    texts.ok_or_else(|| bad(format!("{name} must be a list of one or more strings.")))
}

/// A project id of a batch: without control characters, unlike the ones that v2 takes.
fn project_of(text: &str) -> Result<ProjectId, ApiError> {
    ProjectId::parse(text)
        .ok()
        .filter(|_| !text.chars().any(char::is_control))
        .ok_or_else(|| ApiError::ims(ImsCode::BadProjectId))
}

/// A vault id that is none: each family of clients has its own sentence for it.
struct NoVault;

/// The vault that a body names, if it names one.
fn vault_of(body: &Map<String, Value>) -> Result<Option<String>, NoVault> {
    match body.get("vault_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=VAULT_ID_MAX).contains(&text.chars().count()) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(NoVault),
    }
}
