//! The results of jobs: the outcome of each entry, recorded and counted a chunk at a time.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::expression::names;
use super::item;
use super::jobs::{expires, to_json};
use super::keys::{self as at, Item, n, s};
use super::table::Store;
use super::write::{Transacted, condition_failed, transaction_item};
use crate::domain::entries::Entries;
use crate::domain::error::ApiError;
use crate::domain::id::{JobId, ProjectId};
use crate::domain::ims_code::ImsCode;
use crate::domain::job::{Job, RESULTS_PAGE};
use crate::domain::member::MemberStatus;
use crate::domain::message::Chunk;
use crate::domain::outcome::Outcome;
use crate::domain::time::Timestamp;

/// The recorded word for an entry that changed nothing.
const UNCHANGED: &str = "unchanged";

/// The result of finishing a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It was recorded and counted.
    Counted,
    /// An earlier delivery had finished it.
    Before,
    /// The job had ended without it, or no longer exists.
    Over,
}

/// What is known of a chunk that is delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// It is still to be done.
    Open,
    /// An earlier delivery has finished it.
    Finished,
    /// There is no such job: its record is written before its messages are sent.
    NoJob,
}

/// Most transactions of one finish: a chunk that was taken for one of several, and then for the last.
const PARTS: usize = 3;

/// The place of a chunk among those of its job that are not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Others are open.
    More,
    /// It is the last, of a job of so many entries.
    Last { total: usize },
    /// The job was created by a release up to 0.2.0, which did not count it.
    Uncounted,
}

impl Part {
    /// The place of a chunk by its job's record; `None` if the job is over.
    fn of(job: &Item, chunk: &Chunk, now: Timestamp) -> Result<Option<Self>, ApiError> {
        let read = item::Reader::of(job)?;
        if read.parsed(at::DEADLINE, Timestamp::parse)? <= now {
            return Ok(None);
        }
        let rows = i64::try_from(chunk.entries.rows).unwrap_or(i64::MAX);
        Ok(match read.optional_number::<i64>(at::REMAINING)? {
            None => Some(Self::Uncounted),
            Some(remaining) if remaining > rows => Some(Self::More),
            Some(remaining) if remaining == rows => Some(Self::Last {
                total: read.number(at::TOTAL)?,
            }),
            Some(_) => None,
        })
    }
}

/// The outcomes of a chunk as they are recorded, by row. A row that is missing has changed something.
type Recorded = BTreeMap<usize, String>;

/// The outcomes of a chunk as its job counts them.
pub(super) struct Tally {
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    /// The code of the first that failed.
    pub(super) first: Option<ImsCode>,
}

impl Tally {
    fn of(outcomes: &[Outcome]) -> Self {
        let codes = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Failed(code) => Some(*code),
            Outcome::Changed | Outcome::Answered(_) | Outcome::Unchanged => None,
        });
        let failed = codes.clone().count();
        Self {
            succeeded: outcomes.len() - failed,
            failed,
            first: codes.into_iter().next(),
        }
    }
}

fn recorded(outcomes: &[Outcome]) -> Recorded {
    let rows = outcomes.iter().enumerate();
    rows.filter_map(|(row, outcome)| match outcome {
        Outcome::Changed => None,
        Outcome::Answered(status) => Some((row, status.as_str().to_owned())),
        Outcome::Unchanged => Some((row, UNCHANGED.to_owned())),
        Outcome::Failed(code) => Some((row, code.as_str().to_owned())),
    })
    .collect()
}

/// The outcomes of a chunk that are recorded in an item, as the chunk's job counts them.
pub(super) fn tally_of(job: &Job, record: &Item) -> Result<Tally, ApiError> {
    let read = item::Reader::of(record)?;
    let number = |sk: &str| sk.split_once('#')?.1.parse::<usize>().ok();
    let chunk = read.parsed(at::SK, number)?;
    let rows = job.total.saturating_sub(chunk * job.chunk_rows);
    let rows = rows.min(job.chunk_rows);
    let recorded: Recorded = read.parsed(at::OUTCOMES, |text| serde_json::from_str(text).ok())?;
    let outcomes: Vec<Outcome> = (0..rows)
        .map(|row| outcome_of(job, recorded.get(&row).map(String::as_str)))
        .collect::<Result<_, _>>()?;
    Ok(Tally::of(&outcomes))
}

