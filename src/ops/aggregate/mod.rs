//! Many rows, one row a group.
//!
//! In:  batches, or partials of other operators like it, in input order.
//! Out: one row for each group, in the order in which groups first appear;
//!      without keys one row in all, also where there were none.
//!
//! ```text
//! batch ─ keys ─▶ group table ─▶ ids ─▶ accumulators ─ finish ─▶ keys + results
//!                                          ▲    │
//!                                     merge│    │partial: keys + state columns
//! ```
//!
//! One operator per chunk, its partials merged in input order, gives what one
//! over all rows gives, bit by bit. With places, chunks and partials may come in
//! any order, unless an aggregate looks at the order of its values.

mod ungrouped;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use arrow_select::take::{take, take_record_batch};

use super::places::{PLACE_COLUMNS, Places, input_order};
use crate::error::{Error, Result};
use crate::expr::{
    Accumulator, BoundAggregate, BoundExpr, GroupTable, Groups, OfValues, RowCounts, plain_type,
};

pub(crate) use ungrouped::{RowPlaces, Ungrouped};

/// Aggregates rows by keys. Null is a key. Blocking; holds one state per group
/// and reports its size, so that whoever drives it can take the partial away
/// when the budget is full.
///
/// ```
/// use std::sync::Arc;
/// use windrow::arrow::array::{Int64Array, RecordBatch, StringArray};
/// use windrow::expr::{col, count};
/// use windrow::ops::Aggregate;
///
/// let user = Arc::new(StringArray::from(vec!["b", "a", "b"])) as _;
/// let bytes = Arc::new(Int64Array::from(vec![1, 2, 3])) as _;
/// let batch = RecordBatch::try_from_iter([("user", user), ("bytes", bytes)])?;
/// let schema = batch.schema();
///
/// let keys = vec![("user".to_owned(), col("user").bind(&schema)?)];
/// let sum = ("bytes".to_owned(), col("bytes").sum().bind(&schema)?);
/// let rows = ("count".to_owned(), count().bind(&schema)?);
/// let mut by_user = Aggregate::try_new(keys, vec![sum, rows])?;
/// by_user.push(&batch)?;
///
/// let answer = by_user.finish()?;
/// assert_eq!(answer.column(1).as_ref(), &Int64Array::from(vec![4, 2]));
/// assert_eq!(answer.column(2).as_ref(), &Int64Array::from(vec![2, 1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Aggregate {
    keys: Vec<(String, BoundExpr)>,
    aggregates: Vec<(String, BoundAggregate)>,
    /// None without keys: then all rows are one group.
    table: Option<GroupTable>,
    accumulators: Vec<Accumulator>,
    /// Where each group first appears, if chunks come in any order.
    places: Option<Places>,
    /// The column that tells the place of each row, if its chunk does not.
    placed_by: Option<String>,
}

/// An aggregate that can be made of the values in its partials.
pub(crate) struct ValueColumn {
    /// What is made of them.
    pub of: OfValues,
    /// Their type.
    pub values: DataType,
    /// The column of partials that holds them, in lists.
    pub partial: usize,
    /// The column of the result.
    pub result: usize,
}

impl Aggregate {
    /// Keys and aggregates with the names of their columns in the result.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if two columns have one name, if there is neither key nor
    /// aggregate, or if the values of a key cannot be told apart.
    pub fn try_new(
        keys: Vec<(String, BoundExpr)>,
        aggregates: Vec<(String, BoundAggregate)>,
    ) -> Result<Self> {
        let names: Vec<&String> = keys
            .iter()
            .map(|(name, _)| name)
            .chain(aggregates.iter().map(|(name, _)| name))
            .collect();
        if names.is_empty() {
            return Err(Error::plan("there is nothing to aggregate"));
        }
        for (idx, name) in names.iter().enumerate() {
            if names[..idx].contains(name) {
                return Err(Error::plan(format!(
                    "two columns would be named {name:?}; give one another name with `as`"
                )));
            }
        }
        let mut empty = Aggregate {
            keys,
            aggregates,
            table: None,
            accumulators: Vec::new(),
            places: None,
            placed_by: None,
        };
        empty.reset()?;
        Ok(empty)
    }

