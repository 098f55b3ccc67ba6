//! Asks Keystone whether projects exist.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::config::KeystoneConfig;
use super::error::AuthError;
use super::validate::Keystone;
use crate::domain::cache::ExpiringCache;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::roles::RoleNames;
use crate::domain::time::Clock;
use crate::runtime::config::{ConfigError, parsed, required};
use crate::runtime::projects::{Directory, Projects};

/// How many projects an instance caches of those that exist, and of those that do not: some 2 MB.
const PROJECTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many seconds it is remembered that a project exists. A deleted one can be shared with for at
/// most that much longer.
pub const EXISTS_SECONDS: i64 = 300;
/// How many seconds it is remembered that a project does not exist. One that is created then can be
/// shared with at most that much later.
pub const ABSENT_SECONDS: i64 = 10;
/// Most projects that an instance asks about at once.
const AT_ONCE: usize = 16;
/// How long a project waits to be asked about.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The projects of a Keystone, cached.
#[derive(Debug)]
struct Asked {
    keystone: Keystone,
    existing: ExpiringCache<ProjectId, ()>,
    /// It has a cache of its own, so that a flood of unknown ids cannot evict projects.
    absent: ExpiringCache<ProjectId, ()>,
    at_once: Semaphore,
    clock: Clock,
}

impl Projects {
    /// Asks a Keystone.
    ///
    /// # Errors
    /// If there are no certificates to verify it with.
    pub fn keystone(config: KeystoneConfig, clock: Clock) -> std::io::Result<Self> {
        // No token is validated, so no role has a name.
        let keystone = Keystone::new(config, RoleNames::default(), clock.clone())?;
        Ok(Self::of(Asked {
            keystone,
            existing: ExpiringCache::new(PROJECTS_MAX),
            absent: ExpiringCache::new(PROJECTS_MAX),
            at_once: Semaphore::new(AT_ONCE),
            clock,
        }))
    }

    /// Asks Keystone, if `CHECK_PROJECTS` says that images are shared only with projects that exist.
    ///
    /// # Errors
    /// If a variable is missing or malformed, by its name.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        if !parsed("CHECK_PROJECTS", false, "true or false")? {
            return Ok(None);
        }
        let keystone = KeystoneConfig::of_url(&required("KEYSTONE_URL")?)?;
        let projects = Self::keystone(keystone, Clock::System);
        let unusable = |error| ConfigError::unusable("KEYSTONE_URL", error);
        projects.map(Some).map_err(unusable)
    }
}

impl Directory for Asked {
    fn exists<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<bool, ApiError>> {
        self.find_out(project).boxed()
    }
}

impl Asked {
    fn remembered(&self, project: &ProjectId) -> Option<bool> {
        let now = self.clock.now();
        if self.existing.get(project, now).is_some() {
            return Some(true);
        }
        self.absent.get(project, now).map(|()| false)
    }

    async fn find_out(&self, project: &ProjectId) -> Result<bool, ApiError> {
        if let Some(exists) = self.remembered(project) {
            return Ok(exists);
        }
        let permit = tokio::time::timeout(WAIT_TIMEOUT, self.at_once.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            let words = "Keystone: too many projects to ask about at once";
            return Err(ApiError::unavailable(words));
        };
        // Another request may have asked about the same project meanwhile.
        if let Some(exists) = self.remembered(project) {
            return Ok(exists);
        }
        let asked_at = self.clock.now();
        let exists = match self.keystone.has_project(project).await {
            Ok(exists) => exists,
            Err(AuthError::Unavailable(why)) => return Err(ApiError::unavailable(why)),
            Err(AuthError::Unauthorized) => {
                return Err(ApiError::unavailable("Keystone: refused about a project"));
            }
        };
        match exists {
            true => {
                let until = asked_at.plus_seconds(EXISTS_SECONDS);
                self.existing.insert(project.clone(), (), until);
            }
            false => {
                let until = asked_at.plus_seconds(ABSENT_SECONDS);
                self.absent.insert(project.clone(), (), until);
            }
        }
        Ok(exists)
    }
}
