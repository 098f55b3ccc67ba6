//! Trusted owners: the rules of each project, and a register of the projects that have any.
//!
//! Who adds a member has to know the member's rules before its transaction. The register, one small item
//! that an instance remembers, tells for nearly all projects without rules that there is nothing to
//! read.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

use super::expression::{names, values};
use super::item;
use super::jobs::to_json;
use super::keys::{self as at, Item, s};
use super::table::Store;
use super::write::{Transacted, transaction_item};
use crate::domain::error::ApiError;
use crate::domain::id::{OperationId, ProjectId};
use crate::domain::member::MemberStatus;
use crate::domain::time::Timestamp;
use crate::domain::trust::{self, TrustedOwners};

impl Store {
    /// Reads the rules of a project, strongly consistent.
    ///
    /// # Errors
    /// If the store does not answer or the record does not parse.
    pub async fn trusted_owners(&self, project: &ProjectId) -> Result<TrustedOwners, ApiError> {
        let found = self.single_item(at::trust_key(project)).await?;
        Ok(found.as_ref().map(rules).transpose()?.unwrap_or_default())
    }

    /// Sets all rules of a project at once. With `seen`, only if the rules are still those that were
    /// read. Returns `false` if they are not.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn set_trusted_owners(
        &self,
        project: &ProjectId,
        next: &TrustedOwners,
        seen: Option<&TrustedOwners>,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let mut items = vec![self.put_rules(project, next, seen, now)?];
        // The register is one item for all projects. Whoever wrote it with each change would keep it from others.
        if !next.rules.is_empty() && !self.is_registered(project, now).await? {
            items.push(self.register(project)?);
        }
        let applied = match self.transact("set trusted owners", items).await? {
            Transacted::Applied => true,
            Transacted::Cancelled(_) => false,
        };
        if applied {
            self.trust.forget_classes_without(project, now);
            let next = Arc::new(next.clone());
            self.trust.remember_rules(project.clone(), next, now);
        }
        Ok(applied)
    }

    fn put_rules(
        &self,
        project: &ProjectId,
        next: &TrustedOwners,
        seen: Option<&TrustedOwners>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, ApiError> {
        let mut record = at::trust_key(project);
        record.extend([
            (at::RULES.to_owned(), s(to_json(&next.rules)?)),
            (at::UPDATED_AT.to_owned(), s(now.stored())),
        ]);
        record.extend(item::by(next.by.as_ref()));
        record.extend(next.op.map(|op| (at::OP.to_owned(), s(op.to_string()))));
        let mut put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(record));
        if let Some(seen) = seen {
            let condition = match seen.op {
                None => "attribute_not_exists(#pk)",
                Some(_) => "#op = :seen",
            };
            let op = seen.op.map(|op| (":seen".to_owned(), s(op.to_string())));
            put = put
                .condition_expression(condition)
                .set_expression_attribute_names(names(&[condition]))
                .set_expression_attribute_values(op.map(|value| Item::from([value])));
        }
        let put = put.build();
        transaction_item("set trusted owners", put)
    }

    /// Builds the update that adds the class of a project to the register. It is never removed: that a
    /// project of the class has rules may be wrong, and costs a read; that none has must be right.
    fn register(&self, project: &ProjectId) -> Result<TransactWriteItem, ApiError> {
        let update = "ADD #classes :class";
        let class = AttributeValue::Ns(vec![trust::class(project).to_string()]);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(at::register_key()))
            .set_expression_attribute_names(names(&[update]))
            .set_expression_attribute_values(values([(":class", class)]))
            .update_expression(update)
            .build();
        transaction_item("register", update)
    }

    /// Finds which of these members have a rule for an owner: the status that it gives to a new
    /// membership. Members without one are left out.
    ///
    /// Reads nothing that the instance remembers; otherwise the register, and in one more request the
    /// rules of those members that the register does not rule out.
    ///
    /// # Errors
    /// If the store does not answer or a record does not parse.
    pub(super) async fn answers_by_rule(
        &self,
        owner: &ProjectId,
        members: &[ProjectId],
        now: Timestamp,
    ) -> Result<HashMap<ProjectId, MemberStatus>, ApiError> {
        let classes = self.classes_with_rules(now).await?;
        let mut statuses = HashMap::new();
        let mut unknown = Vec::new();
        let registered = members
            .iter()
            .filter(|member| classes.contains(&trust::class(member)));
        for member in registered {
            match self.trust.rules(member, now) {
                Some(rules) => {
                    statuses.insert(member.clone(), rules.status(owner));
                }
                None => unknown.push(member),
            }
        }
        for (member, rules) in self.rules_of(&unknown, now).await? {
            statuses.insert(member, rules.status(owner));
        }
        statuses.retain(|_, status| *status != MemberStatus::Pending);
        Ok(statuses)
    }

    /// Whether the register has the class of a project. Once it has, it has it for good.
    async fn is_registered(&self, project: &ProjectId, now: Timestamp) -> Result<bool, ApiError> {
        let classes = self.classes_with_rules(now).await?;
        Ok(classes.contains(&trust::class(project)))
    }

    async fn classes_with_rules(&self, now: Timestamp) -> Result<Arc<BTreeSet<u16>>, ApiError> {
        if let Some(classes) = self.trust.classes(now) {
            return Ok(classes);
        }
        let found = self
            .single_item(at::register_key())
            .await?
            .unwrap_or_default();
        let classes = Arc::new(item::Reader::of(&found)?.numbers(at::CLASSES)?);
        self.trust.remember_classes(classes.clone(), now);
        Ok(classes)
    }

    /// Reads the rules of these projects, and remembers them, also that there are none.
    async fn rules_of(
        &self,
        projects: &[&ProjectId],
        now: Timestamp,
    ) -> Result<HashMap<ProjectId, Arc<TrustedOwners>>, ApiError> {
        if projects.is_empty() {
            return Ok(HashMap::new());
        }
        let mut all: HashMap<ProjectId, Arc<TrustedOwners>> = HashMap::new();
        let none = Arc::new(TrustedOwners::default());
        all.extend(
            projects
                .iter()
                .map(|project| ((*project).clone(), none.clone())),
        );
        let keys = projects.iter().map(|project| at::trust_key(project));
        for found in self.batch_get(keys.collect()).await? {
            let project = item::Reader::of(&found)?.parsed(at::PK, at::project_of)?;
            all.insert(project, Arc::new(rules(&found)?));
        }
        for (project, rules) in &all {
            self.trust
                .remember_rules(project.clone(), rules.clone(), now);
        }
        Ok(all)
    }
}

pub(super) fn rules(found: &Item) -> Result<TrustedOwners, ApiError> {
    let read = item::Reader::of(found)?;
    Ok(TrustedOwners {
        rules: read.parsed(at::RULES, |text| serde_json::from_str(text).ok())?,
        op: Some(read.parsed(at::OP, OperationId::parse)?),
        by: read.actor()?,
    })
}
