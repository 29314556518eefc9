//! Rows, batch by batch, to a closure: for whoever wants to look at all of
//! them and keep none.

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;

/// What is called with each batch, in input order.
pub(crate) type Each<'a> = dyn FnMut(RecordBatch) -> Result<()> + Send + 'a;

/// Shows every batch to a closure, under the schema of the run at that point:
/// it may widen from batch to batch, but does not depend on timing.
pub(crate) struct Visit<'a, 'b> {
    pub each: &'a mut Each<'b>,
}

impl Output for Visit<'_, '_> {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        (self.each)(schema.finish(&rows.batch, &rows.from)?)?;
        Ok(Vec::new())
    }
}