    /// The same, for chunks and partials that come in any order: groups still
    /// come out in the order of their first rows in the input, or of their last
    /// ones where those are asked for.
    #[must_use]
    pub fn with_places(mut self) -> Self {
        self.places = (!self.keys.is_empty()).then(|| Places::new(self.stands_last()));
        self
    }

    /// The same, for rows whose places the column `name` tells: whole numbers
    /// that grow with the input, each of rows of one group alone.
    #[must_use]
    pub(crate) fn placed_by(mut self, name: Option<String>) -> Self {
        self.placed_by = name;
        self
    }

    /// Whether the order in which rows are taken in changes no aggregate.
    pub fn is_order_free(&self) -> bool {
        let mut aggregates = self.aggregates.iter();
        aggregates.all(|(_, aggregate)| aggregate.is_order_free())
    }

    fn reset(&mut self) -> Result<()> {
        let types: Vec<DataType> = self
            .keys
            .iter()
            .map(|(_, key)| key.data_type().clone())
            .collect();
        self.table = match types.is_empty() {
            true => None,
            false => Some(GroupTable::try_new(types)?),
        };
        self.accumulators = self
            .aggregates
            .iter()
            .map(|(_, aggregate)| aggregate.accumulator())
            .collect::<Result<_>>()?;
        if self.table.is_none() {
            for accumulator in &mut self.accumulators {
                accumulator.grow(1);
            }
        }
        Ok(())
    }

