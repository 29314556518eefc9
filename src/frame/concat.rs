//! Frames one behind the other.

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::plan::{Logical, united};

/// The rows of all frames, one behind the other, in their partitions. Columns
/// meet by name; what a frame lacks is null in its rows. Where types differ,
/// the wider one holds both: numbers beside fractions are fractions, other
/// scalars beside each other are text.
///
/// Each input is read once. Columns of text are known only when all of it was
/// read: its rows are kept until then, under the memory budget, and spilled
/// past it. Files of one format need not wait if they are read as one list.
///
/// ```
/// # use std::sync::Arc;
/// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use windrow::Session;
/// # fn main() -> windrow::Result<()> {
/// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
/// # let batch = RecordBatch::try_from_iter([("n", n)])?;
/// # let session = Session::default();
/// let first = session.from_batches(batch.schema(), [batch])?;
/// let second = first.with_column("twice", "n * 2")?;
/// let both = windrow::concat([&first, &second])?;
/// assert_eq!(both.count()?, 6);
/// assert_eq!(both.filter("twice is null")?.count()?, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Config`] for no frames; [`Error::Plan`] naming a column that has
/// types which no type holds both of.
pub fn concat<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Result<DataFrame> {
    let frames: Vec<&DataFrame> = frames.into_iter().collect();
    let Some(first) = frames.first() else {
        return Err(Error::config("frames", "there is nothing to concatenate"));
    };
    let schema = united(frames.iter().map(|frame| frame.known()))?;
    let plan = Logical::Union {
        inputs: frames.iter().map(|frame| *frame.input()).collect(),
        schema: schema.clone(),
    };
    Ok(DataFrame::new(first.session().clone(), plan, schema))
}
