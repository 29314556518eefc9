//! One task of a join of two buckets.
//!
//! In:  the rows of both, or a stretch of one of them.
//! Out: joined rows, those of one probe row in build order.
//!
//! What of the build rows fits is a block. With one block the probe rows stream
//! past it. With several they stream past each in turn; which of them met
//! somebody is noted, and those that come out for it, or for its lack, come last.

use std::sync::{Arc, PoisonError};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::bucket::Pair;
use super::tasks::{Cut, Stretch, note_hot};
use crate::error::Result;
use crate::exec::hot::HotRows;
use crate::ops::join::{JoinKind, JoinTable, KeyHashes, Matches, Rest};
use crate::partition::batch_bytes;

/// Rows that are looked up at once at least, where there are as many.
const LEAST_ROWS: usize = 8192;

/// Rows on their way past the blocks.
pub(super) struct Joining {
    pair: Arc<Pair>,
    task: u64,
    /// What is left of the build side.
    build: Stretch,
    /// A build batch that did not fit the block before.
    next_build: Option<RecordBatch>,
    /// Blocks so far.
    n_blocks: usize,
    /// Whether each probe row met somebody, where there are several blocks.
    met: Option<Vec<bool>>,
    /// Which build rows of each block did, where other tasks have other probe rows.
    build_met: Vec<Vec<u64>>,
    hot: HotRows,
    state: State,
}

enum State {
    /// The next block is to be taken.
    Block,
    /// Probe rows go past a block.
    Probe {
        table: Arc<JoinTable>,
        probe: ProbeRows,
        matches: Option<Matches>,
    },
    /// Build rows of a block that nobody met; then that.
    Unmet(Rest, Behind),
    /// Probe rows whose partners, or their lack, are known only now.
    Last {
        table: Arc<JoinTable>,
        probe: ProbeRows,
        matches: Option<Matches>,
        /// By their place among those.
        met: Vec<bool>,
    },
    /// All that the task does alone is done.
    End,
    /// The build rows that no task's probe rows met come out block by block.
    UnmetOfAll,
    Done,
}

/// What comes behind the build rows that nobody met.
#[derive(Clone, Copy)]
enum Behind {
    Block,
    End,
    UnmetOfAll,
    Done,
}

impl Behind {
    fn state(self) -> State {
        match self {
            Behind::Block => State::Block,
            Behind::End => State::End,
            Behind::UnmetOfAll => State::UnmetOfAll,
            Behind::Done => State::Done,
        }
    }
}

impl Joining {
    /// Task `task` of those that a pair is cut into.
    pub fn new(pair: Arc<Pair>, task: u64) -> Self {
        let build = match pair.cut {
            Cut::Build(tasks) => Stretch::of(&pair.build, task, tasks),
            Cut::Probe(_) => Stretch::of(&pair.build, 0, 1),
        };
        Joining {
            task,
            build,
            next_build: None,
            n_blocks: 0,
            // Who meets nobody here may meet somebody in another task.
            met: pair.shares_build().then(Vec::new),
            build_met: Vec::new(),
            hot: HotRows::default(),
            state: State::Block,
            pair,
        }
    }

    fn probe_rows(&self) -> ProbeRows {
        ProbeRows {
            rows: match self.pair.cut {
                Cut::Probe(tasks) => Stretch::of(&self.pair.probe, self.task, tasks),
                Cut::Build(_) => Stretch::of(&self.pair.probe, 0, 1),
            },
            row: 0,
        }
    }

