//! The declaration of the whole set of an image's members.

use aws_sdk_dynamodb::types::{
    ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};

use super::super::expression::names;
use super::super::keys::{self as at, n, s};
use super::super::table::Store;
use super::super::write::transaction_item;
use crate::domain::actor::Actor;
use crate::domain::error::ApiError;
use crate::domain::id::OperationId;
use crate::domain::image::Image;
use crate::domain::visibility::Visibility;

impl Store {
    /// Builds the update that records a declaration on an image, if it is still shared, by the same
    /// owner, and nobody was added, removed or declared since it was read. A declaration that `changes`
    /// the set counts as a change of it from now on, before it is carried out.
    ///
    /// From then on no share that was accepted earlier adds a member: see
    /// [`crate::domain::change::after_declaration`].
    pub(in crate::store) fn declare_members(
        &self,
        seen: &Image,
        op: OperationId,
        by: &Actor,
        changes: bool,
    ) -> Result<TransactWriteItem, ApiError> {
        let mut condition = "attribute_exists(#pk) AND attribute_not_exists(#gone) \
                             AND #visibility = :shared AND #owner = :owner \
                             AND (attribute_not_exists(#declared) OR #declared < :op)"
            .to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::image_key(seen.id)))
            .return_values_on_condition_check_failure(OnFailure::None)
            .expression_attribute_values(":shared", s(Visibility::Shared.as_str()))
            .expression_attribute_values(":owner", s(seen.owner.as_str()))
            .expression_attribute_values(":op", s(op.to_string()))
            .expression_attribute_values(":by", s(by.stored()));
        if seen.member_version == 0 {
            condition.push_str(" AND attribute_not_exists(#member_version)");
        } else {
            condition.push_str(" AND #member_version = :seen");
            update = update.expression_attribute_values(":seen", n(seen.member_version));
        }
        let mut expression = "SET #declared = :op, #declared_by = :by".to_owned();
        if changes {
            expression.push_str(" ADD #member_version :one");
            update = update.expression_attribute_values(":one", n(1));
        }
        let update = update
            .set_expression_attribute_names(names(&[&expression, &condition]))
            .update_expression(expression)
            .condition_expression(condition)
            .build();
        transaction_item("declare members", update)
    }
}
