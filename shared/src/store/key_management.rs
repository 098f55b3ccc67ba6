//! Creates, lists and disables access keys, for an operator. The functions only read them:
//! [`super::access_keys`].
//!
//! A user has at most [`KEYS_MAX`] enabled keys for a project. The set of their ids is an item of its own,
//! and the transaction that creates a key fails if the set is full, so no two creations at the same time
//! exceed it.

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnFailure, Update,
};

use super::client::Client;
use super::expression::{names, values};
use super::keys::{self as at, Item, n, s};
use super::reader::Reader;
use super::sdk_error::failed;
use super::write::{Single, Transacted, condition_failed, single, transact, transaction_item};
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// Most enabled keys of a user for a project: one in use, and the one that takes its place.
pub const KEYS_MAX: usize = 2;

/// What an operator may know of a key. The secret is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The id that signed requests name.
    pub access: String,
    /// The user.
    pub user: String,
    /// The project.
    pub project: ProjectId,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Who disabled it.
    pub disabled_by: Option<String>,
    /// When it was created; `None` if somebody wrote it by hand.
    pub created_at: Option<String>,
    /// Who created it.
    pub created_by: Option<String>,
    /// The day of its last use.
    pub last_used: Option<String>,
}

/// The result of creating a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New,
    /// The user has as many enabled keys for the project as it may have: these.
    TooMany(Vec<String>),
    /// There is a key with its id.
    Taken,
}

/// The result of disabling or deleting a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Now,
    /// It was disabled before.
    Before,
    /// There is no such key.
    Absent,
    /// It is still enabled, and only a disabled key is deleted.
    Enabled,
}

/// The table of access keys, for who manages them.
#[derive(Clone, Debug)]
pub struct KeyTable {
    client: Client,
    table: String,
}

impl KeyTable {
    /// Opens the table of that name.
    pub fn new(client: impl Into<Client>, table: String) -> Self {
        Self {
            client: client.into(),
            table,
        }
    }

