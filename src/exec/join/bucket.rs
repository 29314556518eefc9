//! Buckets of two sides, joined one by one.
//!
//! In:  as many buckets of the build side as of the probe side; equal keys lie
//!      in buckets of one number.
//! Out: units of joined rows, those of one probe row in build order.
//!
//! What of a build bucket fits is a block. With one block the probe rows stream
//! past it. With several they stream past each in turn; which of them met
//! somebody is noted, and those that come out for it, or for its lack, come last.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::PATH;
use crate::error::Result;
use crate::exec::source::{Open, Unit, Units, batches_reader};
use crate::memory::Budget;
use crate::ops::join::{JoinKind, JoinSpec, JoinTable, Matches, Unmet};
use crate::partition::batch_bytes;
use crate::shuffle::{Bucket, BucketReader};

/// Rows that are looked up at once at least, where there are as many.
const LEAST_ROWS: usize = 8192;

/// Probe rows of a bucket below which it is not shared out.
const SHARED_ROWS: u64 = 1 << 16;

/// A join of buckets.
pub(super) struct BucketJoin {
    pub spec: Arc<JoinSpec>,
    pub build: Vec<Bucket>,
    pub probe: Vec<Bucket>,
    /// Bytes of a block.
    pub block_bytes: u64,
    pub budget: Budget,
}

/// A unit for each bucket, or for each share of one that has many probe rows.
pub(super) fn bucket_units(join: BucketJoin) -> Units {
    let rows: Vec<u64> = join.probe.iter().map(Bucket::rows).collect();
    // What build rows nobody met, only one who sees all probe rows can tell.
    let shares = match join.spec.kind.keeps_build() {
        true => vec![1; rows.len()],
        false => shares(&rows, SHARED_ROWS),
    };
    let (spec, budget, block_bytes) = (join.spec, join.budget, join.block_bytes);
    let pairs = join.build.into_iter().zip(join.probe);
    let pairs = pairs.zip(shares).filter(|((build, probe), _)| {
        probe.rows() > 0 || (build.rows() > 0 && spec.kind.keeps_build())
    });
    let pairs: Vec<_> = pairs.collect();
    Box::new(
        pairs
            .into_iter()
            .flat_map(move |((build, probe), n_shares)| {
                let pair = Arc::new(Pair {
                    spec: Arc::clone(&spec),
                    build,
                    probe,
                    block_bytes,
                    budget: budget.clone(),
                    whole: Mutex::new(None),
                });
                (0..n_shares).map(move |share| {
                    let pair = Arc::clone(&pair);
                    let open: Open = Box::new(move || {
                        let mut joining = Joining::new(pair, share, n_shares);
                        let rows = std::iter::from_fn(move || joining.next().transpose());
                        Ok(batches_reader(Box::new(rows)))
                    });
                    Ok(Unit {
                        path: Arc::from(PATH),
                        file: 0,
                        ends_file: false,
                        after_all: false,
                        open,
                    })
                })
            }),
    )
}

/// How many shares each bucket is cut into, so that none has much more than the
/// mean of all; those with fewer rows than `least` stay whole.
fn shares(rows: &[u64], least: u64) -> Vec<u64> {
    let filled = rows.iter().filter(|rows| **rows > 0).count() as u64;
    let mean = rows.iter().sum::<u64>() / filled.max(1);
    let most = (mean + mean / 4).max(least).max(1);
    rows.iter().map(|rows| rows.div_ceil(most).max(1)).collect()
}

/// A bucket of each side.
struct Pair {
    spec: Arc<JoinSpec>,
    build: Bucket,
    probe: Bucket,
    block_bytes: u64,
    budget: Budget,
    /// The build side, if it is one block: all shares look it up.
    whole: Mutex<Option<Arc<JoinTable>>>,
}

impl Pair {
    /// A table of some build rows, for a join of this kind.
    fn table(&self, kind: JoinKind, rows: Vec<RecordBatch>) -> Result<Arc<JoinTable>> {
        let spec = match kind == self.spec.kind {
            true => Arc::clone(&self.spec),
            false => Arc::new(JoinSpec {
                kind,
                ..(*self.spec).clone()
            }),
        };
        let table = JoinTable::build(spec, rows, 1, self.budget.open())?;
        Ok(Arc::new(table))
    }
}

/// A share of the probe rows on their way past the blocks.
struct Joining {
    pair: Arc<Pair>,
    share: u64,
    n_shares: u64,
    /// What is left of the build side.
    build: BucketReader,
    /// A build batch that did not fit the block before.
    next_build: Option<RecordBatch>,
    /// Whether each probe row met somebody, where there are several blocks.
    met: Option<Vec<bool>>,
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
    /// Build rows that nobody met.
    Unmet(Unmet),
    /// Probe rows whose partners, or their lack, are known only now.
    Last {
        table: Arc<JoinTable>,
        probe: ProbeRows,
        matches: Option<Matches>,
    },
    Done,
}

impl Joining {
    fn new(pair: Arc<Pair>, share: u64, n_shares: u64) -> Self {
        Joining {
            share,
            n_shares,
            build: pair.build.read(),
            next_build: None,
            met: None,
            state: State::Block,
            pair,
        }
    }

    fn probe_rows(&self) -> ProbeRows {
        ProbeRows {
            reader: self.pair.probe.read(),
            batch: 0,
            share: self.share,
            n_shares: self.n_shares,
            row: 0,
        }
    }

