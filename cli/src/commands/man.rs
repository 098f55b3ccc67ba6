//! `imshare man`: manual pages.

use std::path::Path;

use crate::error::{Done, Failure, Outcome};
use crate::output::terminal;

/// Prints the program's page, or writes those of all its commands to a directory.
///
/// # Errors
/// If they cannot be written.
pub fn man(directory: Option<&Path>, whole: clap::Command) -> Outcome<Done> {
    let failed = |error: std::io::Error| {
        let place = directory.map_or_else(String::new, |path| format!(" to {}", path.display()));
        Failure::wrong_use(format!("cannot write the manual pages{place}: {error}"))
    };
    match directory {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(whole).render(&mut page);
            rendered.map_err(failed)?;
            terminal::write(&page)?;
        }
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(whole, directory))
            .map_err(failed)?,
    }
    Ok(Done::All)
}
