//! Probe rows meet build rows.
//!
//! In:  the build side, once; then batches of the probe side, on any thread.
//! Out: the joined rows of each batch, in its order; the matches of one probe
//!      row in build order. At the end, what nobody met.
//!
//! Payload is gathered last, and only the columns that come out:
//!
//! ```text
//! keys ─▶ heads ─▶ pairs (probe row, build row) ─▶ take columns of both sides
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use arrow_select::filter::filter;
use arrow_select::zip::zip;

use super::asof::{InTime, Run, Timeline, heads_of};
use super::index::{Index, IndexOptions};
use super::pairs::{CHAINS, MOST_ROWS, Pairs, drop_alone};
use super::rows::BuildRows;
use super::spec::{JoinKind, JoinSpec, NextTo, Taken};
use super::table::NONE;
use crate::cancel::{Paced, check, stretches};
use crate::error::{Error, Result};
use crate::expr::common_type;
use crate::memory::Reservation;
use crate::partition::{RowNumbers, take_rows};

/// The build side of a join, ready to be probed by any thread.
#[derive(Debug)]
pub struct JoinTable {
    spec: Arc<JoinSpec>,
    index: Index,
    rows: BuildRows,
    /// A bit for each build row that met a probe row; only where others come out.
    met: Vec<AtomicU64>,
    /// The rows of each key by their times, where one of them is looked for.
    timeline: Option<Timeline>,
    /// Probe rows that give one batch, if there is such a number.
    at_once: Option<usize>,
    /// Of all this.
    _reservation: Reservation,
}

impl JoinTable {
    /// Takes the rows of the build side, in order. What it holds counts in
    /// `reservation`, beside what that has already.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for 2^32 - 1 rows and more, and for keys whose values
    /// cannot be told apart.
    pub fn build(
        spec: Arc<JoinSpec>,
        batches: Vec<RecordBatch>,
        threads: usize,
        mut reservation: Reservation,
    ) -> Result<Self> {
        let columns = |places: &[usize]| -> Vec<Vec<ArrayRef>> {
            let of = |batch: &RecordBatch| {
                let columns = places.iter().map(|idx| Arc::clone(batch.column(*idx)));
                columns.collect()
            };
            batches.iter().map(of).collect()
        };
        let n_rows = batches.iter().map(RecordBatch::num_rows).sum();
        let options = IndexOptions {
            nulls_match: spec.nulls_match,
            threads,
            hash_mask: spec.hash_mask,
        };
        let keys = columns(&spec.build_keys);
        let index = Index::build(spec.forms.clone(), &keys, n_rows, options)?;
        let mut met = Vec::new();
        if spec.kind.keeps_build() || spec.kind.is_of_build() {
            met.resize_with(n_rows.div_ceil(64), AtomicU64::default);
        }
        let timeline = match &spec.next_to {
            None => None,
            Some(NextTo { build, times, .. }) => {
                let mut codes = Vec::with_capacity(n_rows);
                for column in columns(&[*build]).iter().flatten() {
                    check()?;
                    codes.extend(times.of(column)?);
                }
                let piece_rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
                let heads = heads_of(&index, &keys, &piece_rows)?;
                let name = spec.build_schema.field(*build).name();
                Some(Timeline::build(times.clone(), name, &heads, &codes)?)
            }
        };
        drop(keys);
        // Keys are looked up where they lie: only what comes out is put together.
        let rows = BuildRows::new(&spec.build_schema, &spec.taken_of_build(), batches, threads)?;
        let of_timeline = timeline.as_ref().map_or(0, Timeline::bytes);
        // Whoever builds a table has seen to it that there is room.
        let beside = index.bytes() + 8 * met.len() + of_timeline;
        reservation.resize_anyway(reservation.bytes() + rows.bytes() + beside as u64);
        let at_once = match spec.kind {
            _ if timeline.is_some() => None,
            JoinKind::BuildSemi | JoinKind::BuildAnti => None,
            JoinKind::Semi | JoinKind::Anti => Some(usize::MAX),
            _ if index.is_unique() => Some(usize::MAX),
            _ => index.longest()?.map(|longest| MOST_ROWS / longest),
        };
        Ok(JoinTable {
            spec,
            index,
            rows,
            met,
            timeline,
            at_once,
            _reservation: reservation,
        })
    }

