//! The budgets: what a figure must be, and how it is found among the figures.

use super::figures::Figures;

/// A budget.
pub struct Budget {
    pub figure: &'static str,
    pub limit: Limit,
    /// What follows the number: `×`, `MB`.
    pub unit: &'static str,
    /// The part of the benchmark that measures it.
    pub part: &'static str,
    pub found: fn(&Figures) -> Option<f64>,
    /// Whether the call is not in every release, so that the figure may be missing.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the test of the page asks for it")
    )]
    pub is_later: bool,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Budget {
    /// The budget in words.
    pub fn words(&self) -> String {
        match self.limit {
            Limit::AtLeast(least) => format!("≥ {least}{}", self.unit),
            Limit::AtMost(most) => format!("≤ {most}{}", self.unit),
        }
    }

    pub fn is_met(&self, found: f64) -> bool {
        match self.limit {
            Limit::AtLeast(least) => found >= least,
            Limit::AtMost(most) => found <= most,
        }
    }
}

const fn budget(
    figure: &'static str,
    limit: Limit,
    unit: &'static str,
    part: &'static str,
    found: fn(&Figures) -> Option<f64>,
) -> Budget {
    Budget {
        figure,
        limit,
        unit,
        part,
        found,
        is_later: false,
    }
}

use Limit::{AtLeast, AtMost};

/// The dollars of a million requests without DynamoDB: the gateway and the function, as
/// `docs/operations.md` has them.
const GATEWAY_AND_FUNCTION: f64 = 3.73;
/// The dollars of a million read units.
const READ_UNITS: f64 = 0.125;

/// The lists whose time must not depend on the number of images.
const FLAT: [&str; 9] = [
    "own: first page",
    "own: name=",
    "own: id=",
    "shared: first page",
    "shared: pending",
    "shared: name=",
    "shared: id=",
    "public: first page",
    "public: name=",
];

