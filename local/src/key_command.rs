//! `imshare access-key`: creates, lists, rotates, disables and deletes access keys in the store.

use shared::domain::id::ProjectId;
use shared::domain::policy::Role;
use shared::domain::secret::Secret;
use shared::domain::time::Clock;
use shared::runtime::config::role_names;
use shared::store::Client;
use shared::store::key_management::{Created, Ended, KeyRecord, KeyTable};
use uuid::Uuid;

use crate::access_keys;
use crate::operator::{Stopped, StoreOptions, check_table};

/// The longest id of a user, in characters.
const USER_MAX: usize = 255;

/// A key that is to be created.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The user's id.
    pub user: String,
    /// The project's id.
    pub project: String,
    /// The names of the roles.
    pub roles: Vec<String>,
}

/// A key that was created: the only time that its secret is told.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// The key.
    pub key: KeyRecord,
    /// Its secret.
    pub secret: Secret,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// The access keys of a store.
#[derive(Debug)]
pub struct Keys {
    table: KeyTable,
    /// Whose name is recorded.
    by: String,
}

impl Keys {
    /// Opens the access keys of a store.
    ///
    /// # Errors
    /// If there is no such directory or table, or the store does not answer.
    pub async fn open(
        store: &StoreOptions,
        table: Option<String>,
        by: String,
    ) -> Result<Self, Stopped> {
        let (client, table) = match (store.dynamodb(table.is_some())?, table) {
            (Some(client), Some(table)) => {
                check_table(&client, &table).await?;
                (Client::from(client), table)
            }
            (Some(_), None) => {
                let words = "which table? --table names it; deployed it is the output \
                             AccessKeyTableName";
                return Err(Stopped::WrongUse(words.to_owned()));
            }
            (None, _) => {
                let client = access_keys::in_directory(&store.data_dir).await;
                let client = client.map_err(Stopped::WrongUse)?;
                (client, access_keys::TABLE.to_owned())
            }
        };
        let table = KeyTable::new(client, table);
        Ok(Self { table, by })
    }

    /// Creates a key.
    ///
    /// # Errors
    /// If the user has two enabled ones for the project, or the store does not answer.
    pub async fn create(&self, new: NewKey) -> Result<NewSecret, Stopped> {
        let project = ProjectId::parse(new.project);
        let project = project.map_err(|_| {
            Stopped::WrongUse("--project: that cannot be the id of a project".to_owned())
        })?;
        let length = new.user.chars().count();
        if !(1..=USER_MAX).contains(&length) || new.user.chars().any(char::is_control) {
            let words = "--user: that cannot be the id of a user".to_owned();
            return Err(Stopped::WrongUse(words));
        }
        // Two random UUIDs: 244 bits from the system's generator. The id is no secret.
        let random = || Uuid::new_v4().as_simple().to_string();
        let secret = Secret::new(random() + &random());
        let key = KeyRecord {
            access: random().to_uppercase().chars().take(20).collect(),
            user: new.user,
            project,
            roles: new.roles,
            disabled: false,
            disabled_by: None,
            created_at: Some(Clock::System.now().stored()),
            created_by: Some(self.by.clone()),
            last_used: None,
        };
        match self.table.create(&key, &secret).await? {
            Created::New => {
                let notes = notes(&key)?;
                Ok(NewSecret { key, secret, notes })
            }
            Created::TooMany(enabled) => Err(Stopped::Refused(format!(
                "the user {} has two enabled access keys for the project {} already: {}; disable \
                 one of them first",
                key.user,
                key.project,
                enabled.join(" and ")
            ))),
            Created::Taken => Err(Stopped::Away("the new id is taken: try again".to_owned())),
        }
    }

    /// Creates a second key like another one.
    ///
    /// # Errors
    /// If there is no such key, or as [`Self::create`].
    pub async fn rotate(&self, access: &str) -> Result<NewSecret, Stopped> {
        let old = self.find(access).await?;
        let mut created = self
            .create(NewKey {
                user: old.user,
                project: old.project.as_str().to_owned(),
                roles: old.roles,
            })
            .await?;
        if !old.disabled {
            created.notes.push(format!(
                "Give the new key to who signs with {access}. When \"Last Used\" of {access} stays, \
                 end it: imshare access-key disable {access}"
            ));
        }
        Ok(created)
    }

    /// The keys, of one project or user only if they are named.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(
        &self,
        project: Option<&str>,
        user: Option<&str>,
    ) -> Result<Vec<KeyRecord>, Stopped> {
        let mut keys = self.table.list().await?;
        keys.retain(|key| {
            project.is_none_or(|project| key.project.as_str() == project)
                && user.is_none_or(|user| key.user == user)
        });
        Ok(keys)
    }

    /// Disables a key, and returns a sentence about it.
    ///
    /// # Errors
    /// If there is no such key, or the store does not answer.
    pub async fn disable(&self, access: &str) -> Result<String, Stopped> {
        let key = self.find(access).await?;
        let ended = self.table.disable(&key, &self.by, Clock::System.now());
        match ended.await? {
            Ended::Now => Ok(format!(
                "{access} is disabled: refused within a second by a server on this machine, within \
                 a minute on AWS."
            )),
            Ended::Before => Ok(format!("{access} was disabled before.")),
            Ended::Absent | Ended::Enabled => Err(absent(access)),
        }
    }

    /// Deletes the record of a disabled key, and returns a sentence about it.
    ///
    /// # Errors
    /// If there is no such key, it is enabled, or the store does not answer.
    pub async fn delete(&self, access: &str) -> Result<String, Stopped> {
        match self.table.delete(access).await? {
            Ended::Now | Ended::Before => Ok(format!("The record of {access} is deleted.")),
            Ended::Enabled => Err(Stopped::Refused(format!(
                "{access} is enabled: disable it first"
            ))),
            Ended::Absent => Err(absent(access)),
        }
    }

    async fn find(&self, access: &str) -> Result<KeyRecord, Stopped> {
        let found = self.table.find(access).await?;
        found.ok_or_else(|| absent(access))
    }
}

fn absent(access: &str) -> Stopped {
    Stopped::WrongUse(format!("there is no access key {access:?}"))
}

/// What the operator should know of a new key.
fn notes(key: &KeyRecord) -> Result<Vec<String>, Stopped> {
    let mut notes = vec!["The secret is shown this once, and cannot be read again.".to_owned()];
    let names = role_names().map_err(|error| Stopped::WrongUse(error.to_string()))?;
    let role = names.strongest(key.roles.iter().map(String::as_str));
    if role == Role::None {
        notes.push(format!(
            "Nothing is permitted by {}, unless the service has ROLE_ADMIN, ROLE_MEMBER or \
             ROLE_READER name it.",
            key.roles.join(", ")
        ));
    }
    Ok(notes)
}
