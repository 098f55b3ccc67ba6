//! Finds the projects that names and ids stand for, through Keystone where it allows that.

use std::collections::HashMap;

use super::images::not_found;
use super::{List, Named, looks_like_id, not_empty, unique, unique_ids};
use crate::api::Client;
use crate::error::{Failure, Outcome};
use crate::login::directory::{Directory, Lookup, ProjectBody};

/// From this many names on, the list of all projects is read instead of asking for each.
const MANY: usize = 10;

/// Finds projects by id, or by a name that only one project has. A text that looks like an id is
/// taken as one.
///
/// # Errors
/// If a name is unknown, that of several, or Keystone does not let this user look projects up.
pub fn find(client: &Client, texts: &[String]) -> Outcome<Vec<Named>> {
    find_listed(client, texts, &List::default())
}

/// As [`find`], of names that may come from a file: unknown ones are told with their lines.
///
/// # Errors
/// As [`find`].
pub fn find_listed(client: &Client, texts: &[String], list: &List) -> Outcome<Vec<Named>> {
    not_empty("a project name", texts)?;
    let texts = unique(texts.iter().cloned());
    let (ids, names): (Vec<String>, Vec<String>) =
        texts.iter().cloned().partition(|text| looks_like_id(text));
    let mut found: Vec<Named> = ids
        .iter()
        .map(|id| Named {
            id: id.clone(),
            name: id.clone(),
        })
        .collect();
    if !names.is_empty() {
        let asked = client.directory(|directory| by_name(directory, &names, list))?;
        found.extend(asked.ok_or_else(|| {
            Failure::wrong_use(format!(
                "without the identity service projects have no names: give the id of {:?} instead, or \
                 set OS_AUTH_URL; nothing was sent",
                names.first().map_or("", String::as_str)
            ))
        })?);
    }
    // In the order in which they were given.
    let place = |named: &Named| texts.iter().position(|text| *text == named.name);
    found.sort_by_cached_key(place);
    Ok(unique_ids(found))
}

/// Finds one project.
///
/// # Errors
/// As [`find`].
pub fn find_one(client: &Client, text: &str) -> Outcome<Named> {
    let found = find(client, &[text.to_owned()])?;
    let missing = || Failure::wrong_use(format!("there is no project {text:?}"));
    found.into_iter().next().ok_or_else(missing)
}

/// Finds the id of a project that may be given.
///
/// # Errors
/// As [`find`].
pub fn id_of(client: &Client, text: Option<&str>) -> Outcome<Option<String>> {
    let found = text.map(|text| find_one(client, text)).transpose()?;
    Ok(found.map(|project| project.id))
}

/// Whether a project has this name, as far as Keystone tells.
pub fn is_name(client: &Client, text: &str) -> bool {
    let asked = client.directory(|directory| match directory.projects(Some(text))? {
        Lookup::Found(projects) => Ok(projects),
        Lookup::NotAllowed(_) => directory.own_projects(),
    });
    let found = asked.ok().flatten().unwrap_or_default();
    found.iter().any(|project| project.name == text)
}

/// The names of projects by their ids: of all, or of the user's own where it may not see the others.
///
/// # Errors
/// If Keystone is away.
pub fn names(client: &Client) -> Outcome<HashMap<String, String>> {
    let projects = client.directory(|directory| match directory.projects(None)? {
        Lookup::Found(projects) => Ok(projects),
        Lookup::NotAllowed(_) => directory.own_projects(),
    })?;
    let projects = projects.unwrap_or_default().into_iter();
    Ok(projects.map(|project| (project.id, project.name)).collect())
}

fn by_name(directory: &Directory<'_>, names: &[String], list: &List) -> Outcome<Vec<Named>> {
    let mut known: Option<Vec<ProjectBody>> = None;
    let mut refused: Option<String> = None;
    if names.len() >= MANY {
        match directory.projects(None)? {
            Lookup::Found(projects) => known = Some(projects),
            Lookup::NotAllowed(said) => refused = Some(said),
        }
    }
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        let candidates = match (&known, &refused) {
            (Some(known), _) => of_name(known, name),
            (None, None) => match directory.projects(Some(name))? {
                Lookup::Found(projects) => of_name(&projects, name),
                Lookup::NotAllowed(said) => {
                    refused = Some(said);
                    known = Some(directory.own_projects()?);
                    of_name(known.as_deref().unwrap_or_default(), name)
                }
            },
            (None, Some(_)) => {
                known = Some(directory.own_projects()?);
                of_name(known.as_deref().unwrap_or_default(), name)
            }
        };
        match choose(directory, name, candidates, refused.is_some())? {
            Some(named) => found.push(named),
            None => unknown.push(name.clone()),
        }
    }
    match unknown.is_empty() {
        true => Ok(found),
        false => Err(unknown_projects(directory, &unknown, list, known, refused)?),
    }
}

fn of_name(projects: &[ProjectBody], name: &str) -> Vec<ProjectBody> {
    projects
        .iter()
        .filter(|project| project.name == name)
        .cloned()
        .collect()
}

fn choose(
    directory: &Directory<'_>,
    name: &str,
    mut candidates: Vec<ProjectBody>,
    refused: bool,
) -> Outcome<Option<Named>> {
    if candidates.len() > 1 {
        let ids: Vec<String> = candidates.into_iter().map(|project| project.id).collect();
        return Err(Failure::wrong_use(format!(
            "{} projects are named {name:?}, so say which by its id: {}; nothing was sent",
            ids.len(),
            ids.join(", ")
        )));
    }
    if candidates.is_empty() && !refused {
        // Ids of another form than the usual one.
        if let Lookup::Found(project) = directory.project(name)? {
            candidates.extend(project);
        }
    }
    let named = candidates.pop().map(|project| Named {
        id: project.id,
        name: name.to_owned(),
    });
    Ok(named)
}

fn unknown_projects(
    directory: &Directory<'_>,
    unknown: &[String],
    list: &List,
    known: Option<Vec<ProjectBody>>,
    refused: Option<String>,
) -> Outcome<Failure> {
    if let Some(said) = refused {
        let names = unknown.iter().map(|name| match list.place(name) {
            Some(place) => format!("{name:?} ({place})"),
            None => format!("{name:?}"),
        });
        let names: Vec<String> = names.collect();
        return Ok(Failure::wrong_use(format!(
            "the identity service does not let this user look projects up by name ({said}): give the id \
             of {} instead; nothing was sent",
            names.join(", ")
        )));
    }
    let known = match known {
        Some(known) => known,
        None => match directory.projects(None)? {
            Lookup::Found(projects) => projects,
            Lookup::NotAllowed(_) => Vec::new(),
        },
    };
    let known: Vec<String> = known.into_iter().map(|project| project.name).collect();
    Ok(not_found(
        "project",
        unknown,
        &known,
        "openstack project list shows them all",
        &|name| list.place(name),
        &|_| None,
    ))
}
