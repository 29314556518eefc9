//! Rows to row groups.
//!
//! In:  rows in input order.
//! Out: row groups whose ends depend on the rows alone.
//!
//! ```text
//! rows ─▶ stream per folder ─▶ cut into partitions ─▶ row groups ─▶ jobs ─▶ append ─▶ part files
//!         (one without --partition-on)                                (in order)
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;

use super::hold::room_beside;
use super::waiting::Waiting;
use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, Reservation, SpillDir};
use crate::partition::{Cut, Cutter, batch_bytes};
use crate::sink::{Format, HivePath, WriteOptions, jobs, split};

/// Logical bytes of Arrow data in a row group (32 MiB): two being encoded and
/// one being filled hold 100 MiB, and measured files are within 2 % of those with four times as much.
const ROW_GROUP_BYTES: u64 = 32 << 20;

/// Most rows in a row group.
const ROW_GROUP_ROWS: u64 = 1 << 20;

/// Folders' rows that may wait together, before the largest become row groups.
const FOLDERS_BYTES: u64 = 96 << 20;

/// Bytes of those that become row groups at once: they are in memory together.
const SEALED_BYTES: u64 = 16 << 20;

/// How rows become part files.
pub(crate) struct WritePlan {
    pub options: WriteOptions,
    pub cut: Cut,
    /// Stored bytes after which a part file ends, if that decides.
    pub file_bytes: Option<u64>,
}

impl WritePlan {
    /// Logical bytes in a row group: no more than what a small file may hold.
    fn row_group_bytes(&self) -> u64 {
        match self.file_bytes {
            // Encoded rows are never larger than their logical bytes by more than
            // a little, and mostly a sixth: a file ends within a quarter of its target.
            Some(bytes) => bytes.clamp(64 << 10, ROW_GROUP_BYTES),
            None => ROW_GROUP_BYTES,
        }
    }
}

/// Where an encoded row group goes.
pub(crate) struct Tag {
    pub(super) folder: Option<HivePath>,
    pub(super) partition_idx: u64,
    /// Of the files.
    pub(super) schema: SchemaRef,
    /// Of the run, when it was sealed.
    pub(super) run_schema: RunSchema,
    pub(super) rows: u64,
    /// Logical bytes of its rows.
    pub bytes: u64,
}

/// Rows of one folder that wait to become a row group.
struct Stream {
    cutter: Cutter,
    partition_idx: u64,
    waiting: Waiting,
    /// Row groups of rows that had no column when they were complete, in front
    /// of all others: partitions and rows. They wait for a column to appear.
    bare: Vec<(u64, u64)>,
}

impl Stream {
    /// Turns what waits into a row group; the bytes that do not wait any more.
    fn seal(
        &mut self,
        plan: &WritePlan,
        folder: Option<&HivePath>,
        schema: &RunSchema,
        groups: &mut Vec<Group>,
    ) -> Result<u64> {
        let (rows, bytes) = (self.waiting.rows, self.waiting.bytes);
        if rows == 0 {
            return Ok(0);
        }
        let batches = self.waiting.take(schema)?;
        let output = schema.output()?;
        if output.fields().is_empty() && plan.options.format != Format::Json {
            self.bare.push((self.partition_idx, rows));
        } else {
            let group = |partition_idx, rows, bytes, batches| -> Result<Group> {
                Ok(Group {
                    jobs: jobs(&output, &plan.options, batches)?,
                    tag: Tag {
                        folder: folder.cloned(),
                        partition_idx,
                        schema: Arc::clone(&output),
                        run_schema: schema.clone(),
                        rows,
                        bytes,
                    },
                })
            };
            for (partition_idx, rows) in std::mem::take(&mut self.bare) {
                let batch = nulls(&output, rows)?;
                groups.push(group(
                    partition_idx,
                    rows,
                    batch_bytes(&batch),
                    vec![batch],
                )?);
            }
            groups.push(group(self.partition_idx, rows, bytes, batches)?);
        }
        Ok(bytes)
    }
}

/// Collects rows into row groups. Rows of folders that wait are spilled past the
/// budget; when they become row groups depends on all that wait, wherever they are.
pub(crate) struct RowGroups {
    plan: Arc<WritePlan>,
    row_group_bytes: u64,
    streams: HashMap<Option<HivePath>, Stream>,
    /// In order of first appearance, for a deterministic end.
    order: VecDeque<Option<HivePath>>,
    waiting_bytes: u64,
    budget: Budget,
    reservation: Reservation,
    spill_dir: Arc<SpillDir>,
}

impl RowGroups {
    pub fn new(plan: Arc<WritePlan>, budget: &Budget, spill_dir: &Arc<SpillDir>) -> Self {
        RowGroups {
            row_group_bytes: plan.row_group_bytes(),
            plan,
            streams: HashMap::new(),
            order: VecDeque::new(),
            waiting_bytes: 0,
            budget: budget.clone(),
            reservation: budget.open_leaving(room_beside(budget)),
            spill_dir: Arc::clone(spill_dir),
        }
    }

