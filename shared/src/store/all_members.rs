//! Reads the memberships of the whole table, for an operator: no request of the API does.

use std::collections::BTreeMap;

use super::expression::{names, values};
use super::item::Head;
use super::keys::{self as at, s};
use super::sdk_error::failed;
use super::table::Store;
use crate::domain::error::ApiError;
use crate::domain::id::{ImageId, ProjectId};

impl Store {
    /// The images that each project is a member of, whether or not they are shared at present. It scans
    /// the whole table, a page after the other, and holds the ids of all memberships in memory.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub async fn members_of_all_images(
        &self,
    ) -> Result<BTreeMap<ProjectId, Vec<ImageId>>, ApiError> {
        let filter = "begins_with(#sk, :member) AND attribute_not_exists(#gone)";
        let keys = "#pk, #sk";
        let mut found: BTreeMap<ProjectId, Vec<ImageId>> = BTreeMap::new();
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(filter)
            .projection_expression(keys)
            .set_expression_attribute_names(names(&[filter, keys]))
            .set_expression_attribute_values(values([(":member", s(at::MEMBER_PREFIX))]));
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("read all memberships", &error))?;
            for item in page.items() {
                let (image, member) = Head::of(item).member_key()?;
                found.entry(member).or_default().push(image);
            }
        }
        Ok(found)
    }
}
