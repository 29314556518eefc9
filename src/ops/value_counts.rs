//! How often each value stands.
//!
//! In:  batches.
//! Out: the distinct values of some columns and how many rows have them, most first.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;

use super::Aggregate;
use crate::error::Result;
use crate::expr::{BoundExpr, count, output_names};

/// Counts rows by value; equal counts stand in the order in which the values
/// first appear. Null is a value. Blocking; holds one count per value.
pub struct ValueCounts {
    by_value: Aggregate,
    n_keys: usize,
}

impl ValueCounts {
    /// Counts the values of some expressions, with the names of their columns.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if two columns have one name, or if values cannot
    /// be told apart.
    pub fn try_new(keys: Vec<(String, BoundExpr)>) -> Result<Self> {
        let taken: Vec<String> = keys.iter().map(|(name, _)| name.clone()).collect();
        let name = output_names(&[count()], &taken).remove(0);
        let rows = count().bind(&arrow_schema::Schema::empty())?;
        Ok(ValueCounts {
            n_keys: keys.len(),
            by_value: Aggregate::try_new(keys, vec![(name, rows)])?,
        })
    }

    /// The same, for chunks and partials that come in any order.
    #[must_use]
    pub fn with_places(self) -> Self {
        ValueCounts {
            by_value: self.by_value.with_places(),
            ..self
        }
    }

    /// The grouping underneath, which takes batches and partials.
    pub fn groups(&mut self) -> &mut Aggregate {
        &mut self.by_value
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        self.by_value.bytes()
    }

    /// The values and their counts, most first; at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if texts are too large for one array.
    pub fn finish(&mut self, limit: Option<usize>) -> Result<RecordBatch> {
        let counted = self.by_value.finish()?;
        let counts = counted.column(self.n_keys).as_primitive::<Int64Type>();
        let mut order: Vec<u32> = (0..counts.len() as u32).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(counts.value(row as usize)));
        order.truncate(limit.unwrap_or(usize::MAX));
        Ok(take_record_batch(&counted, &UInt32Array::from(order))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::col;
    use crate::ops::test_rows::{rows, shown};

    #[test]
    fn most_come_first_and_ties_as_they_appear() {
        let all = rows();
        let key = |name: &str| (name.to_owned(), col("word").bind(&all.schema()).unwrap());
        let mut counts = ValueCounts::try_new(vec![key("word")]).unwrap();
        for start in 0..all.num_rows() {
            counts.groups().push(&all.slice(start, 1)).unwrap();
        }
        let expected = [
            "b 4",
            "null 3",
            "a 2",
            "a long word, longer than twelve bytes 2",
            "c 1",
        ];
        assert_eq!(shown(&counts.finish(None).unwrap()), expected);
        counts.groups().push(&all).unwrap();
        assert_eq!(shown(&counts.finish(Some(1)).unwrap()), expected[..1]);
        let named = ValueCounts::try_new(vec![key("count")])
            .unwrap()
            .finish(None)
            .unwrap();
        assert_eq!(named.schema().field(1).name(), "count(*)");
    }
}
