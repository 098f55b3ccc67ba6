//! `imshare share` and `imshare unshare`.

use crate::api::Task;
use crate::arguments::{JobOptions, WithProjects};
use crate::context::Context;
use crate::error::{Done, Failure, Outcome};
use crate::jobs::{self, batch::Part};
use crate::names::images::Side;
use crate::names::{List, images, projects};

/// Finds the images and projects, then shares them or stops sharing them.
pub fn run(
    context: &Context,
    task: &Task,
    wanted: &[String],
    with: WithProjects,
    options: &JobOptions,
) -> Outcome<Done> {
    let mut texts: Vec<String> = with
        .with
        .iter()
        .map(|text| text.trim().to_owned())
        .collect();
    let list = with.with_file.as_deref().map(List::read).transpose()?;
    let list = list.unwrap_or_default();
    texts.extend_from_slice(&list.names);
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() {
        return Err(Failure::wrong_use(
            "no project is named: --with takes them with commas between them, --with-file a file with one \
             a line",
        ));
    }
    // With spaces between projects all but the first are images.
    let hint = |name: &str| {
        let all: Vec<&str> = with.with.iter().map(String::as_str).chain([name]).collect();
        let hint = || format!("a project has this name: write --with {}", all.join(","));
        projects::is_name(&context.client, name).then(hint)
    };
    let images = images::find_or_hint(&context.client, wanted, Side::Mine, &hint)?;
    let projects = Some(projects::find_listed(&context.client, &texts, &list)?);
    jobs::run(context, task, vec![Part { images, projects }], options)
}
