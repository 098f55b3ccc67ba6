//! `imshare accept` and `imshare reject`.

use crate::api::Task;
use crate::arguments::Answer;
use crate::context::Context;
use crate::error::{Done, Outcome};
use crate::jobs::{self, batch::Part};
use crate::names::images::{self, Side};
use crate::names::{Named, projects};

/// Answers for images, or for all that wait.
pub fn answer(context: &Context, asked: &Answer, accept: bool) -> Outcome<Done> {
    let images = match asked.all {
        true => waiting(context, asked.from.as_deref())?,
        false => images::find(&context.client, &asked.images, Side::Theirs)?,
    };
    let vault = asked.vault.clone();
    let parts = vec![Part {
        images,
        projects: None,
    }];
    jobs::run(context, &Task::Answer { accept, vault }, parts, &asked.job)
}

/// The images that wait for an answer.
fn waiting(context: &Context, from: Option<&str>) -> Outcome<Vec<Named>> {
    let owner = from
        .map(|name| projects::find_one(&context.client, name))
        .transpose()?;
    let owner = owner.as_ref().map(|owner| owner.id.as_str());
    let invitations = context.client.invitations("pending", owner, usize::MAX)?;
    let named = invitations.into_iter().map(|invitation| Named {
        name: invitation
            .image_name
            .unwrap_or_else(|| invitation.image_id.clone()),
        id: invitation.image_id,
    });
    Ok(named.collect())
}
