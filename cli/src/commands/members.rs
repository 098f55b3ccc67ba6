//! `imshare members` and `imshare pending`: the owner's view.

use std::collections::HashMap;

use serde_json::Value;

use crate::arguments::{MemberStatus, Members, Pending};
use crate::context::Context;
use crate::error::{Done, Outcome, count};
use crate::names::images::{self, Side};
use crate::names::projects;
use crate::output::{self, Table};

/// The column of projects' names, which is shown if it is asked for.
pub(super) const NAME: &str = "Project Name";

/// The names of projects, if they are asked for.
pub(super) fn project_names(context: &Context, asked: bool) -> Outcome<HashMap<String, String>> {
    match asked {
        true => projects::names(&context.client),
        false => Ok(HashMap::new()),
    }
}

/// A project's name, if it is known.
pub(super) fn name_in(names: &HashMap<String, String>, id: &str) -> Value {
    names.get(id).cloned().into()
}

/// Prints the table, without the names if they are not asked for.
pub(super) fn print(context: &Context, table: Table, names: bool) -> Outcome<Done> {
    let table = match names {
        true => table,
        false => table.without(&[NAME]),
    };
    output::list(&context.terminal, &context.output, table)?;
    Ok(Done::All)
}

/// Lists the members of an image.
pub fn members(context: &Context, asked: &Members) -> Outcome<Done> {
    let image = images::find_one(&context.client, &asked.image, Side::Mine)?;
    let (members, _) = context.client.members(&image.id)?;
    let names = project_names(context, asked.names)?;
    let mut table = Table::new(&["Project", NAME, "Status", "Shared At", "Updated At"]);
    for member in members {
        if asked.status == MemberStatus::All || asked.status.as_str() == member.status {
            let name = name_in(&names, &member.member_id);
            table.push([
                member.member_id.into(),
                name,
                member.status.into(),
                member.created_at.into(),
                member.updated_at.into(),
            ]);
        }
    }
    if table.is_empty() {
        let status = match asked.status {
            MemberStatus::All => String::new(),
            status => format!(" whose answer is {}", status.as_str()),
        };
        context.note(&format!(
            "The image {:?} has no members{status}.",
            image.name
        ));
    }
    print(context, table, asked.names)
}

/// Lists who has not answered, over all images.
pub fn pending(context: &Context, asked: &Pending) -> Outcome<Done> {
    let member = projects::id_of(&context.client, asked.member.as_deref())?;
    let shares = context.client.shares("pending", member.as_deref())?;
    let names = project_names(context, asked.names)?;
    let mut table = Table::new(&["Image", "Name", "Project", NAME, "Shared At"]);
    let images: std::collections::HashSet<&str> =
        shares.iter().map(|share| &*share.image_id).collect();
    match shares.is_empty() {
        true => context.note("Everybody has answered."),
        false => context.note(&format!(
            "{} for {}",
            count(shares.len(), "open invitation"),
            count(images.len(), "image")
        )),
    }
    for share in shares {
        let name = name_in(&names, &share.member_id);
        table.push([
            share.image_id.into(),
            share.image_name.into(),
            share.member_id.into(),
            name,
            share.created_at.into(),
        ]);
    }
    print(context, table, asked.names)
}
