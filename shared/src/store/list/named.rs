//! Finds the images of a name, wherever they may be, by one request for each index.
//!
//! A statement of PartiQL may ask for several partitions of an index, a query for one. Few images have one name, so the
//! statement finds them all. If there are more, each partition is read by queries, as if there had been no statement; and
//! so it is where statements are refused, by a role that lacks the permission or an engine that does not know PartiQL.

use std::collections::BTreeMap;

use super::{Stream, row};
use crate::domain::error::ApiError;
use crate::store::item::skip;
use crate::store::keys::{self as at, s};
use crate::store::sdk_error::{failed, is_refused, words};
use crate::store::table::Store;

/// A stream of the images of a name, and the partition that has them.
struct Named<'a, 'store> {
    partition: String,
    stream: &'a mut Stream<'store>,
}

impl Store {
    /// Reads those of some streams that are of images of a name: at most 50 of an index, all of which start alike and
    /// have one direction.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn read_named(&self, streams: Vec<&mut Stream<'_>>) -> Result<(), ApiError> {
        let mut indexes: BTreeMap<_, Vec<Named<'_, '_>>> = BTreeMap::new();
        for stream in streams {
            let name = stream.start.name.as_deref();
            if let Some((index, key, partition)) = name.and_then(|it| stream.source.by_name(it)) {
                let named = indexes.entry((index, key)).or_default();
                if named.iter().any(|other| other.partition == partition) {
                    stream.ended = true;
                } else {
                    named.push(Named { partition, stream });
                }
            }
        }
        let indexes = indexes.into_iter();
        let reads = indexes.map(|((index, key), named)| self.read_partitions(index, key, named));
        futures::future::try_join_all(reads).await?;
        Ok(())
    }

    /// Reads some partitions of an index, for which DynamoDB takes at most 50.
    async fn read_partitions(
        &self,
        index: &str,
        key: &str,
        mut partitions: Vec<Named<'_, '_>>,
    ) -> Result<(), ApiError> {
        let Some(first) = partitions.first() else {
            return Ok(());
        };
        let start = &first.stream.start;
        let rows = start.first.map(|rows| rows * partitions.len());
        let places = vec!["?"; partitions.len()].join(", ");
        let ascending = start.ascending;
        let beyond = if ascending { ">" } else { "<" };
        let (pk, gsk, table) = (at::PK, at::GSK, &self.table);
        let mut statement = format!(
            "SELECT {pk}, {gsk}, {key} FROM \"{table}\".\"{index}\" WHERE {key} IN [{places}]"
        );
        let mut values: Vec<_> = partitions.iter().map(|named| s(&named.partition)).collect();
        if let Some(after) = &start.after {
            statement.push_str(&format!(" AND {gsk} {beyond} ?"));
            values.push(s(after));
        }
        // Several partitions can be ordered by their keys alone. With an order the engine does not scan.
        statement.push_str(&format!(" ORDER BY {key}"));
        let request = self
            .client
            .execute_statement()
            .statement(statement)
            .set_parameters(Some(values))
            .set_limit(rows.map(|rows| i32::try_from(rows).unwrap_or(i32::MAX)));
        let page = match self.client.send(&request).await {
            Ok(page) => page,
            Err(error) if is_refused(&error) => {
                let why = words(&error);
                tracing::warn!(
                    error.why = why,
                    "no statements here: names are read by queries"
                );
                return Ok(());
            }
            Err(error) => return Err(failed("list images of a name", &error)),
        };
        if page.next_token.is_some() {
            return Ok(());
        }
        for found in page.items() {
            let partition = found.get(key);
            let of = |named: &&mut Named<'_, '_>| partition == Some(&s(&named.partition));
            let Some(named) = partitions.iter_mut().find(of) else {
                continue;
            };
            match row(found) {
                Ok(row) => named.stream.buffer.push_back(row),
                Err(corrupt) => skip(&corrupt),
            }
        }
        for Named { stream, .. } in partitions {
            let rows = stream.buffer.make_contiguous();
            rows.sort_by(|a, b| match ascending {
                true => a.position.cmp(&b.position),
                false => b.position.cmp(&a.position),
            });
            stream.ended = true;
        }
        Ok(())
    }
}
