//! The two forms of JSON patch of `PATCH /v2/images/{image_id}`: parsed, then applied.

use serde_json::{Map, Value, json};

use super::{
    DERIVED, Image, PIPELINE, check_name, is_base, is_reserved, no_image, read_only, reserved,
};
use crate::domain::error::ApiError;
use crate::domain::json_schema;
use crate::domain::policy::{Action, Caller, ImageAction, Policy, RecordAction, Setting, Target};
use crate::domain::visibility::Visibility;

/// Glance's internal name of an image's id. A new image can have a custom property of that name, but a
/// patch refers to the id.
const IMAGE_ID: &str = "image_id";
/// The locations of an image's data. They cannot be patched; the refusals are those of a Glance that
/// shows locations to nobody.
const LOCATIONS: &str = "locations";

/// One change of a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    kind: Kind,
    name: String,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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
pub fn parse(
    body: Value,
    form: Form,
    policy: Policy,
    caller: &Caller,
) -> Result<Vec<Operation>, ApiError> {
    let Value::Array(operations) = body else {
        return Err(ApiError::bad_request(
            "Request body must be a JSON array of operation objects.",
        ));
    };
    operations
        .iter()
        .map(|operation| parse_change(operation, form, policy, caller))
        .collect()
}

fn parse_change(
    operation: &Value,
    form: Form,
    policy: Policy,
    caller: &Caller,
) -> Result<Operation, ApiError> {
    let Value::Object(operation) = operation else {
        return Err(ApiError::bad_request("Operations must be JSON objects."));
    };
    let (kind, pointer) = match form {
        Form::V21 => of_two_members(operation)?,
        Form::V20 => of_one_member(operation)?,
    };
    let (name, within) = property_of(pointer, kind)?;
    let value = match kind {
        Kind::Remove => Value::Null,
        Kind::Add | Kind::AddNew | Kind::Replace => {
            operation.get("value").cloned().ok_or_else(|| {
                ApiError::bad_request(format!(
                    "Operation \"{}\" requires a member named \"value\".",
                    kind.word()
                ))
            })?
        }
    };
    check_changeable(&name, kind, policy, caller)?;
    if kind != Kind::Remove {
        let checked = match within {
            true => json_schema::check_image_property(&name, &json!([value])),
            false => json_schema::check_image_property(&name, &value),
        };
        checked.map_err(ApiError::bad_request)?;
    }
    Ok(Operation { kind, name, value })
}

impl Kind {
    /// The operation of a word; `add` has two meanings.
    fn of(word: &str, add: Self) -> Option<Self> {
        [add, Self::Replace, Self::Remove]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Add | Self::AddNew => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }
}

/// The operation and the pointer of `{"op": "replace", "path": "/name", …}`.
fn of_two_members(operation: &Map<String, Value>) -> Result<(Kind, &Value), ApiError> {
    let word = match operation.get("op") {
        None | Some(Value::Null) => {
            return Err(ApiError::bad_request(
                "Unable to find `op` in JSON Schema change. It must be one of the following: add, \
                 remove, replace.",
            ));
        }
        Some(Value::String(word)) => word.clone(),
        Some(other) => json_schema::python::repr(other),
    };
    let kind = Kind::of(&word, Kind::Add).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid operation: `{word}`. It must be one of the following: add, remove, replace."
        ))
    })?;
    let pointer = operation
        .get("path")
        .ok_or_else(|| ApiError::bad_request("Unable to find 'path' in JSON Schema change"))?;
    Ok((kind, pointer))
}

/// The operation and the pointer of `{"replace": "/name", …}`.
fn of_one_member(operation: &Map<String, Value>) -> Result<(Kind, &Value), ApiError> {
    let mut found = operation
        .iter()
        .filter_map(|(word, pointer)| Some((Kind::of(word, Kind::AddNew)?, pointer)));
    let several = match (found.next(), found.next()) {
        (Some(one), None) => return Ok(one),
        (None, _) => "exactly",
        (Some(_), Some(_)) => "only",
    };
    Err(ApiError::bad_request(format!(
        "Operation objects must contain {several} one member named \"add\", \"remove\", or \
         \"replace\"."
    )))
}

