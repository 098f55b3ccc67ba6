//! `imshare inbox`: the recipient's view.

use super::members::{NAME, name_in, print, project_names};
use crate::arguments::{Inbox, MemberStatus};
use crate::context::Context;
use crate::error::{Done, Outcome, count};
use crate::names::projects;
use crate::output::Table;

/// Lists what is shared with the caller's project.
pub fn inbox(context: &Context, asked: &Inbox) -> Outcome<Done> {
    let owner = projects::id_of(&context.client, asked.from.as_deref())?;
    let invitations =
        context
            .client
            .invitations(asked.status.as_str(), owner.as_deref(), usize::MAX)?;
    let owners: std::collections::HashSet<_> = invitations.iter().map(|each| &each.owner).collect();
    let from = owner.map_or_else(String::new, |owner| format!(" --from {owner}"));
    match (invitations.is_empty(), asked.status) {
        (true, MemberStatus::Pending) => context.note("Nothing waits for an answer."),
        (true, _) => context.note("There are no such images."),
        (false, MemberStatus::Pending) => context.note(&format!(
            "{} from {} {} for an answer. Accept with: imshare accept --all{from}",
            count(invitations.len(), "image"),
            count(owners.len(), "project"),
            if invitations.len() == 1 {
                "waits"
            } else {
                "wait"
            }
        )),
        (false, _) => {}
    }
    let names = project_names(context, asked.names)?;
    let mut table = Table::new(&["Image", "Name", "Owner", NAME, "Status", "Shared At"]);
    for invitation in invitations {
        let owner = invitation.owner.as_deref().unwrap_or_default();
        let owner_name = name_in(&names, owner);
        table.push([
            invitation.image_id.into(),
            invitation.image_name.into(),
            invitation.owner.into(),
            owner_name,
            invitation.status.into(),
            invitation.created_at.into(),
        ]);
    }
    print(context, table, asked.names)
}
