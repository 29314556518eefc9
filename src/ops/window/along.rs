//! Adds columns of windows as rows pass.
//!
//! In:  batches in order.
//! Out: the same rows, with a column for each window at the end.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema};

use super::column::{WindowColumn, refused, with_columns};
use super::groups::{Grouping, GroupsOf};
use crate::error::{Error, Result};
use crate::expr::{Expr, RowError, Running, WindowRows, ticks_of};
use crate::memory::{Budget, Reservation};
use crate::ops::Seen;

/// Rows with columns of windows, and the first row that one has no value for.
pub struct Windowed {
    /// The rows before it.
    pub batch: RecordBatch,
    /// Which row of the batch that went in, and why.
    pub failed: Option<Failed>,
}

/// A row that has no answer.
#[derive(Debug)]
pub struct Failed {
    /// Its place in the batch that went in.
    pub row: usize,
    /// Which of the windows has none; of those that fail on one row, the first.
    pub window: usize,
    /// Why.
    pub error: Error,
}

/// Adds columns of windows. Streaming, keeps rows and order. Holds, under the
/// budget, the keys of all groups, a state for each, and the rows that windows
/// hold: as many as a window is long for each group.
pub struct Windows {
    columns: Vec<AtWork>,
    groupings: Vec<Grouping>,
    memory: Option<Reservation>,
}

/// A window at work.
struct AtWork {
    column: WindowColumn,
    /// The place of its groups.
    grouping: usize,
    running: Box<dyn Running>,
}

/// What a window looks at, of a batch.
struct Inputs {
    values: Option<ArrayRef>,
    times: Option<Vec<Option<i64>>>,
}

/// What windows look at, of the rows before the first that one of them has no value for.
struct Looked {
    batch: RecordBatch,
    inputs: Vec<Inputs>,
    failed: Option<Failed>,
}

impl Windows {
    /// Windows that have seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key whose values cannot be told apart.
    pub fn try_new(columns: Vec<WindowColumn>) -> Result<Self> {
        let mut groupings = Vec::new();
        let at_work = columns.into_iter().map(|column| {
            Ok(AtWork {
                grouping: Grouping::among(&mut groupings, &column.by)?,
                running: column.bound.running(),
                column,
            })
        });
        Ok(Windows {
            columns: at_work.collect::<Result<_>>()?,
            groupings,
            memory: None,
        })
    }

    /// Takes what it holds from `budget`.
    pub fn take_from(&mut self, budget: &Budget) {
        self.memory = Some(budget.open());
    }

    /// Asks the budget for what is held, and holds it anyway. False if that refuses.
    pub fn hold(&mut self) -> bool {
        let bytes = self.bytes();
        let Some(memory) = &mut self.memory else {
            return true;
        };
        let held = memory.try_resize(bytes);
        if !held {
            memory.resize_anyway(bytes);
        }
        held
    }

    /// The error of windows that hold too much, and cannot hold less.
    pub fn refused(&self) -> Error {
        let bytes = self.bytes();
        match &self.memory {
            Some(memory) => refused(memory, bytes),
            None => Error::internal("windows were refused memory that they never asked for"),
        }
    }

