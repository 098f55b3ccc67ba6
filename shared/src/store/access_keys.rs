//! Access keys, in a table of their own, which only functions that verify signatures may read.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::cache::ExpiringCache;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::policy::Caller;
use crate::domain::roles::RoleNames;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::client::Client;
use crate::store::expression::{names, values};
use crate::store::keys::{self as at, Item};
use crate::store::reader::Reader;
use crate::store::write::single;

/// How long an instance caches what the table says of a key, in seconds. A disabled key works for at most
/// that much longer.
pub const REMEMBERED_SECONDS: i64 = 60;
/// How many keys an instance caches.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// For how long a failure to record a key's use is not tried again, in seconds.
const RECORD_AGAIN_SECONDS: i64 = 60;
/// How long a request waits for the record of its key's use.
const RECORD_TIMEOUT: Duration = Duration::from_secs(1);

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The secret that requests are signed with.
    pub secret: Secret,
    /// The caller that it authenticates.
    pub caller: Caller,
    /// When it was last used.
    pub last_used: LastUse,
}

/// What is recorded of a key's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastUse {
    /// Nothing ever is: the key is not in the table.
    NotRecorded,
    /// It has not been used since records are kept.
    Never,
    /// The day of its last use, `YYYY-MM-DD` in UTC.
    On(String),
}

/// The table of access keys, and keys that are in no table.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    /// A client, and the table's name; `None` if there are fixed keys only.
    table: Option<(Client, String)>,
    roles: RoleNames,
    remembered_seconds: i64,
    fixed: Arc<HashMap<String, AccessKey>>,
    known: Arc<ExpiringCache<String, AccessKey>>,
    /// Ids that are nobody's, or of a disabled key. They have a cache of their own, so that a flood of them
    /// cannot evict keys.
    unknown: Arc<ExpiringCache<String, ()>>,
    /// The day on which this instance last recorded a key's use.
    recorded: Arc<ExpiringCache<String, String>>,
}

impl AccessKeys {
    /// Opens the table of that name. `roles` maps the names of roles in it.
    pub fn new(client: impl Into<Client>, table: String, roles: RoleNames) -> Self {
        Self {
            table: Some((client.into(), table)),
            ..Self::fixed(HashMap::new(), roles)
        }
    }

    /// Keys that are in no table.
    pub fn fixed(keys: HashMap<String, AccessKey>, roles: RoleNames) -> Self {
        Self {
            table: None,
            roles,
            remembered_seconds: REMEMBERED_SECONDS,
            fixed: Arc::new(keys),
            known: Arc::new(ExpiringCache::new(KEYS_MAX)),
            unknown: Arc::new(ExpiringCache::new(KEYS_MAX)),
            recorded: Arc::new(ExpiringCache::new(KEYS_MAX)),
        }
    }

    /// The same, with another time for which the table's answers are cached.
    #[must_use]
    pub fn remembering(mut self, seconds: i64) -> Self {
        self.remembered_seconds = seconds;
        self
    }

    /// The same, with a table besides the fixed keys. An id in both is the table's.
    #[must_use]
    pub fn with_table(mut self, client: impl Into<Client>, table: String) -> Self {
        self.table = Some((client.into(), table));
        self
    }

