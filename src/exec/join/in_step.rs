//! A join by time of a build side that is too large to be held.
//!
//! In:  rows of both sides, sorted by their times.
//! Out: joined rows, in the order of the probe side.
//!
//! ```text
//! build   │ block ││ block ││ block │     each with the last row of every key before it,
//! probe   ──────────▶ one table at a time ──▶    and the first of every key behind it
//! ```
//!
//! Both sides go side by side: one block of build rows is looked up at a time. With
//! keys, both are cut by key first (see `grace.rs`), so that rows of few keys
//! go with each block; without, no row is moved.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use super::bucket::BucketJoin;
use super::side::Batches;
use super::unit_of;
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::exec::output::room_beside;
use crate::exec::source::{Open, Units, batches_reader};
use crate::memory::{Budget, RowStack, SpillDir};
use crate::ops::join::{InTime, JoinSpec, JoinTable, Matches, Steps};
use crate::partition::batch_bytes;
use crate::size::ByteSize;

/// The share of the budget that a table may take at most: one row may be larger
/// than a block, and as many rows go with it as there are keys.
const TABLE_SHARE: u64 = 2;

/// What blocks are held under.
#[derive(Clone)]
pub(super) struct Held {
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
    /// Logical bytes of a block.
    pub block_bytes: u64,
}

impl Held {
    fn stack(&self) -> RowStack {
        let spill_dir = Arc::clone(&self.spill_dir);
        RowStack::new(&self.budget, room_beside(&self.budget), spill_dir)
    }
}

/// Rows of a side in order, which end with an error where their times fall.
pub(super) fn in_time(
    rows: Batches,
    mut in_time: InTime,
    times: impl Fn(&RecordBatch) -> Result<Vec<Option<i64>>> + Send + 'static,
) -> Batches {
    Box::new(rows.map(move |rows| {
        let rows = rows?;
        in_time.push(&times(&rows)?)?;
        Ok(rows)
    }))
}

/// A unit for each bucket of probe rows, whose rows are sorted by their times.
pub(super) fn step_units(join: BucketJoin, spill_dir: &Arc<SpillDir>) -> Units {
    let held = Held {
        budget: join.budget,
        spill_dir: Arc::clone(spill_dir),
        block_bytes: join.block_bytes,
    };
    let spec = join.spec;
    let pairs = join.build.into_iter().zip(join.probe);
    let pairs = pairs.filter(|(_, probe)| probe.rows() > 0);
    Box::new(pairs.map(move |(build, probe)| {
        let (spec, held) = (Arc::clone(&spec), held.clone());
        let open: Open = Box::new(move || {
            let (build, probe) = (Box::new(build.read()), Box::new(probe.read()));
            let joined = InStep::new(&spec, probe, build, &held)?;
            Ok(batches_reader(Box::new(joined)))
        });
        Ok(unit_of(open))
    }))
}

/// Build rows that are looked up together.
struct Block {
    rows: RecordBatch,
    /// The first time.
    start: i64,
    /// Of each key the first row behind them, where that is looked at.
    behind: Option<RecordBatch>,
}

/// Blocks, one behind the other.
type Blocks = Box<dyn Iterator<Item = Result<Block>> + Send>;

/// Joins rows side by side.
pub(super) struct InStep {
    spec: Arc<JoinSpec>,
    steps: Steps,
    held: Held,
    blocks: Blocks,
    next: Option<Block>,
    /// The rows of the block at hand, with those that go in front of it.
    so_far: Option<RecordBatch>,
    table: Option<Arc<JoinTable>>,
    probe: Batches,
    /// Probe rows that look at a later block.
    ahead: Option<RecordBatch>,
    matches: Option<Matches>,
}

impl InStep {
    /// Of sides that are both sorted by their times.
    ///
    /// # Errors
    ///
    /// Those of the build rows; [`Error::Io`] if they must be spilled and cannot.
    pub fn new(spec: &Arc<JoinSpec>, probe: Batches, build: Batches, held: &Held) -> Result<Self> {
        let steps = Steps::try_new(spec)?;
        let mut in_step = InStep {
            blocks: blocks(build, &steps, held)?,
            spec: Arc::clone(spec),
            steps,
            held: held.clone(),
            next: None,
            so_far: None,
            table: None,
            probe,
            ahead: None,
            matches: None,
        };
        in_step.next = in_step.blocks.next().transpose()?;
        Ok(in_step)
    }