    /// The columns of the result, unless batches typed theirs wider than the
    /// schema at bind.
    pub fn schema(&self) -> Schema {
        // Keys come out of the table as values, whatever held them.
        let keys = self.keys.iter();
        let keys = keys.map(|(name, key)| (name, plain_type(key.data_type().clone())));
        let results = self.aggregates.iter();
        let results = results.map(|(name, aggregate)| (name, aggregate.data_type().clone()));
        let fields = keys.chain(results);
        let fields = fields.map(|(name, of)| Field::new(name, of, true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    /// How many groups there are so far.
    pub fn n_groups(&self) -> usize {
        self.table.as_ref().map_or(1, GroupTable::len)
    }

    /// How many keys there are: as many columns of a partial, the first ones.
    pub fn n_keys(&self) -> usize {
        self.keys.len()
    }

    /// The types of the keys so far; wider than at bind where a batch was.
    pub fn key_types(&self) -> &[DataType] {
        self.table.as_ref().map_or(&[], GroupTable::types)
    }

    /// The aggregates that can be made of the values in their partials, of rows
    /// that all have the columns of `none`.
    ///
    /// # Errors
    ///
    /// Those of evaluating what they are made of.
    pub(crate) fn value_columns(&self, none: &RecordBatch) -> Result<Vec<ValueColumn>> {
        let mut partial = self.keys.len();
        let mut columns = Vec::new();
        for (idx, (_, aggregate)) in self.aggregates.iter().enumerate() {
            if let (Some(of), [values]) = (aggregate.of_values(), &*aggregate.evaluate(none)?) {
                columns.push(ValueColumn {
                    of,
                    values: values.data_type().clone(),
                    partial,
                    result: self.keys.len() + idx,
                });
            }
            partial += aggregate.n_partial_columns();
        }
        Ok(columns)
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        let states: usize = self.accumulators.iter().map(Accumulator::bytes).sum();
        let places = self.places.as_ref().map_or(0, Places::bytes);
        self.table.as_ref().map_or(0, GroupTable::bytes) + places + states
    }

    /// Takes in a batch whose rows come behind all rows so far.
    ///
    /// # Errors
    ///
    /// Those of evaluating keys and aggregates, and [`Error::Plan`] for a column
    /// whose type in this batch does not meet the one before.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.push_chunk(batch, 0)
    }

    /// As [`push`](Self::push), of chunk `chunk` of the input: with places,
    /// chunks come in any order, each of them whole.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn push_chunk(&mut self, batch: &RecordBatch, chunk: u64) -> Result<()> {
        let (keys, columns) = self.evaluate(batch)?;
        let ids = self.assign(&keys)?;
        let n_groups = self.n_groups();
        if let (Some(places), Some(ids)) = (&mut self.places, &ids) {
            match &self.placed_by {
                Some(name) => places.note_each(ids, n_groups, numbers(batch, name)?),
                None => places.note(ids, n_groups, chunk),
            }
        }
        self.take(
            groups_of(&ids, n_groups, batch.num_rows()),
            &columns,
            Accumulator::update_columns,
        )
    }

    /// The keys of rows, and the columns that each aggregate takes of them.
    fn evaluate(&self, batch: &RecordBatch) -> Result<(Vec<ArrayRef>, Vec<Vec<ArrayRef>>)> {
        let keys = self.keys.iter().map(|(_, key)| key.evaluate(batch));
        let aggregates = self.aggregates.iter();
        let columns = aggregates.map(|(_, aggregate)| aggregate.evaluate(batch));
        Ok((
            keys.collect::<Result<_>>()?,
            columns.collect::<Result<_>>()?,
        ))
    }

    /// The group of each row; none without keys.
    fn assign(&mut self, keys: &[ArrayRef]) -> Result<Option<Vec<u32>>> {
        self.table
            .as_mut()
            .map(|table| table.assign(keys))
            .transpose()
    }

    fn take(
        &mut self,
        groups: Groups<'_>,
        columns: &[Vec<ArrayRef>],
        take: fn(&mut Accumulator, Groups<'_>, &[ArrayRef]) -> Result<()>,
    ) -> Result<()> {
        let counts = RowCounts::default();
        let groups = groups.counted_in(&counts);
        for (accumulator, columns) in self.accumulators.iter_mut().zip(columns) {
            take(accumulator, groups, columns)?;
        }
        Ok(())
    }

    /// All there is as one batch with a row for each group, to be spilled,
    /// shuffled by its first columns (the keys), and [`merge`](Self::merge)d. The operator
    /// is empty after it and can go on.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if lists or texts are too large for one array.
    pub fn partial(&mut self) -> Result<RecordBatch> {
        let mut columns = self.take_keys()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.partial()?);
        }
        columns.extend(self.places.as_mut().map(Places::take).into_iter().flatten());
        self.reset()?;
        partial_of(columns)
    }

    /// Takes in a partial of an operator with the same keys and aggregates,
    /// whose rows come behind all rows so far, or with places anywhere.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if it has other columns; [`Error::Plan`] for one whose type does not
    /// meet the one here.
    pub fn merge(&mut self, partial: &RecordBatch) -> Result<()> {
        let split = self.split(partial)?;
        let ids = self.assign(split.keys)?;
        let n_groups = self.n_groups();
        if let (Some(places), Some(ids)) = (&mut self.places, &ids) {
            places.merge(ids, n_groups, split.places);
        }
        self.take(
            groups_of(&ids, n_groups, partial.num_rows()),
            &split.columns,
            Accumulator::merge,
        )
    }

