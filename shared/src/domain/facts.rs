//! What is known of one image at one moment: the image and some of its memberships.

use std::collections::HashMap;

use super::id::ProjectId;
use super::image::Image;
use super::member::{Member, Membership, Memberships};
use super::policy::{Caller, Subject, Target};

/// An image and some memberships of it, read in one consistent request.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The image; `None` if it does not exist.
    pub image: Option<Image>,
    /// What is stored under the members' keys that were read, tombstones included.
    pub memberships: Memberships,
}

impl Facts {
    /// An image of which no membership was read.
    pub fn of(image: Image) -> Self {
        Self {
            image: Some(image),
            memberships: HashMap::new(),
        }
    }

    /// What is stored under a project's key.
    pub fn membership(&self, member: &ProjectId) -> Option<&Membership> {
        self.memberships.get(member)
    }

    /// The image and the membership of a project, if both exist.
    pub fn member(&self, project: Option<&ProjectId>) -> Option<(&Image, &Member)> {
        match (&self.image, self.membership(project?)?) {
            (Some(image), Membership::Present(member)) => Some((image, member)),
            (None, _) | (_, Membership::Gone { .. }) => None,
        }
    }

    /// The version of the list of members that a caller sees: another text after each addition and removal.
    /// Who sees only its own membership is told nothing of the others.
    pub fn members_version(&self, caller: &Caller) -> Option<String> {
        let image = self.image.as_ref()?;
        if caller.acts_for(image.owner.as_str()) {
            let created = image.created_at.micros();
            return Some(format!("{created:x}-{:x}", image.member_version));
        }
        let (_, own) = self.member(Some(&caller.project))?;
        Some(own.added.to_string())
    }

    /// The image as the policy has to know it, by its id as the request has it.
    pub fn target<'a>(&'a self, id: &'a str) -> Target<'a> {
        let subject = self.image.as_ref().map(|image| Subject {
            owner: &image.owner,
            visibility: image.visibility,
            memberships: &self.memberships,
        });
        Target { id, subject }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::id::OperationId;
    use crate::domain::policy::{Caller, Policy, Role};
    use crate::domain::time::Timestamp;

    fn project(name: &str) -> ProjectId {
        ProjectId::parse(name).unwrap()
    }

    #[test]
    fn a_tombstone_is_no_member() {
        let (op, now) = (OperationId::at(0), Timestamp::from_micros(0));
        let caller = Caller {
            user: "u".to_owned(),
            project: project("owner"),
            role: Role::Member,
        };
        let body = json!({"visibility": "private"});
        let image = Image::from_request(body, Policy::default(), &caller, op, now).unwrap();
        let member = Member::new(image.id, project("member"), op, now);
        let mut facts = Facts::of(image.clone());
        assert!(facts.memberships.is_empty());
        let stored = Membership::Present(member.clone());
        facts.memberships.insert(project("member"), stored.clone());
        let gone = Membership::Gone { added: op, op };
        facts.memberships.insert(project("gone"), gone.clone());

        let [here, was, never] = ["member", "gone", "never"].map(project);
        assert_eq!(facts.membership(&here), Some(&stored));
        assert_eq!(facts.membership(&was), Some(&gone));
        assert_eq!(facts.membership(&never), None);
        assert_eq!(facts.member(Some(&here)), Some((&image, &member)));
        for other in [Some(&was), Some(&never), None] {
            assert_eq!(facts.member(other), None);
        }
        let target = facts.target("as sent");
        let subject = target.subject.unwrap();
        assert_eq!((target.id, subject.owner), ("as sent", &image.owner));
        assert_eq!(subject.visibility, image.visibility);

        let as_project = |project: &ProjectId| Caller {
            user: "u".to_owned(),
            project: project.clone(),
            role: Role::Member,
        };
        assert_eq!(facts.members_version(&caller).as_deref(), Some("0-0"));
        let own = facts.members_version(&as_project(&here));
        assert_eq!(own, Some(op.to_string()));
        assert_eq!(facts.members_version(&as_project(&was)), None);

        facts.image = None;
        assert_eq!(facts.members_version(&caller), None);
        assert_eq!(facts.member(Some(&here)), None);
        assert!(facts.target("x").subject.is_none());
    }
}
