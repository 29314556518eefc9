//! Units of the probe side, joined with a table that holds the whole build side.
//!
//! In:  units of rows.
//! Out: as many units, of joined rows, in the same order; behind them, where
//!      it is asked for, one of the build rows that nobody met, or somebody. Where times
//!      count, a last one without rows sees whether they were in order.
//!
//! Where no key leads to very many rows, a chunk is as many probe rows as give one batch, and
//! whoever takes it joins them: a reader, of which there may be a single one, only cuts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;

use super::unit_of;
use crate::error::{Error, Result};
use crate::exec::source::{Chunk, ChunkReader, Open, Passed, Unit, Units, batches_reader};
use crate::ops::join::{JoinTable, Matches, Run};

/// The joined rows of each unit.
pub(super) fn joined_units(probe: Units, table: &Arc<JoinTable>) -> Units {
    let kind = table.kind();
    let rest = (kind.keeps_build() || kind.is_of_build()).then(|| {
        let mut rest = table.rest();
        let open: Open = Box::new(move || {
            Ok(batches_reader(Box::new(std::iter::from_fn(move || {
                rest.next_rows().transpose()
            }))))
        });
        Ok(Unit {
            ends_file: true,
            after_all: true,
            ..unit_of(open)
        })
    });
    let runs = Arc::new(Mutex::new(BTreeMap::new()));
    let sorted = table.probe_in_time().map(|mut in_time| {
        let runs = Arc::clone(&runs);
        let open: Open = Box::new(move || {
            let runs = lock(&runs);
            runs.values().try_for_each(|run| in_time.push_run(run))?;
            Ok(batches_reader(Box::new(std::iter::empty())))
        });
        Ok(Unit {
            ends_file: true,
            after_all: true,
            ..unit_of(open)
        })
    });
    let table = Arc::clone(table);
    let joined = probe.enumerate().map(move |(number, unit)| {
        // What comes last of another merge comes last of its rows here, too.
        let Unit {
            open, after_all, ..
        } = unit?;
        let (table, runs) = (Arc::clone(&table), Arc::clone(&runs));
        let open: Open = Box::new(move || {
            Ok(Box::new(JoinReader {
                probe: open()?,
                table,
                matches: None,
                rows: None,
                runs,
                at: (number, 0),
            }))
        });
        Ok(Unit {
            after_all,
            ..unit_of(open)
        })
    });
    Box::new(joined.chain(rest).chain(sorted))
}

/// Joins the rows that another reader gives.
struct JoinReader {
    probe: Box<dyn ChunkReader>,
    table: Arc<JoinTable>,
    /// Of the batch at hand, where its rows are joined here.
    matches: Option<Matches>,
    /// Where they are not, those that are left to be handed out.
    rows: Option<RecordBatch>,
    runs: Arc<Mutex<Runs>>,
    /// The unit and the batch that come next.
    at: (usize, u64),
}

/// How the times of each batch run, in input order.
type Runs = BTreeMap<(usize, u64), Run>;

fn lock(runs: &Mutex<Runs>) -> MutexGuard<'_, Runs> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JoinReader {
    fn begin(&mut self, batch: RecordBatch) -> Result<()> {
        let matches = self.table.probe(batch)?;
        if let Some(run) = matches.run {
            lock(&self.runs).insert(self.at, run);
            self.at.1 += 1;
        }
        self.matches = Some(matches);
        Ok(())
    }

    /// Rows at hand that give one batch together, to be joined by whoever takes them.
    fn cut(&mut self) -> Option<Chunk> {
        let (rows, at_once) = (self.rows.take()?, self.table.at_once()?);
        let (n_rows, now) = (rows.num_rows(), rows.num_rows().min(at_once));
        if now < n_rows {
            self.rows = Some(rows.slice(now, n_rows - now));
        }
        let (table, rows) = (Arc::clone(&self.table), rows.slice(0, now));
        Some(Chunk::Work(Box::new(move || table.joined(rows))))
    }
}

impl ChunkReader for JoinReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        loop {
            if let Some(matches) = &mut self.matches {
                match matches.next_rows()? {
                    Some(rows) if rows.num_rows() > 0 => {
                        return Ok(Some(Chunk::Batch(rows, Passed::default())));
                    }
                    Some(_) => continue,
                    None => self.matches = None,
                }
            }
            if let Some(chunk) = self.cut() {
                return Ok(Some(chunk));
            }
            let batch = match self.probe.next(Vec::new())? {
                Some(Chunk::Batch(batch, _)) => batch,
                Some(Chunk::Work(make)) if self.table.at_once() == Some(usize::MAX) => {
                    let table = Arc::clone(&self.table);
                    return Ok(Some(Chunk::Work(Box::new(move || table.joined(make()?)))));
                }
                Some(Chunk::Work(make)) => make()?,
                Some(Chunk::Text(_) | Chunk::Csv(..)) => {
                    return Err(Error::internal("text came in place of rows"));
                }
                None => return Ok(None),
            };
            match self.table.at_once() {
                Some(_) => self.rows = Some(batch),
                None => self.begin(batch)?,
            }
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.probe.stored_bytes_read()
    }
}