    /// The columns of a partial by what they are of.
    fn split<'a>(&self, partial: &'a RecordBatch) -> Result<Split<'a>> {
        let widths = self
            .aggregates
            .iter()
            .map(|(_, aggregate)| aggregate.n_partial_columns());
        let n_places = self.places.as_ref().map_or(0, |_| PLACE_COLUMNS);
        let expected = self.keys.len() + widths.clone().sum::<usize>() + n_places;
        if partial.num_columns() != expected {
            return Err(Error::internal(format!(
                "a partial has {} columns, not {expected}",
                partial.num_columns()
            )));
        }
        let (keys, mut places) = partial.columns().split_at(self.keys.len());
        let mut columns = Vec::new();
        for width in widths {
            let (own, behind) = places.split_at(width);
            columns.push(own.to_vec());
            places = behind;
        }
        Ok(Split {
            keys,
            columns,
            places,
        })
    }

    /// The result: keys, then aggregates. The operator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if a whole number does not fit its type; [`Error::Plan`] if lists or
    /// texts are too large for one array.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        Ok(self.finish_placed()?.0)
    }

    /// The result, and the columns that tell where its groups first appear:
    /// two of them with places, else none.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish).
    pub(crate) fn finish_placed(&mut self) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let mut places: Vec<ArrayRef> = Vec::new();
        places.extend(self.places.as_mut().map(Places::take).into_iter().flatten());
        let mut result = self.finish_in_order_of_ids()?;
        if !places.is_empty()
            && let Some(order) = input_order(&places)
        {
            result = take_record_batch(&result, &order)?;
            for column in &mut places {
                *column = take(column, &order, None)?;
            }
        }
        Ok((result, places))
    }

    fn finish_in_order_of_ids(&mut self) -> Result<RecordBatch> {
        let mut columns = self.take_keys()?;
        columns.extend(self.results()?);
        self.reset()?;
        let names = self
            .keys
            .iter()
            .map(|(name, _)| name)
            .chain(self.aggregates.iter().map(|(name, _)| name));
        let fields: Vec<Field> = names
            .zip(&columns)
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }

    fn take_keys(&mut self) -> Result<Vec<ArrayRef>> {
        match self.table.take() {
            Some(table) => table.keys(),
            None => Ok(Vec::new()),
        }
    }
}

/// The whole numbers of a column.
fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [u64]> {
    let column = batch.column_by_name(name);
    let numbers = column.and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let numbers = numbers.map(|numbers| &numbers.values()[..]);
    numbers.ok_or_else(|| Error::internal("rows came without their places"))
}

/// The columns of a partial.
struct Split<'a> {
    keys: &'a [ArrayRef],
    /// Of each aggregate.
    columns: Vec<Vec<ArrayRef>>,
    places: &'a [ArrayRef],
}

