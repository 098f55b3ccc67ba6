//! The forms of output, and the options about them.

use clap::{Args, ValueEnum};

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Comma-separated values with a header.
    Csv,
    /// The values alone, with spaces between them.
    Value,
}

/// Options about output, as OpenStack's commands have them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// The form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub format: Form,
    /// Show this column only; can be repeated.
    #[arg(short, long = "column", value_name = "COLUMN")]
    pub columns: Vec<String>,
    /// Sort by this column; can be repeated.
    #[arg(long, value_name = "COLUMN")]
    pub sort_column: Vec<String>,
    /// Sort downwards.
    #[arg(long, conflicts_with = "sort_ascending")]
    pub sort_descending: bool,
    /// Sort upwards, as it is without this option.
    #[arg(long, hide_short_help = true)]
    pub sort_ascending: bool,
}
