//! Creates an image from a request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DERIVED, Image, PIPELINE, check_name, is_reserved, read_only, reserved};
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::json_schema;
use crate::domain::policy::{Action, ApiAction, Caller, Policy, Setting};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// Pipeline properties that are ignored, not refused, if a client other than the pipeline sends them at
/// creation, as in Glance.
const IGNORED: [&str; 2] = ["os_hash_algo", "os_hash_value"];

/// In which order Glance looks at these after it has checked all names. The others come last, in the order of the
/// request.
const LOOKED_AT: [&str; 12] = [
    "tags",
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "locations",
    "min_disk",
    "min_ram",
];

impl Image {
    /// The image that a create request describes, if the caller may create it.
    ///
    /// # Errors
    /// 400 for what does not match the schema, 403 for what the caller may not do or set, in the order
    /// in which Glance looks at them.
    pub fn from_request(
        body: Value,
        policy: Policy,
        caller: &Caller,
        op: OperationId,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let body = json_schema::check_object(body).map_err(ApiError::bad_request)?;
        check_properties(&body)?;
        let may = |action: Action<'_>| {
            let decided = policy.decide(caller, action);
            decided.map_err(|denied| denied.glance())
        };
        if let Some(owner) = body.get("owner") {
            may(Action::Set(Setting::NewOwner(owner.as_str())))?;
        }
        may(Action::Api(ApiAction::CreateImage))?;
        let visibility = body.get("visibility").and_then(Value::as_str);
        if let Some(visibility) = visibility.and_then(Visibility::parse) {
            // Its owner is the caller's project, unless the caller is an admin.
            let setting = Setting::Visibility(visibility, &caller.project);
            may(Action::Set(setting))?;
        }
        let id = match body.get("id").and_then(Value::as_str) {
            Some(text) => ImageId::hyphenated(text)
                .ok_or_else(|| ApiError::bad_request(format!("Invalid image id: {text}")))?,
            None => ImageId::random(),
        };
        let mut image = Self::empty(id, caller.project.clone(), op, now);
        let mut body: Vec<_> = body.into_iter().collect();
        let place = |name: &str| LOOKED_AT.iter().position(|it| *it == name);
        body.sort_by_cached_key(|(name, _)| place(name).unwrap_or(LOOKED_AT.len()));
        for (name, value) in body {
            let name = name.as_str();
            if name == "id" {
                continue;
            }
            if PIPELINE.contains(&name) {
                match may(Action::Set(Setting::PipelineField(name))) {
                    Err(_) if IGNORED.contains(&name) => continue,
                    decided => decided?,
                }
            }
            if name == "updated_at" {
                return Err(read_only(name));
            }
            if name == "locations" {
                return Err(ApiError::forbidden(reserved(name)));
            }
            image.set(name, value)?;
        }
        image.check_size()?;
        image.by = Some(caller.actor());
        Ok(image)
    }

    /// A queued image that says nothing yet.
    fn empty(id: ImageId, owner: ProjectId, op: OperationId, now: Timestamp) -> Self {
        Self {
            id,
            owner,
            visibility: Visibility::Shared,
            name: None,
            status: "queued".to_owned(),
            protected: false,
            os_hidden: false,
            min_ram: 0,
            min_disk: 0,
            container_format: None,
            disk_format: None,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            tags: Vec::new(),
            properties: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            member_count: 0,
            member_version: 0,
            declared: None,
            op,
            by: None,
            incomplete: false,
        }
    }
}

/// Checks the names and the values of all properties. It applies to every caller, admins too.
fn check_properties(body: &Map<String, Value>) -> Result<(), ApiError> {
    if let Some(name) = DERIVED.into_iter().find(|name| body.contains_key(*name)) {
        return Err(read_only(name));
    }
    json_schema::check_image(body).map_err(ApiError::bad_request)?;
    for name in body.keys() {
        check_name(name)?;
        if is_reserved(name) {
            return Err(ApiError::forbidden_detail(reserved(name)));
        }
    }
    Ok(())
}