fn partial_of(columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(idx, column)| Field::new(format!("{idx}"), column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

fn groups_of(ids: &Option<Vec<u32>>, n_groups: usize, n_rows: usize) -> Groups<'_> {
    match ids {
        Some(ids) => Groups::of(ids, n_groups),
        None => Groups::one(n_rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{AggExpr, col, corr, count};
    use crate::ops::test_rows::rows;

    fn operator(keys: &[&str]) -> Aggregate {
        let schema = rows().schema();
        let keys = keys
            .iter()
            .map(|&name| (name.to_owned(), col(name).bind(&schema).unwrap()))
            .collect();
        let all: Vec<AggExpr> = vec![
            count(),
            col("n").count(),
            col("n").sum(),
            col("x").sum(),
            col("x").mean(),
            col("x").std(),
            corr(col("n"), col("x")),
            col("word").min(),
            col("word").first(),
            col("word").list(),
            col("n").product(),
            col("x").median(),
            col("x").approx_quantile(0.9),
            col("word").nunique(),
            col("word").approx_nunique(),
            col("n").largest(2),
            col("n").gt(2).any(),
        ];
        let bound = all
            .iter()
            .map(|what| (what.to_string(), what.bind(&schema).unwrap()));
        Aggregate::try_new(keys, bound.collect()).unwrap()
    }

    #[test]
    fn partials_of_any_cut_merged_in_order_are_the_whole() {
        let all = rows();
        for keys in [&[][..], &["word"], &["n"], &["word", "n"]] {
            let mut whole = operator(keys);
            whole.push(&all).unwrap();
            assert!(whole.bytes() > 0);
            let whole = whole.finish().unwrap();
            for step in [1, 4, all.num_rows()] {
                let mut merged = operator(keys);
                let mut reused = operator(keys);
                for start in (0..all.num_rows()).step_by(step) {
                    let rows = step.min(all.num_rows() - start);
                    reused.push(&all.slice(start, rows)).unwrap();
                    reused.push(&all.slice(start, 0)).unwrap();
                    merged.merge(&reused.partial().unwrap()).unwrap();
                }
                assert_eq!(merged.finish().unwrap(), whole, "{keys:?} {step}");
            }
        }
    }

    #[test]
    fn chunks_that_come_in_any_order_to_any_operator_are_the_whole() {
        let all = rows();
        for keys in [&[][..], &["word"], &["n"], &["word", "n"]] {
            let free = || {
                let Aggregate {
                    keys, aggregates, ..
                } = operator(keys);
                let free = aggregates.into_iter().filter(|(_, of)| of.is_order_free());
                let of = Aggregate::try_new(keys, free.collect()).unwrap();
                assert!(of.is_order_free() && !operator(&[]).is_order_free());
                of.with_places()
            };
            let mut whole = free();
            whole.push(&all).unwrap();
            let whole = whole.finish().unwrap();
            for turn in 0..all.num_rows() {
                let (mut first, mut second) = (free(), free());
                for chunk in (0..all.num_rows()).rev() {
                    let one = (chunk + turn) % all.num_rows();
                    let to = if turn & (1 << (chunk % 4)) == 0 {
                        &mut first
                    } else {
                        &mut second
                    };
                    to.push_chunk(&all.slice(one, 1), one as u64).unwrap();
                }
                let mut merged = free();
                merged.merge(&second.partial().unwrap()).unwrap();
                merged.merge(&first.partial().unwrap()).unwrap();
                assert_eq!(merged.finish().unwrap(), whole, "{keys:?} {turn}");
            }
        }
    }

    #[test]
    fn rows_that_pass_by_the_table_are_partials_like_others() {
        let all = rows();
        for keys in [&["word"][..], &["n"], &["word", "n"]] {
            for step in [1, 3, all.num_rows()] {
                let new = || operator(keys).with_places();
                let (mut table, mut merged) = (new(), new());
                let mut passing = new();
                for start in (0..all.num_rows()).step_by(step) {
                    let part = all.slice(start, step.min(all.num_rows() - start));
                    table.push_chunk(&part, start as u64).unwrap();
                    let later = passing.ungrouped(&part, start as u64).unwrap();
                    let singles = passing.partial_of(&later).unwrap();
                    assert_eq!(singles.num_rows(), part.num_rows());
                    merged.merge(&singles).unwrap();
                }
                assert_eq!(merged.finish().unwrap(), table.finish().unwrap());
                table.push(&all).unwrap();
                let later = table.ungrouped(&all, 0).unwrap();
                assert!(table.partial_of(&later).is_err());
            }
        }
        assert!(operator(&[]).ungrouped(&all, 0).is_err());
    }

    #[test]
    fn without_rows_there_is_one_row_or_with_keys_none() {
        let answer = operator(&[]).finish().unwrap();
        assert_eq!(answer.num_rows(), 1);
        let mut keyed = operator(&["word"]);
        let schema = keyed.schema();
        let answer = keyed.finish().unwrap();
        assert_eq!((answer.num_rows(), answer.schema().as_ref()), (0, &schema));
    }

    #[test]
    fn groups_stand_in_the_order_in_which_they_appear() {
        let mut by_word = operator(&["word"]);
        by_word.push(&rows()).unwrap();
        let answer = by_word.finish().unwrap();
        assert_eq!(
            answer.column(0),
            answer.column_by_name("first(word)").unwrap()
        );
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let schema = rows().schema();
        let sum = || ("n".to_owned(), col("n").sum().bind(&schema).unwrap());
        let error = Aggregate::try_new(vec![], vec![sum(), sum()])
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("would be named \"n\""),
            "{error}"
        );
        assert!(Aggregate::try_new(vec![], vec![]).is_err());
    }
}