    /// Adds rows of one folder; row groups that fill up are sealed.
    fn add(
        &mut self,
        folder: Option<&HivePath>,
        rows: Rows,
        schema: &RunSchema,
        groups: &mut Vec<Group>,
    ) -> Result<()> {
        let key = folder.cloned();
        if !self.streams.contains_key(&key) {
            self.order.push_back(key.clone());
            self.streams.insert(
                key.clone(),
                Stream {
                    cutter: Cutter::new(self.plan.cut),
                    partition_idx: 0,
                    waiting: Waiting::default(),
                    bare: Vec::new(),
                },
            );
        }
        let stream = self.streams.get_mut(&key).expect("it was put there above");
        for piece in stream.cutter.push(&rows.batch, rows.text_bytes) {
            if piece.partition_idx != stream.partition_idx {
                self.waiting_bytes -= stream.seal(&self.plan, folder, schema, groups)?;
                stream.partition_idx = piece.partition_idx;
            }
            // A piece may be larger than a row group: rows are cut by their share of its bytes.
            let mut rest = piece.batch;
            while rest.num_rows() > 0 {
                let bytes = batch_bytes(&rest);
                let room = self
                    .row_group_bytes
                    .saturating_sub(stream.waiting.bytes)
                    .max(1);
                let room_rows = ROW_GROUP_ROWS - stream.waiting.rows;
                let fitting = if bytes <= room {
                    rest.num_rows() as u64
                } else {
                    (u128::from(room) * rest.num_rows() as u128 / u128::from(bytes)).max(1) as u64
                };
                let take = usize::try_from(fitting.min(room_rows).max(1))
                    .unwrap_or(usize::MAX)
                    .min(rest.num_rows());
                let piece = rest.slice(0, take);
                rest = rest.slice(take, rest.num_rows() - take);
                let bytes = batch_bytes(&piece);
                self.waiting_bytes += bytes;
                stream.waiting.push(piece, bytes, &rows.from, schema)?;
                let waiting = &stream.waiting;
                if waiting.bytes >= self.row_group_bytes || waiting.rows >= ROW_GROUP_ROWS {
                    self.waiting_bytes -= stream.seal(&self.plan, folder, schema, groups)?;
                }
            }
        }
        Ok(())
    }

    /// Logical bytes of the rows that wait in memory.
    fn held_bytes(&self) -> u64 {
        self.streams.values().map(|of| of.waiting.held_bytes).sum()
    }

    /// Seals the largest folders' row groups until there is some room again.
    fn make_room(&mut self, schema: &RunSchema, groups: &mut Vec<Group>) -> Result<()> {
        if self.waiting_bytes < FOLDERS_BYTES {
            return Ok(());
        }
        let mut largest: Vec<(u64, usize)> = self
            .order
            .iter()
            .enumerate()
            .filter_map(|(place, key)| Some((self.streams.get(key)?.waiting.bytes, place)))
            .collect();
        largest.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, place) in largest {
            if self.waiting_bytes < FOLDERS_BYTES - SEALED_BYTES {
                break;
            }
            let key = &self.order[place];
            if let Some(stream) = self.streams.get_mut(key) {
                self.waiting_bytes -= stream.seal(&self.plan, key.as_ref(), schema, groups)?;
            }
        }
        Ok(())
    }

    /// Moves the rows of all folders that wait in memory to one file.
    fn spill(&mut self, schema: &RunSchema) -> Result<()> {
        let mut writer = self.spill_dir.create_segments()?;
        let mut written = Vec::new();
        for key in &self.order {
            if let Some(stream) = self.streams.get_mut(key) {
                written.push((key, stream.waiting.spill(&mut writer, schema)?));
            }
        }
        let file = Arc::new(writer.finish()?);
        for (key, written) in written {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.waiting.lies_in(written, &file);
            }
        }
        tracing::debug!(folders = self.order.len(), "spilled rows that wait");
        self.reservation.resize_anyway(0);
        Ok(())
    }
}

/// Rows of which nothing was known when they came.
fn nulls(schema: &SchemaRef, rows: u64) -> Result<RecordBatch> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let columns = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), rows))
        .collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

impl Output for RowGroups {
    fn end_unit(&mut self) {
        for stream in self.streams.values_mut() {
            stream.cutter.end_partition();
        }
    }

    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        let mut groups = Vec::new();
        let plan = Arc::clone(&self.plan);
        let folders = &plan.options.partition_on;
        if folders.is_empty() {
            self.add(None, rows, schema, &mut groups)?;
        } else if rows.batch.num_rows() > 0 {
            let batch = schema.conform(&rows.batch, &rows.from)?;
            let n_rows = batch.num_rows() as u64;
            let taken = self.budget.takes(n_rows, batch_bytes(&batch));
            taken.map_err(|error| error.asked_by("partitioned write"))?;
            for (path, places) in split(&schema.folder_columns(&batch)?, folders)? {
                let rows = Rows {
                    batch: take_record_batch(&batch, &places)?,
                    from: schema.clone(),
                    text_bytes: 0,
                    folded: None,
                    bucket: None,
                    hot: None,
                    shards: None,
                };
                self.add(Some(&path), rows, schema, &mut groups)?;
            }
            self.make_room(schema, &mut groups)?;
        }
        let held = self.held_bytes();
        if !self.reservation.try_resize(held) {
            match folders.is_empty() {
                // The row group that is filled: bounded, and the writer's share.
                true => self.reservation.resize_anyway(held),
                false => self.spill(schema)?,
            }
        }
        Ok(groups)
    }

    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        let mut groups = Vec::new();
        let before = self.waiting_bytes;
        while before - self.waiting_bytes < SEALED_BYTES
            && let Some(key) = self.order.pop_front()
        {
            if let Some(mut stream) = self.streams.remove(&key) {
                self.waiting_bytes -= stream.seal(&self.plan, key.as_ref(), schema, &mut groups)?;
            }
        }
        self.reservation.resize_anyway(self.held_bytes());
        Ok(groups)
    }
}