/// The entries of a page.
pub(super) fn page_of(record: &Item) -> Result<Entries, ApiError> {
    item::Reader::of(record)?.parsed(at::ENTRIES, |text| serde_json::from_str(text).ok())
}

/// The outcome that is recorded by this word, or by none.
fn outcome_of(job: &Job, word: Option<&str>) -> Result<Outcome, ApiError> {
    match word {
        None => Ok(Outcome::Changed),
        Some(UNCHANGED) => Ok(Outcome::Unchanged),
        Some(word) => {
            let answered = MemberStatus::parse(word).map(Outcome::Answered);
            let outcome = answered.or_else(|| ImsCode::parse(word).map(Outcome::Failed));
            outcome
                .ok_or_else(|| ApiError::internal(format!("job {} has a result {word:?}", job.id)))
        }
    }
}

impl Store {
    /// Records the outcomes of a chunk and counts them, in one transaction, exactly once. The transaction
    /// of a job's last chunk gives back what the job counts of its project's limits.
    ///
    /// Which chunk is the last is told by the condition of the update: a transaction that took its chunk for
    /// another kind is cancelled, and sent as what it is.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn finish_chunk(
        &self,
        chunk: &Chunk,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<Finished, ApiError> {
        let mut record = at::result_key(chunk.job, chunk.number);
        record.insert(at::OUTCOMES.to_owned(), s(to_json(&recorded(outcomes))?));
        record.insert(at::EXPIRES_AT.to_owned(), expires(chunk.deadline));
        let record = self.put_new(record, None)?;
        let tally = Tally::of(outcomes);
        let mut part = match chunk.only {
            true => Part::Last {
                total: chunk.entries.rows,
            },
            false => Part::More,
        };
        for _ in 0..PARTS {
            let mut items = vec![
                record.clone(),
                self.count_outcomes(chunk, &tally, part, now)?,
            ];
            if let Part::Last { total } = part {
                items.push(self.give_back_job(&chunk.project, total)?);
            }
            let reasons = match self.transact("finish chunk", items).await? {
                Transacted::Applied => return Ok(Finished::Counted),
                Transacted::Cancelled(reasons) => reasons,
            };
            if condition_failed(reasons.first()) {
                return Ok(Finished::Before);
            }
            let job = reasons.get(1).and_then(|reason| reason.item());
            match job
                .map(|job| Part::of(job, chunk, now))
                .transpose()?
                .flatten()
            {
                Some(found) if found != part => part = found,
                Some(_) | None => return Ok(Finished::Over),
            }
        }
        Err(ApiError::unavailable("finish chunk: races do not end"))
    }

    /// Builds the update that adds a chunk's outcomes to the counters of its job.
    fn count_outcomes(
        &self,
        chunk: &Chunk,
        tally: &Tally,
        part: Part,
        now: Timestamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let mut condition = "attribute_exists(#pk) AND #deadline > :now".to_owned();
        let mut set = "SET #advanced_at = :now".to_owned();
        let mut count = "ADD #succeeded :succeeded, #failed :failed".to_owned();
        let mut update = Update::builder();
        match part {
            Part::More => condition.push_str(" AND #remaining > :rows"),
            Part::Last { .. } => condition.push_str(" AND #remaining = :rows"),
            Part::Uncounted => condition.push_str(" AND attribute_not_exists(#remaining)"),
        }
        if part != Part::Uncounted {
            let rows = chunk.entries.rows;
            count.push_str(", #remaining :done");
            update = update
                .expression_attribute_values(":rows", n(rows))
                .expression_attribute_values(":done", n(format!("-{rows}")));
        }
        if chunk.only || matches!(part, Part::Last { .. }) {
            // Nothing is due of a job that has ended. The only message of a job was sent.
            count.push_str(" REMOVE #dpk, #dsk");
        }
        update = update
            .table_name(&self.table)
            .set_key(Some(at::job_key(chunk.job)))
            .set_expression_attribute_names(names(&[&set, &count, &condition]))
            .expression_attribute_values(":now", s(now.stored()))
            .expression_attribute_values(":succeeded", n(tally.succeeded))
            .expression_attribute_values(":failed", n(tally.failed));
        if let Some(code) = tally.first {
            set.push_str(", #errors.#chunk = :code");
            update = update
                .expression_attribute_names("#errors", at::ERRORS)
                // A key within the map, not an attribute.
                .expression_attribute_names("#chunk", chunk.number.to_string())
                .expression_attribute_values(":code", s(code.as_str()));
        }
        let update = update
            .update_expression(format!("{set} {count}"))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .build();
        transaction_item("finish chunk", update)
    }

