//! Rows folded on any thread.
//!
//! In:  rows of chunks, each with the schema it was decoded under.
//! Out: partials of chunks, for whoever merges them in input order; or, where
//!      order changes nothing, folders that have taken in many chunks each.
//!
//! ```text
//! order matters       chunk ─▶ partial ─ in input order ─▶ one folder ─▶ rows
//! order is the same   chunk ─▶ any idle folder ─ at the end ─▶ merged ─▶ rows
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::folder::Folder;
use super::group::{Aside, GroupStore, N_BUCKETS};
use super::hot_groups::ChunkKeys;
use super::output::room_beside;
use super::schema::RunSchema;
use super::together::Together;
use super::worker::Worked;
use crate::error::{Error, Result};
use crate::memory::{Budget, Reservation, SpillDir};
use crate::ops::{self, Bar, Ungrouped};
use crate::plan::Fold;

/// What workers fold rows into: a fold, and the columns it was checked against.
#[derive(Debug, Clone)]
pub(crate) struct FoldPlan {
    /// What asks for it, as errors call that.
    pub operator: &'static str,
    pub fold: Fold,
    pub schema: SchemaRef,
    /// The column that tells where rows stand in the input, where they do not
    /// come in its order.
    pub place: Option<String>,
}

impl FoldPlan {
    /// Groups that have seen nothing, if groups are what rows are folded into.
    pub fn groups(&self) -> Result<ops::Aggregate> {
        match self.bind()? {
            ops::Fold::Groups(groups) => Ok(groups),
            _ => Err(Error::internal("no groups are folded here")),
        }
    }

    /// The fold, which has seen nothing.
    pub fn bind(&self) -> Result<ops::Fold> {
        Ok(match self.fold.bind(&self.schema)? {
            ops::Fold::Groups(groups) => ops::Fold::Groups(groups.placed_by(self.place.clone())),
            fold => fold,
        })
    }

    /// The error of a fold that the budget refused `wanted` bytes.
    pub fn refused(&self, reservation: &Reservation, wanted: u64) -> Error {
        let cure = "raise --memory, or fold into fewer groups or rows";
        reservation.refused(self.operator, wanted, cure)
    }
}

/// How rows are folded, by workers and behind them.
pub(crate) struct Folding {
    pub plan: FoldPlan,
    /// Where groups go that memory does not hold: one for each table of a folder.
    pub stores: Vec<GroupStore>,
    /// Whether anything went there: then the rest will, and nothing waits.
    leaves: AtomicBool,
    /// Whether rows can pass by the table: there is one, and it has keys.
    passes: bool,
    /// Where the groups of each unit go, if those of one key lie together already.
    together: Option<Together>,
    /// Whether rows of a key are folded before all of its rows have met.
    early: bool,
    /// Whether order changes nothing: then workers fold into whichever folder is idle.
    pooled: bool,
    budget: Budget,
    /// No more than threads. A thread takes one for each chunk.
    idle: Mutex<Vec<Held>>,
    /// What rows of chunks that come behind those merged so far must be better
    /// than, where the best rows are what rows are folded into.
    bar: Mutex<Option<Arc<Bar>>>,
}

impl Folding {
    /// The way that gives the same answer however many threads there are. Not
    /// `early`, all rows pass by the tables of workers, where they can. `together`
    /// is for rows that are folded where they are.
    pub fn new(
        plan: FoldPlan,
        early: bool,
        together: Option<Together>,
        budget: &Budget,
        spill_dir: &Arc<SpillDir>,
    ) -> Result<Self> {
        let mut fold = Folder::bind(&plan)?.fold;
        let stores = fold.tables().into_iter().map(|groups| {
            // The room is that of tables, which give to the store what they may not hold.
            let store = GroupStore::new(groups.n_keys(), budget, room_beside(budget), spill_dir);
            match &together {
                Some(together) => store.of_buckets(together.n_buckets),
                None => store,
            }
        });
        Ok(Folding {
            stores: stores.collect(),
            leaves: AtomicBool::new(false),
            early: early || together.is_some(),
            passes: together.is_none()
                && matches!(&fold, ops::Fold::Groups(groups) if groups.n_keys() > 0),
            together,
            pooled: fold.is_order_free(),
            plan,
            budget: budget.clone(),
            idle: Mutex::new(Vec::new()),
            bar: Mutex::new(None),
        })
    }

    /// Whether workers are to take in rows.
    pub fn has_workers(&self) -> bool {
        self.early || self.pooled && self.passes
    }

