//! The outcome of an entry of a batch.

use super::ims_code::ImsCode;
use super::member::MemberStatus;

/// The outcome of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded, and this request changed something.
    Changed,
    /// It succeeded: this request shared the image, and a rule of the member's has answered.
    Answered(MemberStatus),
    /// It succeeded, and there was nothing to change.
    Unchanged,
    /// It failed, for this reason.
    Failed(ImsCode),
}

impl Outcome {
    /// Whether the entry succeeded.
    pub const fn succeeded(self) -> bool {
        match self {
            Self::Changed | Self::Answered(_) | Self::Unchanged => true,
            Self::Failed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_succeeds_if_it_is_as_the_request_wanted() {
        assert!(Outcome::Changed.succeeded() && Outcome::Unchanged.succeeded());
        assert!(Outcome::Answered(MemberStatus::Rejected).succeeded());
        assert!(!Outcome::Failed(ImsCode::NotOwner).succeeded());
    }
}
