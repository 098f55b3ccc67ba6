//! Whether projects exist, so that nobody shares an image with a project that is not there.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use crate::domain::error::ApiError;
use crate::domain::id::ProjectId;

/// Most projects of one batch that are asked about at once, so that others are asked about too.
const OF_A_BATCH: usize = 8;

/// Knows which projects exist. A trait object, so that only the functions that ask Keystone contain its client.
pub trait Directory: Debug + Send + Sync {
    /// Whether a project exists. Unavailable if that cannot be found out.
    fn exists<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<bool, ApiError>>;
}

/// The projects that exist; cheap to clone.
#[derive(Clone, Debug)]
pub struct Projects(Arc<dyn Directory>);

impl Projects {
    /// Those that a directory knows.
    pub fn of(directory: impl Directory + 'static) -> Self {
        Self(Arc::new(directory))
    }

    /// These projects, and no others.
    pub fn fixed(projects: impl IntoIterator<Item = ProjectId>) -> Self {
        Self::of(Fixed(projects.into_iter().collect()))
    }

    /// Whether a project exists.
    ///
    /// # Errors
    /// Unavailable if that cannot be found out.
    pub async fn exists(&self, project: &ProjectId) -> Result<bool, ApiError> {
        self.0.exists(project).await
    }

    /// Those of some projects that do not exist.
    ///
    /// # Errors
    /// Unavailable if that cannot be found out.
    pub async fn absent(&self, projects: Vec<ProjectId>) -> Result<HashSet<ProjectId>, ApiError> {
        let asked = projects.into_iter().map(|project| async move {
            let exists = self.exists(&project).await?;
            Ok::<_, ApiError>((!exists).then_some(project))
        });
        let asked = stream::iter(asked).buffer_unordered(OF_A_BATCH);
        asked
            .try_filter_map(|absent| async { Ok(absent) })
            .try_collect()
            .await
    }
}

/// A list of all projects.
#[derive(Debug)]
struct Fixed(HashSet<ProjectId>);

impl Directory for Fixed {
    fn exists<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<bool, ApiError>> {
        let exists = self.0.contains(project);
        async move { Ok(exists) }.boxed()
    }
}
