//! `imshare restore`: puts a backup into an empty directory.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{BufReader, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tar::{Archive, Entry};

use crate::archive::{Held, MANIFEST, Manifest, SUMS, not_a_backup};
use crate::backup::sound;
use crate::schema;
use crate::storage::{self, LOCK, RESTORING, StoreFile, private};
use crate::watch::{Digested, Failure, Watch, cannot};

/// The largest list of digests that is read, in bytes.
const SUMS_MAX: u64 = 4 * 1024;
/// What is read and written at once, in bytes.
const BLOCK: usize = 256 * 1024;

/// Restores a backup into a directory that is empty, or not there.
///
/// # Errors
/// With the signal that stopped it, or with a sentence. Then the directory is as it was.
pub fn restore(from: &Path, data: &Path, watch: &Watch) -> Result<Manifest, Failure> {
    let file = File::open(from).map_err(|error| cannot("read", from, &error))?;
    let mut archive = Archive::new(BufReader::with_capacity(BLOCK, file));
    let mut entries = archive.entries().map_err(|_| not_a_backup(from))?;
    let manifest = match entries.next() {
        Some(Ok(entry)) if is(&entry, MANIFEST) => Manifest::read(entry, from)?,
        Some(_) | None => return Err(not_a_backup(from).into()),
    };
    let place = Place::claim(data)?;
    let mut digests = BTreeMap::new();
    let mut sums = None;
    for entry in entries {
        let entry = entry.map_err(|_| cut_off(from))?;
        if is(&entry, SUMS) {
            let mut text = String::new();
            let read = entry.take(SUMS_MAX).read_to_string(&mut text);
            read.map_err(|_| cut_off(from))?;
            sums = Some(text);
            continue;
        }
        let held = manifest.files().find(|(it, _)| is(&entry, it.name()));
        let (file, Held { bytes, .. }) = held.ok_or_else(|| damaged(from))?;
        digests.insert(
            file.name(),
            unpack(entry, bytes, from, &place.partial(file), watch)?,
        );
    }
    let sums = sums.ok_or_else(|| cut_off(from))?;
    for (file, _) in manifest.files() {
        let digest = digests.get(file.name()).ok_or_else(|| damaged(from))?;
        if !sums.contains(&format!("{digest}  {}\n", file.name())) {
            return Err(damaged(from).into());
        }
        let path = place.partial(file);
        sound(&path, from, watch)?;
        // Of the file itself, whatever the manifest says.
        schema::check(&path, file)?;
    }
    watch.look()?;
    place.publish(&manifest)?;
    Ok(manifest)
}

fn is<R: Read>(entry: &Entry<'_, R>, name: &str) -> bool {
    entry.path().is_ok_and(|path| path == Path::new(name))
}

fn cut_off(from: &Path) -> String {
    format!(
        "{} is not whole: it was cut off when it was copied",
        from.display()
    )
}

fn damaged(from: &Path) -> String {
    format!(
        "{} is damaged: its contents are not what was backed up",
        from.display()
    )
}

/// Unpacks one file of the archive. Returns its digest.
fn unpack(
    entry: impl Read,
    bytes: u64,
    from: &Path,
    to: &Path,
    watch: &Watch,
) -> Result<String, Failure> {
    let write = |error: std::io::Error| watch.failure(error, |e| cannot("write", to, &e));
    let mut file = private(to).map_err(write)?;
    let mut read = Digested::new(entry, watch, "unpacking", bytes);
    let mut block = vec![0; BLOCK];
    loop {
        let got = read.read(&mut block);
        let got = got.map_err(|error| watch.failure(error, |_| cut_off(from)))?;
        let part = block.get(..got).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        file.write_all(part).map_err(write)?;
    }
    if read.count() != bytes {
        return Err(cut_off(from).into());
    }
    file.sync_all().map_err(write)?;
    Ok(read.digest())
}

/// The directory that is restored into, locked. What is unpacked lies in a directory within until it is
/// whole. Dropped before that, it is left as it was found.
struct Place {
    path: PathBuf,
    /// Whether it was created for this.
    created: bool,
    published: bool,
    _lock: File,
}

impl Place {
    fn claim(path: &Path) -> Result<Self, String> {
        let why = |error: std::io::Error| cannot("write", path, &error);
        let created = !path.exists();
        if created {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(why)?;
            }
            DirBuilder::new().mode(0o700).create(path).map_err(why)?;
        } else if !path.join(LOCK).exists() {
            // Before anything is written there.
            refuse_contents(path)?;
        }
        let lock = storage::lock(path)?;
        refuse_contents(path)?;
        let place = Self {
            path: path.to_owned(),
            created,
            published: false,
            _lock: lock,
        };
        // What a restore has left that was killed.
        place.clear();
        let partial = path.join(RESTORING);
        DirBuilder::new().mode(0o700).create(partial).map_err(why)?;
        Ok(place)
    }

    fn partial(&self, file: StoreFile) -> PathBuf {
        self.path.join(RESTORING).join(file.name())
    }

    /// Puts the files where a server looks for them. A server refuses the directory until the partial
    /// one is gone, which is the last step.
    fn publish(mut self, manifest: &Manifest) -> Result<(), String> {
        let published = (|| {
            for (file, _) in manifest.files() {
                std::fs::rename(self.partial(file), self.path.join(file.name()))?;
            }
            File::open(&self.path)?.sync_all()?;
            std::fs::remove_dir_all(self.path.join(RESTORING))?;
            File::open(&self.path)?.sync_all()
        })();
        self.published = published.is_ok();
        published.map_err(|error| cannot("write", &self.path, &error))
    }

    /// Removes what a restore that is not finished has put there.
    fn clear(&self) {
        if self.path.join(RESTORING).exists() {
            for file in StoreFile::ALL {
                let _ = std::fs::remove_file(self.path.join(file.name()));
            }
            let _ = std::fs::remove_dir_all(self.path.join(RESTORING));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        self.clear();
        let _ = std::fs::remove_file(self.path.join(LOCK));
        if self.created {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// Refuses a directory that holds anything but the lock, and what a restore has left that was killed.
fn refuse_contents(path: &Path) -> Result<(), String> {
    let why = |error: std::io::Error| cannot("read", path, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(why)? {
        names.push(entry.map_err(why)?.file_name());
    }
    let unfinished = names.iter().any(|name| name == RESTORING);
    let ours = |name: &std::ffi::OsString| {
        let restored = StoreFile::ALL.iter().any(|file| name == file.name());
        name == LOCK || name == RESTORING || (unfinished && restored)
    };
    match names.iter().all(ours) {
        true => Ok(()),
        false => Err(format!(
            "{} is not empty: restore into a directory of its own, and start the server there",
            path.display()
        )),
    }
}
