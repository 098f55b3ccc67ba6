//! The records of the service's answers, as far as the commands use them.

use serde::Deserialize;

/// An image.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Its status.
    pub status: String,
    /// Its visibility.
    pub visibility: String,
    /// When it was created.
    pub created_at: String,
}

/// A membership of an image.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// The project.
    pub member_id: String,
    /// What it answered.
    pub status: String,
    /// When the image was shared with it.
    pub created_at: String,
    /// When that last changed.
    pub updated_at: String,
}

/// A row of invitations or of shares: an image and a project that it is shared with.
#[derive(Clone, Debug, Deserialize)]
pub struct Share {
    /// The image.
    pub image_id: String,
    /// Its name.
    #[serde(default)]
    pub image_name: Option<String>,
    /// Its owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// The project that it is shared with.
    pub member_id: String,
    /// What that project answered.
    pub status: String,
    /// When it was shared.
    pub created_at: String,
    /// When that last changed.
    pub updated_at: String,
}

/// A rule about shares by an owner.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct TrustRule {
    /// The owner.
    pub owner: String,
    /// `accept` or `reject`.
    pub mode: String,
}

/// A job.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its id.
    pub job_id: String,
    /// `INIT`, `RUNNING`, `SUCCESS` or `FAIL`.
    pub status: String,
    /// What it does.
    pub job_type: String,
    /// When it was accepted.
    pub begin_time: String,
    /// When it ended.
    pub end_time: Option<String>,
    /// How many entries failed.
    pub fail_reason: Option<String>,
    /// The counts of its entries.
    pub entities: Counts,
}

impl Job {
    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.status == "SUCCESS" || self.status == "FAIL"
    }
}

/// The counts of a job's entries.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Those that succeeded.
    pub succeeded: usize,
    /// Those that failed.
    pub failed: usize,
}

/// An entry of a job and its outcome.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// The image.
    pub image_id: String,
    /// The project.
    pub project_id: String,
    /// `success`, `failed` or `running`.
    pub status: String,
    /// Of a declared set of members: `added`, `removed` or `unchanged`.
    #[serde(default)]
    pub result: Option<String>,
    /// Whether the job has changed the membership.
    #[serde(default)]
    pub changed: Option<bool>,
    /// The code of what went wrong.
    #[serde(default)]
    pub error_code: Option<String>,
    /// What went wrong.
    #[serde(default)]
    pub fail_reason: Option<String>,
}

/// What a batch does to its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Shares images with projects.
    Share,
    /// Ends that.
    Unshare,
    /// Answers for the caller's project.
    Answer {
        /// Accept, or reject.
        accept: bool,
        /// The vault for images that were made from a backup.
        vault: Option<String>,
    },
}