    /// Returns the key of that id; `None` if it does not exist or is disabled. It takes one request unless
    /// the answer is cached, whatever the answer is.
    ///
    /// # Errors
    /// If the table cannot be read, or the item is not a key.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<AccessKey>, ApiError> {
        let id = id.to_owned();
        if let Some(key) = self.known.get(&id, now) {
            return Ok(Some(key));
        }
        if self.unknown.get(&id, now).is_some() {
            return Ok(None);
        }
        let key = match self.read(&id).await? {
            Some(key) => key,
            None => self.fixed.get(&id).cloned(),
        };
        let until = now.plus_seconds(self.remembered_seconds);
        match &key {
            Some(key) => self.known.insert(id, key.clone(), until),
            None => self.unknown.insert(id, (), until),
        }
        Ok(key)
    }

    /// Reads a key from the table: `Some(None)` if it is disabled, `None` if it is not there.
    async fn read(&self, id: &str) -> Result<Option<Option<AccessKey>>, ApiError> {
        let Some((client, table)) = &self.table else {
            return Ok(None);
        };
        let request = client.get_item().table_name(table).key(at::PK, at::s(id));
        let answer = client.ask("get access key", &request).await?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        parsed(&item, &self.roles).map(Some)
    }

    /// Records that a key has been used today: one small write for each key and day, by whichever instance
    /// is first. If it fails, the request goes on and the next one after a minute tries again.
    pub async fn record_use(&self, id: &str, key: &AccessKey, now: Timestamp) {
        let today = day(now);
        let known = match &key.last_used {
            LastUse::NotRecorded => return,
            LastUse::Never => false,
            LastUse::On(day) => *day >= today,
        };
        let id = id.to_owned();
        if known || self.recorded.get(&id, now).is_some_and(|day| day >= today) {
            return;
        }
        // Before the write, so that requests at the same time do not all write.
        let soon = now.plus_seconds(RECORD_AGAIN_SECONDS);
        self.recorded.insert(id.clone(), today.clone(), soon);
        let write = tokio::time::timeout(RECORD_TIMEOUT, self.write_use(&id, &today)).await;
        let write = write.unwrap_or_else(|_| Err(ApiError::unavailable("no answer in time")));
        match write {
            Ok(()) => {
                let tomorrow = now.plus_seconds(SECONDS_A_DAY);
                self.recorded.insert(id, today, tomorrow);
            }
            Err(error) => tracing::warn!(
                access_key = id,
                error.why = error.for_log(),
                "the use of an access key is not recorded"
            ),
        }
    }

    async fn write_use(&self, id: &str, today: &str) -> Result<(), ApiError> {
        let Some((client, table)) = &self.table else {
            return Ok(());
        };
        let update = "SET #last_used = :today";
        let condition = "attribute_exists(#pk) AND \
                         (attribute_not_exists(#last_used) OR #last_used < :today)";
        let request = client
            .update_item()
            .table_name(table)
            .key(at::PK, at::s(id))
            .set_expression_attribute_names(names(&[update, condition]))
            .set_expression_attribute_values(values([(":today", at::s(today))]))
            .update_expression(update)
            .condition_expression(condition);
        // If the condition fails, another instance was first, or the key is gone.
        single(client, "record the use of an access key", request).await?;
        Ok(())
    }
}

/// Seconds of a day.
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The day of an instant, `YYYY-MM-DD` in UTC.
fn day(now: Timestamp) -> String {
    now.seconds().chars().take("YYYY-MM-DD".len()).collect()
}

/// Parses the item of a key; `None` if it is disabled.
fn parsed(item: &Item, names: &RoleNames) -> Result<Option<AccessKey>, ApiError> {
    let read = Reader::of(item)?;
    let roles = read.texts(at::ROLES)?;
    let user = read.optional_text(at::USER)?;
    let is_text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let key = AccessKey {
        secret: Secret::new(read.parsed(at::SECRET, is_text)?),
        caller: Caller {
            user: user.unwrap_or_default().to_owned(),
            project: read.parsed(at::PROJECT, |project| ProjectId::parse(project).ok())?,
            role: names.strongest(roles.iter().map(String::as_str)),
        },
        last_used: match read.optional_text(at::LAST_USED)? {
            None => LastUse::Never,
            Some(day) => LastUse::On(day.to_owned()),
        },
    };
    let disabled = read.optional_flag(at::DISABLED)?;
    Ok((!disabled.unwrap_or(false)).then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::AttributeValue;

    use crate::domain::policy::Role;
    use crate::store::reader::VERSION;

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
        assert_eq!(key.last_used, LastUse::Never);
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
        let disabled = with(at::DISABLED, AttributeValue::Bool(true));
        assert_eq!(disabled.unwrap(), None);
        let used = with(at::LAST_USED, at::s("2025-10-09")).unwrap().unwrap();
        assert_eq!(used.last_used, LastUse::On("2025-10-09".to_owned()));
        for (name, value) in [
            (at::DISABLED, at::s("true")),
            (at::SECRET, at::s("")),
            (at::PROJECT, at::s("")),
            (at::ROLES, at::s("admin")),
            (at::LAST_USED, AttributeValue::Bool(true)),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.for_log().contains(name), "{error:?}");
            assert!(!error.for_log().contains("SK"), "{error:?}");
        }
        let newer = with(at::VERSION, at::n(VERSION + 1)).unwrap_err();
        assert!(newer.for_log().contains("newer release"), "{newer:?}");
    }
}
