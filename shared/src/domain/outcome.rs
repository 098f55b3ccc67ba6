//! What became of an entry of a batch.

use super::ims_code::ImsCode;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as the request wanted, or was until a newer request changed it: by this request.
    Changed,
    /// The same, and this request had nothing to change.
    Unchanged,
    /// It is not as the request wanted.
    Failed(ImsCode),
}

impl Outcome {
    /// Whether the entry succeeded.
    pub const fn succeeded(self) -> bool {
        match self {
            Self::Changed | Self::Unchanged => true,
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
        assert!(!Outcome::Failed(ImsCode::NotOwner).succeeded());
    }
}
