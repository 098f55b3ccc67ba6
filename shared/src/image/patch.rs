//! The changes of `PATCH /v2/images/{image_id}`: two forms of JSON patch, read and applied. Pure.

use serde_json::Value;

use super::{DERIVED, Image, Visibility, check_settable, check_visibility, is_base, read_only};
use crate::auth::{Caller, Role};
use crate::error::ApiError;
use crate::id::OperationId;
use crate::schema;
use crate::time::Timestamp;

/// One change of a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    kind: ChangeKind,
    name: String,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeKind {
    Add,
    AddNew,
    Replace,
    Remove,
}

/// The two media types of a patch and their form of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/openstack-images-v2.0-json-patch`: `{"replace": "/name", "value": …}`.
    V20,
    /// `application/openstack-images-v2.1-json-patch`: `{"op": "replace", "path": "/name", …}`.
    V21,
}

/// The changes that a patch body asks for.
///
/// # Errors
/// 400 for a malformed operation, 403 for a property that the caller's role may not set.
pub fn parse(body: Value, form: Form, role: Role) -> Result<Vec<Change>, ApiError> {
    let Value::Array(operations) = body else {
        return Err(ApiError::bad_request(
            "Request body must be a JSON array of operation objects.",
        ));
    };
    operations
        .iter()
        .map(|operation| parse_change(operation, form, role))
        .collect()
}

fn parse_change(operation: &Value, form: Form, role: Role) -> Result<Change, ApiError> {
    let Value::Object(operation) = operation else {
        return Err(ApiError::bad_request("Operations must be JSON objects."));
    };
    let known = |word: &str| match word {
        "add" => Some(if form == Form::V20 {
            ChangeKind::AddNew
        } else {
            ChangeKind::Add
        }),
        "replace" => Some(ChangeKind::Replace),
        "remove" => Some(ChangeKind::Remove),
        _ => None,
    };
    let (word, kind, pointer) = match form {
        Form::V21 => {
            let word = match operation.get("op") {
                None | Some(Value::Null) => {
                    return Err(ApiError::bad_request(
                        "Unable to find `op` in JSON Schema change. It must be one of the \
                         following: add, remove, replace.",
                    ));
                }
                Some(Value::String(word)) => word.as_str(),
                Some(_) => "",
            };
            let kind = known(word).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "Invalid operation: `{word}`. It must be one of the following: add, remove, \
                     replace."
                ))
            })?;
            let pointer = operation.get("path").ok_or_else(|| {
                ApiError::bad_request("Unable to find 'path' in JSON Schema change")
            })?;
            (word, kind, pointer)
        }
        Form::V20 => {
            let mut found = operation.iter().filter_map(|(word, pointer)| {
                known(word).map(|kind| (word.as_str(), kind, pointer))
            });
            match (found.next(), found.next()) {
                (Some(one), None) => one,
                (None, _) => {
                    return Err(ApiError::bad_request(
                        "Operation objects must contain exactly one member named \"add\", \
                         \"remove\", or \"replace\".",
                    ));
                }
                (Some(_), Some(_)) => {
                    return Err(ApiError::bad_request(
                        "Operation objects must contain only one member named \"add\", \
                         \"remove\", or \"replace\".",
                    ));
                }
            }
        }
    };
    let name = property_of(pointer)?;
    let value = match kind {
        ChangeKind::Remove => Value::Null,
        ChangeKind::Add | ChangeKind::AddNew | ChangeKind::Replace => {
            operation.get("value").cloned().ok_or_else(|| {
                ApiError::bad_request(format!(
                    "Operation \"{word}\" requires a member named \"value\"."
                ))
            })?
        }
    };
    check_settable(&name, role)?;
    if matches!(name.as_str(), "id" | "updated_at") || DERIVED.contains(&name.as_str()) {
        return Err(read_only(&name));
    }
    if name == "locations" {
        return Err(ApiError::forbidden(
            "It's not allowed to update locations: image data is not this service's.",
        ));
    }
    if kind != ChangeKind::Remove {
        schema::check_image_property(&name, &value).map_err(ApiError::bad_request)?;
    }
    Ok(Change { kind, name, value })
}

/// The property that a JSON pointer names; images have no deeper paths.
fn property_of(pointer: &Value) -> Result<String, ApiError> {
    let Value::String(pointer) = pointer else {
        return Err(ApiError::bad_request(
            "The path of a change must be a string.",
        ));
    };
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` does not start with \"/\"."
        )));
    };
    if rest.ends_with('/') {
        return Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` end with \"/\"."
        )));
    }
    let mut escape = rest.split('~').skip(1);
    if !escape.all(|after| after.starts_with(['0', '1'])) {
        return Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` contains \"~\" not part of a recognized escape sequence."
        )));
    }
    if rest.contains('/') {
        return Err(ApiError::bad_request(format!(
            "Invalid JSON pointer for this resource: '/{rest}'"
        )));
    }
    let name = rest.replace("~1", "/").replace("~0", "~");
    let name = name.trim();
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` names no property."
        )));
    }
    Ok(name.to_owned())
}

/// What the caller may not change, whatever the image is.
///
/// # Errors
/// 403 for the owner (admins only) and for a visibility that the role may not give.
pub fn check(changes: &[Change], caller: &Caller) -> Result<(), ApiError> {
    for change in changes {
        let name = change.name.as_str();
        if name == "owner" && change.kind != ChangeKind::Remove && caller.role != Role::Admin {
            return Err(ApiError::forbidden_detail(
                "Owner can't be updated by non admin.",
            ));
        }
        if name == "visibility"
            && let Some(wanted) = change.value.as_str().and_then(Visibility::parse)
        {
            check_visibility(wanted, caller)?;
        }
    }
    Ok(())
}

/// The image after a patch. The order of the changes counts; none is applied if one is refused.
///
/// # Errors
/// 403 for what may not be removed, 409 for a property that is not there.
pub fn apply(
    image: &Image,
    changes: &[Change],
    op: OperationId,
    now: Timestamp,
) -> Result<Image, ApiError> {
    let mut next = image.clone();
    for change in changes {
        let name = change.name.as_str();
        match change.kind {
            ChangeKind::AddNew if next.has(name) => {
                return Err(ApiError::conflict_detail(format!(
                    "Property {name} already present."
                )));
            }
            ChangeKind::Add | ChangeKind::AddNew => next.set(name, change.value.clone())?,
            ChangeKind::Replace if next.has(name) => next.set(name, change.value.clone())?,
            ChangeKind::Remove if is_base(name) => {
                return Err(ApiError::forbidden_detail(format!(
                    "Property {name} may not be removed."
                )));
            }
            ChangeKind::Remove if next.has(name) => {
                next.properties.remove(name);
            }
            ChangeKind::Replace | ChangeKind::Remove => {
                return Err(ApiError::conflict_detail(format!(
                    "Property {name} does not exist."
                )));
            }
        }
    }
    next.check_size()?;
    if next != *image {
        next.updated_at = now;
    }
    next.op = op.not_before(image.op);
    Ok(next)
}
