//! `imshare set-members`: an image is shared with exactly the projects of a list.

use std::collections::HashSet;

use crate::arguments::SetMembers;
use crate::context::Context;
use crate::error::{Done, Failure, Outcome, grouped};
use crate::jobs::started::Started;
use crate::jobs::watch::Watch;
use crate::jobs::{self, report};
use crate::names::images::{self, Side};
use crate::names::{self, Named, projects};
use crate::output::{self, Form, Table};

/// The members that an image has, and those that it shall have.
struct Difference {
    added: Vec<Named>,
    removed: Vec<Named>,
    unchanged: Vec<Named>,
}

/// Shows the difference, then makes it so.
pub fn set_members(context: &Context, asked: &SetMembers) -> Outcome<Done> {
    let texts = names::read_file(&asked.file)?;
    let client = &context.client;
    let image = images::find_one(client, &asked.image, Side::Mine)?;
    let wanted = projects::find(client, &texts)?;
    let (members, tag) = client.members(&image.id)?;
    let present = members.into_iter().map(|member| member.member_id).collect();
    let difference = Difference::of(present, &wanted);
    difference.print(context, asked.dry_run)?;
    let changes = difference.added.len() + difference.removed.len();
    if asked.dry_run || changes == 0 {
        return Ok(Done::All);
    }
    if wanted.is_empty() && !asked.job.yes {
        return Err(Failure::wrong_use(
            "the list is empty, which ends every share of the image: say --yes if that is meant; nothing \
             was sent",
        ));
    }
    jobs::confirm(
        &asked.job,
        changes,
        &format!("Change the members of {:?}", image.name),
    )?;
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

impl Difference {
    fn of(present: HashSet<String>, wanted: &[Named]) -> Self {
        let (unchanged, added) = wanted
            .iter()
            .cloned()
            .partition(|each| present.contains(&each.id));
        let wanted: HashSet<&String> = wanted.iter().map(|each| &each.id).collect();
        let mut removed: Vec<String> = present
            .into_iter()
            .filter(|id| !wanted.contains(id))
            .collect();
        removed.sort();
        let removed = removed.into_iter().map(|id| Named {
            name: id.clone(),
            id,
        });
        Self {
            added,
            removed: removed.collect(),
            unchanged,
        }
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
                .map(|project| format!("{sign} {}\n", project.name));
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
