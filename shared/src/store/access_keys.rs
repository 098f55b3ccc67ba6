//! Access keys, in a table of their own, which only functions that verify signatures may read.

use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::cache::ExpiringCache;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::policy::Caller;
use crate::domain::roles::RoleNames;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::keys::{self as at, Item};
use crate::store::sdk_error::failed;

/// How long an instance caches a key, in seconds. A disabled key works for at most that much longer.
const REMEMBERED_SECONDS: i64 = 60;
/// How many keys an instance caches.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The secret that requests are signed with.
    pub secret: Secret,
    /// The caller that it authenticates.
    pub caller: Caller,
}

/// The table of access keys.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    client: Client,
    table: String,
    roles: RoleNames,
    known: Arc<ExpiringCache<String, AccessKey>>,
}

impl AccessKeys {
    /// Opens the table of that name. `roles` maps the names of roles in it.
    pub fn new(client: Client, table: String, roles: RoleNames) -> Self {
        Self {
            client,
            table,
            roles,
            known: Arc::new(ExpiringCache::new(KEYS_MAX)),
        }
    }

    /// Returns the key of that id; `None` if it does not exist or is disabled. Takes one request unless
    /// the key is cached.
    ///
    /// # Errors
    /// If the table cannot be read, or the item is not a key.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<AccessKey>, ApiError> {
        let id = id.to_owned();
        if let Some(key) = self.known.get(&id, now) {
            return Ok(Some(key));
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(at::PK, at::s(&id))
            .send()
            .await
            .map_err(|e| failed("get access key", &e))?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let key = parsed(&item, &self.roles)
            .ok_or_else(|| ApiError::internal(format!("the access key {id} cannot be read")))?;
        if let Some(key) = &key {
            let until = now.plus_seconds(REMEMBERED_SECONDS);
            self.known.insert(id, key.clone(), until);
        }
        Ok(key)
    }
}

/// Parses an item: `Some(None)` for a disabled key, `None` if the item is not a key.
fn parsed(item: &Item, names: &RoleNames) -> Option<Option<AccessKey>> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let disabled = match item.get(at::DISABLED) {
        None => false,
        Some(AttributeValue::Bool(disabled)) => *disabled,
        Some(_) => return None,
    };
    let secret = text(at::SECRET).filter(|secret| !secret.is_empty())?;
    let roles = item.get(at::ROLES)?.as_l().ok()?;
    let roles: Option<Vec<&str>> = roles
        .iter()
        .map(|role| role.as_s().ok().map(String::as_str))
        .collect();
    let key = AccessKey {
        secret: Secret::new(secret.clone()),
        caller: Caller {
            user: text(at::USER).cloned().unwrap_or_default(),
            project: ProjectId::parse(text(at::PROJECT)?.as_str()).ok()?,
            role: names.strongest(roles?),
        },
    };
    Some((!disabled).then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Role;

    #[test]
    fn an_item_is_a_key_a_disabled_one_or_none() {
        let roles = AttributeValue::L(vec![at::s("reader"), at::s("member")]);
        let good = Item::from([
            (at::PK.to_owned(), at::s("AK")),
            (at::SECRET.to_owned(), at::s("SK")),
            (at::PROJECT.to_owned(), at::s("p")),
            (at::USER.to_owned(), at::s("u")),
            (at::ROLES.to_owned(), roles),
        ]);
        let names = RoleNames::default();
        let key = parsed(&good, &names).unwrap().unwrap();
        assert_eq!(key.caller.role, Role::Member);
        assert_eq!(key.caller.user, "u");
        assert!(!format!("{key:?}").contains("SK"));
        // The roles are called what the deployment calls them.
        let renamed = RoleNames::of([("Member", Role::Reader), ("", Role::Admin)]);
        let key = parsed(&good, &renamed).unwrap().unwrap();
        assert_eq!(key.caller.role, Role::Reader);

        let with = |name: &str, value: AttributeValue| {
            let mut item = good.clone();
            item.insert(name.to_owned(), value);
            parsed(&item, &names)
        };
        assert_eq!(with(at::DISABLED, AttributeValue::Bool(true)), Some(None));
        assert_eq!(with(at::DISABLED, at::s("true")), None);
        assert_eq!(with(at::SECRET, at::s("")), None);
        assert_eq!(with(at::PROJECT, at::s("")), None);
        assert_eq!(with(at::ROLES, at::s("admin")), None);
    }
}
