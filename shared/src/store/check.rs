//! Whether the records of a table agree with each other: what each of our writes keeps true, read back.
//!
//! | what | with what |
//! |---|---|
//! | an image's count of members | its memberships |
//! | an image's index keys and projection | the image |
//! | a membership's index keys and projection | its image, unless they are still to be reconciled |
//! | a job's counters, codes and number of entries | its results and its pages of entries |
//! | a project's counts of open jobs and of their entries | its jobs |
//! | a mark of work that is due | the time |
//!
//! And every record parses.

use std::collections::{BTreeMap, BTreeSet};

use super::item::{self, LISTED};
use super::jobs::job_of;
use super::keys::{self as at, Item};
use super::results::{Tally, page_of, tally_of};
use super::table::Known;
use super::trust::rules;
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::job::Job;
use crate::domain::member::Membership;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// How long work may be overdue, in seconds. The sweep runs each minute.
const OVERDUE_SECONDS: i64 = 60;

/// Most findings that are kept. More say no more.
const FINDINGS_MAX: usize = 1_000;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key of the record.
    pub record: String,
    /// What is wrong with it.
    pub what: String,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// All records.
    pub records: u64,
    /// Images, without deleted ones.
    pub images: u64,
    /// Memberships, without removed ones.
    pub memberships: u64,
    /// Jobs.
    pub jobs: u64,
    /// Records with work that is still to be done.
    pub due: u64,
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How much was checked.
    pub checked: Checked,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub left_out: usize,
}

/// Checks the records of a table that are given to it by their keys in order, as a scan finds them: each
/// partition together, by sort key. It keeps no more than one record of each partition, and two counts of
/// each project with open jobs.
#[derive(Debug)]
pub struct Checker {
    now: Timestamp,
    partition: Partition,
    /// Open jobs and their entries: as they are, and as the projects' records count them.
    open: BTreeMap<ProjectId, Open>,
    counted: BTreeMap<ProjectId, Open>,
    report: Report,
}

/// Open jobs, and their entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    jobs: i64,
    entries: i64,
}

/// What is known of the partition so far.
#[derive(Debug, Default)]
struct Partition {
    pk: String,
    image: Option<ImageSeen>,
    job: Option<Job>,
    /// Memberships that are not removed.
    members: u64,
    /// Rows in pages of entries.
    rows: usize,
    /// Of the chunks that have results.
    succeeded: usize,
    failed: usize,
    /// The operations that wrote texts.
    texts: Vec<String>,
}

/// An image, and what its memberships are compared with.
#[derive(Debug)]
struct ImageSeen {
    /// `None` if it is deleted.
    image: Option<(Image, Known)>,
    /// Its memberships are still to be reconciled with it.
    is_due: bool,
}

type Read<T> = Result<T, ApiError>;

impl Checker {
    /// Begins.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            partition: Partition::default(),
            open: BTreeMap::new(),
            counted: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Takes the next record.
    pub fn next(&mut self, record: &Item) {
        self.report.checked.records += 1;
        let Ok((pk, sk)) = item::Head::of(record).key() else {
            self.found("", "a record without a key");
            return;
        };
        if pk != self.partition.pk {
            self.end_partition();
            self.partition.pk = pk.to_owned();
        }
        if let Err(error) = self.record(record, pk, sk) {
            let what = error.for_log().to_owned();
            self.found(sk, what);
        }
    }

    /// Ends.
    pub fn end(mut self) -> Report {
        self.end_partition();
        self.compare_counts();
        self.report
    }

    fn compare_counts(&mut self) {
        let (open, counted) = (
            std::mem::take(&mut self.open),
            std::mem::take(&mut self.counted),
        );
        let projects: BTreeSet<&ProjectId> = open.keys().chain(counted.keys()).collect();
        for project in projects {
            let [has, counts] = [&open, &counted].map(|of| of.get(project).copied());
            let (has, counts) = (has.unwrap_or_default(), counts.unwrap_or_default());
            if has != counts {
                self.add(
                    format!("PROJECT#{project} USAGE"),
                    format!(
                        "it counts {} open jobs with {} entries, and the project has {} with {}",
                        counts.jobs, counts.entries, has.jobs, has.entries
                    ),
                );
            }
        }
    }

