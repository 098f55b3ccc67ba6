//! Who can see an image.

use serde::Serialize;

/// Who can see an image: everybody (`public`), its owner (`private`), its owner and its members
/// (`shared`), or everybody who asks for it (`community`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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

    /// The visibility that a word names, in exactly this spelling.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|visibility| visibility.as_str() == word)
    }
}
