//! `imshare trust`: the owners whose shares are accepted or rejected at once.

use super::members::{NAME, name_in, print, project_names};
use crate::api::TrustRule;
use crate::arguments::{TrustCommand, TrustMode};
use crate::context::Context;
use crate::error::{Done, Failure, Outcome, count};
use crate::names::{Named, projects};
use crate::output::Table;

/// How often the rules are read again when somebody else has changed them.
const TRIES: usize = 5;

/// Runs a command about trusted owners.
pub fn run(context: &Context, asked: TrustCommand) -> Outcome<Done> {
    match asked {
        TrustCommand::List { names, .. } => return list(context, names),
        TrustCommand::Add { owners, mode, .. } => {
            let mode = match mode {
                TrustMode::Accept => "accept",
                TrustMode::Reject => "reject",
            };
            let owners = find(context, &owners)?;
            change(context, |rules| {
                rules.retain(|rule| !owners.iter().any(|owner| owner.id == rule.owner));
                let rule = |owner: &Named| TrustRule {
                    owner: owner.id.clone(),
                    mode: mode.to_owned(),
                };
                rules.extend(owners.iter().map(rule));
            })?;
            context.note(&format!(
                "What {} will share from now on is {mode}ed at once.",
                count(owners.len(), "owner")
            ));
        }
        TrustCommand::Remove { owners, .. } => {
            let owners = find(context, &owners)?;
            change(context, |rules| {
                rules.retain(|rule| !owners.iter().any(|owner| owner.id == rule.owner));
            })?;
            context.note(&format!(
                "What {} will share from now on waits for an answer.",
                count(owners.len(), "owner")
            ));
        }
    }
    Ok(Done::All)
}

fn find(context: &Context, owners: &[String]) -> Outcome<Vec<Named>> {
    projects::find(&context.client, owners)
}

fn list(context: &Context, asked: bool) -> Outcome<Done> {
    let (rules, _) = context.client.trusted()?;
    if rules.is_empty() {
        context.note("No owner is trusted: every image that is shared waits for an answer.");
    }
    let names = project_names(context, asked)?;
    let mut table = Table::new(&["Owner", NAME, "Mode"]);
    for rule in rules {
        let name = name_in(&names, &rule.owner);
        table.push([rule.owner.into(), name, rule.mode.into()]);
    }
    print(context, table, asked)
}

/// Changes the rules, once more if somebody else has changed them meanwhile.
fn change(context: &Context, change: impl Fn(&mut Vec<TrustRule>)) -> Outcome<()> {
    for _ in 0..TRIES {
        let (before, tag) = context.client.trusted()?;
        let mut rules = before.clone();
        change(&mut rules);
        if rules == before || context.client.set_trusted(&rules, tag.as_deref())? {
            return Ok(());
        }
    }
    Err(Failure::away(
        "the rules are changed by others all the time: try again",
    ))
}
