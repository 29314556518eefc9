//! The words for a layout: how a caller asks for partitions, and what a plan knows of them.

use std::fmt;

use crate::error::{Error, Result};
use crate::size::ByteSize;

/// How `repartition` is asked to lay out rows. The source is read once and
/// input order is kept, whichever is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This many partitions, whose row counts differ by at most one. Fewer
    /// come out when there are fewer rows: a partition is never empty. Rows are
    /// held, and spilled past the memory budget, until their number is known.
    Count(usize),
    /// This many rows in each partition; the last may have fewer. Streams.
    Rows(u64),
    /// Partitions of about this many bytes of Arrow data, which differ from
    /// each other by at most 10 % (a row is never cut). Rows are held, and
    /// spilled past the memory budget, until their size is known.
    Bytes(ByteSize),
    /// Partitions that end once their part file has this many stored bytes;
    /// the last may be smaller. Streams.
    FileBytes(ByteSize),
}

impl By {
    /// Refuses a layout of nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the number is zero.
    pub fn check(self) -> Result<()> {
        let (name, zero) = match self {
            By::Count(n) => ("npartitions", n == 0),
            By::Rows(n) => ("partition-rows", n == 0),
            By::Bytes(size) => ("partition-size", size.bytes() == 0),
            By::FileBytes(size) => ("file-size", size.bytes() == 0),
        };
        if zero {
            return Err(Error::config(name, "it must be more than zero"));
        }
        Ok(())
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Count(n) => write!(f, "{n} partitions of equal rows"),
            By::Rows(n) => write!(f, "{n} rows each"),
            By::Bytes(size) => write!(f, "even, about {size} of Arrow data each"),
            By::FileBytes(size) => write!(f, "about {size} stored each"),
        }
    }
}

/// What a plan knows of how rows lie in partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioning {
    /// Nothing but input order.
    Unknown,
    /// One partition holds all rows.
    Single,
    /// Equal keys are in one partition.
    Hash {
        /// Key columns, in order.
        keys: Vec<String>,
        /// Number of partitions.
        count: usize,
    },
    /// Rows are sorted by one column, smallest first and nulls last, and each
    /// partition is a range of them. Neighbours may share a key.
    Range {
        /// The column.
        key: String,
    },
}

impl Partitioning {
    /// Whether rows laid out like `self` are also laid out like `wanted`.
    pub fn satisfies(&self, wanted: &Partitioning) -> bool {
        match (self, wanted) {
            (_, Partitioning::Unknown) | (Partitioning::Single, _) => true,
            (Partitioning::Hash { keys, .. }, Partitioning::Hash { keys: wanted, .. }) => {
                !keys.is_empty() && keys.iter().all(|key| wanted.contains(key))
            }
            (have, wanted) => have == wanted,
        }
    }
}

impl Partitioning {
    /// What stays known when columns get other names; `follow` gives the name
    /// that a column has afterwards, if it is still there.
    #[must_use]
    pub fn renamed(self, follow: impl Fn(&str) -> Option<String>) -> Partitioning {
        match self {
            Partitioning::Hash { keys, count } => {
                let keys: Option<Vec<String>> = keys.iter().map(|key| follow(key)).collect();
                keys.map_or(Partitioning::Unknown, |keys| Partitioning::Hash {
                    keys,
                    count,
                })
            }
            Partitioning::Range { key } => {
                follow(&key).map_or(Partitioning::Unknown, |key| Partitioning::Range { key })
            }
            other => other,
        }
    }
}

impl fmt::Display for Partitioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partitioning::Unknown => f.write_str("unknown"),
            Partitioning::Single => f.write_str("single"),
            Partitioning::Hash { keys, count } => {
                write!(f, "hash({}) in {count}", keys.join(", "))
            }
            Partitioning::Range { key } => write!(f, "range({key})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_follows_a_rename_and_ends_with_its_column() {
        let hash = Partitioning::Hash {
            keys: vec!["user".into()],
            count: 4,
        };
        let renamed = hash.clone().renamed(|name| Some(format!("{name}_id")));
        assert_eq!(renamed.to_string(), "hash(user_id) in 4");
        assert_eq!(hash.renamed(|_| None), Partitioning::Unknown);
        assert_eq!(Partitioning::Single.renamed(|_| None), Partitioning::Single);
    }
}
