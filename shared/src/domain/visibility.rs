//! Who can see an image.

use serde::{Deserialize, Serialize};

/// Who can see an image: everybody (`public`), its owner (`private`), its owner and its members
/// (`shared`), or everybody who asks for it (`community`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Visibility {
    /// Everybody, in every list.
    Public,
    /// Its owner.
    Private,
    /// Its owner and its members.
    Shared,
    /// Everybody who asks for it.
    Community,
}

impl Visibility {
    /// Every visibility.
    pub const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Shared, Self::Community];

    /// The word on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
        }
    }

    /// Whether everybody may see such an image.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Public | Self::Community)
    }

    /// The visibility that a word names, in exactly this spelling.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|visibility| visibility.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visibility_has_one_spelling() {
        let words = ["public", "private", "shared", "community"];
        for (visibility, word) in Visibility::ALL.into_iter().zip(words) {
            assert_eq!(visibility.as_str(), word);
            assert_eq!(Visibility::parse(word), Some(visibility));
            assert_eq!(Visibility::parse(&word.to_uppercase()), None);
        }
        assert_eq!(Visibility::parse(""), None);
        assert_eq!(Visibility::parse("all"), None);
    }
}