/// All budgets, in the order of the page.
pub const ALL: &[Budget] = &[
    budget(
        "show a member, against Glance",
        AtLeast(20.0),
        " ×",
        "requests",
        |all| all.to_glance(&["show a member"]),
    ),
    budget(
        "list the members of an image, against Glance",
        AtLeast(20.0),
        " ×",
        "requests",
        |all| all.to_glance(&["list 10 members"]),
    ),
    budget(
        "accept, against Glance",
        AtLeast(15.0),
        " ×",
        "requests",
        |all| all.to_glance(&["accept"]),
    ),
    budget(
        "add a member, against Glance",
        AtLeast(12.0),
        " ×",
        "requests",
        |all| all.to_glance(&["add a member"]),
    ),
    budget(
        "list one's own images, against Glance",
        AtLeast(20.0),
        " ×",
        "lists",
        |all| all.to_glance(&["own images"]),
    ),
    budget(
        "list accepted images, against Glance",
        AtLeast(20.0),
        " ×",
        "lists",
        |all| all.to_glance(&["shared with me, accepted"]),
    ),
    budget(
        "list pending images, against Glance",
        AtLeast(20.0),
        " ×",
        "lists",
        |all| all.to_glance(&["shared with me, pending"]),
    ),
    budget(
        "find an image by name, against Glance",
        AtLeast(20.0),
        " ×",
        "lists",
        |all| all.to_glance(&["own images, name=", "shared with me, name="]),
    ),
    budget(
        "list 1,000 images at once, against Glance",
        AtLeast(20.0),
        " ×",
        "lists",
        |all| all.to_glance(&["own images, limit=1000"]),
    ),
    Budget {
        is_later: true,
        ..budget(
            "list invitations, against Glance's list of pending images",
            AtLeast(20.0),
            " ×",
            "lists",
            |all| {
                let glance = all.call("shared with me, pending")?.glance?;
                Some(all.call("invitations")?.imshare.rate / glance.rate)
            },
        )
    },
    budget(
        "CPU time of a request: Glance's divided by ours",
        AtLeast(15.0),
        " ×",
        "requests",
        |all| all.cpu_to_glance(&["show a member", "list 10 members", "accept", "add a member"]),
    ),
    budget(
        "show and list members, of the bare loop over a socket",
        AtLeast(0.9),
        "",
        "requests",
        |all| all.to_bare(&["show a member", "list 10 members"]),
    ),
    budget(
        "accept and add, of the bare loop over a socket",
        AtLeast(1.0),
        "",
        "requests",
        |all| all.to_bare(&["accept", "add a member"]),
    ),
    budget(
        "lists of the most images, against 1,000: slower by",
        AtMost(1.5),
        " ×",
        "growth",
        |all| all.growth_of(&FLAT),
    ),
    budget(
        "start with the most images, against ten: slower by",
        AtMost(2.0),
        " ×",
        "growth",
        |all| all.growth_ratio(|step| step.ready_ms),
    ),
    budget(
        "memory with the most images, against ten",
        AtMost(2.0),
        " ×",
        "growth",
        |all| all.growth_ratio(|step| step.memory_after_mb),
    ),
    budget(
        "a batch of 1,000 accepts, of the bare loop",
        AtLeast(0.9),
        "",
        "batches",
        |all| all.batch_to_bare("accept"),
    ),
    budget(
        "a batch of 1,000 shares, of the bare loop",
        AtLeast(0.9),
        "",
        "batches",
        |all| all.batch_to_bare("share"),
    ),
    budget(
        "a batch of 1,000 unshares, of the bare loop",
        AtLeast(0.9),
        "",
        "batches",
        |all| all.batch_to_bare("unshare"),
    ),
    budget(
        "the largest batch of accepts, against PUTs to Glance",
        AtLeast(10.0),
        " ×",
        "batches",
        |all| all.puts_to_batch(),
    ),
    budget(
        "first answer of a function, of the minimal function's",
        AtMost(1.25),
        " ×",
        "start",
        |all| all.to_minimal(|function| function.first_answer_ms),
    ),
    budget(
        "CPU time of a function's request, of the minimal one's",
        AtMost(1.5),
        " ×",
        "start",
        |all| all.to_minimal(|function| function.cpu_ms),
    ),
    budget(
        "memory of a function",
        AtMost(40.0),
        " MB",
        "start",
        |all| {
            let functions = &all.start.as_ref()?.figures.functions;
            let memory = functions.iter().filter_map(|function| function.memory_mb);
            memory.reduce(f64::max)
        },
    ),
    budget(
        "the largest binary of a function",
        AtMost(8.0),
        " MB",
        "start",
        |all| {
            let sizes = all.start.as_ref()?.figures.sizes.iter();
            let functions = sizes.filter(|(name, _)| *name != "imshare");
            functions.map(|(_, size)| *size).reduce(f64::max)
        },
    ),
    budget(
        "requests to DynamoDB of a page of images",
        AtMost(4.0),
        "",
        "costs",
        |all| Some(all.cost("own images")?.requests.values().sum()),
    ),
    budget(
        "requests of add, remove, show and list of members",
        AtMost(1.0),
        "",
        "costs",
        |all| {
            let calls = [
                "add a member",
                "remove a member",
                "show a member",
                "list 10 members",
            ];
            let requests = calls.map(|call| Some(all.cost(call)?.requests.values().sum::<f64>()));
            requests
                .into_iter()
                .reduce(|one, other| Some(one?.max(other?)))?
        },
    ),
    budget(
        "write units of an accept",
        AtMost(3.0),
        "",
        "costs",
        |all| Some(all.cost("accept")?.write_units()),
    ),
    budget(
        "a million default lists of images on AWS",
        AtMost(5.0),
        " dollars",
        "costs",
        |all| {
            let cost = all.cost("shared with me, accepted")?;
            Some(cost.read_units() * READ_UNITS + GATEWAY_AND_FUNCTION)
        },
    ),
];

/// Budgets that a test holds: the figure, the budget, and the command that runs the test.
pub const TESTED: &[(&str, &str, &str)] = &[
    (
        "requests to DynamoDB of each operation",
        "those of [guarantees.md](guarantees.md#requests-to-dynamodb)",
        "cargo test --workspace -- budget",
    ),
    (
        "requests for a list that leaves rows out",
        "≤ 4, and 1 for each 1,000 rows",
        "cargo test --workspace -- bounded",
    ),
    (
        "memory of each function",
        "≤ 40 MB",
        "cargo test --workspace -- lambda",
    ),
    (
        "a job under duplicates, throttling and killed workers",
        "nothing lost, nothing applied twice, the job ends",
        "cargo test --workspace -- faults",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_at_its_limit() {
        let least = budget("", AtLeast(0.9), "", "", |_| None);
        assert!(least.is_met(0.9) && !least.is_met(0.89));
        assert_eq!(least.words(), "≥ 0.9");
        let most = budget("", AtMost(8.0), " MB", "", |_| None);
        assert!(most.is_met(8.0) && !most.is_met(8.1));
        assert_eq!(most.words(), "≤ 8 MB");
    }
}
