//! Rows with windows that look at rows behind.
//!
//! In:  a pipeline, and windows.
//! Out: its rows in order, with a column for each window.
//!
//! ```text
//! rows ─ hold ─▶ forwards ─ stack ─▶ backwards ─ stack ─▶ rows
//!        (may spill)        (may spill)          (may spill)
//! ```
//!
//! The input is read once. Rows lie on disk past the budget; what windows hold
//! of each group must fit it.

use std::sync::Arc;

use arrow_schema::{Field, SchemaRef};

use super::build::Given;
use super::context::Context;
use super::control::Phase;
use super::output::room_beside;
use super::pass::hold_all;
use super::report::StageReport;
use super::run::Run;
use super::sheet::{Front, Stage};
use super::source::batch_unit;
use crate::error::Result;
use crate::expr::Expr;
use crate::memory::RowStack;
use crate::ops::Seen;
use crate::ops::window::{Ahead, WindowColumn};
use crate::plan::{NamedWindow, Physical, windowed};

/// Adds windows to the rows of a pipeline.
///
/// # Errors
///
/// As [`super::write`]; [`Error::Memory`](crate::Error::Memory) if what windows hold of
/// groups does not fit the budget.
pub(super) fn look_ahead(
    windows: &[NamedWindow],
    physical: &Physical,
    context: &Context,
) -> Result<Given> {
    let run = Run::new(context)?;
    let held = hold_all(physical, &run.context)?;
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let stack = || RowStack::new(budget, room_beside(budget), Arc::clone(spill_dir));
    context.progress.set_phase(Phase::Laying);
    let columns = bound(windows, &held.schema)?;
    let mut ahead = Ahead::try_new(columns, held.rows, budget)?;
    let mut there = stack();
    for batch in held.batches {
        run.drive.cancel.check()?;
        there.push(ahead.forwards(&batch?)?)?;
    }
    ahead.turn()?;
    let mut back = stack();
    while let Some(batch) = there.pop()? {
        run.drive.cancel.check()?;
        back.push(ahead.backwards(&batch)?)?;
    }
    Ok(Given {
        schema: windowed(&held.schema, windows)?,
        held_bytes: 0,
        counted: Some((back.rows(), back.bytes())),
        stage: Some(Stage {
            report: StageReport::of("window"),
            keeps_rows: true,
            fronts: vec![Front::over(held.sheet)],
            late: None,
        }),
        units: batch_unit(Box::new(back)),
    })
}

/// Windows over columns that are known.
fn bound(windows: &[NamedWindow], schema: &SchemaRef) -> Result<Vec<WindowColumn>> {
    let seen = |expr: &Expr| Ok(Seen::as_named(expr.bind(schema)?));
    let column = |(name, window): &NamedWindow| {
        let bound = window.bind(schema)?;
        Ok(WindowColumn {
            field: Arc::new(Field::new(name, bound.data_type().clone(), true)),
            value: window.value().map(seen).transpose()?,
            by: window.by.iter().map(seen).collect::<Result<_>>()?,
            time: window.time().map(seen).transpose()?,
            bound,
        })
    };
    windows.iter().map(column).collect()
}
