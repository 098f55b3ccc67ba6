//! Trusted owners: rules by which a project answers in advance for images that some owners share with
//! it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::actor::Actor;
use super::cache::ExpiringCache;
use super::id::{OperationId, ProjectId};
use super::member::MemberStatus;
use super::time::Timestamp;

/// Most rules of one project.
pub const RULES_MAX: usize = 100;
/// How long an instance remembers the rules of a project, and which projects have any, in seconds: a
/// changed rule holds everywhere after that.
pub const REMEMBERED_SECONDS: i64 = 10;
/// The classes into which projects fall by a hash. A register holds the classes of projects with rules.
const CLASSES: u16 = 4096;
/// Projects whose rules an instance remembers, at most.
const PROJECTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// How a rule answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TrustMode {
    /// New shares are accepted.
    Accept,
    /// New shares are rejected: the image is not in the list, but can be used by its id.
    Reject,
}

impl TrustMode {
    /// Parses a word, in exactly this spelling.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "accept" => Some(Self::Accept),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    const fn status(self) -> MemberStatus {
        match self {
            Self::Accept => MemberStatus::Accepted,
            Self::Reject => MemberStatus::Rejected,
        }
    }
}

/// A rule: the answer to each new share by one owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustRule {
    /// The project that shares.
    pub owner: ProjectId,
    /// The answer.
    pub mode: TrustMode,
}

/// The rules of one project: at most [`RULES_MAX`], and one for an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedOwners {
    /// The rules.
    pub rules: Vec<TrustRule>,
    /// The operation that set them; `None` if none ever did.
    pub op: Option<OperationId>,
    /// Who set them; `None` if nobody ever did, or by an earlier release.
    pub by: Option<Actor>,
}

impl TrustedOwners {
    /// The status of a new membership of an image of this owner.
    pub fn status(&self, owner: &ProjectId) -> MemberStatus {
        let rule = self.rules.iter().find(|rule| rule.owner == *owner);
        rule.map_or(MemberStatus::Pending, |rule| rule.mode.status())
    }

    /// A text that is another one whenever the rules are set.
    pub fn version(&self) -> String {
        self.op.map_or_else(|| "0".to_owned(), |op| op.to_string())
    }
}

/// The class of a project. Projects of a class share an entry of the register, so one of them may have
/// rules although this one has none.
pub fn class(project: &ProjectId) -> u16 {
    let hash = Sha256::digest(project.as_str());
    let first = hash.first_chunk::<2>().copied().unwrap_or_default();
    u16::from_be_bytes(first) % CLASSES
}

/// What an instance remembers of trusted owners, for [`REMEMBERED_SECONDS`].
#[derive(Debug)]
pub struct TrustCache {
    /// The classes of projects with rules.
    classes: ExpiringCache<(), Arc<BTreeSet<u16>>>,
    rules: ExpiringCache<ProjectId, Arc<TrustedOwners>>,
}

impl Default for TrustCache {
    fn default() -> Self {
        Self {
            classes: ExpiringCache::new(NonZeroUsize::MIN),
            rules: ExpiringCache::new(PROJECTS_MAX),
        }
    }
}

impl TrustCache {
    /// The classes of projects with rules, if they are remembered.
    pub fn classes(&self, now: Timestamp) -> Option<Arc<BTreeSet<u16>>> {
        self.classes.get(&(), now)
    }

    /// Remembers the classes of projects with rules, which were read no earlier than `now`.
    pub fn remember_classes(&self, classes: Arc<BTreeSet<u16>>, now: Timestamp) {
        self.classes
            .insert((), classes, now.plus_seconds(REMEMBERED_SECONDS));
    }

    /// The rules of a project, if they are remembered.
    pub fn rules(&self, project: &ProjectId, now: Timestamp) -> Option<Arc<TrustedOwners>> {
        self.rules.get(project, now)
    }

    /// Remembers the rules of a project, which were read or set no earlier than `now`.
    pub fn remember_rules(&self, project: ProjectId, rules: Arc<TrustedOwners>, now: Timestamp) {
        let until = now.plus_seconds(REMEMBERED_SECONDS);
        self.rules.insert(project, rules, until);
    }

    /// Forgets the classes if they lack that of a project, which has been given rules.
    pub fn forget_classes_without(&self, project: &ProjectId, now: Timestamp) {
        if let Some(classes) = self.classes(now)
            && !classes.contains(&class(project))
        {
            self.classes.insert((), classes, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(id: &str) -> ProjectId {
        ProjectId::parse(id).unwrap()
    }

    #[test]
    fn a_rule_answers_for_its_owner_alone() {
        let rule = |owner: &str, mode| TrustRule {
            owner: project(owner),
            mode,
        };
        let rules = TrustedOwners {
            rules: vec![rule("a", TrustMode::Accept), rule("b", TrustMode::Reject)],
            ..TrustedOwners::default()
        };
        for (owner, status) in [
            ("a", MemberStatus::Accepted),
            ("b", MemberStatus::Rejected),
            ("c", MemberStatus::Pending),
        ] {
            assert_eq!(rules.status(&project(owner)), status);
        }
        assert_eq!(rules.version(), "0");
        let op = OperationId::at(1);
        let set = TrustedOwners {
            op: Some(op),
            ..rules
        };
        assert_eq!(set.version(), op.to_string());
        assert_eq!(TrustMode::parse("Accept"), None);
    }

    #[test]
    fn the_classes_spread_projects() {
        let classes: BTreeSet<u16> = (0..4096).map(|i| class(&project(&i.to_string()))).collect();
        // As many as chance leaves of 4096: 1 - 1/e of them.
        assert!(classes.len() > 2_400, "{}", classes.len());
        assert!(classes.iter().all(|class| *class < CLASSES));
    }

    #[test]
    fn what_is_remembered_expires_and_a_new_class_is_read_anew() {
        let (cache, at) = (TrustCache::default(), Timestamp::from_micros(0));
        let before = at.plus_seconds(REMEMBERED_SECONDS - 1);
        let (known, new) = (project("known"), project("new"));
        let classes = Arc::new(BTreeSet::from([class(&known)]));
        cache.remember_classes(classes.clone(), at);
        cache.remember_rules(known.clone(), Arc::default(), at);
        assert_eq!(cache.classes(before), Some(classes));
        assert!(cache.rules(&known, before).is_some());
        assert!(cache.rules(&new, before).is_none());
        let after = at.plus_seconds(REMEMBERED_SECONDS);
        assert!(cache.classes(after).is_none() && cache.rules(&known, after).is_none());
        cache.forget_classes_without(&known, before);
        assert!(cache.classes(before).is_some());
        cache.forget_classes_without(&new, before);
        assert!(cache.classes(before).is_none());
    }
}