    /// Takes the next block in place of the one at hand.
    fn advance(&mut self) -> Result<()> {
        // One table at a time.
        self.table = None;
        let next = match self.blocks.next().transpose()? {
            Some(behind) => self.next.replace(behind),
            None => self.next.take(),
        };
        let so_far = self.so_far.take();
        let carried = so_far.map(|rows| self.steps.last_of_each(&rows));
        let (mut rows, behind) = match next {
            Some(block) => (vec![block.rows], block.behind),
            None => (Vec::new(), None),
        };
        rows.splice(0..0, carried.transpose()?);
        let so_far = concat_batches(&self.spec.build_schema, &rows)?;
        let rows = std::iter::once(so_far.clone()).chain(behind);
        let rows: Vec<RecordBatch> = rows.filter(|rows| rows.num_rows() > 0).collect();
        let wanted: u64 = rows.iter().map(batch_bytes).sum();
        let limit = self.held.budget.limit();
        if wanted > limit.bytes() / TABLE_SHARE {
            return Err(Error::Memory {
                operator: "merge_asof",
                wanted: ByteSize::new(wanted.saturating_mul(TABLE_SHARE)),
                limit,
                cure: "raise --memory: one row of the right frame for each key is held at once"
                    .to_owned(),
            });
        }
        self.so_far = Some(so_far);
        let memory = self.held.budget.open();
        let table = JoinTable::build(Arc::clone(&self.spec), rows, 1, memory)?;
        self.table = Some(Arc::new(table));
        Ok(())
    }

    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            check()?;
            if let Some(matches) = &mut self.matches {
                match matches.next_rows()? {
                    Some(rows) if rows.num_rows() > 0 => return Ok(Some(rows)),
                    Some(_) => continue,
                    None => self.matches = None,
                }
            }
            let probe = match self.ahead.take() {
                Some(rows) => rows,
                None => match self.probe.next().transpose()? {
                    Some(rows) => rows,
                    None => return Ok(None),
                },
            };
            let table = match &self.table {
                Some(table) => Arc::clone(table),
                None => {
                    self.ahead = Some(probe);
                    self.advance()?;
                    continue;
                }
            };
            let n_rows = probe.num_rows();
            let here = match &self.next {
                None => n_rows,
                Some(next) => {
                    let mut times = self.steps.of_probe(&probe)?.into_iter();
                    let later = |time: i64| self.steps.reaches(time, next.start);
                    let first = times.position(|time| time.is_some_and(later));
                    first.unwrap_or(n_rows)
                }
            };
            if here < n_rows {
                self.ahead = Some(probe.slice(here, n_rows - here));
            }
            match here {
                0 if n_rows > 0 => {
                    drop(table);
                    self.advance()?;
                }
                _ => self.matches = Some(table.probe(probe.slice(0, here))?),
            }
        }
    }
}

impl Iterator for InStep {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}

/// Build rows in blocks, in order.
fn blocks(build: Batches, steps: &Steps, held: &Held) -> Result<Blocks> {
    let mut in_order = held.stack();
    let mut open = Vec::new();
    let mut open_bytes = 0;
    for rows in build {
        check()?;
        for rows in pieces(&steps.timed(&rows?)?, held.block_bytes) {
            let bytes = batch_bytes(&rows);
            if open_bytes + bytes > held.block_bytes {
                close(&mut open, &mut in_order)?;
                open_bytes = 0;
            }
            open_bytes += bytes;
            open.push(rows);
        }
    }
    close(&mut open, &mut in_order)?;
    if steps.looks_ahead() {
        return with_behind(in_order, steps, held);
    }
    let steps = steps.clone();
    Ok(Box::new(in_order.forwards().map(move |rows| {
        let rows = rows?;
        Ok(Block {
            start: start(&steps, &rows)?,
            rows,
            behind: None,
        })
    })))
}

