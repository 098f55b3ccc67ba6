//! `imshare man`: manual pages.

use std::io::Write as _;
use std::path::Path;

use crate::error::{Done, Failure, Outcome};

/// Prints the program's page, or writes those of all its commands to a directory.
///
/// # Errors
/// If they cannot be written.
pub fn man(directory: Option<&Path>, whole: clap::Command) -> Outcome<Done> {
    let written = match directory {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(whole).render(&mut page);
            // A reader that has seen enough is no failure.
            let _ = std::io::stdout().lock().write_all(&page);
            rendered
        }
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(whole, directory)),
    };
    written.map_err(|error| {
        let place = directory.map_or_else(String::new, |path| format!(" to {}", path.display()));
        Failure::wrong_use(format!("cannot write the manual pages{place}: {error}"))
    })?;
    Ok(Done::All)
}
