//! `imshare image`.

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::common::{Common, MemberStatus};
use crate::completion::complete_image;

/// The visibilities of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Visibility {
    /// For its project alone.
    Private,
    /// For its project and those that it is shared with.
    Shared,
    /// For everybody who looks for it.
    Community,
    /// For everybody.
    Public,
}

impl Visibility {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
            Self::Public => "public",
        }
    }
}

/// Which images a list shows, by their visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// This one.
    Only(Visibility),
    /// Any.
    All,
}

impl Visible {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Only(visibility) => visibility.as_str(),
            Self::All => "all",
        }
    }
}

impl ValueEnum for Visible {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Visible; 5] = [
            Visible::Only(Visibility::Private),
            Visible::Only(Visibility::Shared),
            Visible::Only(Visibility::Community),
            Visible::Only(Visibility::Public),
            Visible::All,
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Only(visibility) => visibility.to_possible_value(),
            Self::All => Some(PossibleValue::new("all").help("Any")),
        }
    }
}

/// `imshare image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images that the project may use.
    List {
        /// Those with this name only.
        #[arg(long)]
        name: Option<String>,
        /// Those with this visibility only.
        #[arg(long)]
        visibility: Option<Visible>,
        /// Of the images that others share: those with this answer.
        #[arg(long, default_value = "accepted", value_name = "STATUS")]
        member_status: MemberStatus,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Show an image.
    Show {
        /// The image, by name or id.
        #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(complete_image))]
        image: String,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
    /// Create the record of an image, without data.
    Create {
        /// Its name.
        name: String,
        /// Its id, instead of a new one.
        #[arg(long)]
        id: Option<String>,
        /// Its visibility; shared without this option.
        #[arg(long)]
        visibility: Option<Visibility>,
        /// Its disk format, such as qcow2.
        #[arg(long, value_name = "FORMAT")]
        disk_format: Option<String>,
        /// Its container format, such as bare.
        #[arg(long, value_name = "FORMAT")]
        container_format: Option<String>,
        /// A tag; can be repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// A property of its own; can be repeated.
        #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
        properties: Vec<(String, String)>,
        /// What every command takes.
        #[command(flatten)]
        common: Box<Common>,
    },
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