    /// What is known of a chunk that is delivered again.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn chunk_state(&self, job: JobId, chunk: usize) -> Result<ChunkState, ApiError> {
        let keys = vec![at::result_key(job, chunk), at::job_key(job)];
        let found = self.batch_get(keys).await?;
        Ok(
            match found.iter().any(|item| item.contains_key(at::OUTCOMES)) {
                true => ChunkState::Finished,
                false if found.is_empty() => ChunkState::NoJob,
                false => ChunkState::Open,
            },
        )
    }

    /// Reads rows `from..from + count` of a job's results: image, project and outcome. The outcome is
    /// `None` while the entry's chunk is unfinished.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn results(
        &self,
        job: &Job,
        from: usize,
        count: usize,
    ) -> Result<Vec<(String, ProjectId, Option<Outcome>)>, ApiError> {
        let end = from.saturating_add(count).min(job.total);
        if from >= end {
            return Ok(Vec::new());
        }
        let pages = from / RESULTS_PAGE..=(end - 1) / RESULTS_PAGE;
        let chunks = from / job.chunk_rows..=(end - 1) / job.chunk_rows;
        let keys = pages
            .clone()
            .map(|page| at::entries_key(job.id, page))
            .chain(chunks.map(|chunk| at::result_key(job.id, chunk)))
            .collect();
        let stored = Stored::read(self.batch_get(keys).await?)?;
        let mut rows = Vec::with_capacity(end - from);
        for page in pages {
            let entries = stored.pages.get(&at::entries_sk(page));
            let entries = entries
                .ok_or_else(|| ApiError::internal(format!("job {} has no page {page}", job.id)))?;
            for (place, (image, project)) in entries.entries().enumerate() {
                let row = page * RESULTS_PAGE + place;
                if (from..end).contains(&row) {
                    let outcome = stored.outcome(job, row)?;
                    rows.push((image.to_owned(), project.clone(), outcome));
                }
            }
        }
        Ok(rows)
    }
}

/// The stored pages of entries and outcomes of chunks, by sort key.
struct Stored {
    pages: BTreeMap<String, Entries>,
    chunks: BTreeMap<String, Recorded>,
}

impl Stored {
    fn read(items: Vec<Item>) -> Result<Self, ApiError> {
        let mut stored = Self {
            pages: BTreeMap::new(),
            chunks: BTreeMap::new(),
        };
        for found in items {
            let read = item::Reader::of(&found)?;
            let sk = read.text(at::SK)?.to_owned();
            if found.contains_key(at::ENTRIES) {
                stored.pages.insert(sk, page_of(&found)?);
            } else {
                let chunk = read.parsed(at::OUTCOMES, |text| serde_json::from_str(text).ok())?;
                stored.chunks.insert(sk, chunk);
            }
        }
        Ok(stored)
    }

    /// The outcome of the entry in this row; `None` while its chunk is unfinished.
    fn outcome(&self, job: &Job, row: usize) -> Result<Option<Outcome>, ApiError> {
        let Some(recorded) = self.chunks.get(&at::result_sk(row / job.chunk_rows)) else {
            return Ok(None);
        };
        let word = recorded.get(&(row % job.chunk_rows));
        outcome_of(job, word.map(String::as_str)).map(Some)
    }
}
