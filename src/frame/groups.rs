//! Functions of groups.
//!
//! In:  a function of the rows of one group, and the columns that it gives.
//! Out: a frame of what it gives for each group.
//!
//! The rows of a group meet as lists, one a column: so they are spilled, merged
//! and ordered as the states of any aggregate are.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take;

use super::aggregate::GroupBy;
use super::columns::free_name;
use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::expr::{AggExpr, Aggregate, col, count};
use crate::plan::PartitionRows;

impl GroupBy {
    /// What a function makes of the rows of each group: it is given them as one
    /// batch, in input order, keys first and then all other columns, and gives
    /// any number of rows with the columns `schema`, which is checked. Groups
    /// stand in the order in which they first appear.
    ///
    /// Groups are spilled past the memory budget; one group must fit it. Where
    /// only reading tells which columns there are (JSON and other text), the
    /// input is read now and kept.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b", "b"]));
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("n", n)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let two_each = frame.groupby(["user"])?.map_groups(
    ///     frame.schema()?,
    ///     |rows| Ok(rows.slice(0, rows.num_rows().min(2))),
    /// )?;
    /// assert_eq!(two_each.compute()?.to_string(), "\
    /// user  n
    /// ----  -
    /// b     0
    /// b     2
    /// a     1
    /// 3 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key whose values cannot be told apart; those of
    /// [`DataFrame::persist`] where the input is read. A panic of `map`, an error
    /// of it, and rows of other columns end the run with an error that names the
    /// partition of groups.
    pub fn map_groups(
        &self,
        schema: SchemaRef,
        map: impl Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync + 'static,
    ) -> Result<DataFrame> {
        let mut frame = self.frame.with_known_columns()?;
        let keys: Vec<String> = self.keys.iter().map(|key| key.name.clone()).collect();
        let exprs = self.keys.iter().map(|key| (&key.name, key.expr.clone()));
        frame = frame.with_columns(exprs)?;
        let names = frame.known().fields().iter();
        let names: Vec<String> = names.map(|field| field.name().clone()).collect();
        let others = names.iter().filter(|name| !keys.contains(name));
        let list = |name: &String| AggExpr::new(Aggregate::List, [col(name)]).alias(name);
        let mut lists: Vec<AggExpr> = others.map(list).collect();
        lists.push(count().alias(free_name("rows", |name| {
            names.iter().any(|own| own == name)
        })));
        let mut by = frame.groupby(keys.iter().map(String::as_str))?;
        by.dropna = self.dropna;
        let (n_keys, known) = (keys.len(), Arc::clone(frame.known()));
        let groups = by.agg(lists)?;
        Ok(
            groups.map_named("map_groups", schema, move |partition: PartitionRows| {
                let mut made = Vec::new();
                for batch in &partition.batches {
                    for group in 0..batch.num_rows() {
                        made.push(map(rows_of(batch, group, n_keys, &known)?)?);
                    }
                }
                Ok(made)
            }),
        )
    }
}

/// The rows of a group, of a batch that has keys, lists, and a count of rows.
/// Columns may hold nulls where those of the frame, `known`, may.
fn rows_of(
    groups: &RecordBatch,
    group: usize,
    n_keys: usize,
    known: &Schema,
) -> Result<RecordBatch> {
    let Some((counts, columns)) = groups.columns().split_last() else {
        return Err(Error::internal("groups came without their counts"));
    };
    let n_rows = counts.as_primitive::<Int64Type>().value(group) as usize;
    let same = UInt32Array::from(vec![group as u32; n_rows]);
    let columns: Result<Vec<ArrayRef>> = columns
        .iter()
        .enumerate()
        .map(|(idx, column)| match idx < n_keys {
            true => Ok(take(column, &same, None)?),
            false => Ok(column.as_list::<i32>().value(group)),
        })
        .collect();
    let columns = columns?;
    let fields = groups.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| {
            let own = known.column_with_name(field.name());
            let nullable = own.is_none_or(|(_, own)| own.is_nullable());
            Field::new(field.name(), column.data_type().clone(), nullable)
        })
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