    /// The next joined rows; none at the end.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let next = match &mut self.state {
                State::Block => self.block()?,
                State::Probe { matches, .. } => match taken(matches)? {
                    Some(rows) => return Ok(Some(rows)),
                    None => match self.probe_more()? {
                        true => continue,
                        false => self.after_block(),
                    },
                },
                State::Unmet(unmet, behind) => match unmet.next_rows()? {
                    Some(rows) => return Ok(Some(rows)),
                    None => behind.state(),
                },
                State::Last {
                    table,
                    probe,
                    matches,
                    met,
                } => match taken(matches)? {
                    Some(rows) => return Ok(Some(rows)),
                    None => match probe.next_rows()? {
                        Some((first, batch)) => {
                            let wanted = self.pair.spec.kind == JoinKind::Semi;
                            let rows = chosen(&batch, first, met, wanted)?;
                            *matches = Some(table.probe(rows)?);
                            continue;
                        }
                        None => match self.pair.shares_build() {
                            true => State::Done,
                            false => State::End,
                        },
                    },
                },
                State::End => self.end()?,
                State::UnmetOfAll => self.unmet_of_all()?,
                State::Done => return Ok(None),
            };
            self.state = next;
        }
    }

    /// Takes the next probe rows past the block. False if there are none.
    fn probe_more(&mut self) -> Result<bool> {
        let State::Probe {
            table,
            probe,
            matches,
        } = &mut self.state
        else {
            return Ok(false);
        };
        let Some((first, batch)) = probe.next_rows()? else {
            return Ok(false);
        };
        let spec = &self.pair.spec;
        if self.n_blocks == 1 && self.pair.shares_probe() {
            let keys = (spec.forms.clone(), spec.probe_keys.clone());
            let keys = KeyHashes::new(keys.0, keys.1, spec.nulls_match);
            note_hot(&mut self.hot, &batch, &keys)?;
        }
        let found = table.probe(batch)?;
        if let Some(met) = &mut self.met {
            note(met, first, found.met());
        }
        // Of these only who met somebody is of interest.
        if !halves(spec.kind) || self.met.is_none() {
            *matches = Some(found);
        }
        Ok(true)
    }

    /// What comes behind a block that all probe rows went past.
    fn after_block(&mut self) -> State {
        let behind = match self.met {
            // It was the only one.
            None => Behind::End,
            Some(_) => Behind::Block,
        };
        let State::Probe { table, .. } = &self.state else {
            return behind.state();
        };
        match (table.kind().keeps_build(), self.pair.shares_probe()) {
            (false, _) => behind.state(),
            (true, false) => State::Unmet(table.rest(), behind),
            (true, true) => {
                if self.met.is_some() {
                    self.build_met.push(table.met());
                }
                behind.state()
            }
        }
    }

    /// Takes the next block, or what comes behind the last one.
    fn block(&mut self) -> Result<State> {
        let kind = self.pair.spec.kind;
        let pair = Arc::clone(&self.pair);
        if self.met.is_none() {
            let mut whole = pair.whole.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(table) = &*whole {
                return Ok(self.past(Arc::clone(table)));
            }
            let (rows, is_last) = self.block_rows()?;
            if is_last {
                let table = Arc::new(pair.table(kind, rows)?);
                *whole = Some(Arc::clone(&table));
                return Ok(self.past(table));
            }
            drop(whole);
            self.met = Some(Vec::new());
            return Ok(self.past(Arc::new(pair.table(pairs_of(kind), rows)?)));
        }
        let (rows, _) = self.block_rows()?;
        if !rows.is_empty() {
            return Ok(self.past(Arc::new(pair.table(pairs_of(kind), rows)?)));
        }
        // Where others have other build rows, only the last of them knows.
        match knows_last(kind) && !pair.shares_build() {
            true => self.last(self.met.clone().unwrap_or_default()),
            false => Ok(State::End),
        }
    }

    fn past(&mut self, table: Arc<JoinTable>) -> State {
        self.n_blocks += 1;
        State::Probe {
            table,
            probe: self.probe_rows(),
            matches: None,
        }
    }

    /// The probe rows that come out for having met somebody, or nobody: each once.
    fn last(&self, met: Vec<bool>) -> Result<State> {
        let past_nobody = match self.pair.spec.kind {
            JoinKind::Semi | JoinKind::Anti => JoinKind::Anti,
            _ => JoinKind::KeepProbe,
        };
        Ok(State::Last {
            table: Arc::new(self.pair.table(past_nobody, Vec::new())?),
            probe: self.probe_rows(),
            matches: None,
            met,
        })
    }

    /// Ends the task; the last one of a pair goes on with what only all of them know.
    fn end(&mut self) -> Result<State> {
        let pair = Arc::clone(&self.pair);
        let rows = match pair.cut {
            Cut::Probe(tasks) => Stretch::of(&pair.probe, self.task, tasks).len(),
            Cut::Build(tasks) => Stretch::of(&pair.build, self.task, tasks).len(),
        };
        pair.note(rows, std::mem::take(&mut self.hot));
        let of_probe = self.met.take().filter(|_| pair.shares_build());
        let of_build = std::mem::take(&mut self.build_met);
        let has_blocks = !of_build.is_empty();
        pair.add_met(&of_probe.unwrap_or_default(), of_build);
        if !pair.ends() || pair.cut.tasks() == 1 {
            return Ok(State::Done);
        }
        let kind = pair.spec.kind;
        if pair.shares_build() && knows_last(kind) {
            let met = pair.met.lock().unwrap_or_else(PoisonError::into_inner);
            return self.last(met.probe.clone());
        }
        if !pair.shares_probe() || !kind.keeps_build() {
            return Ok(State::Done);
        }
        if has_blocks {
            self.build = Stretch::of(&pair.build, 0, 1);
            self.next_build = None;
            self.n_blocks = 0;
            return Ok(State::UnmetOfAll);
        }
        let whole = pair.whole.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*whole {
            Some(table) => State::Unmet(table.rest(), Behind::Done),
            None => State::Done,
        })
    }

    /// The next block of build rows that no task's probe rows met.
    fn unmet_of_all(&mut self) -> Result<State> {
        let (rows, _) = self.block_rows()?;
        if rows.is_empty() {
            return Ok(State::Done);
        }
        let table = self.pair.table(JoinKind::KeepBuild, rows)?;
        let met = self.pair.met.lock().unwrap_or_else(PoisonError::into_inner);
        table.add_met(met.build.get(self.n_blocks).map_or(&[], Vec::as_slice));
        self.n_blocks += 1;
        Ok(State::Unmet(Arc::new(table).rest(), Behind::UnmetOfAll))
    }

    /// Build rows for one block, at least one batch if there is one; and whether
    /// they are the last.
    fn block_rows(&mut self) -> Result<(Vec<RecordBatch>, bool)> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        loop {
            let batch = match self.next_build.take() {
                Some(batch) => Some(batch),
                None => self.next_build()?,
            };
            let Some(batch) = batch else {
                return Ok((rows, true));
            };
            // Shards share the memory of their batch: what they are counts.
            bytes += batch_bytes(&batch).max(1);
            if bytes > self.pair.block_bytes && !rows.is_empty() {
                self.next_build = Some(batch);
                return Ok((rows, false));
            }
            rows.push(batch);
        }
    }

    fn next_build(&mut self) -> Result<Option<RecordBatch>> {
        let batch = self.build.next().transpose()?;
        if let (Some(batch), true) = (&batch, self.pair.shares_build()) {
            let spec = &self.pair.spec;
            let keys = (spec.forms.clone(), spec.build_keys.clone());
            let keys = KeyHashes::new(keys.0, keys.1, spec.nulls_match);
            note_hot(&mut self.hot, batch, &keys)?;
        }
        Ok(batch)
    }
}