    /// The columns that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.spec.schema
    }

    /// Whether a probe row has one partner at most.
    fn is_unique(&self) -> bool {
        self.timeline.is_some() || self.index.is_unique()
    }

    /// What sees whether probe rows are sorted by their times, if these count.
    pub fn probe_in_time(&self) -> Option<InTime> {
        let next_to = self.spec.next_to.as_ref()?;
        Some(InTime::new("left", &next_to.name))
    }

    /// Which rows come out.
    pub fn kind(&self) -> JoinKind {
        self.spec.kind
    }

    /// Rows of the build side.
    pub fn n_rows(&self) -> usize {
        self.rows.n_rows()
    }

    /// How many probe rows surely give one batch together, whoever asks for it, and
    /// when; none where a key may lead to very many rows.
    pub fn at_once(&self) -> Option<usize> {
        self.at_once
    }

    /// All rows that a batch of at most [so many](Self::at_once) rows of the probe side
    /// gives; perhaps none.
    ///
    /// # Errors
    ///
    /// If texts of these rows take more than 2 GiB.
    pub fn joined(self: &Arc<Self>, batch: RecordBatch) -> Result<RecordBatch> {
        let mut matches = self.probe(batch)?;
        let rows = matches.next_rows()?;
        debug_assert!(matches!(matches.next_rows(), Ok(None)));
        Ok(rows.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(self.schema()))))
    }

    /// What a batch of the probe side gives.
    ///
    /// # Errors
    ///
    /// None for batches of the schema that the join was made for.
    pub fn probe(self: &Arc<Self>, batch: RecordBatch) -> Result<Matches> {
        let keys: Vec<ArrayRef> = (self.spec.probe_keys.iter())
            .map(|idx| Arc::clone(batch.column(*idx)))
            .collect();
        let mut heads = self.index.find(&keys, batch.num_rows())?;
        let mut run = None;
        if let (Some(timeline), Some(next_to)) = (&self.timeline, &self.spec.next_to) {
            let codes = timeline.codes(batch.column(next_to.probe))?;
            run = Some(Run::of(&codes));
            timeline.find(&mut heads, &codes);
        }
        Ok(Matches {
            table: Arc::clone(self),
            batch,
            heads,
            run,
            row: 0,
            at: None,
            at_once: CHAINS,
        })
    }

    /// The build rows that come out at the end, in order: those that no probe row
    /// has met, or of [`JoinKind::BuildSemi`] those that one has. Take them only
    /// when all batches were probed and their matches taken.
    pub fn rest(self: &Arc<Self>) -> Rest {
        Rest {
            table: Arc::clone(self),
            row: 0,
        }
    }

    /// Notes the first build row of each key that was met; [`Rest`] adds the others.
    fn meet_heads(&self, heads: &[u32]) {
        let met = heads.iter().filter(|row| **row != NONE);
        met.for_each(|row| self.meet(*row));
    }

    /// Where only first rows of keys were noted: notes the others.
    fn meet_chains(&self) -> Result<()> {
        let mut heads = Vec::new();
        for rows in stretches(self.n_rows()) {
            let met = rows?.filter(|row| self.is_met(*row));
            heads.extend(met.map(|row| row as u32));
        }
        let mut paced = Paced::default();
        for head in heads {
            let mut at = self.index.next(head);
            while at != NONE {
                paced.passed(1)?;
                self.meet(at);
                at = self.index.next(at);
            }
        }
        Ok(())
    }

    /// A key of pairs: that of the build row, else of the probe row.
    fn either(&self, probe: ArrayRef, build: ArrayRef, found: &[u32]) -> Result<ArrayRef> {
        if !found.contains(&NONE) {
            return Ok(build);
        }
        let shared = match build.data_type() == probe.data_type() {
            true => build.data_type().clone(),
            false => common_type(build.data_type(), probe.data_type())
                .ok_or_else(|| Error::internal("keys that meet have no type in common"))?,
        };
        let from_build = BooleanBuffer::collect_bool(found.len(), |row| found[row] != NONE);
        let from_build = BooleanArray::new(from_build, None);
        Ok(zip(
            &from_build,
            &cast(&build, &shared)?,
            &cast(&probe, &shared)?,
        )?)
    }

    /// A bit for each build row that met a probe row so far, where others come out.
    pub fn met(&self) -> Vec<u64> {
        let bits = self.met.iter();
        bits.map(|bits| bits.load(Ordering::Relaxed)).collect()
    }

    /// Counts rows as met that another table of the same rows says have [`met`](Self::met).
    pub fn add_met(&self, met: &[u64]) {
        for (bits, more) in self.met.iter().zip(met) {
            bits.fetch_or(*more, Ordering::Relaxed);
        }
    }

    fn meet(&self, row: u32) {
        if let Some(bits) = self.met.get(row as usize / 64) {
            let bit = 1 << (row % 64);
            // Most rows that are met are met often: reading is cheaper than writing.
            if bits.load(Ordering::Relaxed) & bit == 0 {
                bits.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    fn is_met(&self, row: usize) -> bool {
        let bits = self.met.get(row / 64);
        bits.is_some_and(|bits| bits.load(Ordering::Relaxed) & (1 << (row % 64)) != 0)
    }

    /// Puts columns of both sides beside each other. Of the probe side all rows
    /// are taken, or those at some places; where a pair has no build row, it is [`NONE`].
    fn assemble(
        &self,
        batch: &RecordBatch,
        probe: Option<Vec<u32>>,
        build: Vec<u32>,
    ) -> Result<RecordBatch> {
        let n_rows = build.len();
        let probe = probe.map(RowNumbers::from);
        let mut taken = self.spec.output.iter();
        let both = taken.any(|taken| matches!(taken, Taken::KeyOfBuild { .. }));
        let found = if both { build.clone() } else { Vec::new() };
        let chosen = self.rows.choose(build);
        let of_probe = |idx: usize| match &probe {
            None => Ok(Arc::clone(batch.column(idx))),
            Some(places) => Ok(take_rows(batch.column(idx), places)?),
        };
        self.spec.batch(n_rows, |taken| match taken {
            Taken::Build(idx) => chosen.column(idx),
            Taken::Probe(idx) | Taken::Key { probe: idx, .. } => of_probe(idx),
            Taken::KeyOfBuild { probe, build } => {
                self.either(of_probe(probe)?, chosen.column(build)?, &found)
            }
        })
    }
}

/// The joined rows of one batch of the probe side, in order.
#[derive(Debug)]
pub struct Matches {
    table: Arc<JoinTable>,
    batch: RecordBatch,
    /// The first build row of each probe row.
    heads: Vec<u32>,
    /// How the times of the batch run, where these count.
    pub run: Option<Run>,
    /// The probe row at hand.
    row: usize,
    /// Its next build row; none if it was not begun.
    at: Option<u32>,
    /// Rows from it on whose partners are looked up side by side.
    at_once: usize,
}

impl Matches {
    /// For each row of the batch whether it has a partner. Ask before the first rows are taken.
    pub fn met(&self) -> impl Iterator<Item = bool> + '_ {
        self.heads.iter().map(|head| *head != NONE)
    }

    /// The next rows; at most 65,536, or as many as the batch has. None at the end.
    ///
    /// # Errors
    ///
    /// If texts of these rows take more than 2 GiB.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        if self.row >= self.heads.len() {
            return Ok(None);
        }
        let kind = self.table.spec.kind;
        let rows = match kind {
            JoinKind::Semi => self.filtered(true)?,
            JoinKind::Anti => self.filtered(false)?,
            JoinKind::BuildSemi | JoinKind::BuildAnti => {
                self.table.meet_heads(&std::mem::take(&mut self.heads));
                return Ok(None);
            }
            _ if self.table.is_unique() => self.at_most_one(kind)?,
            _ => self.pairs(kind)?,
        };
        Ok(Some(rows))
    }

    /// The probe rows that have a partner, or those that have none.
    fn filtered(&mut self, wanted: bool) -> Result<RecordBatch> {
        let heads = std::mem::take(&mut self.heads);
        let kept = BooleanBuffer::collect_bool(heads.len(), |row| (heads[row] != NONE) == wanted);
        let n_kept = kept.count_set_bits();
        let kept = BooleanArray::new(kept, None);
        let whole = n_kept == heads.len();
        self.table.spec.batch(n_kept, |taken| match taken {
            Taken::Probe(idx) | Taken::Key { probe: idx, .. } if whole => {
                Ok(Arc::clone(self.batch.column(idx)))
            }
            Taken::Probe(idx) | Taken::Key { probe: idx, .. } => {
                Ok(filter(self.batch.column(idx), &kept)?)
            }
            Taken::Build(_) | Taken::KeyOfBuild { .. } => {
                Err(Error::internal("half a join shows both sides"))
            }
        })
    }

    /// All rows at once, where each has one partner at most.
    fn at_most_one(&mut self, kind: JoinKind) -> Result<RecordBatch> {
        let mut build = std::mem::take(&mut self.heads);
        if !self.table.met.is_empty() {
            self.table.meet_heads(&build);
        }
        let mut probe = None;
        if !kind.keeps_probe() && build.contains(&NONE) {
            probe = Some(drop_alone(&mut build));
        }
        self.table.assemble(&self.batch, probe, build)
    }

    /// As many pairs as may come out at once.
    fn pairs(&mut self, kind: JoinKind) -> Result<RecordBatch> {
        let mut pairs = Pairs {
            probe: Vec::with_capacity(self.heads.len()),
            build: Vec::with_capacity(self.heads.len()),
            keeps_probe: kind.keeps_probe(),
        };
        let index = &self.table.index;
        while self.row < self.heads.len() && pairs.build.len() < MOST_ROWS {
            let rows = self.row..self.heads.len().min(self.row + self.at_once);
            if self.at.is_none() && rows.len() > 1 {
                let whole = pairs.add_chains(&self.heads[rows.clone()], self.row as u32, index);
                self.at_once = match whole {
                    true => (2 * self.at_once).min(CHAINS),
                    false => self.at_once / 2,
                };
                if whole {
                    self.row = rows.end;
                }
                continue;
            }
            self.at = pairs.add_chain(
                self.at.unwrap_or(self.heads[self.row]),
                self.row as u32,
                index,
            );
            if self.at.is_none() {
                self.row += 1;
                self.at_once = 2;
            }
        }
        if !self.table.met.is_empty() {
            let met = pairs.build.iter().filter(|row| **row != NONE);
            met.for_each(|row| self.table.meet(*row));
        }
        self.table
            .assemble(&self.batch, Some(pairs.probe), pairs.build)
    }
}