    /// Adds what was found otherwise.
    pub fn add(&mut self, record: impl Into<String>, what: impl Into<String>) {
        match self.report.findings.len() < FINDINGS_MAX {
            true => self.report.findings.push(Finding {
                // A key may hold a line end.
                record: record.into().replace('\n', " "),
                what: what.into(),
            }),
            false => self.report.left_out += 1,
        }
    }

    fn found(&mut self, sk: &str, what: impl Into<String>) {
        self.add(format!("{} {sk}", self.partition.pk), what);
    }

    fn record(&mut self, record: &Item, pk: &str, sk: &str) -> Read<()> {
        if sk.starts_with(at::MEMBER_PREFIX) && !item::Head::of(record).is_gone() {
            // It counts as a member even if it does not parse.
            self.report.checked.memberships += 1;
            self.partition.members += 1;
        }
        let read = &item::Reader::of(record)?;
        let expires = read.optional_number::<i64>(at::EXPIRES_AT)?;
        let is_expired = expires.is_some_and(|at| at <= self.now.unix_seconds());
        self.due(read, sk)?;
        let kind = pk.split_once('#').map_or(pk, |(kind, _)| kind);
        match (kind, sk.split_once('#').map_or(sk, |(kind, _)| kind)) {
            ("IMAGE", at::IMAGE) => self.image(record, read)?,
            ("IMAGE", "MEM") => self.member(record, sk)?,
            ("IMAGE", "TEXT") => {
                item::texts(read)?;
                let op = sk.trim_start_matches(at::TEXT_PREFIX).to_owned();
                self.partition.texts.push(op);
            }
            ("JOB", "ENTRIES") => self.partition.rows += page_of(record)?.rows,
            ("JOB", at::JOB) => {
                let job = job_of(record)?;
                read.parsed(at::TASK, |text| serde_json::from_str::<Task>(text).ok())?;
                self.report.checked.jobs += 1;
                if read.optional_number::<i64>(at::REMAINING)?.unwrap_or(0) > 0 {
                    let open = self.open.entry(job.project.clone()).or_default();
                    open.jobs += 1;
                    open.entries += i64::try_from(job.total).unwrap_or(i64::MAX);
                }
                // What has expired is removed bit by bit.
                self.partition.job = Some(job).filter(|_| !is_expired);
            }
            ("JOB", "RESULT") => self.result(record, sk)?,
            ("PROJECT", "TRUST") => drop(rules(record)?),
            ("PROJECT", "REGISTER") => {}
            ("PROJECT", "USAGE") => {
                let project = read.parsed(at::PK, at::project_of)?;
                let open = Open {
                    jobs: read.number(at::OPEN_JOBS)?,
                    entries: read.number(at::WAITING)?,
                };
                self.counted.insert(project, open);
            }
            ("PROJECT", "IMAGES") => drop(read.number::<i64>(at::IMAGES)?),
            ("PROJECT", at::FRESH) => drop(read.parsed(at::UNTIL, Timestamp::parse)?),
            ("KEY", at::KEY) => {
                read.parsed(at::JOB_ID, JobId::parse)?;
                read.text(at::DIGEST)?;
            }
            _ => self.found(sk, "a record of no kind that this release knows"),
        }
        Ok(())
    }

    fn due(&mut self, read: &item::Reader<'_>, sk: &str) -> Read<()> {
        let partition = read.optional_text(at::DPK)?;
        if partition.is_none() && !read.has(at::DSK) {
            return Ok(());
        }
        self.report.checked.due += 1;
        let due = read.parsed(at::DSK, Timestamp::parse)?;
        if due.plus_seconds(OVERDUE_SECONDS) < self.now {
            let work = match sk {
                at::JOB => "messages of the job are to be sent",
                _ => "memberships are to be reconciled with the image",
            };
            self.found(sk, format!("{work} since {}", due.stored()));
        }
        Ok(())
    }

