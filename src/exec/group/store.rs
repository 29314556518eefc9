//! Groups that left their tables, by bucket.
//!
//! In:  partials, whose first columns are keys, from any thread.
//! Out: buckets; all partials of one group are in one of them, in the order in
//!      which they came.
//!
//! Keys of text may widen while rows are read, and what is equal in the end may
//! have been a number here and a text there: then rows are routed once more, in
//! the types that all keys ended with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use super::narrow::{Narrowing, widened};
use crate::error::Result;
use crate::expr::{hash_rows, in_key_types};
use crate::memory::{Budget, SpillDir};
use crate::shuffle::{Bucket, Buckets, Shards, bucket_of, split, split_all};

/// Buckets of one level: a group in 64 leaves tables that fit a core's cache up
/// to 10^7 groups, and shards that are long enough to be read at speed.
pub(crate) const N_BUCKETS: usize = 64;

/// Bits of the hash that one level of buckets looks at.
const LEVEL_BITS: u32 = N_BUCKETS.ilog2();

/// Levels until a hash has no bits left that tell groups apart.
pub(super) const MAX_LEVELS: u32 = 64 / LEVEL_BITS;

/// Where groups go that no table holds.
pub(crate) struct GroupStore {
    n_keys: usize,
    n_buckets: usize,
    budget: Budget,
    spill_dir: Arc<SpillDir>,
    /// Bytes of the budget that are left to others.
    room: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: Option<Buckets>,
    /// The types that keys had, each list once.
    key_types: Vec<Vec<DataType>>,
    /// Of all that came.
    narrowing: Narrowing,
}

/// Cuts partials by the hash of their first `n_keys` columns, on a level below
/// others. All have the same columns. They are narrowed for their way.
pub(super) fn cut(
    partials: &[RecordBatch],
    n_keys: usize,
    level: u32,
    narrowing: &Narrowing,
) -> Result<Shards> {
    let mut to = Vec::new();
    for partial in partials {
        if n_keys == 0 {
            to.resize(to.len() + partial.num_rows(), 0);
            continue;
        }
        let hashes = hash_rows(&partial.columns()[..n_keys])?.into_iter();
        to.extend(hashes.map(|hash| bucket_of(hash << (level * LEVEL_BITS), N_BUCKETS)));
    }
    let narrowed = partials.iter().map(|partial| narrowing.narrowed(partial));
    match &narrowed.collect::<Result<Vec<_>>>()?[..] {
        [one] => split(one, &to, n_buckets(n_keys)),
        many => split_all(many, &to, n_buckets(n_keys)),
    }
}

/// The partials of a bucket, as they came.
pub(super) fn partials(bucket: &Bucket) -> impl Iterator<Item = Result<RecordBatch>> {
    bucket.read().map(|narrowed| widened(&narrowed?))
}

/// Empty buckets.
pub(super) fn buckets(
    n_buckets: usize,
    budget: &Budget,
    room: u64,
    spill_dir: &Arc<SpillDir>,
) -> Buckets {
    Buckets::new(n_buckets, budget, room, Arc::clone(spill_dir))
}

/// So many buckets are partials cut into. Without keys all of them are of one group.
fn n_buckets(n_keys: usize) -> usize {
    match n_keys {
        0 => 1,
        _ => N_BUCKETS,
    }
}

impl GroupStore {
    /// An empty one for partials with so many keys; without any, all are of one group.
    pub fn new(n_keys: usize, budget: &Budget, room: u64, spill_dir: &Arc<SpillDir>) -> Self {
        GroupStore {
            n_keys,
            n_buckets: n_buckets(n_keys),
            budget: budget.clone(),
            spill_dir: Arc::clone(spill_dir),
            room,
            state: Mutex::default(),
        }
    }

    /// The same with so many buckets, for partials whose bucket is known.
    #[must_use]
    pub fn of_buckets(self, n_buckets: usize) -> Self {
        GroupStore { n_buckets, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn empty(&self, n_buckets: usize) -> Buckets {
        buckets(n_buckets, &self.budget, self.room, &self.spill_dir)
    }

    /// Takes in partials. Spills what the budget refuses.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if it must spill and cannot.
    pub fn push(&self, partials: &[RecordBatch]) -> Result<()> {
        let alike = |a: &RecordBatch, b: &RecordBatch| a.schema_ref() == b.schema_ref();
        for partials in partials.chunk_by(alike) {
            let narrowing = self.narrowing(partials);
            let shards = cut(partials, self.n_keys, 0, &narrowing)?;
            self.append(shards, types_of(&partials[0], self.n_keys))?;
        }
        Ok(())
    }

    /// Takes in a partial of groups that all are of one bucket, as all others of
    /// their keys are. Groups with a null in their key may be of any: they go to the first.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_to(&self, bucket: u32, partial: &RecordBatch) -> Result<()> {
        let keys = &partial.columns()[..self.n_keys];
        let has_null = |row: usize| keys.iter().any(|key| key.is_null(row));
        let rows = 0..partial.num_rows();
        let to = rows.map(|row| if has_null(row) { 0 } else { bucket });
        let to: Vec<u32> = to.collect();
        let narrowing = self.narrowing(std::slice::from_ref(partial));
        let shards = split(&narrowing.narrowed(partial)?, &to, self.n_buckets)?;
        self.append(shards, types_of(partial, self.n_keys))
    }

    /// What all need that came, these among them.
    fn narrowing(&self, partials: &[RecordBatch]) -> Narrowing {
        let each: Vec<Narrowing> = partials.iter().map(Narrowing::of).collect();
        let all = &mut self.state().narrowing;
        each.iter().for_each(|each| all.add(each));
        all.clone()
    }

    fn append(&self, shards: Shards, key_types: Vec<DataType>) -> Result<()> {
        let mut state = self.state();
        if !state.key_types.contains(&key_types) {
            state.key_types.push(key_types);
        }
        let buckets = &mut state.buckets;
        let buckets = buckets.get_or_insert_with(|| self.empty(self.n_buckets));
        buckets.push(shards)
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.state().buckets.is_none()
    }

    /// The buckets, once all keys have the types `key_types`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if rows must be read or spilled and cannot.
    pub fn finish(&self, key_types: &[DataType]) -> Result<Vec<Bucket>> {
        let state = std::mem::take(&mut *self.state());
        let Some(filled) = state.buckets else {
            return Ok(Vec::new());
        };
        if state.key_types.iter().all(|types| types == key_types) {
            return Ok(filled.finish());
        }
        let mut routed = self.empty(n_buckets(self.n_keys));
        let mut narrowing = Narrowing::default();
        for bucket in filled.finish() {
            for partial in partials(&bucket) {
                let partial = with_key_types(&partial?, key_types)?;
                narrowing.add(&Narrowing::of(&partial));
                routed.push(cut(&[partial], self.n_keys, 0, &narrowing)?)?;
            }
        }
        Ok(routed.finish())
    }
}

fn types_of(partial: &RecordBatch, n_keys: usize) -> Vec<DataType> {
    let keys = partial.columns()[..n_keys].iter();
    keys.map(|key| key.data_type().clone()).collect()
}

fn with_key_types(partial: &RecordBatch, types: &[DataType]) -> Result<RecordBatch> {
    let mut columns = in_key_types(&partial.columns()[..types.len()], types)?;
    columns.extend_from_slice(&partial.columns()[types.len()..]);
    let fields = partial.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