    /// The rows with the columns of all windows.
    ///
    /// # Errors
    ///
    /// What evaluating gives where no row is to blame.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Windowed> {
        let Looked {
            batch,
            inputs,
            mut failed,
        } = self.inputs(batch)?;
        let groups = self.groupings.iter_mut();
        let groups = groups.map(|grouping| grouping.assign(&batch));
        let groups: Vec<GroupsOf> = groups.collect::<Result<_>>()?;
        let mut added = Vec::with_capacity(self.columns.len());
        let mut left = batch.num_rows();
        for (window, (at_work, inputs)) in self.columns.iter_mut().zip(&inputs).enumerate() {
            let groups = &groups[at_work.grouping];
            let ran = at_work.running.push(&WindowRows {
                groups: &groups.of_rows,
                n_groups: groups.n,
                values: inputs.values.as_ref(),
                times: inputs.times.as_deref(),
                beyond: false,
            })?;
            if let Some(at) = ran.failed.filter(|at| at.row < left) {
                left = at.row;
                failed = Some(Failed {
                    row: left,
                    window,
                    error: at.in_expression(at_work.column.bound.text()),
                });
            }
            added.push((Arc::clone(&at_work.column.field), ran.array));
        }
        let added = added
            .into_iter()
            .map(|(field, array)| (field, array.slice(0, left)));
        Ok(Windowed {
            batch: with_columns(&batch.slice(0, left), added)?,
            failed,
        })
    }

    /// What all windows look at, of the rows before the first that one of them has no value for.
    fn inputs(&self, batch: &RecordBatch) -> Result<Looked> {
        let (batch, inputs, failed) = before_failure(batch, |rows| self.inputs_of(rows))?;
        Ok(Looked {
            batch,
            inputs,
            failed,
        })
    }

    fn inputs_of(&self, batch: &RecordBatch) -> Result<Vec<Inputs>> {
        for key in self.groupings.iter().flat_map(Grouping::keys) {
            key.column(batch)?;
        }
        let of = |AtWork { column, .. }: &AtWork| {
            let times = column.time.as_ref().map(|time| time.column(batch));
            Ok(Inputs {
                values: column.values(batch)?,
                times: match times.transpose()? {
                    Some(times) => Some(ticks_of(&times)?),
                    None => None,
                },
            })
        };
        self.columns.iter().map(of).collect()
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let groups = self.groupings.iter().map(Grouping::bytes);
        let running = self.columns.iter().map(|of| of.running.bytes());
        groups.chain(running).sum::<usize>() as u64
    }

    /// Whether any of them looks at rows by key.
    pub fn has_keys(&self) -> bool {
        let mut groupings = self.groupings.iter();
        groupings.any(|grouping| !grouping.keys().is_empty())
    }

    /// How many groups there are, all keys together.
    pub fn n_groups(&self) -> usize {
        self.groupings.iter().map(Grouping::len).sum()
    }

    /// The columns that they give.
    pub fn fields(&self) -> Vec<FieldRef> {
        let fields = self.columns.iter().map(|of| &of.column.field);
        fields.cloned().collect()
    }

    /// The windows by the same keys, each such kind apart, which go on where they
    /// stand over the columns that [`Apart`] works out.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] for columns that cannot be named.
    pub fn apart(self) -> Result<Vec<(Apart, Windows)>> {
        let mut kinds: Vec<Vec<(usize, AtWork)>> =
            self.groupings.iter().map(|_| Vec::new()).collect();
        for (window, at_work) in self.columns.into_iter().enumerate() {
            kinds[at_work.grouping].push((window, at_work));
        }
        let kinds = self.groupings.into_iter().zip(kinds);
        kinds
            .map(|(groups, windows)| apart(groups, windows))
            .collect()
    }

    /// The keys of all groups so far, in the order of their numbers, where all
    /// windows have the same.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if texts of keys take more than 2 GiB.
    pub fn known(&self) -> Result<Vec<ArrayRef>> {
        let first = self.groupings.first();
        first.map_or(Ok(Vec::new()), Grouping::known)
    }

    /// The same windows, which have seen nothing.
    ///
    /// # Errors
    ///
    /// As [`Windows::try_new`].
    pub fn anew(&self) -> Result<Windows> {
        Windows::try_new(self.columns.iter().map(|of| of.column.clone()).collect())
    }

    /// As many as `n`, all windows of which have the same keys: each goes on with
    /// the groups that `part_of` gives it; none where there is no group. They hold
    /// nothing of the budget.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if texts of keys take more than 2 GiB.
    pub fn split(self, part_of: &[u32], n: usize) -> Result<Vec<Option<Windows>>> {
        let nothing = || Windows {
            columns: Vec::new(),
            groupings: Vec::new(),
            memory: None,
        };
        let mut parts: Vec<Windows> = (0..n).map(|_| nothing()).collect();
        for grouping in self.groupings {
            let split = grouping.split(part_of, n)?;
            parts
                .iter_mut()
                .zip(split)
                .for_each(|(part, groups)| part.groupings.push(groups));
        }
        for at_work in self.columns {
            let split = at_work.running.split(part_of, n)?;
            for (part, running) in parts.iter_mut().zip(split) {
                part.columns.push(AtWork {
                    column: at_work.column.clone(),
                    grouping: at_work.grouping,
                    running,
                });
            }
        }
        let mut filled = vec![false; n];
        part_of
            .iter()
            .for_each(|part| filled[*part as usize] = true);
        let parts = parts.into_iter().zip(filled);
        Ok(parts.map(|(part, filled)| filled.then_some(part)).collect())
    }
}

