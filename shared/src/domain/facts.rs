//! What is known of one image at one moment: the image and some of its memberships.

use std::collections::HashMap;

use super::id::ProjectId;
use super::image::Image;
use super::member::{Member, Membership, Memberships};
use super::policy::{Subject, Target};

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

    /// Whether a project is a member.
    pub fn is_member(&self, project: &ProjectId) -> bool {
        matches!(self.membership(project), Some(Membership::Present(_)))
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