    fn image(&mut self, record: &Item, read: &item::Reader<'_>) -> Read<()> {
        read.parsed(at::OP, OperationId::parse)?;
        item::fingerprints(read)?;
        let image = item::image(record)?;
        if let Some(image) = &image {
            self.report.checked.images += 1;
            let mut expected = item::image_attributes(image);
            if image.incomplete {
                // Made of the texts, which are in another item.
                expected.remove(at::SKETCH);
                expected.remove(at::WEIGHT);
            }
            let keys = [at::GPK, at::GSK, at::VPK, at::NPK, at::ONPK];
            let names = expected.keys().map(String::as_str).chain(keys);
            let wrong = names.filter(|name| expected.get(*name) != record.get(*name));
            let wrong: BTreeSet<&str> = wrong.collect();
            for name in wrong {
                self.found(at::IMAGE, format!("{name} is not that of the image"));
            }
        }
        self.partition.image = Some(ImageSeen {
            image: image.map(|image| (image.clone(), Known::of(&image))),
            is_due: record.contains_key(at::DPK),
        });
        Ok(())
    }

    fn member(&mut self, record: &Item, sk: &str) -> Read<()> {
        let Membership::Present(member) = item::membership(record)? else {
            return Ok(());
        };
        let expected = match &self.partition.image {
            None => {
                self.found(sk, "a membership without an image");
                return Ok(());
            }
            Some(seen) if seen.is_due => return Ok(()),
            Some(ImageSeen { image: None, .. }) => {
                self.found(sk, "a membership of a deleted image");
                return Ok(());
            }
            Some(ImageSeen {
                image: Some((image, known)),
                ..
            }) => match image.visibility {
                Visibility::Shared => item::listed(&member, known),
                Visibility::Public | Visibility::Private | Visibility::Community => Item::new(),
            },
        };
        for name in LISTED {
            if expected.get(name) != record.get(name) {
                self.found(sk, format!("{name} is not that of the membership's image"));
            }
        }
        Ok(())
    }

    fn result(&mut self, record: &Item, sk: &str) -> Read<()> {
        let Some(job) = &self.partition.job else {
            return Ok(());
        };
        let Tally {
            succeeded,
            failed,
            first,
        } = tally_of(job, record)?;
        let chunk = sk
            .split_once('#')
            .and_then(|(_, number)| number.parse().ok());
        let recorded = chunk.and_then(|chunk: usize| job.errors.get(&chunk).copied());
        self.partition.succeeded += succeeded;
        self.partition.failed += failed;
        if recorded != first {
            self.found(
                sk,
                "the code that the job has for it is not that of its results",
            );
        }
        Ok(())
    }

    fn end_partition(&mut self) {
        let seen = std::mem::take(&mut self.partition);
        if let Some(ImageSeen {
            image: Some((image, _)),
            ..
        }) = &seen.image
        {
            let record = format!("{} {}", seen.pk, at::IMAGE);
            if image.member_count != seen.members {
                let (count, members) = (image.member_count, seen.members);
                self.add(
                    &record,
                    format!("it counts {count} members and has {members}"),
                );
            }
            if image.incomplete && !seen.texts.contains(&image.op.to_string()) {
                self.add(&record, "its tags and properties are not there");
            }
        }
        if let Some(job) = &seen.job {
            let record = format!("{} {}", seen.pk, at::JOB);
            if (job.succeeded, job.failed) != (seen.succeeded, seen.failed) {
                let what = format!(
                    "it counts {} succeeded and {} failed, and its results {} and {}",
                    job.succeeded, job.failed, seen.succeeded, seen.failed
                );
                self.add(&record, what);
            }
            if job.total != seen.rows {
                let what = format!("it has {} entries, and its pages {}", job.total, seen.rows);
                self.add(&record, what);
            }
        }
    }
}