/// Windows by the same keys, which look at columns that were worked out before.
pub struct Apart {
    /// Their places among all windows.
    pub places: Vec<usize>,
    /// What works these columns out: first those of keys, as many as `n_keys`.
    looks: Vec<(FieldRef, Look)>,
    /// How many of them are keys.
    pub n_keys: usize,
}

/// What works out a column that windows look at.
enum Look {
    /// A key, or a time.
    At(Seen),
    /// What a window is made of.
    Values(Box<WindowColumn>),
}

impl Apart {
    /// The columns that these windows look at.
    pub fn fields(&self) -> impl Iterator<Item = FieldRef> {
        self.looks.iter().map(|(field, _)| Arc::clone(field))
    }

    /// What these windows look at, of a batch of rows.
    ///
    /// # Errors
    ///
    /// Of the first row that a column has no value for.
    pub fn columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let column = |(field, look): &(FieldRef, Look)| match look {
            Look::At(seen) => seen.column(batch),
            Look::Values(window) => {
                let values = window.values(batch)?;
                values.ok_or_else(|| Error::internal(format!("{field} has no values")))
            }
        };
        self.looks.iter().map(column).collect()
    }
}

fn apart(groups: Grouping, windows: Vec<(usize, AtWork)>) -> Result<(Apart, Windows)> {
    let mut looks: Vec<(FieldRef, Look)> = Vec::new();
    // The column that an expression gives, by the name that it has from now on.
    let mut named = |name: String, of: DataType, look: Look| {
        let field = Arc::new(Field::new(&name, of, true));
        let schema = Schema::new(vec![Arc::clone(&field)]);
        let seen = Seen::as_named(Expr::Column(name).bind(&schema)?);
        looks.push((field, look));
        Ok::<_, Error>(seen)
    };
    let by = groups.keys().iter().enumerate().map(|(idx, key)| {
        let of = key.bound().column_type();
        named(format!("key{idx}"), of, Look::At(key.clone()))
    });
    let by = by.collect::<Result<Vec<_>>>()?;
    let (mut places, mut columns) = (Vec::new(), Vec::new());
    for (place, at_work) in windows {
        let column = at_work.column;
        let value = column.value.as_ref().map(|_| {
            let of = column.bound.value_type().clone();
            named(
                format!("value{place}"),
                of,
                Look::Values(Box::new(column.clone())),
            )
        });
        let time = column.time.as_ref().map(|time| {
            let of = time.bound().column_type();
            named(format!("time{place}"), of, Look::At(time.clone()))
        });
        places.push(place);
        columns.push(AtWork {
            column: WindowColumn {
                value: value.transpose()?,
                time: time.transpose()?,
                by: by.clone(),
                ..column
            },
            grouping: 0,
            running: at_work.running,
        });
    }
    let apart = Apart {
        places,
        n_keys: by.len(),
        looks,
    };
    let windows = Windows {
        columns,
        groupings: vec![groups.called(by)],
        memory: None,
    };
    Ok((apart, windows))
}

/// What `run` makes of the rows before the first that it has no answer for.
pub(crate) fn before_failure<T>(
    batch: &RecordBatch,
    run: impl Fn(&RecordBatch) -> Result<T>,
) -> Result<(RecordBatch, T, Option<Failed>)> {
    let mut batch = batch.clone();
    let mut failed = None;
    loop {
        let error = match run(&batch) {
            Ok(made) => return Ok((batch, made, failed)),
            Err(error) => error,
        };
        let Some(row) = RowError::of(&error).map(|at| at.row) else {
            return Err(error);
        };
        batch = batch.slice(0, row);
        failed = Some(Failed {
            row,
            window: 0,
            error,
        });
    }
}