/// Whether probe rows come out alone, for having a partner or for having none.
fn halves(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Semi | JoinKind::Anti)
}

/// Whether which probe rows come out shows only behind all build rows.
fn knows_last(kind: JoinKind) -> bool {
    halves(kind) || kind.keeps_probe()
}

/// The part of a join that each block gives by itself.
fn pairs_of(kind: JoinKind) -> JoinKind {
    match kind {
        JoinKind::Inner | JoinKind::KeepProbe => JoinKind::Inner,
        JoinKind::KeepBuild | JoinKind::KeepBoth => JoinKind::KeepBuild,
        half => half,
    }
}

/// The next rows of matches that are at hand; none at their end.
fn taken(matches: &mut Option<Matches>) -> Result<Option<RecordBatch>> {
    while let Some(some) = matches {
        match some.next_rows()? {
            Some(rows) if rows.num_rows() > 0 => return Ok(Some(rows)),
            Some(_) => {}
            None => *matches = None,
        }
    }
    Ok(None)
}

/// Notes who met somebody, from row `first` on.
fn note(met: &mut Vec<bool>, first: usize, found: impl Iterator<Item = bool>) {
    for (row, found) in (first..).zip(found) {
        match met.get_mut(row) {
            Some(met) => *met |= found,
            None => met.push(found),
        }
    }
}

/// The rows of a batch, which begins with row `first`, that met somebody or did not.
fn chosen(batch: &RecordBatch, first: usize, met: &[bool], wanted: bool) -> Result<RecordBatch> {
    let rows = first..first + batch.num_rows();
    let met = rows.map(|row| met.get(row).copied().unwrap_or(false) == wanted);
    let kept: BooleanArray = met.map(Some).collect();
    Ok(filter_record_batch(batch, &kept)?)
}

/// The probe rows of a task, in batches that are not too small.
struct ProbeRows {
    rows: Stretch,
    /// How many were taken.
    row: usize,
}

impl ProbeRows {
    /// Some rows, and how many of the task's came before them.
    fn next_rows(&mut self) -> Result<Option<(usize, RecordBatch)>> {
        let mut some: Vec<RecordBatch> = Vec::new();
        let mut n_rows = 0;
        while n_rows < LEAST_ROWS
            && let Some(batch) = self.rows.next().transpose()?
        {
            n_rows += batch.num_rows();
            some.push(batch);
        }
        let Some(first) = some.first() else {
            return Ok(None);
        };
        let rows = match some.len() {
            1 => first.clone(),
            _ => concat_batches(&first.schema(), &some)?,
        };
        let before = self.row;
        self.row += rows.num_rows();
        Ok(Some((before, rows)))
    }
}