    /// Creates a key, unless its user has two enabled ones for its project.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn create(&self, key: &KeyRecord, secret: &Secret) -> Result<Created, ApiError> {
        let roles = key.roles.iter().map(s).collect();
        let mut item = Item::from([
            (at::PK.to_owned(), s(&key.access)),
            (at::SECRET.to_owned(), s(secret.reveal())),
            (at::PROJECT.to_owned(), s(key.project.as_str())),
            (at::USER.to_owned(), s(&key.user)),
            (at::ROLES.to_owned(), AttributeValue::L(roles)),
        ]);
        let known = [
            (at::CREATED_AT, &key.created_at),
            (at::CREATED_BY, &key.created_by),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                item.insert(name.to_owned(), s(value));
            }
        }
        let absent = "attribute_not_exists(#pk)";
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_expression_attribute_names(names(&[absent]))
            .condition_expression(absent)
            .build();
        let (add, room) = (
            "ADD #access_keys :id",
            "attribute_not_exists(#access_keys) OR size(#access_keys) < :max",
        );
        let count = Update::builder()
            .table_name(&self.table)
            .key(at::PK, s(keys_of(key)))
            .set_expression_attribute_names(names(&[add, room]))
            .set_expression_attribute_values(values([
                (":id", AttributeValue::Ss(vec![key.access.clone()])),
                (":max", n(KEYS_MAX)),
            ]))
            .update_expression(add)
            .condition_expression(room)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        let items = vec![
            transaction_item("create access key", put)?,
            transaction_item("create access key", count)?,
        ];
        let reasons = match transact(&self.client, "create access key", items).await? {
            Transacted::Applied => return Ok(Created::New),
            Transacted::Cancelled(reasons) => reasons,
        };
        if condition_failed(reasons.first()) {
            return Ok(Created::Taken);
        }
        let stored = reasons.get(1).and_then(|reason| reason.item());
        let enabled = stored.and_then(|item| item.get(at::ACCESS_KEYS)?.as_ss().ok());
        let mut enabled = enabled.cloned().unwrap_or_default();
        enabled.sort();
        Ok(Created::TooMany(enabled))
    }

    /// All keys, by project, user and age.
    ///
    /// # Errors
    /// If the table does not answer, or an item is not a key.
    pub async fn list(&self) -> Result<Vec<KeyRecord>, ApiError> {
        let filter = "attribute_exists(#secret)";
        let mut keys = Vec::new();
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression(filter)
            .set_expression_attribute_names(names(&[filter]));
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("list access keys", &error))?;
            for item in page.items() {
                keys.push(parsed(item)?);
            }
        }
        let order = |key: &KeyRecord| {
            let project = key.project.as_str().to_owned();
            let age = key.created_at.clone();
            (project, key.user.clone(), age, key.access.clone())
        };
        keys.sort_by_key(order);
        Ok(keys)
    }

    /// A key; `None` if it does not exist.
    ///
    /// # Errors
    /// If the table does not answer, or the item is not a key.
    pub async fn find(&self, access: &str) -> Result<Option<KeyRecord>, ApiError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(at::PK, s(access));
        let found = self.client.ask("get access key", &request).await?;
        let item = found.item.filter(|item| item.contains_key(at::SECRET));
        item.as_ref().map(parsed).transpose()
    }

    /// Disables a key for good. Its place among the keys of its user is free then.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn disable(
        &self,
        key: &KeyRecord,
        by: &str,
        now: Timestamp,
    ) -> Result<Ended, ApiError> {
        let set = "SET #disabled = :true, #disabled_by = :by, #updated_at = :now";
        let enabled = "attribute_exists(#secret) AND \
                       (attribute_not_exists(#disabled) OR #disabled <> :true)";
        let disable = Update::builder()
            .table_name(&self.table)
            .key(at::PK, s(&key.access))
            .set_expression_attribute_names(names(&[set, enabled]))
            .set_expression_attribute_values(values([
                (":true", AttributeValue::Bool(true)),
                (":by", s(by)),
                (":now", s(now.stored())),
            ]))
            .update_expression(set)
            .condition_expression(enabled)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        let delete = "DELETE #access_keys :id";
        let uncount = Update::builder()
            .table_name(&self.table)
            .key(at::PK, s(keys_of(key)))
            .set_expression_attribute_names(names(&[delete]))
            .set_expression_attribute_values(values([(
                ":id",
                AttributeValue::Ss(vec![key.access.clone()]),
            )]))
            .update_expression(delete)
            .build();
        let items = vec![
            transaction_item("disable access key", disable)?,
            transaction_item("disable access key", uncount)?,
        ];
        match transact(&self.client, "disable access key", items).await? {
            Transacted::Applied => Ok(Ended::Now),
            Transacted::Cancelled(reasons) => {
                let stored = reasons.first().and_then(|reason| reason.item());
                Ok(stored.map_or(Ended::Absent, |_| Ended::Before))
            }
        }
    }

    /// Deletes the record of a disabled key.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn delete(&self, access: &str) -> Result<Ended, ApiError> {
        let disabled = "attribute_exists(#secret) AND #disabled = :true";
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(at::PK, s(access))
            .set_expression_attribute_names(names(&[disabled]))
            .set_expression_attribute_values(values([(":true", AttributeValue::Bool(true))]))
            .condition_expression(disabled)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let deleted = single(&self.client, "delete access key", request).await?;
        Ok(match deleted {
            Single::Applied(_) => Ended::Now,
            Single::ConditionFailed(Some(_)) => Ended::Enabled,
            Single::ConditionFailed(None) => Ended::Absent,
        })
    }
}

/// The key of the item that has the ids of a user's keys. Neither part has a line feed.
fn keys_of(key: &KeyRecord) -> String {
    format!("KEYS#{}\n{}", key.project, key.user)
}

fn parsed(item: &Item) -> Result<KeyRecord, ApiError> {
    let read = Reader::of(item)?;
    let optional = |name: &str| Ok::<_, ApiError>(read.optional_text(name)?.map(str::to_owned));
    Ok(KeyRecord {
        access: read.text(at::PK)?.to_owned(),
        user: optional(at::USER)?.unwrap_or_default(),
        project: read.parsed(at::PROJECT, |project| ProjectId::parse(project).ok())?,
        roles: read.texts(at::ROLES)?,
        disabled: read.optional_flag(at::DISABLED)?.unwrap_or(false),
        disabled_by: optional(at::DISABLED_BY)?,
        created_at: optional(at::CREATED_AT)?,
        created_by: optional(at::CREATED_BY)?,
        last_used: optional(at::LAST_USED)?,
    })
}