/// Checks that a property is one that a patch by this caller may change.
fn check_changeable(
    name: &str,
    kind: Kind,
    policy: Policy,
    caller: &Caller,
) -> Result<(), ApiError> {
    // `created_at` is in the keys that lists are read by: it can be given when an image is made, only.
    let fixed = matches!(name, "id" | "created_at" | "updated_at");
    // An image shows no `stores`, so here it is a custom property like any other.
    let derived = DERIVED.contains(&name) && name != "stores";
    if fixed || derived {
        return Err(read_only(name));
    }
    if PIPELINE.contains(&name) {
        let decided = policy.decide(caller, Action::Set(Setting::PipelineField(name)));
        decided.map_err(|denied| denied.glance())?;
    }
    if is_reserved(name) {
        return Err(ApiError::forbidden(reserved(name)));
    }
    match kind {
        Kind::Remove => Ok(()),
        Kind::Add | Kind::AddNew | Kind::Replace => check_name(name),
    }
}

/// The property that a JSON pointer names, and whether it means a place within it: one location is
/// added and removed, all of them are replaced, and nothing else has places. As in Glance, slashes at
/// the beginning of a pointer count once, and white space around a name not at all.
fn property_of(pointer: &Value, kind: Kind) -> Result<(String, bool), ApiError> {
    let Value::String(pointer) = pointer else {
        return Err(ApiError::bad_request(
            "The path of a change must be a string.",
        ));
    };
    let bad = |what: &str| {
        Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` {what}."
        )))
    };
    let Some(rest) = pointer.strip_prefix('/') else {
        return bad("does not start with \"/\"");
    };
    let between: Vec<&str> = rest.split('/').collect();
    let adjacent = between.get(1..between.len() - 1).unwrap_or_default();
    if adjacent.iter().any(|part| part.trim().is_empty()) {
        return bad("contains adjacent \"/\"");
    }
    if rest.ends_with('/') {
        return bad("end with \"/\"");
    }
    let mut escape = rest.split('~').skip(1);
    if !escape.all(|after| after.starts_with(['0', '1'])) {
        return bad("contains \"~\" not part of a recognized escape sequence");
    }
    let parts: Vec<String> = rest
        .trim_start_matches('/')
        .split('/')
        .map(|part| {
            let name = part.replace("~1", "/").replace("~0", "~");
            name.trim().to_owned()
        })
        .collect();
    match (parts.as_slice(), kind) {
        ([name], _) if name != LOCATIONS => Ok((name.clone(), false)),
        ([name], Kind::Replace) => Ok((name.clone(), false)),
        ([name, _], Kind::Add | Kind::AddNew | Kind::Remove) if name == LOCATIONS => {
            Ok((name.clone(), true))
        }
        _ => Err(ApiError::bad_request(format!(
            "Invalid JSON pointer for this resource: '/{}'",
            parts.join("/")
        ))),
    }
}

/// Checks one tag against the schema.
///
/// # Errors
/// 400 for one that is too long.
pub fn check_tag(tag: &str) -> Result<(), ApiError> {
    json_schema::check_image_property("tags", &json!([tag])).map_err(ApiError::bad_request)
}

/// Who asks for a patch, and of which image.
#[derive(Clone, Copy, Debug)]
pub struct Patcher<'a> {
    /// The policy that decides.
    pub policy: Policy,
    /// Who asks.
    pub caller: &'a Caller,
    /// The image as the policy has to know it.
    pub target: Target<'a>,
}

impl Patcher<'_> {
    fn may(&self, action: ImageAction<'_>) -> Result<(), ApiError> {
        self.policy
            .decide(self.caller, Action::Image(action, self.target))
            .map_err(|denied| denied.glance())
    }

    fn may_set(&self, setting: Setting<'_>) -> Result<(), ApiError> {
        self.policy
            .decide(self.caller, Action::Set(setting))
            .map_err(|denied| denied.glance())
    }

    /// Checks that the caller may give the values of a change, whatever it may do to the image
    /// otherwise.
    fn check(&self, change: &Operation, image: &Image) -> Result<(), ApiError> {
        let gives_away = match change.kind {
            Kind::Remove => false,
            Kind::Replace => true,
            // Who adds the owner that is there changes nothing.
            Kind::Add | Kind::AddNew => change.value.as_str() != Some(image.owner.as_str()),
        };
        if change.name == "owner" && gives_away {
            self.may_set(Setting::Owner)?;
        }
        match change.value.as_str().and_then(Visibility::parse) {
            Some(wanted) if change.name == "visibility" => {
                self.may_set(Setting::Visibility(wanted, &image.owner))
            }
            _ => Ok(()),
        }
    }

    /// Why locations are not changed: nobody sees any.
    fn no_locations(&self, change: &Operation) -> ApiError {
        let (verb, action) = match change.kind {
            Kind::Replace if change.value == json!([]) => {
                return ApiError::forbidden_detail("Cannot set locations to empty list.");
            }
            Kind::Replace => ("update", ImageAction::Record(RecordAction::SetLocation)),
            Kind::Add | Kind::AddNew => ("add", ImageAction::Record(RecordAction::SetLocation)),
            Kind::Remove => ("remove", ImageAction::Record(RecordAction::RemoveLocation)),
        };
        match self.may(action) {
            Err(denied) => denied,
            Ok(()) => ApiError::forbidden(format!(
                "It's not allowed to {verb} locations if locations are invisible."
            )),
        }
    }
}

/// The image after a patch. The order of the changes counts; none is applied if one is refused.
///
/// # Errors
/// Forbidden for what the caller may not do, and for what may not be changed or removed; a conflict
/// for a property that is not there; not found for another `image_id`.
pub fn apply(image: &Image, changes: &[Operation], by: Patcher<'_>) -> Result<Image, ApiError> {
    let mut next = image.clone();
    for change in changes {
        if change.name == LOCATIONS {
            return Err(by.no_locations(change));
        }
        by.check(change, image)?;
        by.may(ImageAction::Record(RecordAction::Modify))?;
        change.apply_to(&mut next)?;
    }
    next.check_size()?;
    let mut ids = changes.iter().filter(|change| change.name == IMAGE_ID);
    let wanted = ids.next_back();
    let wanted = wanted.map(|change| change.value.as_str().unwrap_or_default());
    match wanted.filter(|wanted| *wanted != image.id.to_string()) {
        Some(other) => Err(ApiError::not_found(no_image(other))),
        None => Ok(next),
    }
}

impl Operation {
    fn apply_to(&self, image: &mut Image) -> Result<(), ApiError> {
        let name = self.name.as_str();
        let there = image.has(name) || name == IMAGE_ID;
        match self.kind {
            Kind::AddNew if there => Err(ApiError::conflict_detail(format!(
                "Property {name} already present."
            ))),
            Kind::Remove if is_base(name) || name == IMAGE_ID => Err(ApiError::forbidden_detail(
                format!("Property {name} may not be removed."),
            )),
            Kind::Remove if there => {
                image.properties.remove(name);
                Ok(())
            }
            Kind::Replace | Kind::Remove if !there => Err(ApiError::conflict_detail(format!(
                "Property {name} does not exist."
            ))),
            Kind::Add | Kind::AddNew | Kind::Replace | Kind::Remove => self.set_in(image),
        }
    }

    fn set_in(&self, image: &mut Image) -> Result<(), ApiError> {
        let name = self.name.as_str();
        if matches!(name, "disk_format" | "container_format")
            && !matches!(image.status.as_str(), "queued" | "importing")
        {
            return Err(ApiError::forbidden(format!(
                "Attribute {name} can be only replaced for a queued image."
            )));
        }
        // Looked at when the image is stored.
        if name == IMAGE_ID {
            return Ok(());
        }
        image.set(name, self.value.clone())
    }
}

#[cfg(test)]
mod tests;