/// The build rows that come out at the end, in order.
#[derive(Debug)]
pub struct Rest {
    table: Arc<JoinTable>,
    row: usize,
}

impl Rest {
    /// The next rows; at most 65,536. None at the end.
    ///
    /// # Errors
    ///
    /// As [`Matches::next_rows`].
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let table = &self.table;
        if self.row == 0 && table.spec.kind.is_of_build() {
            table.meet_chains()?;
        }
        let wanted = table.spec.kind == JoinKind::BuildSemi;
        let mut rows = Vec::new();
        let mut paced = Paced::default();
        while self.row < table.n_rows() && rows.len() < MOST_ROWS {
            paced.passed(1)?;
            if table.is_met(self.row) == wanted {
                rows.push(self.row as u32);
            }
            self.row += 1;
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let n_rows = rows.len();
        let chosen = table.rows.choose(rows);
        let rows = table.spec.batch(n_rows, |taken| match taken {
            Taken::Build(idx)
            | Taken::Key { build: idx, .. }
            | Taken::KeyOfBuild { build: idx, .. } => chosen.column(idx),
            Taken::Probe(_) => Ok(new_null_array(&DataType::Null, n_rows)),
        })?;
        Ok(Some(rows))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_schema::{Field, Schema};
    use arrow_select::concat::concat_batches;

    use super::super::keys::KeyForms;
    use super::*;
    use crate::memory::Budget;
    use crate::size::ByteSize;

    const KINDS: [JoinKind; 8] = [
        JoinKind::Inner,
        JoinKind::KeepProbe,
        JoinKind::KeepBoth,
        JoinKind::KeepBuild,
        JoinKind::Semi,
        JoinKind::Anti,
        JoinKind::BuildSemi,
        JoinKind::BuildAnti,
    ];

    fn keys(keys: impl Iterator<Item = i64>) -> RecordBatch {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(keys));
        RecordBatch::try_from_iter([("k", keys)]).unwrap()
    }