    /// The next joined rows; none at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let next = match &mut self.state {
                State::Block => {
                    self.state = self.block()?;
                    continue;
                }
                State::Probe {
                    table,
                    probe,
                    matches,
                } => {
                    if let Some(rows) = taken(matches)? {
                        return Ok(Some(rows));
                    }
                    if let Some((first, batch)) = probe.next_rows()? {
                        let found = table.probe(batch)?;
                        if let Some(met) = &mut self.met {
                            note(met, first, found.met());
                        }
                        // Of these only who met somebody is of interest.
                        if !halves(self.pair.spec.kind) || self.met.is_none() {
                            *matches = Some(found);
                        }
                        continue;
                    }
                    match table.kind().keeps_build() {
                        true => State::Unmet(table.unmet()),
                        false => self.after_block(),
                    }
                }
                State::Unmet(unmet) => match unmet.next_rows()? {
                    Some(rows) => return Ok(Some(rows)),
                    None => self.after_block(),
                },
                State::Last {
                    table,
                    probe,
                    matches,
                } => {
                    if let Some(rows) = taken(matches)? {
                        return Ok(Some(rows));
                    }
                    match probe.next_rows()? {
                        Some((first, batch)) => {
                            let wanted = self.pair.spec.kind == JoinKind::Semi;
                            let met = self.met.as_deref().unwrap_or_default();
                            let rows = chosen(&batch, first, met, wanted)?;
                            *matches = Some(table.probe(rows)?);
                            continue;
                        }
                        None => State::Done,
                    }
                }
                State::Done => return Ok(None),
            };
            self.state = next;
        }
    }

    /// What comes behind a block that all probe rows went past.
    fn after_block(&self) -> State {
        match self.met {
            // It was the only one.
            None => State::Done,
            Some(_) => State::Block,
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
                let table = pair.table(kind, rows)?;
                *whole = Some(Arc::clone(&table));
                return Ok(self.past(table));
            }
            drop(whole);
            self.met = Some(Vec::new());
            return Ok(self.past(pair.table(pairs_of(kind), rows)?));
        }
        let (rows, _) = self.block_rows()?;
        if !rows.is_empty() {
            return Ok(self.past(pair.table(pairs_of(kind), rows)?));
        }
        Ok(match kind {
            JoinKind::Inner | JoinKind::KeepBuild => State::Done,
            // Past nobody: each comes out once.
            JoinKind::KeepProbe | JoinKind::KeepBoth => self.last(JoinKind::KeepProbe)?,
            JoinKind::Semi | JoinKind::Anti => self.last(JoinKind::Anti)?,
        })
    }

    fn past(&self, table: Arc<JoinTable>) -> State {
        State::Probe {
            table,
            probe: self.probe_rows(),
            matches: None,
        }
    }

    fn last(&self, kind: JoinKind) -> Result<State> {
        Ok(State::Last {
            table: self.pair.table(kind, Vec::new())?,
            probe: self.probe_rows(),
            matches: None,
        })
    }

    /// Build rows for one block, at least one batch if there is one; and whether
    /// they are the last.
    fn block_rows(&mut self) -> Result<(Vec<RecordBatch>, bool)> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        loop {
            let batch = match self.next_build.take() {
                Some(batch) => Some(batch),
                None => self.build.next().transpose()?,
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
}

/// Whether probe rows come out alone, for having a partner or for having none.
fn halves(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Semi | JoinKind::Anti)
}

/// The part of a join that each block gives by itself.
fn pairs_of(kind: JoinKind) -> JoinKind {
    match kind {
        JoinKind::Inner | JoinKind::KeepProbe => JoinKind::Inner,
        JoinKind::KeepBuild | JoinKind::KeepBoth => JoinKind::KeepBuild,
        half @ (JoinKind::Semi | JoinKind::Anti) => half,
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

/// The probe rows of one share, in batches that are not too small.
struct ProbeRows {
    reader: BucketReader,
    /// Batches read so far.
    batch: u64,
    share: u64,
    n_shares: u64,
    /// Rows of the share so far.
    row: usize,
}

impl ProbeRows {
    /// Some rows, and how many of the share came before them.
    fn next_rows(&mut self) -> Result<Option<(usize, RecordBatch)>> {
        let mut some: Vec<RecordBatch> = Vec::new();
        let mut n_rows = 0;
        while n_rows < LEAST_ROWS
            && let Some(batch) = self.reader.next().transpose()?
        {
            self.batch += 1;
            if (self.batch - 1) % self.n_shares == self.share {
                n_rows += batch.num_rows();
                some.push(batch);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_of_a_hot_bucket_has_more_than_half_as_much_again_as_the_mean() {
        let mut rows = vec![1_000_u64; 63];
        rows.push(63_000);
        let shares = shares(&rows, 1);
        let mean = rows.iter().sum::<u64>() / 64;
        for (rows, shares) in rows.iter().zip(&shares) {
            assert!(rows.div_ceil(*shares) <= mean * 3 / 2, "{rows} in {shares}");
        }
        assert_eq!(shares[0], 1);
        assert_eq!(super::shares(&[0, 0], 1), [1, 1]);
        assert_eq!(super::shares(&rows, 1 << 16)[63], 1);
    }
}