    /// Folds the rows of chunk `chunk` of the input: what was made of them
    /// takes their place, or stays here. `own` is the thread's.
    pub fn fold(&self, own: &mut Option<Folder>, worked: &mut Worked, chunk: u64) -> Result<()> {
        let (rows, schema) = (&worked.batch, &worked.schema);
        worked.hot = self.hot_keys(rows, schema, chunk)?;
        let bucket = self.together.as_ref().map(|of| of.bucket(chunk));
        let bucket = bucket.transpose()?;
        if self.pooled {
            let mut held = match self.take_idle(bucket) {
                Some(held) => held,
                None => self.open()?,
            };
            held.thread = Some(std::thread::current().id());
            held.go_on_in(bucket, &self.stores)?;
            match held.passing {
                0 => {
                    held.folder.push(rows, schema, schema, chunk)?;
                    held.rows += rows.num_rows() as u64;
                    self.settle(&mut held)?;
                }
                _ => self.pass(&mut held, rows, schema, chunk)?,
            }
            self.idle().push(held);
            worked.folded = Some(Vec::new());
        } else {
            let folder = match own {
                Some(folder) => folder,
                None => own.insert(Folder::bind(&self.plan)?),
            };
            // Which bar it is shows nowhere: rows that are not better leave later.
            if let ops::Fold::Top(top) = &mut folder.fold {
                top.set_bar(lock(&self.bar).clone());
            }
            folder.push(rows, schema, schema, chunk)?;
            folder.held = None;
            worked.folded = Some(folder.fold.partial()?);
            worked.bucket = bucket;
        }
        worked.count_only()
    }

    /// Keys that many rows of chunk `chunk` have, where rows are grouped by keys.
    pub fn hot_keys(
        &self,
        rows: &RecordBatch,
        schema: &RunSchema,
        chunk: u64,
    ) -> Result<Option<ChunkKeys>> {
        match &self.plan.fold {
            Fold::Groups { keys, .. } => ChunkKeys::of(rows, schema, keys, chunk),
            _ => Ok(None),
        }
    }

    /// Lets workers know how good the rows are that were merged so far.
    pub fn raise_bar(&self, held: &mut Held) -> Result<()> {
        if let ops::Fold::Top(top) = &mut held.folder.fold
            && let Some(bar) = top.bar()?
        {
            *lock(&self.bar) = Some(bar);
        }
        Ok(())
    }

    /// An idle folder: one with groups of the same bucket, else the one that this
    /// thread had last, if there is one, since it lies in the caches of its core.
    fn take_idle(&self, bucket: Option<u32>) -> Option<Held> {
        let thread = Some(std::thread::current().id());
        let mut idle = self.idle();
        let alike = |held: &Held| bucket.is_some() && held.bucket == bucket;
        let alike = idle.iter().position(alike);
        match alike.or_else(|| idle.iter().position(|held| held.thread == thread)) {
            Some(own) => Some(idle.swap_remove(own)),
            None => idle.pop(),
        }
    }

    /// A folder that has seen nothing.
    pub fn open(&self) -> Result<Held> {
        Ok(Held {
            folder: Folder::bind(&self.plan)?,
            reservation: self.budget.open(),
            rows: 0,
            passing: if self.early { 0 } else { u64::MAX },
            aside: Aside::new(&self.budget),
            bucket: None,
            thread: None,
        })
    }

