//! Whether projects exist, so that nobody shares an image with a project that is not there.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::config::KeystoneConfig;
use super::error::AuthError;
use super::validate::Keystone;
use crate::domain::cache::ExpiringCache;
use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;
use crate::domain::roles::RoleNames;
use crate::domain::time::Clock;

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
/// Most projects of one batch that are asked about at once, so that others are asked about too.
const OF_A_BATCH: usize = 8;
/// How long a project waits to be asked about.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Knows which projects exist; cheap to clone.
#[derive(Clone, Debug)]
pub struct Projects(Arc<Known>);

#[derive(Debug)]
enum Known {
    /// These and no others.
    Fixed(HashSet<ProjectId>),
    /// Those that a Keystone knows.
    Keystone(Box<Asked>),
}

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
    /// These projects exist, and no others.
    pub fn fixed(projects: impl IntoIterator<Item = ProjectId>) -> Self {
        Self(Arc::new(Known::Fixed(projects.into_iter().collect())))
    }

    /// Asks a Keystone.
    ///
    /// # Errors
    /// If there are no certificates to verify it with.
    pub fn keystone(config: KeystoneConfig, clock: Clock) -> std::io::Result<Self> {
        // No token is validated, so no role has a name.
        let keystone = Keystone::new(config, RoleNames::default(), clock.clone())?;
        Ok(Self(Arc::new(Known::Keystone(Box::new(Asked {
            keystone,
            existing: ExpiringCache::new(PROJECTS_MAX),
            absent: ExpiringCache::new(PROJECTS_MAX),
            at_once: Semaphore::new(AT_ONCE),
            clock,
        })))))
    }

    /// Whether a project exists.
    ///
    /// # Errors
    /// Unavailable if Keystone does not say.
    pub async fn exists(&self, project: &ProjectId) -> Result<bool, ApiError> {
        match &*self.0 {
            Known::Fixed(projects) => Ok(projects.contains(project)),
            Known::Keystone(asked) => asked.exists(project).await,
        }
    }

    /// Those of some projects that do not exist.
    ///
    /// # Errors
    /// Unavailable if Keystone does not say.
    pub async fn absent(&self, projects: Vec<ProjectId>) -> Result<HashSet<ProjectId>, ApiError> {
        let asked = projects.into_iter().map(|project| async move {
            // Boxed: a request to Keystone would make the future of every entry as large as its own.
            let exists = Box::pin(self.exists(&project)).await?;
            Ok::<_, ApiError>((!exists).then_some(project))
        });
        let asked = stream::iter(asked).buffer_unordered(OF_A_BATCH);
        asked
            .try_filter_map(|absent| async { Ok(absent) })
            .try_collect()
            .await
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

    async fn exists(&self, project: &ProjectId) -> Result<bool, ApiError> {
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
