//! The table of access keys: in memory only, filled from the identity file. A key that was removed
//! from the file is gone at the next start, and no secret is on disk.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use shared::domain::roles::RoleNames;
use shared::runtime::clients::Clients;
use shared::store::access_keys::AccessKeys;
use shared::store::keys as at;
use shared::store::sdk_error::words;

use crate::engine::Engine;
use crate::identity::AccessKeyEntry;

/// The table's name.
const TABLE: &str = "access-keys";

/// Creates a table with these keys, whose roles have these names.
///
/// # Errors
/// One sentence for the operator.
pub async fn table(keys: &[AccessKeyEntry], roles: RoleNames) -> Result<AccessKeys, String> {
    let client = Clients::dynamodb_in_process(Engine::in_memory()?);
    create(&client).await?;
    for key in keys {
        put(&client, key).await?;
    }
    Ok(AccessKeys::new(client, TABLE.to_owned(), roles))
}

fn why(error: &impl std::fmt::Display) -> String {
    format!("cannot make the table of access keys: {error}")
}

async fn create(client: &Client) -> Result<(), String> {
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
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key)
        .attribute_definitions(attribute);
    let created = request.send().await;
    created.map_err(|error| why(&words(&error)))?;
    Ok(())
}

async fn put(client: &Client, key: &AccessKeyEntry) -> Result<(), String> {
    let roles = key.roles.iter().map(at::s).collect();
    let request = client
        .put_item()
        .table_name(TABLE)
        .item(at::PK, at::s(&key.access))
        .item(at::SECRET, at::s(key.secret.reveal()))
        .item(at::PROJECT, at::s(&key.project))
        .item(at::USER, at::s(&key.user))
        .item(at::ROLES, AttributeValue::L(roles));
    let done = request.send().await;
    done.map_err(|error| why(&words(&error)))?;
    Ok(())
}
