//! Rows that wait until windows can be told of them.
//!
//! In:  batches in order, with what is known of each.
//! Out: behind the last one, the same batches with the columns of all windows.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::Room;
use super::by_key::{ByKey, Hashes};
use super::by_place::{ByPlaces, FailedAt, InOrder};
use crate::error::{Error, Result};
use crate::exec::output::room_beside;
use crate::exec::schema::RunSchema;
use crate::io::json::Line;
use crate::memory::{self, RowStore};
use crate::ops::window::{Apart, Failed, Windows, before_failure, with_columns};

/// What happened, in input order.
pub(in crate::exec) enum Event {
    /// Rows came.
    Rows(Came),
    /// A unit ended, as the partition of this number.
    EndUnit(u64),
}

/// What is known of rows that came.
pub(in crate::exec) struct Came {
    pub n_rows: usize,
    /// The place of their sheet among those of the inputs.
    pub sheet: usize,
    pub first_byte: Option<u64>,
    pub lines_before: u64,
    pub text_bytes: u64,
    /// The schema of the batch, and as the run knows it.
    pub schema: SchemaRef,
    pub from: RunSchema,
    /// Whether the place of each row in its chunk is known.
    pub has_places: bool,
    /// Partitions that had ended before.
    pub n_ended: u64,
}

/// Rows that wait, and windows by key.
pub(crate) struct Late {
    /// The columns of all windows.
    fields: Vec<FieldRef>,
    kinds: Vec<Kind>,
    log: RowStore,
    events: VecDeque<Event>,
    rows: u64,
    room: Room,
}

/// Windows by the same keys.
struct Kind {
    apart: Apart,
    schema: SchemaRef,
    by_key: ByKey,
}

impl Late {
    /// Lets windows go on where they stand, by key.
    ///
    /// # Errors
    ///
    /// As [`Windows::split`].
    pub fn new(windows: Windows, room: &Room) -> Result<Self> {
        let kind = |(looks, windows): (Apart, Windows)| {
            let place = Arc::new(Field::new("place", DataType::UInt64, false));
            let fields: Vec<FieldRef> = looks.fields().chain([place]).collect();
            Ok(Kind {
                schema: Arc::new(Schema::new(fields)),
                by_key: ByKey::new(windows, looks.n_keys, Hashes::ALL, room)?,
                apart: looks,
            })
        };
        let (budget, spill_dir) = (&room.budget, Arc::clone(&room.spill_dir));
        Ok(Late {
            fields: windows.fields(),
            kinds: windows
                .apart()?
                .into_iter()
                .map(kind)
                .collect::<Result<_>>()?,
            log: RowStore::new(budget, room_beside(budget), spill_dir),
            events: VecDeque::new(),
            rows: 0,
            room: room.clone(),
        })
    }

    /// Keeps rows, and the place of each in its chunk, up to the first that windows
    /// cannot look at; which one that is, and why.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] for a batch that would not fit alone; [`Error::Io`] if rows
    /// must be spilled and cannot; what evaluating gives where no row is to blame.
    pub fn push(
        &mut self,
        batch: &RecordBatch,
        places: Option<&[Line]>,
        came: Came,
    ) -> Result<Option<Failed>> {
        let (rows, looks, failed) = before_failure(batch, |rows| {
            let looks = self.kinds.iter().map(|kind| kind.apart.columns(rows));
            looks.collect::<Result<Vec<_>>>()
        })?;
        self.room.takes(&rows)?;
        let n_rows = rows.num_rows();
        self.events.push_back(Event::Rows(Came { n_rows, ..came }));
        if n_rows == 0 {
            return Ok(failed);
        }
        let end = self.rows + n_rows as u64;
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(self.rows..end));
        self.rows = end;
        for (kind, mut looks) in self.kinds.iter_mut().zip(looks) {
            looks.push(Arc::clone(&numbers));
            let looks = RecordBatch::try_new(Arc::clone(&kind.schema), looks)?;
            kind.by_key.push(&looks)?;
        }
        self.log.push(match places {
            Some(places) => with_lines(&rows, &places[..n_rows])?,
            None => rows,
        })?;
        Ok(failed)
    }

    /// Notes that a unit ended.
    pub fn end_unit(&mut self, n_ended: u64) {
        self.events.push_back(Event::EndUnit(n_ended));
    }

    /// Tells the windows, of the rows that came.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if what one group holds does not fit; [`Error::Io`].
    pub fn replay(self) -> Result<Replay> {
        let mut failed: Option<FailedAt> = None;
        let mut columns = Vec::with_capacity(self.kinds.len());
        for kind in self.kinds {
            let own = kind.apart.places;
            let fields = own.iter().map(|place| Arc::clone(&self.fields[*place]));
            let bytes = kind.by_key.bytes();
            let told = ByPlaces::new(fields.collect(), self.rows, bytes, &self.room);
            kind.by_key.finish(&told, true)?;
            let (in_order, failed_here) = told.finish();
            if let Some(mut at) = failed_here {
                at.failed.window = own[at.failed.window];
                if failed.as_ref().is_none_or(|first| at.is_before(first)) {
                    failed = Some(at);
                }
            }
            columns.push((own, in_order));
        }
        Ok(Replay {
            fields: self.fields,
            log: self.log.replay(),
            events: self.events,
            columns,
            rows: 0,
            failed,
        })
    }
}

