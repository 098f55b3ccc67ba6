//! `imshare image`: the records of images.

use serde_json::{Map, Value, json};

use crate::api::Query;
use crate::arguments::{ImageCommand, MemberStatus, Visible};
use crate::context::Context;
use crate::error::{Done, Failure, Outcome};
use crate::names;
use crate::names::images::{self, Side};
use crate::output::{self, Table};

/// The fields that are shown first, by the API's names.
const FIRST: [(&str, &str); 12] = [
    ("id", "ID"),
    ("name", "Name"),
    ("status", "Status"),
    ("visibility", "Visibility"),
    ("owner", "Owner"),
    ("protected", "Protected"),
    ("disk_format", "Disk Format"),
    ("container_format", "Container Format"),
    ("size", "Size"),
    ("checksum", "Checksum"),
    ("created_at", "Created At"),
    ("updated_at", "Updated At"),
];
/// The fields that are no properties of an image, and not shown.
const HIDDEN: [&str; 14] = [
    "self",
    "file",
    "schema",
    "direct_url",
    "locations",
    "tags",
    "min_disk",
    "min_ram",
    "virtual_size",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "stores",
    "members",
];

/// Runs a command about images.
pub fn run(context: &Context, asked: ImageCommand) -> Outcome<Done> {
    match asked {
        ImageCommand::List {
            name,
            visibility,
            member_status,
            limit,
            ..
        } => {
            list(
                context,
                name.as_deref(),
                visibility,
                member_status,
                limit.unwrap_or(usize::MAX),
            )?;
        }
        ImageCommand::Show { image, .. } => {
            let found = images::find_one(&context.client, &image, Side::Any)?;
            let gone = || Failure::wrong_use(format!("the image {image:?} was deleted just now"));
            show(context, &context.client.image(&found.id)?.ok_or_else(gone)?)?;
        }
        ImageCommand::Create {
            name,
            id,
            visibility,
            disk_format,
            container_format,
            tags,
            properties,
            ..
        } => {
            names::not_empty("an image name", std::slice::from_ref(&name))?;
            let mut image: Map<String, Value> = Map::new();
            for (property, value) in properties {
                image.insert(property, json!(value));
            }
            image.insert("name".to_owned(), json!(name));
            let visibility = visibility.map(|visibility| visibility.as_str().to_owned());
            for (field, value) in [
                ("id", id),
                ("visibility", visibility),
                ("disk_format", disk_format),
                ("container_format", container_format),
            ] {
                if let Some(value) = value {
                    image.insert(field.to_owned(), json!(value));
                }
            }
            if !tags.is_empty() {
                image.insert("tags".to_owned(), json!(tags));
            }
            let created = context.client.create_image(&Value::Object(image))?;
            show(context, &created).map_err(|failure| failure.and("the image was created"))?;
        }
    }
    Ok(Done::All)
}

fn list(
    context: &Context,
    name: Option<&str>,
    visibility: Option<Visible>,
    member_status: MemberStatus,
    limit: usize,
) -> Outcome<()> {
    let query = Query::default()
        .with("name", name)
        .with("visibility", visibility.map(Visible::as_str))
        .with("member_status", Some(member_status.as_str()));
    let images = context.client.images(query, limit)?;
    if images.is_empty() {
        context.note("There are no such images.");
    }
    let mut table = Table::new(&["ID", "Name", "Status", "Visibility", "Owner"]);
    for image in images {
        table.push([
            image.id.into(),
            image.name.into(),
            image.status.into(),
            image.visibility.into(),
            image.owner.into(),
        ]);
    }
    output::list(&context.terminal, &context.output, table)
}

fn show(context: &Context, image: &Value) -> Outcome<()> {
    let field = |(name, shown): &(&str, &'static str)| {
        Some((*shown, image.get(*name).cloned().unwrap_or_default()))
    };
    let mut fields: Vec<(&'static str, Value)> = FIRST.iter().filter_map(field).collect();
    fields.push(("Tags", image.get("tags").cloned().unwrap_or_default()));
    let known =
        |name: &str| FIRST.iter().any(|(field, _)| *field == name) || HIDDEN.contains(&name);
    let properties: Map<String, Value> = image
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !known(name) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    fields.push(("Properties", Value::Object(properties)));
    output::record(&context.terminal, &context.output, fields)
}
