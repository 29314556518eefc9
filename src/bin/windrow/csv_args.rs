//! Flags that say how CSV is read, and the options they become.
//!
//! In:  words of a command line.
//! Out: `CsvOptions` of the library, which holds the defaults.

use clap::Args;
use windrow::CsvOptions;

use crate::args::first_given;

/// How the fields of CSV are told apart.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading CSV")]
pub struct CsvArgs {
    /// What stands between fields, or \t for a tab [default: a comma, or what the first record shows]
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub delimiter: Option<u8>,

    /// The first record is no header; columns are column_0, column_1, …
    #[arg(long)]
    pub no_header: bool,

    /// What stands around fields that hold delimiters, or none [default: "]
    #[arg(long, value_name = "CHAR|none", value_parser = quote)]
    pub quote: Option<Quote>,

    /// What makes the next character of a quoted field stand for itself, such as \ [default: none]
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub escape: Option<u8>,

    /// What begins a line that is a comment [default: none]
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub comment: Option<u8>,

    /// An unquoted text that means null, beside nothing; may be given more than once
    #[arg(long = "null", value_name = "TEXT")]
    pub nulls: Vec<String>,

    /// Leave out blanks and tabs around fields
    #[arg(long)]
    pub trim: bool,

    /// Fill records that have too few fields with nulls; else they are bad
    #[arg(long)]
    pub fill_short: bool,
}

/// A character around fields, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote(Option<u8>);

/// A character of the command line.
///
/// # Errors
///
/// If it is not one ASCII character.
pub fn character(text: &str) -> std::result::Result<u8, &'static str> {
    match text.as_bytes() {
        b"\\t" | b"tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("write one ASCII character, or \\t for a tab"),
    }
}

fn quote(text: &str) -> std::result::Result<Quote, &'static str> {
    match text {
        "none" | "" => Ok(Quote(None)),
        text => character(text).map(|byte| Quote(Some(byte))),
    }
}

impl CsvArgs {
    /// The first flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("delimiter", self.delimiter.is_some()),
            ("no-header", self.no_header),
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("comment", self.comment.is_some()),
            ("null", !self.nulls.is_empty()),
            ("trim", self.trim),
            ("fill-short", self.fill_short),
        ];
        first_given(&flags)
    }

    /// The library's options.
    pub fn options(&self) -> CsvOptions {
        let defaults = CsvOptions::default();
        CsvOptions {
            header: !self.no_header,
            delimiter: self.delimiter,
            quote: self.quote.map_or(defaults.quote, |Quote(quote)| quote),
            escape: self.escape,
            comment: self.comment,
            nulls: self.nulls.clone(),
            trim: self.trim,
            fill_short: self.fill_short,
        }
    }
}
