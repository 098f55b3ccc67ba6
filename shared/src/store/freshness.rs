//! When a list relies on what the indexes hold, and when it reads the table.
//!
//! An index shows a write after a while, and memberships hold their image's projection until they are
//! reconciled with it. Access that has ended must not show meanwhile. So whoever ends access to an
//! image of a project, or changes an image that has members, *marks* that project before the write, and
//! a list reads the table for the images of marked projects. Marks expire: in the long run an index is
//! right.
//!
//! With indexes that lag, a mark is a record that lists read strongly consistent, one for each project
//! whose images are on the page. With the indexes of the embedded engine, which do not lag, only
//! memberships that are not yet reconciled matter, and those of one process are known to it.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::cache::ExpiringCache;
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::time::Timestamp;

/// How long lists read the table after the last change, in seconds, at least: far longer than an index
/// lags, and than it takes until the sweep has reconciled what a process left undone.
pub(super) const MARK_SECONDS: i64 = 900;
/// How much longer the marks are that an instance sets, in seconds, so that many changes in a row set one.
pub(super) const RENEW_SECONDS: i64 = 300;
/// How many marks an instance remembers.
const MARKS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Whether an index shows a write at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexes {
    /// As in the embedded engine.
    Immediate,
    /// After a while, as in DynamoDB.
    Eventual,
}

/// What an instance knows of the freshness of indexes.
#[derive(Debug)]
pub(super) struct Freshness {
    /// Images whose memberships are to be reconciled with an operation. With immediate indexes only.
    unreconciled: Mutex<BTreeSet<(ImageId, OperationId)>>,
    /// Projects that this instance has marked or knows to be marked, and until when. With lagging indexes
    /// only.
    pub(super) marked: ExpiringCache<ProjectId, Timestamp>,
    pub(super) indexes: Indexes,
}

impl Freshness {
    pub(super) fn new(indexes: Indexes) -> Self {
        Self {
            unreconciled: Mutex::default(),
            marked: ExpiringCache::new(MARKS_MAX),
            indexes,
        }
    }

    pub(super) fn unreconciled(&self) -> MutexGuard<'_, BTreeSet<(ImageId, OperationId)>> {
        self.unreconciled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The images about which indexes that do not lag may be wrong; `None` if the indexes lag.
    pub(super) fn unreconciled_images(&self) -> Option<HashSet<ImageId>> {
        let images = || {
            self.unreconciled()
                .iter()
                .map(|(image, _)| *image)
                .collect()
        };
        (self.indexes == Indexes::Immediate).then(images)
    }

    /// The operation was not applied to the image after all.
    pub(super) fn withdrawn(&self, image: ImageId, op: OperationId) {
        self.unreconciled().remove(&(image, op));
    }

    /// An image's memberships are reconciled with this operation, and so with those before it.
    pub(super) fn reconciled(&self, image: ImageId, op: OperationId) {
        self.unreconciled()
            .retain(|(of, due)| *of != image || *due > op);
    }
}
