//! The groups of rows that windows look at.

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::expr::GroupTable;
use crate::ops::Seen;

/// Groups that several windows share.
pub(super) struct Grouping {
    /// The keys, as their texts tell them apart.
    texts: Vec<String>,
    by: Vec<Seen>,
    /// None where all rows are one group.
    table: Option<GroupTable>,
}

/// The group of each row of a batch, and how many groups there are by now.
pub(super) struct GroupsOf {
    pub of_rows: Vec<u32>,
    pub n: usize,
}

impl Grouping {
    /// The place among `known` of the groups by `by`, which are added if need be.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] for a key whose values cannot be told apart.
    pub fn among(known: &mut Vec<Grouping>, by: &[Seen]) -> Result<usize> {
        let texts: Vec<String> = by.iter().map(|key| key.bound().to_string()).collect();
        if let Some(place) = known.iter().position(|one| one.texts == texts) {
            return Ok(place);
        }
        let types = by.iter().map(|key| key.bound().column_type());
        known.push(Grouping {
            texts,
            by: by.to_vec(),
            table: match by {
                [] => None,
                _ => Some(GroupTable::try_new(types.collect())?),
            },
        });
        Ok(known.len() - 1)
    }

    /// The keys that make groups.
    pub fn keys(&self) -> &[Seen] {
        &self.by
    }

    /// The group of each row, new keys getting the next ones.
    ///
    /// # Errors
    ///
    /// Of the first row that a key has no value for; as [`GroupTable::assign`].
    pub fn assign(&mut self, batch: &RecordBatch) -> Result<GroupsOf> {
        let Some(table) = &mut self.table else {
            return Ok(GroupsOf {
                of_rows: vec![0; batch.num_rows()],
                n: 1,
            });
        };
        let keys = self.by.iter().map(|key| key.column(batch));
        let of_rows = table.assign(&keys.collect::<Result<Vec<_>>>()?)?;
        let n = table.len();
        Ok(GroupsOf { of_rows, n })
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.table.as_ref().map_or(1, GroupTable::len)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.table.as_ref().map_or(0, GroupTable::bytes)
    }
}
