//! `imshare projects check`: finds the memberships of projects that do not exist any more, and ends them
//! if it is asked to.
//!
//! A membership is ended as its image's owner would end it, so the counts stay right, a tombstone keeps
//! late messages out, and a server that runs at the same time sees nothing else than that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use shared::domain::actor::Origin;
use shared::domain::change::Change;
use shared::domain::id::{ImageId, OperationId, ProjectId};
use shared::domain::policy::{Caller, Role};
use shared::domain::time::Clock;
use shared::runtime::clients::Clients;
use shared::runtime::keystone::KeystoneConfig;
use shared::runtime::projects::Projects;
use shared::store::members::{Changed, Stamp};
use shared::store::{Indexes, Store};

use crate::engine::Engine;
use crate::identity::IdentityFile;
use crate::operator::{Stopped, StoreOptions, check_table};
use crate::storage::{Directory, Health, StoreFile};

/// Who says which projects exist.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Authority {
    /// Keystone to ask, as the user that the variables KEYSTONE_USERNAME, KEYSTONE_PASSWORD,
    /// KEYSTONE_PROJECT and so on name.
    #[arg(long, env = "IMSHARE_KEYSTONE_URL", value_name = "URL")]
    pub keystone_url: Option<String>,

    /// The identity file of a server on this machine, whose projects are all that exist.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

impl Authority {
    fn projects(&self) -> Result<Projects, Stopped> {
        if let Some(path) = &self.identity {
            let identity = IdentityFile::read(path).map_err(Stopped::WrongUse)?;
            return Ok(identity.projects());
        }
        let url = self.keystone_url.as_deref().unwrap_or_default();
        let config = KeystoneConfig::of_url(url);
        let config = config.map_err(|error| Stopped::WrongUse(error.to_string()))?;
        Projects::keystone(config, Clock::System).map_err(|error| {
            Stopped::WrongUse(format!("no certificates to know Keystone by: {error}"))
        })
    }
}

/// What is done about the memberships of projects that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// They are reported.
    Report,
    /// They are ended.
    Remove {
        /// Who ends them, for the record.
        by: String,
    },
}

/// What became of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its project does not exist.
    Gone,
    /// It was ended.
    Removed,
    /// It was not ended: its image is not shared at present, or has just changed.
    Kept,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Removed => "removed",
            Self::Kept => "kept",
        }
    }
}

/// A membership of a project that does not exist.
#[derive(Clone, Debug)]
pub struct GoneMember {
    /// The project.
    pub project: ProjectId,
    /// The image.
    pub image: ImageId,
    /// What became of the membership.
    pub state: State,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of projects that are members of an image.
    pub projects: usize,
    /// The memberships of those that do not exist.
    pub gone: Vec<GoneMember>,
}

/// Finds the memberships of projects that do not exist, and ends them if asked to.
///
/// # Errors
/// If the store or Keystone does not answer, or Keystone knows none of the projects.
pub async fn check(
    options: &StoreOptions,
    table: Option<&str>,
    authority: &Authority,
    remedy: Remedy,
) -> Result<Found, Stopped> {
    let projects = authority.projects()?;
    // The lock of the data directory is held until the end.
    let (store, _directory) = open(options, table, &remedy).await?;
    let members = store.members_of_all_images().await?;
    let mut absent: Vec<_> = projects
        .absent(members.keys().cloned().collect())
        .await?
        .into_iter()
        .collect();
    absent.sort();
    if remedy != Remedy::Report && absent.len() > 1 && absent.len() == members.len() {
        return Err(Stopped::Refused(format!(
            "none of the {} projects exists there: nothing is removed, because that looks like \
             another cloud's identity service",
            members.len()
        )));
    }
    let mut by_image: BTreeMap<ImageId, Vec<ProjectId>> = BTreeMap::new();
    for project in absent {
        for image in members.get(&project).into_iter().flatten() {
            by_image.entry(*image).or_default().push(project.clone());
        }
    }
    let mut gone = Vec::new();
    for (image, projects) in by_image {
        for project in projects {
            let state = match &remedy {
                Remedy::Report => State::Gone,
                Remedy::Remove { by } => remove(&store, image, &project, by).await?,
            };
            gone.push(GoneMember {
                project,
                image,
                state,
            });
        }
    }
    Ok(Found {
        projects: members.len(),
        gone,
    })
}

/// Ends a membership, for the image's owner.
async fn remove(
    store: &Store,
    image: ImageId,
    member: &ProjectId,
    by: &str,
) -> Result<State, Stopped> {
    let operator = Caller {
        user: by.to_owned(),
        project: member.clone(),
        role: Role::Admin,
    };
    let by = Origin::new(operator.actor(), "-".to_owned());
    let stamp = Stamp::direct(OperationId::now(), Clock::System.now(), by);
    let members = std::slice::from_ref(member);
    let removed = store.remove_members(&operator, image, members, false, stamp);
    Ok(match removed.await? {
        Changed::Members(changes) if changes.first() == Some(&Change::Applied) => State::Removed,
        Changed::Members(_) | Changed::Image(_) => State::Kept,
    })
}

/// Opens the table. The data directory is locked for writing; reading goes on beside a server.
async fn open(
    options: &StoreOptions,
    table: Option<&str>,
    remedy: &Remedy,
) -> Result<(Store, Option<Directory>), Stopped> {
    let name = table.unwrap_or("imshare").to_owned();
    if let Some(client) = options.dynamodb(table.is_some())? {
        check_table(&client, &name).await?;
        return Ok((Store::new(client, name, Indexes::Eventual), None));
    }
    let path = StoreFile::Table.path(&options.data_dir);
    if !path.is_file() {
        let directory = options.data_dir.display();
        let words = format!("there is no table in the data directory {directory}");
        return Err(Stopped::WrongUse(words));
    }
    let directory = match remedy {
        Remedy::Report => None,
        Remedy::Remove { .. } => Some(locked(&options.data_dir)?),
    };
    let health = Health::of(&options.data_dir);
    let engine = Engine::in_file(&path, health).map_err(Stopped::Away)?;
    let client = Clients::dynamodb_in_process(engine);
    check_table(&client, &name).await?;
    let store = Store::new(client, name, Indexes::Immediate);
    if *remedy != Remedy::Report {
        store.recall_unreconciled(Clock::System.now()).await?;
    }
    Ok((store, directory))
}

fn locked(path: &Path) -> Result<Directory, Stopped> {
    Directory::open(path).map_err(|why| {
        Stopped::Refused(format!(
            "{why}; or stop that server first, or start it with --dynamodb-listen and name that \
             address with --dynamodb-endpoint"
        ))
    })
}
