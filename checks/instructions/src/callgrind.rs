//! Runs programs under Callgrind and reads what it counted.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The function that [`crate::meter`] counts in. Callgrind wants the whole name to write a file at its
/// end.
const COUNTED: &str = "instructions::meter::counted_by_callgrind";

/// The command that runs a program under Callgrind, in an environment that is the same everywhere.
/// Callgrind writes its counts into `out`.
pub fn command(program: &Path, out: &Path, counts: Counts) -> Command {
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg("--quiet")
        .arg(format!("--callgrind-out-file={}", out.display()));
    if counts == Counts::Marked {
        command
            .arg(format!("--toggle-collect={COUNTED}"))
            .arg(format!("--dump-after={COUNTED}"));
    }
    command.arg(program).env_clear().current_dir("/");
    command
}

/// What of a program is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// All of it.
    All,
    /// Each call of the marked function by itself.
    Marked,
}

/// The file of the n-th call of the marked function; the first is 1.
pub fn part(out: &Path, call: usize) -> PathBuf {
    PathBuf::from(format!("{}.{call}", out.display()))
}

/// The instructions that a file of Callgrind's sums up.
///
/// # Errors
/// One sentence: there is no such file, or it has no sum.
pub fn total(file: &Path) -> Result<u64, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    sum(&text).ok_or_else(|| format!("{} has no totals.", file.display()))
}

fn sum(text: &str) -> Option<u64> {
    let mut lines = text.lines().rev();
    lines
        .find_map(|line| line.strip_prefix("totals: "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_on_the_line_of_the_totals() {
        let file = "events: Ir\nfn=(1) main\n3 12\ncalls=1 5\n3 30\n\ntotals: 42\n";
        assert_eq!(sum(file), Some(42));
        assert_eq!(sum("events: Ir\n"), None);
        assert_eq!(sum("totals: many\n"), None);
    }
}