    /// A join by `k` with build rows of which key `n` has `n` up to `most`, and one key none.
    fn table(kind: JoinKind, most: i64) -> Arc<JoinTable> {
        let build = keys((0..=most).flat_map(|n| (0..n).map(move |_| n)));
        let long = DataType::Int64;
        let shown = match kind {
            JoinKind::Semi | JoinKind::Anti => vec![Taken::Probe(0)],
            JoinKind::BuildSemi | JoinKind::BuildAnti => vec![Taken::Build(0)],
            _ => vec![Taken::Probe(0), Taken::Build(0)],
        };
        let fields = (0..shown.len()).map(|n| Field::new(format!("c{n}"), long.clone(), true));
        let spec = JoinSpec {
            kind,
            forms: KeyForms::try_new(&[("k", &long, "k", &long)]).unwrap(),
            probe_keys: vec![0],
            build_keys: vec![0],
            nulls_match: false,
            hash_mask: u64::MAX,
            next_to: None,
            output: shown,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            build_schema: build.schema(),
        };
        let reservation = Budget::new(ByteSize::mib(64)).open();
        Arc::new(JoinTable::build(Arc::new(spec), vec![build], 2, reservation).unwrap())
    }

    #[test]
    fn as_many_rows_as_give_one_batch_give_the_rows_of_all_at_once() {
        // Most keys lead to many rows, some to few, and some to none.
        let probe = keys((0..3_000).map(|row| if row % 3 == 0 { row % 19 } else { 40 }));
        for kind in KINDS {
            let table = table(kind, 40);
            let Some(at_once) = table.at_once() else {
                assert!(kind.is_of_build());
                continue;
            };
            let cuts = (0..probe.num_rows()).step_by(at_once.min(probe.num_rows()));
            let some = |from: usize| probe.slice(from, at_once.min(probe.num_rows() - from));
            let joined: Vec<_> = cuts.map(|from| table.joined(some(from)).unwrap()).collect();
            assert_eq!(joined.len() > 1, at_once < usize::MAX, "{kind:?}");
            assert!(joined.iter().all(|rows| rows.num_rows() <= MOST_ROWS));
            let mut matches = table.probe(probe.clone()).unwrap();
            let mut wanted = Vec::new();
            while let Some(rows) = matches.next_rows().unwrap() {
                wanted.push(rows);
            }
            let all = |parts: &[RecordBatch]| concat_batches(table.schema(), parts).unwrap();
            assert_eq!(all(&joined), all(&wanted), "{kind:?}");
        }
    }

    #[test]
    fn rows_are_joined_at_once_where_keys_lead_to_few_rows() {
        let at_once = |kind, most| table(kind, most).at_once();
        assert_eq!(at_once(JoinKind::Inner, 1), Some(usize::MAX));
        assert_eq!(at_once(JoinKind::KeepProbe, 254), Some(MOST_ROWS / 254));
        assert_eq!(at_once(JoinKind::KeepProbe, 255), None);
        assert_eq!(at_once(JoinKind::Anti, 255), Some(usize::MAX));
        assert_eq!(at_once(JoinKind::BuildAnti, 1), None);
    }
}
