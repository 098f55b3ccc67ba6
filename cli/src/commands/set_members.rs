//! `imshare set-members`: an image is shared with exactly the projects of a list.

use std::collections::HashSet;

use crate::api::{Client, Member};
use crate::arguments::SetMembers;
use crate::context::Context;
use crate::error::{Done, Failure, Outcome, count, grouped};
use crate::jobs::started::Started;
use crate::jobs::watch::Watch;
use crate::jobs::{self, report};
use crate::names::images::{self, Side};
use crate::names::{List, Named, projects};
use crate::output::{self, Form, Table};
use crate::visible::visible_line;

/// The members that an image has, and those that it shall have.
struct Difference {
    added: Vec<Named>,
    removed: Vec<Named>,
    /// How many of the removed have accepted.
    accepted: usize,
    unchanged: Vec<Named>,
}

/// Shows the difference, then makes it so.
pub fn set_members(context: &Context, asked: &SetMembers) -> Outcome<Done> {
    let list = List::read(&asked.file)?;
    let client = &context.client;
    let image = images::find_one(client, &asked.image, Side::Mine)?;
    let wanted = projects::find_listed(client, &list.names, &list)?;
    let (members, tag) = client.members(&image.id)?;
    let mut difference = Difference::of(&members, &wanted);
    difference.name_removed(client)?;
    difference.print(context, asked.dry_run)?;
    let changes = difference.added.len() + difference.removed.len();
    if asked.dry_run || changes == 0 {
        return Ok(Done::All);
    }
    confirm(asked, &image, &difference)?;
    let total = wanted.len() + difference.removed.len();
    let watch = Watch::new(context, total)?;
    let ids: Vec<String> = wanted.iter().map(|project| project.id.clone()).collect();
    let id = client.set_members(&image.id, &ids, tag.as_deref())?;
    watch.started(&id);
    let started = [Started { id, total }];
    if asked.job.no_wait {
        watch.finish();
        return jobs::print_ids(context, &started);
    }
    watch.wait(client, &started)?;
    watch.finish();
    let named = [difference.added, difference.removed, difference.unchanged];
    let mut known: jobs::batch::Names = named
        .into_iter()
        .flatten()
        .map(|each| (each.id, each.name))
        .collect();
    known.insert(image.id, image.name);
    report::report(context, report::DECLARED, &started, &known)
}

/// Asks a person before shares are ended, and before many changes. A list without a project is asked
/// about in any case.
fn confirm(asked: &SetMembers, image: &Named, difference: &Difference) -> Outcome<()> {
    let Difference {
        added,
        removed,
        accepted,
        unchanged,
    } = difference;
    if added.is_empty() && unchanged.is_empty() && !asked.job.yes {
        return Err(Failure::wrong_use(
            "the list is empty, which ends every share of the image: say --yes if that is meant; nothing \
             was sent",
        ));
    }
    if !removed.is_empty() && !asked.job.yes && jobs::attended() {
        let shares = count(removed.len(), "share");
        return jobs::ask(&format!("End {shares} ({} accepted)?", grouped(*accepted)));
    }
    let question = format!("Change the members of {:?}", image.name);
    jobs::confirm(&asked.job, added.len() + removed.len(), &question)
}

impl Difference {
    fn of(members: &[Member], wanted: &[Named]) -> Self {
        let present: HashSet<&String> = members.iter().map(|member| &member.member_id).collect();
        let (unchanged, added) = wanted
            .iter()
            .cloned()
            .partition(|each| present.contains(&each.id));
        let wanted: HashSet<&String> = wanted.iter().map(|each| &each.id).collect();
        let mut removed: Vec<&Member> = members
            .iter()
            .filter(|member| !wanted.contains(&member.member_id))
            .collect();
        removed.sort_by_key(|member| &member.member_id);
        let accepted = removed.iter().filter(|each| each.status == "accepted");
        let named = removed.iter().map(|member| Named {
            name: member.member_id.clone(),
            id: member.member_id.clone(),
        });
        Self {
            added,
            removed: named.collect(),
            accepted: accepted.count(),
            unchanged,
        }
    }

    /// Finds the names of the removed, as far as the identity service tells them: the list has none.
    fn name_removed(&mut self, client: &Client) -> Outcome<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        let mut names = projects::names(client)?;
        for project in &mut self.removed {
            if let Some(name) = names.remove(&project.id) {
                project.name = name;
            }
        }
        Ok(())
    }

    /// Prints the difference: as output if it is all that the command does, else as a note.
    fn print(&self, context: &Context, output: bool) -> Outcome<()> {
        let table = || {
            let mut table = Table::new(&["Project", "Project Name", "Change"]);
            for (change, projects) in [
                ("add", &self.added),
                ("remove", &self.removed),
                ("keep", &self.unchanged),
            ] {
                for project in projects {
                    table.push([
                        project.id.clone().into(),
                        project.name.clone().into(),
                        change.into(),
                    ]);
                }
            }
            table
        };
        if output && context.output.format != Form::Table {
            return output::list(&context.terminal, &context.output, table());
        }
        let lines = |sign: char, projects: &[Named]| {
            let lines = projects
                .iter()
                .map(|project| format!("{sign} {}\n", visible_line(&project.name)));
            lines.collect::<String>()
        };
        let text = format!(
            "{}{}{} to add, {} to remove, {} to keep",
            lines('+', &self.added),
            lines('-', &self.removed),
            grouped(self.added.len()),
            grouped(self.removed.len()),
            grouped(self.unchanged.len())
        );
        match output {
            true => context.terminal.print(&format!("{text}\n")),
            false => {
                context.note(&text);
                Ok(())
            }
        }
    }
}
