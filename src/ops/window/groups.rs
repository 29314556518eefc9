//! The groups of rows that windows look at.

use arrow_array::{ArrayRef, RecordBatch};

use crate::error::Result;
use crate::expr::GroupTable;
use crate::ops::Seen;
use crate::partition::{RowNumbers, take_rows};

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
        let texts = texts(by);
        if let Some(place) = known.iter().position(|one| one.texts == texts) {
            return Ok(place);
        }
        known.push(Grouping::of(by)?);
        Ok(known.len() - 1)
    }

    /// No group by `by` yet.
    fn of(by: &[Seen]) -> Result<Self> {
        let types = by.iter().map(|key| key.bound().column_type());
        Ok(Grouping {
            texts: texts(by),
            by: by.to_vec(),
            table: match by {
                [] => None,
                _ => Some(GroupTable::try_new(types.collect())?),
            },
        })
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

    /// As many groupings as `n`, each with the groups that `part_of` gives it, in
    /// their order.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] if texts of keys take more than 2 GiB.
    pub fn split(self, part_of: &[u32], n: usize) -> Result<Vec<Grouping>> {
        let known = self.known()?;
        let mut own: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (group, part) in (0_u32..).zip(part_of) {
            own[*part as usize].push(group);
        }
        let part = |own: Vec<u32>| {
            let mut part = Grouping::of(&self.by)?;
            if let (Some(table), false) = (&mut part.table, own.is_empty()) {
                let own = RowNumbers::from(own);
                let keys = known.iter().map(|key| take_rows(key, &own));
                table.assign(&keys.collect::<Result<Vec<_>, _>>()?)?;
            }
            Ok(part)
        };
        own.into_iter().map(part).collect()
    }

    /// The same groups, whose keys are called `by` from now on.
    #[must_use]
    pub fn called(self, by: Vec<Seen>) -> Self {
        Grouping { by, ..self }
    }

    /// The keys of all groups so far, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] if texts of keys take more than 2 GiB.
    pub fn known(&self) -> Result<Vec<ArrayRef>> {
        self.table.as_ref().map_or(Ok(Vec::new()), GroupTable::keys)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.table.as_ref().map_or(0, GroupTable::bytes)
    }
}

fn texts(by: &[Seen]) -> Vec<String> {
    by.iter().map(|key| key.bound().to_string()).collect()
}
