//! Counts what a piece of work costs. Callgrind counts its instructions, from outside.

use std::io::Write as _;

/// What is known of a counted piece of work inside the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the operation.
    pub name: String,
    /// How often the operation was run.
    pub rounds: u64,
    /// Allocations of all rounds.
    pub allocations: u64,
}

/// Counts one piece of work, and prints its line.
pub fn count(name: &str, rounds: u64, work: &mut dyn FnMut()) {
    let counted = allocation_counter::measure(|| counted_by_callgrind(work));
    let line = format!("{name}\t{rounds}\t{}", counted.count_total);
    // The parent reads it; without it the operation is missing, which is noticed.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Callgrind counts inside this function, which it knows by its name.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
    // A call at the very end could become a jump, and Callgrind would not see it return.
    std::hint::black_box(0_u8);
}

impl Line {
    /// Parses a line that [`count`] printed.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        Some(Self {
            name: fields.next()?.to_owned(),
            rounds: fields.next()?.parse().ok()?,
            allocations: fields.next()?.parse().ok()?,
        })
    }
}
