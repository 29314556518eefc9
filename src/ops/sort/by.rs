//! What rows are ordered by, as a caller says it.
//!
//! In:  names of columns, or texts such as `bytes desc nulls first`.
//! Out: a column with its direction and the place of its nulls.

use std::fmt;
use std::str::FromStr;

use arrow_schema::SortOptions;

use crate::error::{Error, Result};

/// A column that orders rows. Smallest first and nulls last, unless told otherwise.
///
/// ```
/// use windrow::SortBy;
/// let by: SortBy = "bytes desc".parse()?;
/// assert_eq!(by, SortBy::descending("bytes"));
/// assert_eq!(SortBy::from("user").nulls_first().to_string(), "user nulls first");
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortBy {
    /// The column.
    pub column: String,
    /// Largest first. NaN is larger than every number.
    pub descending: bool,
    /// Nulls before all values, in either direction; else behind them.
    pub nulls_first: bool,
}

impl SortBy {
    /// Smallest first.
    pub fn ascending(column: impl Into<String>) -> Self {
        SortBy {
            column: column.into(),
            descending: false,
            nulls_first: false,
        }
    }

    /// Largest first.
    pub fn descending(column: impl Into<String>) -> Self {
        SortBy {
            descending: true,
            ..SortBy::ascending(column)
        }
    }

    /// As Arrow says it.
    pub(crate) fn options(&self) -> SortOptions {
        SortOptions::new(self.descending, self.nulls_first)
    }

    /// Nulls before all values.
    #[must_use]
    pub fn nulls_first(mut self) -> Self {
        self.nulls_first = true;
        self
    }
}

impl From<&str> for SortBy {
    fn from(column: &str) -> Self {
        SortBy::ascending(column)
    }
}

impl From<String> for SortBy {
    fn from(column: String) -> Self {
        SortBy::ascending(column)
    }
}

impl FromStr for SortBy {
    type Err = Error;

    /// `COL`, `COL asc` or `COL desc`, with `nulls first` or `nulls last` behind it.
    fn from_str(text: &str) -> Result<Self> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let ends = |words: &[&str], with: &[&str]| {
            words.len() > with.len()
                && words[words.len() - with.len()..]
                    .iter()
                    .zip(with)
                    .all(|(word, with)| word.eq_ignore_ascii_case(with))
        };
        let mut by = SortBy::ascending("");
        if ends(&words, &["nulls", "first"]) || ends(&words, &["nulls", "last"]) {
            by.nulls_first = ends(&words, &["nulls", "first"]);
            words.truncate(words.len() - 2);
        }
        if ends(&words, &["desc"]) || ends(&words, &["asc"]) {
            by.descending = ends(&words, &["desc"]);
            words.truncate(words.len() - 1);
        }
        by.column = words.join(" ");
        if by.column.is_empty() {
            return Err(Error::config("sort-by", "there is no column to sort by"));
        }
        Ok(by)
    }
}

impl fmt::Display for SortBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.column)?;
        if self.descending {
            f.write_str(" desc")?;
        }
        if self.nulls_first {
            f.write_str(" nulls first")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_column_direction_and_nulls() {
        for (text, by) in [
            ("a", SortBy::ascending("a")),
            ("a ASC nulls last", SortBy::ascending("a")),
            ("two words desc", SortBy::descending("two words")),
            ("a nulls first", SortBy::ascending("a").nulls_first()),
            ("a desc nulls first", SortBy::descending("a").nulls_first()),
            ("desc", SortBy::ascending("desc")),
        ] {
            let parsed: SortBy = text.parse().unwrap();
            assert_eq!(parsed, by, "{text}");
            assert_eq!(parsed.to_string().parse::<SortBy>().unwrap(), by);
        }
        assert!(" ".parse::<SortBy>().is_err());
    }
}