/// Blocks, each with the first rows of each key that stand behind it.
fn with_behind(mut in_order: RowStack, steps: &Steps, held: &Held) -> Result<Blocks> {
    // From the last to the first; then they lie in order.
    let mut back = held.stack();
    let mut has_behind = Vec::new();
    let mut behind: Option<RecordBatch> = None;
    while let Some(rows) = in_order.pop()? {
        check()?;
        let all = std::iter::once(&rows).chain(&behind);
        let first = steps.first_of_each(&concat_batches(&rows.schema(), all)?)?;
        let some = behind.replace(first).filter(|rows| rows.num_rows() > 0);
        has_behind.push(some.is_some());
        if let Some(behind) = some {
            back.push(behind)?;
        }
        back.push(rows)?;
    }
    let steps = steps.clone();
    let mut next = move || -> Result<Option<Block>> {
        let Some(rows) = back.pop()? else {
            return Ok(None);
        };
        let behind = match has_behind.pop() {
            Some(true) => back.pop()?,
            _ => None,
        };
        Ok(Some(Block {
            start: start(&steps, &rows)?,
            rows,
            behind,
        }))
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

/// The time at which a block starts.
fn start(steps: &Steps, rows: &RecordBatch) -> Result<i64> {
    let first = steps.of_build(&rows.slice(0, 1))?.pop().flatten();
    first.ok_or_else(|| Error::internal("a block has no time"))
}

/// Makes a block of rows that came.
fn close(open: &mut Vec<RecordBatch>, to: &mut RowStack) -> Result<()> {
    let Some(first) = open.first() else {
        return Ok(());
    };
    let rows = concat_batches(&first.schema(), open.iter())?;
    open.clear();
    to.push(rows)
}

/// Rows in pieces that each fit a block, where one row does.
fn pieces(rows: &RecordBatch, block_bytes: u64) -> impl Iterator<Item = RecordBatch> {
    let n_rows = rows.num_rows();
    let bytes = u128::from(batch_bytes(rows).max(1));
    let fitting = (n_rows as u128 * u128::from(block_bytes) / bytes) as usize;
    let step = fitting.clamp(1, n_rows.max(1));
    let piece = move |start: usize| rows.slice(start, step.min(n_rows - start));
    (0..n_rows).step_by(step).map(piece)
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::cancel::tests::assert_stops;
    use crate::ops::join::{Direction, Nearest};
    use crate::plan::{Join, MergeHow};

    const BATCHES: usize = 60;

    fn rows() -> Batches {
        let batch = |idx: i64| {
            let n: ArrayRef = Arc::new(Int64Array::from_iter_values(idx * 50..(idx + 1) * 50));
            Ok(RecordBatch::try_from_iter([("n", n)])?)
        };
        Box::new((0..BATCHES as i64).map(batch))
    }

    #[test]
    fn a_join_by_time_past_the_budget_went_on_for_seconds_once_it_was_cancelled() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let dir = tempfile::tempdir().unwrap();
        for direction in [Direction::Backward, Direction::Forward, Direction::Nearest] {
            let nearest = Nearest {
                direction,
                tolerance: None,
                exact: true,
            };
            let join = Join {
                how: MergeHow::Left,
                on: Vec::new(),
                suffixes: ("_x".into(), "_y".into()),
                next_to: Some(("n".into(), "n".into(), nearest)),
                nulls_match: false,
                hold: None,
                hash_mask: u64::MAX,
                columns: Vec::new(),
                passes_late: true,
            };
            let join = join.settled(&schema, &schema).unwrap();
            let spec = Arc::new(join.spec(&schema, &schema).unwrap());
            // Each batch is a block and is spilled; each is looked at where it comes, where
            // it is written, and where probe rows go past it.
            assert_stops("blocks", 3 * BATCHES, || {
                let held = Held {
                    budget: Budget::new(ByteSize::kib(64)),
                    spill_dir: Arc::new(SpillDir::new(dir.path(), None)),
                    block_bytes: 500,
                };
                let joined = InStep::new(&spec, rows(), rows(), &held)?;
                let n: usize = joined
                    .map(|rows| rows.map(|rows| rows.num_rows()))
                    .sum::<Result<_>>()?;
                assert_eq!(n, 50 * BATCHES);
                Ok(())
            });
        }
    }
}
