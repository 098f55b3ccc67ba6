//! `imshare accept` and `imshare reject`.

use crate::api::Task;
use crate::arguments::Answer;
use crate::context::Context;
use crate::error::{Done, Outcome};
use crate::jobs::{self, batch::Part};
use crate::names::images::{self, Side};
use crate::names::{Named, projects};

/// Answers for images, or for all that wait.
pub fn answer(
    context: &Context,
    asked: &Answer,
    accept: bool,
    vault: Option<String>,
) -> Outcome<Done> {
    let client = &context.client;
    let owner = projects::id_of(client, asked.from.as_deref())?;
    let images = match (asked.all, owner.as_deref()) {
        (true, owner) => waiting(context, owner)?,
        (false, Some(owner)) => images::find(client, &asked.images, Side::Of(owner))?,
        (false, None) => images::find(client, &asked.images, Side::Theirs)?,
    };
    let parts = vec![Part {
        images,
        projects: None,
    }];
    jobs::run(context, &Task::Answer { accept, vault }, parts, &asked.job)
}

/// The images that wait for an answer.
fn waiting(context: &Context, owner: Option<&str>) -> Outcome<Vec<Named>> {
    let invitations = context.client.invitations("pending", owner, usize::MAX)?;
    let named = invitations.into_iter().map(|invitation| Named {
        name: invitation
            .image_name
            .unwrap_or_else(|| invitation.image_id.clone()),
        id: invitation.image_id,
    });
    Ok(named.collect())
}
