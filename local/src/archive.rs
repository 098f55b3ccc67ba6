//! The form of a backup: a tar archive that `tar` unpacks to a data directory.
//!
//! | entry | what it is |
//! |---|---|
//! | `imshare-backup.json` | the [`Manifest`] |
//! | `table.sqlite`, `queue.sqlite` | the two files as of one instant |
//! | `access-keys.sqlite` | the access keys, as of the same instant, if there are any |
//! | `SHA256SUMS` | their digests as `sha256sum --check` reads them; without it the archive was cut off |

use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use crate::storage::StoreFile;
use crate::watch::{Digested, Watch};

/// The name of the manifest's entry.
pub const MANIFEST: &str = "imshare-backup.json";
/// The name of the digests' entry.
pub const SUMS: &str = "SHA256SUMS";
/// The form that this release writes, the only one so far.
const FORM: u32 = 1;
/// The largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 64 * 1024;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `imshare`.
    pub program: String,
    /// The version of the archive's form.
    pub form: u32,
    /// The release that made it.
    pub release: String,
    /// The instant that it shows.
    pub taken_at: String,
    /// The table's file.
    pub table: Held,
    /// The queue's file.
    pub queue: Held,
    /// The access keys' file, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_keys: Option<Held>,
}

/// A file in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its schema version.
    pub schema: i32,
    /// Its size.
    pub bytes: u64,
}

impl Manifest {
    /// The manifest of a backup that this release makes.
    pub fn new(taken_at: String, table: Held, queue: Held, access_keys: Option<Held>) -> Self {
        Self {
            program: "imshare".to_owned(),
            form: FORM,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at,
            table,
            queue,
            access_keys,
        }
    }

    /// The files that it holds.
    pub fn files(&self) -> impl Iterator<Item = (StoreFile, Held)> {
        let held = StoreFile::ALL.map(|file| {
            let held = match file {
                StoreFile::Table => Some(self.table),
                StoreFile::Queue => Some(self.queue),
                StoreFile::Keys => self.access_keys,
            };
            held.map(|held| (file, held))
        });
        held.into_iter().flatten()
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files().map(|(_, held)| held.bytes);
        sizes.fold(0, u64::saturating_add)
    }

    /// Reads the manifest of the backup at `path`, and checks that this release can read the rest.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn read(entry: impl Read, path: &Path) -> Result<Self, String> {
        let not_ours = || not_a_backup(path);
        let mut text = String::new();
        let read = entry.take(MANIFEST_MAX).read_to_string(&mut text);
        read.map_err(|_| not_ours())?;
        let any: serde_json::Value = serde_json::from_str(&text).map_err(|_| not_ours())?;
        if any.get("program").and_then(|it| it.as_str()) != Some("imshare") {
            return Err(not_ours());
        }
        let newer = |release: &str| {
            let path = path.display();
            format!("{path} was made by a newer imshare ({release}): restore it with that release")
        };
        let text = |name| any.get(name).and_then(|it: &serde_json::Value| it.as_str());
        let release = text("release").unwrap_or("unknown").to_owned();
        // The form first: a newer one may have another manifest.
        if any.get("form").and_then(serde_json::Value::as_u64) != Some(u64::from(FORM)) {
            return Err(newer(&release));
        }
        let manifest: Self = serde_json::from_value(any).map_err(|_| not_ours())?;
        let is_newer = |(file, held): (StoreFile, Held)| held.schema > file.version();
        let has_newer = manifest.files().any(is_newer);
        match has_newer {
            true => Err(newer(&release)),
            false => Ok(manifest),
        }
    }
}

/// The sentence about a file that is no backup.
pub fn not_a_backup(path: &Path) -> String {
    format!("{} is not a backup that imshare has made", path.display())
}

fn header(bytes: u64, written_at: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(written_at);
    header
}

/// Writes an archive of the files in `directory`. `written_at` is their age in seconds since 1970.
///
/// # Errors
/// If a file cannot be read or the archive cannot be written, or a signal arrives.
pub fn write<W: Write>(
    to: W,
    manifest: &Manifest,
    directory: &Path,
    written_at: u64,
    watch: &Watch,
) -> std::io::Result<W> {
    let mut archive = Builder::new(to);
    let text = format!("{:#}\n", serde_json::to_value(manifest)?);
    let mut head = header(text.len() as u64, written_at);
    archive.append_data(&mut head, MANIFEST, text.as_bytes())?;
    let mut sums = String::new();
    for (file, Held { bytes, .. }) in manifest.files() {
        let opened = std::fs::File::open(directory.join(file.name()))?;
        let mut read = Digested::new(opened, watch, "packing", bytes);
        let mut head = header(bytes, written_at);
        archive.append_data(&mut head, file.name(), &mut read)?;
        sums.push_str(&format!("{}  {}\n", read.digest(), file.name()));
    }
    let mut head = header(sums.len() as u64, written_at);
    archive.append_data(&mut head, SUMS, sums.as_bytes())?;
    archive.into_inner()
}
