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
//! The input is read once. Rows lie on disk past the budget. What windows hold of
//! each group must fit it, or rows that came so far come again, by key: see
//! `behind.rs`.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};

use super::Room;
use super::behind::by_key;
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::exec::build::Given;
use crate::exec::context::Context;
use crate::exec::control::Phase;
use crate::exec::output::room_beside;
use crate::exec::pass::hold_all;
use crate::exec::report::StageReport;
use crate::exec::run::Run;
use crate::exec::sheet::{Front, Stage};
use crate::exec::source::batch_unit;
use crate::expr::Expr;
use crate::memory::RowStack;
use crate::ops::Seen;
use crate::ops::window::{Ahead, WindowColumn};
use crate::plan::{NamedWindow, Physical, windowed};

/// Batches in order.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Adds windows to the rows of a pipeline.
///
/// # Errors
///
/// As [`crate::exec::write`]; [`Error::Memory`] if what windows hold
/// of one group does not fit the budget.
pub(in crate::exec) fn look_ahead(
    windows: &[NamedWindow],
    physical: &Physical,
    context: &Context,
) -> Result<Given> {
    let run = Run::new(context)?;
    let held = hold_all(physical, &run.context).map_err(|error| error.asked_by("window"))?;
    let room = Room::of(&run.drive);
    context.progress.set_phase(Phase::Laying);
    let columns = bound(windows, &held.schema)?;
    let has_keys = columns.iter().any(|column| !column.by.is_empty());
    let ahead = Ahead::try_new(columns, held.rows, &room.budget)?;
    let went = there_and_back(ahead, held.batches, &held.schema, &room)?;
    let (rows, bytes, batches): (u64, u64, Batches) = match went {
        Went::Back(back) => (back.rows(), back.bytes(), Box::new(back)),
        Went::Failed(_, _, error) => return Err(error),
        Went::Refused(ahead, _) if !has_keys => return Err(ahead.refused()),
        Went::Refused(ahead, rows) => {
            drop(ahead);
            let (bytes, told) = by_key(windows, rows, &held.schema, held.bytes, &room)?;
            (held.rows, bytes, told)
        }
    };
    Ok(Given {
        schema: windowed(&held.schema, windows)?,
        held_bytes: 0,
        counted: Some((rows, bytes)),
        stage: Some(Stage {
            report: StageReport::of("window"),
            keeps_rows: true,
            fronts: vec![Front::over(held.sheet)],
            late: None,
        }),
        units: batch_unit(batches),
    })
}

/// How far rows went.
pub(super) enum Went {
    /// There and back: the first rows are given back first.
    Back(RowStack),
    /// Not all the way: what windows hold is too much. All rows, in their order again.
    Refused(Ahead, Batches),
    /// A row has no answer: where, and of which batch.
    Failed(Way, Option<RecordBatch>, Error),
}

/// Where rows were as one of them was found to have no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    There,
    Turn,
    Back,
}

/// Takes rows with these columns forwards and backwards past windows.
///
/// # Errors
///
/// Those of the rows; [`Error::Io`] if they must be spilled and cannot.
pub(super) fn there_and_back(
    mut ahead: Ahead,
    mut rows: Batches,
    schema: &SchemaRef,
    room: &Room,
) -> Result<Went> {
    let stack = || {
        let spill_dir = Arc::clone(&room.spill_dir);
        RowStack::new(&room.budget, room_beside(&room.budget), spill_dir)
    };
    let columns: Arc<[usize]> = (0..schema.fields().len()).collect();
    // Without what was made of them on the way.
    let bare = move |batch: Result<RecordBatch>| Ok(batch?.project(&columns)?);
    let mut there = stack();
    while let Some(batch) = rows.next().transpose()? {
        check()?;
        match ahead.forwards(&batch) {
            Ok(went) => there.push(went)?,
            Err(error) => return Ok(Went::Failed(Way::There, Some(batch), error)),
        }
        if !ahead.hold() {
            let again = there.forwards().map(bare).chain(rows);
            return Ok(Went::Refused(ahead, Box::new(again)));
        }
    }
    if let Err(error) = ahead.turn() {
        return Ok(Went::Failed(Way::Turn, None, error));
    }
    let mut back = stack();
    loop {
        if !ahead.hold() {
            let again = there.forwards().chain(back).map(bare);
            return Ok(Went::Refused(ahead, Box::new(again)));
        }
        check()?;
        let Some(batch) = there.pop()? else {
            return Ok(Went::Back(back));
        };
        match ahead.backwards(&batch) {
            Ok(came) => back.push(came)?,
            Err(error) => return Ok(Went::Failed(Way::Back, Some(batch), error)),
        }
    }
}

/// Windows over columns that are known.
pub(super) fn bound(windows: &[NamedWindow], schema: &SchemaRef) -> Result<Vec<WindowColumn>> {
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
