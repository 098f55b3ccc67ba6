//! The access keys of signed requests: those of the identity file, which are in memory only, and those of
//! a table, which `imshare access-key` manages: a file of its own in the data directory, or a table of a
//! remote DynamoDB.
//!
//! The file is not part of the table's, because `--dynamodb-listen` serves that one to every process of
//! this machine. The command and a server use the file at the same time, and SQLite keeps them apart.

use std::collections::HashMap;
use std::path::Path;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use shared::domain::id::ProjectId;
use shared::domain::policy::Caller;
use shared::domain::roles::RoleNames;
use shared::runtime::clients::Clients;
use shared::store::Client;
use shared::store::access_keys::{AccessKey, AccessKeys, LastUse};
use shared::store::keys as at;
use shared::store::sdk_error::words;

use crate::engine::Engine;
use crate::identity::AccessKeyEntry;
use crate::options::Options;
use crate::schema;
use crate::storage::{self, Health, StoreFile};
use crate::stores::Stores;

/// The table's name in its file.
pub const TABLE: &str = "access-keys";
/// How long the server caches what the table says of a key, in seconds: a disabled key is refused after
/// at most that time.
const REMEMBERED_SECONDS: i64 = 1;

/// Opens the access keys of a server.
///
/// # Errors
/// One sentence for the operator.
pub(crate) async fn open(options: &Options, stores: &Stores) -> Result<AccessKeys, String> {
    let keys = fixed(&options.identity.access_key, &options.roles)?;
    let keys = AccessKeys::fixed(keys, options.roles.clone()).remembering(REMEMBERED_SECONDS);
    if let (None, Some(table)) = (&stores.engine, &options.access_key_table) {
        create(&stores.dynamodb, table).await?;
        return Ok(keys.with_table(stores.dynamodb.clone(), table.clone()));
    }
    match &stores.directory {
        Some(directory) => {
            let client = in_directory(directory.path()).await?;
            Ok(keys.with_table(client, TABLE.to_owned()))
        }
        None => Ok(keys),
    }
}

/// Opens the file of access keys in a data directory, and creates its table if it is not there.
///
/// # Errors
/// One sentence for the operator.
pub async fn in_directory(directory: &Path) -> Result<Client, String> {
    let file = storage::access_keys(directory)?;
    schema::check(&file, StoreFile::Keys)?;
    let engine = Engine::in_file(&file, Health::of(directory))?;
    let client = Clients::dynamodb_in_process(engine);
    create(&client, TABLE).await?;
    schema::stamp(&file, StoreFile::Keys)?;
    Ok(client)
}

/// The keys of an identity file.
fn fixed(keys: &[AccessKeyEntry], roles: &RoleNames) -> Result<HashMap<String, AccessKey>, String> {
    let key = |key: &AccessKeyEntry| {
        if key.secret.reveal().is_empty() {
            return Err(format!("the [[access_key]] {:?} has no secret", key.access));
        }
        let bad = |_| {
            let access = &key.access;
            format!("the [[access_key]] {access:?} has a project that cannot be one's id")
        };
        let caller = Caller {
            user: key.user.clone(),
            project: ProjectId::parse(key.project.as_str()).map_err(bad)?,
            role: roles.strongest(key.roles.iter().map(String::as_str)),
        };
        let found = AccessKey {
            secret: key.secret.clone(),
            caller,
            last_used: LastUse::NotRecorded,
        };
        Ok((key.access.clone(), found))
    };
    keys.iter().map(key).collect()
}

fn why(error: &impl std::fmt::Display) -> String {
    format!("cannot make the table of access keys: {error}")
}

async fn create(client: &Client, table: &str) -> Result<(), String> {
    let described = client.describe_table().table_name(table).send().await;
    match described {
        Ok(_) => return Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|e| e.is_resource_not_found_exception()) => {}
        Err(error) => return Err(why(&words(&error))),
    }
    let parts = || -> Result<_, BuildError> {
        let key = KeySchemaElement::builder()
            .attribute_name(at::PK)
            .key_type(KeyType::Hash)
            .build()?;
        let attribute = AttributeDefinition::builder()
            .attribute_name(at::PK)
            .attribute_type(ScalarAttributeType::S)
            .build()?;
        Ok((key, attribute))
    };
    let (key, attribute) = parts().map_err(|error| why(&error))?;
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key)
        .attribute_definitions(attribute);
    match request.send().await {
        Ok(_) => Ok(()),
        // Another process has just created it.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|e| e.is_resource_in_use_exception()) =>
        {
            Ok(())
        }
        Err(error) => Err(why(&words(&error))),
    }
}
