//! Memberships together with their images, for lists of what is shared with a project and of what a
//! project shares.
//!
//! Rows of an index name candidates. What the index does not hold, and where it may be out of date (see
//! `freshness`), is read from the table.

use super::expression::{names, values};
use super::item::{self, skip};
use super::keys::{self as at, Item, s};
use super::list::Row;
use super::shown::{Found, Held, Sorted};
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};
use crate::domain::member::MemberStatus;
use crate::domain::share::Share;
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// A candidate: a row of an index that names a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The position in the list, from which a later page continues.
    pub position: String,
    /// The image.
    pub image: ImageId,
    /// The member.
    pub member: ProjectId,
    /// The share as the index holds it; `None` if it does not.
    pub held: Option<Share>,
}

impl Candidate {
    /// A candidate of which the index holds the name alone.
    pub const fn of(position: String, image: ImageId, member: ProjectId) -> Self {
        Self {
            position,
            image,
            member,
            held: None,
        }
    }

    /// The candidate of a row of a member's memberships in one status.
    pub fn of_row(row: Row, member: &ProjectId, status: MemberStatus) -> Self {
        let image = row
            .image
            .filter(|image| image.visibility == Visibility::Shared);
        let held = image
            .zip(row.times)
            .map(|(image, [created_at, updated_at])| Share {
                image_id: row.id,
                image_name: image.name,
                owner: image.owner,
                member_id: member.clone(),
                status,
                created_at,
                updated_at,
            });
        Self {
            held,
            ..Self::of(row.position, row.id, member.clone())
        }
    }
}

impl Store {
    /// Reads candidates of what a project shares with others, newest share first, after a position: at
    /// most `limit`, or one page of the index. Returns whether more may follow.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn shared_by(
        &self,
        owner: &ProjectId,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<(Vec<Candidate>, bool), ApiError> {
        let condition = match after {
            None => "#opk = :owner",
            Some(_) => "#opk = :owner AND #osk < :after",
        };
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(at::BY_OWNER)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(values([(":owner", s(at::shared_by_opk(owner)))]))
            .scan_index_forward(false)
            .set_limit(limit.map(|rows| i32::try_from(rows).unwrap_or(i32::MAX)));
        if let Some(after) = after {
            request = request.expression_attribute_values(":after", s(after));
        }
        let page = self.client.ask("list shares", &request).await?;
        let mut candidates = Vec::with_capacity(page.items().len());
        for row in page.items() {
            match candidate(row) {
                Ok(candidate) => candidates.push(candidate),
                Err(corrupt) => skip(&corrupt),
            }
        }
        Ok((candidates, page.last_evaluated_key.is_some()))
    }

    /// The share of each candidate in order, as it is now: as the index holds it if that can be relied on,
    /// or else from the table. `None` unless the image is shared and the project is a member of it.
    ///
    /// # Errors
    /// If the store does not answer. A record that does not parse is logged and is `None`.
    pub async fn shares(
        &self,
        lister: &ProjectId,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<Vec<Option<Share>>, ApiError> {
        let held = candidates.iter().map(|candidate| Held {
            image: candidate.image,
            member: Some(&candidate.member),
            owner: candidate.held.as_ref().map(|share| &share.owner),
            is_whole: candidate.held.is_some(),
            is_read: false,
        });
        let held: Vec<_> = held.collect();
        let due = self.freshness.unreconciled_images();
        let read = self.read_rows(lister, &held, due.as_ref(), now);
        let Found { is_read, items } = read.await?;
        let Sorted {
            images,
            mut members,
        } = Sorted::of(&items);
        let shares = candidates.iter().zip(is_read);
        let shares = shares.map(|(candidate, is_read)| match is_read {
            true => {
                let image = images.get(&candidate.image)?;
                let key = (candidate.image, candidate.member.clone());
                let member = members.remove(&key)?;
                (image.visibility == Visibility::Shared).then(|| Share::of(image, member))
            }
            false => candidate.held.clone(),
        });
        Ok(shares.collect())
    }
}

fn candidate(row: &Item) -> Result<Candidate, ApiError> {
    let read = item::Reader::of(row)?;
    let (image, member) = read.member_key()?;
    let position = read.text(at::OSK)?.to_owned();
    Ok(Candidate::of(position, image, member))
}