/// Rows that waited, in their order, with the columns of windows.
pub(in crate::exec) struct Replay {
    fields: Vec<FieldRef>,
    log: memory::Replay,
    events: VecDeque<Event>,
    /// Columns of some windows, and which those are.
    columns: Vec<(Vec<usize>, InOrder)>,
    /// Rows that were given.
    rows: u64,
    failed: Option<FailedAt>,
}

/// Rows with the columns of windows.
pub(in crate::exec) struct Told {
    pub batch: RecordBatch,
    /// The place of each row in its chunk.
    pub places: Option<Vec<Line>>,
    /// The first row that has no answer: the rows end in front of it.
    pub failed: Option<Failed>,
}

impl Replay {
    /// What happened next.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The rows that came then.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if they were spilled and cannot be read.
    pub fn rows(&mut self, came: &Came) -> Result<Told> {
        let (batch, places) = self.waited(came)?;
        let first = self.rows;
        self.rows += came.n_rows as u64;
        let failed = self.failed.take_if(|at| at.place < self.rows);
        let failed = failed.map(|at| Failed {
            row: (at.place - first) as usize,
            ..at.failed
        });
        let left = failed.as_ref().map_or(came.n_rows, |failed| failed.row);
        let mut made: Vec<Option<ArrayRef>> = vec![None; self.fields.len()];
        for (own, columns) in &mut self.columns {
            let columns = columns.take(left)?;
            for (place, column) in own.iter().zip(columns.columns()) {
                made[*place] = Some(Arc::clone(column));
            }
        }
        let made: Option<Vec<ArrayRef>> = made.into_iter().collect();
        let made = made.ok_or_else(|| Error::internal("a window was told of no row"))?;
        let added = self.fields.iter().cloned().zip(made);
        Ok(Told {
            batch: with_columns(&batch.slice(0, left), added)?,
            places,
            failed,
        })
    }

    /// The rows as they came, with the place of each in its chunk.
    fn waited(&mut self, came: &Came) -> Result<(RecordBatch, Option<Vec<Line>>)> {
        if came.n_rows == 0 {
            let none = RecordBatch::new_empty(Arc::clone(&came.schema));
            return Ok((none, came.has_places.then(Vec::new)));
        }
        let batch = self.log.next().transpose()?;
        let batch = batch.filter(|batch| batch.num_rows() == came.n_rows);
        let batch = batch.ok_or_else(|| Error::internal("rows that waited are gone"))?;
        match came.has_places {
            true => without_lines(&batch),
            false => Ok((batch, None)),
        }
    }
}

/// Rows with the place of each in its chunk in two last columns.
fn with_lines(rows: &RecordBatch, lines: &[Line]) -> Result<RecordBatch> {
    let numbers = |of: fn(&Line) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(lines.iter().map(of)))
    };
    let field = |name: &str| Arc::new(Field::new(name, DataType::UInt64, false));
    let added = [
        (field("byte"), numbers(|line| line.byte as u64)),
        (field("line"), numbers(|line| line.number)),
    ];
    with_columns(rows, added)
}

/// As rows were before [`with_lines`], and the place of each.
fn without_lines(rows: &RecordBatch) -> Result<(RecordBatch, Option<Vec<Line>>)> {
    let n_columns = rows.num_columns() - 2;
    let numbers = |idx: usize| rows.column(idx).as_primitive::<UInt64Type>().values();
    let lines = numbers(n_columns).iter().zip(numbers(n_columns + 1));
    let lines = lines.map(|(byte, number)| Line {
        byte: *byte as usize,
        number: *number,
    });
    let lines = lines.collect();
    let columns: Vec<usize> = (0..n_columns).collect();
    Ok((rows.project(&columns)?, Some(lines)))
}
