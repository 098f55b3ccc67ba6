//! The service's table: created as the template has it, and upgraded if an earlier release created
//! it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction,
    DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndex, GlobalSecondaryIndexDescription,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TableDescription, TimeToLiveSpecification,
};
use shared::domain::id::OperationId;
use shared::domain::time::Clock;
use shared::store::keys as at;
use shared::store::sdk_error::words;
use shared::store::{Indexes, Store};

/// An index of the table: its name and keys, and whether it projects more than keys.
struct Index {
    name: &'static str,
    hash: &'static str,
    range: &'static str,
    projects: bool,
}

const INDEXES: [Index; 4] = [
    Index {
        name: at::BY_PROJECT,
        hash: at::GPK,
        range: at::GSK,
        projects: true,
    },
    Index {
        name: at::BY_VISIBILITY,
        hash: at::VPK,
        range: at::GSK,
        projects: true,
    },
    Index {
        name: at::BY_DUE,
        hash: at::DPK,
        range: at::DSK,
        projects: false,
    },
    Index {
        name: at::BY_OWNER,
        hash: at::OPK,
        range: at::OSK,
        projects: false,
    },
];

/// Whether indexes of an existing table may be replaced. The embedded engine does it at once;
/// DynamoDB can take hours, so there the operator decides when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Replace the indexes that differ.
    Do,
    /// Name an index that differs, and fail.
    Refuse,
}

/// Creates the table if it does not exist, and checks that its indexes are those of this release.
///
/// # Errors
/// One sentence for the operator.
pub async fn make(client: &Client, table: &str, upgrade: Upgrade) -> Result<(), String> {
    let described = client.describe_table().table_name(table).send().await;
    match described {
        Ok(answer) => {
            let described = answer
                .table
                .unwrap_or_else(|| TableDescription::builder().build());
            bring_up_to_date(client, table, &described, upgrade).await
        }
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|e| e.is_resource_not_found_exception()) =>
        {
            create(client, table).await
        }
        Err(error) => {
            let why = words(&error);
            Err(format!("cannot reach the table {table}: {why}"))
        }
    }
}

async fn bring_up_to_date(
    client: &Client,
    table: &str,
    described: &TableDescription,
    upgrade: Upgrade,
) -> Result<(), String> {
    let held = |name: &str| {
        let mut found = described.global_secondary_indexes().iter();
        found.any(|found| found.index_name() == Some(name))
    };
    if upgrade == Upgrade::Do && !held(at::BY_OWNER) {
        // Before the index exists, so that a server that dies in between begins anew.
        let store = Store::new(client.clone(), table.to_owned(), Indexes::Immediate);
        let completed = store.complete_memberships(OperationId::now(), Clock::System.now());
        let completed = completed
            .await
            .map_err(|error| why(table, &error.for_log()))?;
        tracing::info!(
            memberships = completed,
            "completed records of an earlier release"
        );
    }
    for index in &INDEXES {
        let found = described
            .global_secondary_indexes()
            .iter()
            .find(|found| found.index_name() == Some(index.name));
        if found.is_some_and(|found| index.is_like(found)) {
            continue;
        }
        if upgrade == Upgrade::Refuse {
            return Err(format!(
                "the table {table} has no index {} as this release needs it: it was made by another \
                 release",
                index.name
            ));
        }
        if found.is_some() {
            update(client, table, index, index.deletion()).await?;
        }
        update(client, table, index, index.creation()).await?;
    }
    Ok(())
}

fn why(table: &str, error: &dyn std::fmt::Display) -> String {
    format!("cannot make the table {table}: {error}")
}

async fn update(
    client: &Client,
    table: &str,
    index: &Index,
    update: Result<GlobalSecondaryIndexUpdate, BuildError>,
) -> Result<(), String> {
    let mut request = client.update_table().table_name(table);
    for name in [index.hash, index.range] {
        request = request.attribute_definitions(text(name).map_err(|error| why(table, &error))?);
    }
    let update = update.map_err(|error| why(table, &error))?;
    let sent = request.global_secondary_index_updates(update).send().await;
    sent.map_err(|error| why(table, &words(&error)))?;
    Ok(())
}

async fn create(client: &Client, table: &str) -> Result<(), String> {
    let build = || -> Result<_, BuildError> {
        let mut request = client
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key(at::PK, KeyType::Hash)?)
            .key_schema(key(at::SK, KeyType::Range)?);
        let mut names = BTreeSet::from([at::PK, at::SK]);
        for index in &INDEXES {
            names.extend([index.hash, index.range]);
            request = request.global_secondary_indexes(index.built()?);
        }
        for name in names {
            request = request.attribute_definitions(text(name)?);
        }
        Ok(request)
    };
    let request = build().map_err(|error| why(table, &error))?;
    match request.send().await {
        Ok(_) => {}
        // Another server has just created it, and sets its time to live.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|e| e.is_resource_in_use_exception()) =>
        {
            return Ok(());
        }
        Err(error) => return Err(why(table, &words(&error))),
    }
    let expires = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(at::EXPIRES_AT)
        .build()
        .map_err(|error| why(table, &error))?;
    let request = client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(expires);
    let set = request.send().await;
    set.map_err(|error| why(table, &words(&error)))?;
    Ok(())
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
}

fn text(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
}

impl Index {
    fn keys(&self) -> Result<Vec<KeySchemaElement>, BuildError> {
        Ok(vec![
            key(self.hash, KeyType::Hash)?,
            key(self.range, KeyType::Range)?,
        ])
    }

    fn projection(&self) -> Projection {
        if !self.projects {
            return Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build();
        }
        let names = at::PROJECTED
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(names))
            .build()
    }

    fn built(&self) -> Result<GlobalSecondaryIndex, BuildError> {
        GlobalSecondaryIndex::builder()
            .index_name(self.name)
            .set_key_schema(Some(self.keys()?))
            .projection(self.projection())
            .build()
    }

    fn creation(&self) -> Result<GlobalSecondaryIndexUpdate, BuildError> {
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(self.name)
            .set_key_schema(Some(self.keys()?))
            .projection(self.projection())
            .build()?;
        Ok(GlobalSecondaryIndexUpdate::builder().create(create).build())
    }

    fn deletion(&self) -> Result<GlobalSecondaryIndexUpdate, BuildError> {
        let delete = DeleteGlobalSecondaryIndexAction::builder()
            .index_name(self.name)
            .build()?;
        Ok(GlobalSecondaryIndexUpdate::builder().delete(delete).build())
    }

    fn is_like(&self, found: &GlobalSecondaryIndexDescription) -> bool {
        let keys: Vec<&str> = found
            .key_schema()
            .iter()
            .map(KeySchemaElement::attribute_name)
            .collect();
        let held: BTreeSet<&str> = found
            .projection()
            .map(|projection| {
                projection
                    .non_key_attributes()
                    .iter()
                    .map(String::as_str)
                    .collect()
            })
            .unwrap_or_default();
        let wanted: BTreeSet<&str> = match self.projects {
            true => at::PROJECTED.iter().copied().collect(),
            false => BTreeSet::new(),
        };
        keys == [self.hash, self.range] && held == wanted
    }
}