    /// Sees to it that a folder holds no more than it may: groups leave for the
    /// store if the budget refuses them, or if they are many and few rows share one.
    pub fn settle(&self, held: &mut Held) -> Result<()> {
        // What leaves for the store stands beside what it is made of; where it
        // is one row of all values, or of several tables, once more on its way there,
        // and an allocator keeps about as much of the tables before.
        let copies = match (self.stores.is_empty(), self.passes) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 4,
        };
        let mut wanted = copies * held.folder.bytes();
        let mut fits = held.reservation.try_resize(wanted);
        if let (false, ops::Fold::Top(top)) = (fits, &mut held.folder.fold) {
            top.cut()?;
            wanted = held.folder.bytes();
            fits = held.reservation.try_resize(wanted);
        }
        if self.stores.is_empty() {
            return match fits {
                true => Ok(()),
                false => Err(self.plan.refused(&held.reservation, wanted)),
            };
        }
        let n_groups = held.folder.n_groups();
        let shared = n_groups * LEAST_SHARED <= held.rows;
        if fits && (n_groups < CACHED_GROUPS || shared) {
            return Ok(());
        }
        if !self.passes {
            return held.leave_for(&self.stores);
        }
        if self.pooled && held.rows < n_groups * LEAST_FEWER {
            held.passing = PASSED_ROWS;
        }
        let groups = held.set_aside()?;
        self.put_aside(held, groups)
    }

    /// Lets rows by the table that would hardly be fewer behind it: they wait as
    /// they are.
    fn pass(
        &self,
        held: &mut Held,
        rows: &RecordBatch,
        schema: &RunSchema,
        chunk: u64,
    ) -> Result<()> {
        let rows = held.folder.ungrouped(rows, schema, chunk)?;
        held.passing = held.passing.saturating_sub(rows.n_rows as u64);
        self.put_aside(held, rows)
    }

    /// Keeps rows until all were seen; where the budget refuses that, they and all
    /// that come behind them go to the store, many at a time.
    fn put_aside(&self, held: &mut Held, rows: Ungrouped) -> Result<()> {
        let fits = held.aside.push(rows);
        if !fits {
            self.leaves.store(true, Ordering::Relaxed);
        }
        let many = held.aside.has_many() || held.passing == 0;
        match !fits || many && self.leaves.load(Ordering::Relaxed) {
            true => held.leave_for(&self.stores),
            false => Ok(()),
        }
    }

    /// Whether all groups of one key lay together before.
    pub fn is_together(&self) -> bool {
        self.together.is_some()
    }

    /// Whether rows can pass by the table, and groups wait beside it.
    pub fn passes(&self) -> bool {
        self.passes
    }

    /// Whether groups left for a store.
    pub fn has_left(&self) -> bool {
        !self.stores.iter().all(GroupStore::is_empty)
    }

    /// Tables together have so many groups, or hold so much, that merging them is
    /// work for all threads.
    pub fn has_many(&self, held: &[Held]) -> bool {
        if held.iter().any(Held::has_aside) {
            return true;
        }
        let groups: u64 = held.iter().map(|held| held.folder.n_groups()).sum();
        let bytes: u64 = held.iter().map(|held| held.reservation.bytes()).sum();
        held.len() > 1
            && (groups >= MANY_GROUPS || bytes >= MANY_BYTES && groups >= N_BUCKETS as u64)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Held>> {
        lock(&self.idle)
    }

    /// The folders that took in chunks, once no thread has any.
    pub fn take(&self) -> Vec<Held> {
        std::mem::take(&mut *self.idle())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Groups whose keys and states fit the second-level cache, about. Measured:
/// beyond it a row costs several times as much, and buckets pay.
const CACHED_GROUPS: u64 = 1 << 17;

/// Rows that must share a group on average for a larger table to pay.
const LEAST_SHARED: u64 = 4;

/// Rows a group of a table that is full: where they are fewer, rows pass by. Where
/// equal keys stand near each other, one table after the other is filled instead.
const LEAST_FEWER: u64 = 2;

/// Rows that pass by a table until it is tried again: it costs a ninth of them.
const PASSED_ROWS: u64 = 8 * CACHED_GROUPS;

/// Groups of several tables, or bytes of theirs, from which on buckets are
/// merged: below, one thread is done before they are filled.
const MANY_GROUPS: u64 = 1 << 19;
const MANY_BYTES: u64 = 32 << 20;

/// A folder, with what it holds of the budget.
pub(crate) struct Held {
    pub folder: Folder,
    pub reservation: Reservation,
    /// Rows since groups last left the table.
    pub rows: u64,
    /// Rows that are still to pass by the table, which is empty as long.
    passing: u64,
    /// Rows that passed by, and groups that left.
    aside: Aside,
    /// The bucket that all its groups are of, where that is known.
    bucket: Option<u32>,
    /// Who had it last.
    thread: Option<ThreadId>,
}

impl Held {
    /// Takes all groups out of the table.
    fn set_aside(&mut self) -> Result<Ungrouped> {
        let groups = self.folder.table()?.set_aside()?;
        self.rows = 0;
        // An empty table is small and must be.
        self.reservation.resize_anyway(self.folder.bytes());
        Ok(groups)
    }

    /// Goes on with groups of a bucket; those of another one leave for the stores.
    pub fn go_on_in(&mut self, bucket: Option<u32>, stores: &[GroupStore]) -> Result<()> {
        if self.bucket != bucket && self.rows > 0 {
            self.leave_for(stores)?;
        }
        self.bucket = bucket;
        Ok(())
    }

    /// Puts all there is into the stores.
    pub fn leave_for(&mut self, stores: &[GroupStore]) -> Result<()> {
        for (table, store) in self.folder.fold.tables().into_iter().zip(stores) {
            if table.n_keys() == 0 {
                store.push(&[table.partial()?])?;
                continue;
            }
            if let Some(bucket) = self.bucket {
                store.push_to(bucket, &table.partial()?)?;
                continue;
            }
            // What waits came before. Of a fold with several tables, nothing does.
            self.aside.push_anyway(table.set_aside()?);
            self.aside.leave_for(store, table)?;
        }
        self.rows = 0;
        self.reservation.resize_anyway(self.folder.bytes());
        Ok(())
    }

    /// Whether anything is here that is in no table.
    pub fn has_aside(&self) -> bool {
        self.aside.n_rows() > 0
    }

    /// All there is, where rows can pass by the table.
    pub fn into_aside(mut self) -> Result<Aside> {
        let groups = self.set_aside()?;
        self.aside.push_anyway(groups);
        Ok(self.aside)
    }
}
