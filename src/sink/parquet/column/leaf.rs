//! A column as Parquet sees it: leaves, each with levels and the values that are there.
//!
//! In:  the arrays of one column of a row group.
//! Out: for each leaf, in the order of the Parquet schema, its levels and values.
//!
//! A slot is a place where a value could be. Walking from the column to a leaf,
//! every nullable step and every list raises the definition level of the slots
//! that are still there; lists also make slots, which have a repetition level:
//!
//! ```text
//! rows        {"tags":["a",null]}   {"tags":[]}   {}
//! slots        "a"      null          -           -
//! definition    3        2            1           0
//! repetition    0        1            0           0
//! ```

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, Field};

use super::shelf::Shelf;
use super::values::{Kind, Values};
use crate::error::{Error, Result};

/// A slot without a row: something above it is null or empty.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One leaf column of a row group.
pub(crate) struct Leaf<'a> {
    pub(super) levels: Levels,
    pub(super) values: Values<'a>,
}

/// The levels of all slots of a leaf.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// Slots, with and without a value.
    pub(super) count: usize,
    pub(super) max_definition: u8,
    pub(super) max_repetition: u8,
    /// Rows there will be: at least as many slots.
    rows: usize,
    /// A level for every slot; nothing while all have a value.
    definition: Shelf<u8>,
    /// A level for every slot; nothing where there is no list.
    repetition: Shelf<u8>,
}

impl Levels {
    /// The definition level of every slot, unless all have a value.
    pub(super) fn definition(&self) -> Option<&[u8]> {
        (!self.definition.is_empty()).then_some(&self.definition)
    }

    /// The repetition level of every slot, if there are lists.
    pub(super) fn repetition(&self) -> Option<&[u8]> {
        (self.max_repetition > 0).then_some(&self.repetition)
    }

    fn append(&mut self, slots: &Slots) {
        match slots {
            Slots::Every(rows) => {
                self.count += rows;
                if !self.definition.is_empty() {
                    self.definition.resize(self.count, self.max_definition);
                }
            }
            Slots::Some(slots) => {
                if self.definition.is_empty() {
                    self.definition = Shelf::with_capacity(self.rows);
                    self.definition.resize(self.count, self.max_definition);
                }
                self.definition.extend_from_slice(&slots.definition);
                self.repetition.extend_from_slice(&slots.repetition);
                self.count += slots.rows.len();
            }
        }
    }
}

/// The way from a column to a leaf of it.
#[derive(Debug, Clone)]
struct Way {
    steps: Vec<Step>,
    /// Of the leaf itself.
    nullable: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Into a member of a struct.
    Member { nullable: bool, idx: usize },
    /// Into the items of a list, or the entries of a map.
    Items { nullable: bool },
}

/// The ways to all leaves of a column, if this module can write each of them.
fn ways(column: &Field) -> Option<Vec<Way>> {
    let mut ways = Vec::new();
    // A stack, not recursion; children are pushed last first.
    let mut stack = vec![(column, Vec::new())];
    while let Some((field, steps)) = stack.pop() {
        let nullable = field.is_nullable();
        match field.data_type() {
            DataType::Struct(members) => {
                for (idx, member) in members.iter().enumerate().rev() {
                    let mut steps = steps.clone();
                    steps.push(Step::Member { nullable, idx });
                    stack.push((member, steps));
                }
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                let mut steps = steps;
                steps.push(Step::Items { nullable });
                stack.push((item, steps));
            }
            other => ways.push(Way {
                steps,
                nullable,
                kind: Kind::of(other)?,
            }),
        }
    }
    // Each step adds two levels at most.
    let short = |way: &Way| way.steps.len() * 2 < usize::from(u8::MAX);
    ways.iter().all(short).then_some(ways)
}

/// The leaves of a column, or nothing if one of them is of a type that is left
/// to the crate's writer.
///
/// # Errors
///
/// [`Error::External`] if a null is where the column's field allows none.
pub(crate) fn leaves<'a>(column: &Field, arrays: &'a [ArrayRef]) -> Result<Option<Vec<Leaf<'a>>>> {
    let Some(ways) = ways(column) else {
        return Ok(None);
    };
    let failed = |reason| {
        Error::external(
            format!("encoding column {:?} as Parquet", column.name()),
            parquet::errors::ParquetError::General(reason),
        )
    };
    let leaves = ways.iter().map(|way| leaf(way, arrays).map_err(failed));
    leaves.collect::<Result<_>>().map(Some)
}

/// The leaves of a nullable column of which every row is null, or nothing if
/// one of them is of a type that is left to the crate's writer.
pub(crate) fn null_leaves(column: &Field, rows: usize) -> Option<Vec<Leaf<'static>>> {
    let leaf = |way: &Way| {
        let levels = way.levels(rows);
        Leaf {
            levels: Levels {
                count: rows,
                definition: Shelf::filled(0, rows),
                repetition: Shelf::filled(0, if levels.max_repetition > 0 { rows } else { 0 }),
                ..levels
            },
            values: Values::new(way.kind, 0),
        }
    };
    Some(ways(column)?.iter().map(leaf).collect())
}

impl Way {
    /// No slots yet, and the highest levels on this way.
    fn levels(&self, rows: usize) -> Levels {
        let (mut definition, mut repetition) = (u8::from(self.nullable), 0);
        for step in &self.steps {
            match step {
                Step::Member { nullable, .. } => definition += u8::from(*nullable),
                Step::Items { nullable } => {
                    definition += 1 + u8::from(*nullable);
                    repetition += 1;
                }
            }
        }
        Levels {
            max_definition: definition,
            max_repetition: repetition,
            rows,
            ..Levels::default()
        }
    }
}

fn leaf<'a>(way: &Way, arrays: &'a [ArrayRef]) -> Result<Leaf<'a>, String> {
    let rows = arrays.iter().map(|array| array.len()).sum();
    let mut leaf = Leaf {
        levels: way.levels(rows),
        values: Values::new(way.kind, rows),
    };
    for array in arrays {
        let mut walk = Walk {
            slots: Slots::Every(array.len()),
            definition: 0,
            repetition: 0,
        };
        let mut array: &dyn Array = array.as_ref();
        for step in &way.steps {
            match *step {
                Step::Member { nullable, idx } => {
                    walk.through(nullable, array.nulls(), array.len())?;
                    array = array.as_struct().column(idx).as_ref();
                }
                Step::Items { nullable } => {
                    walk.through(nullable, array.nulls(), array.len())?;
                    array = walk.enter_list(array)?;
                }
            }
        }
        walk.through(way.nullable, array.logical_nulls().as_ref(), array.len())?;
        leaf.levels.append(&walk.slots);
        leaf.values.append(array, &walk.slots)?;
    }
    Ok(leaf)
}

/// The slots of one array, as far as they have been followed.
pub(super) enum Slots {
    /// A slot a row, and every one there.
    Every(usize),
    Some(Apart),
}

pub(super) struct Apart {
    /// The row each slot stands for, or [`NOWHERE`].
    pub(super) rows: Shelf<u32>,
    definition: Shelf<u8>,
    /// Empty before the first list.
    repetition: Shelf<u8>,
}

struct Walk {
    slots: Slots,
    /// Levels of the slots that are there.
    definition: u8,
    repetition: u8,
}

impl Walk {
    /// Takes the slots through a step that may be null.
    fn through(
        &mut self,
        nullable: bool,
        nulls: Option<&NullBuffer>,
        len: usize,
    ) -> Result<(), String> {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        if !nullable {
            let lost = nulls.is_some_and(|nulls| match &self.slots {
                Slots::Every(_) => true,
                Slots::Some(slots) => {
                    let mut there = slots.rows.iter().filter(|row| **row != NOWHERE);
                    there.any(|row| nulls.is_null(*row as usize))
                }
            });
            return match lost {
                true => Err("there is a null where none may be".to_owned()),
                false => Ok(()),
            };
        }
        let before = self.definition;
        self.definition += 1;
        match (&mut self.slots, nulls) {
            (Slots::Every(_), None) => {}
            (Slots::Every(_), Some(nulls)) => {
                let rows = row_number(len)?;
                let row = |row: u32| {
                    if nulls.is_valid(row as usize) {
                        row
                    } else {
                        NOWHERE
                    }
                };
                let rows = Shelf::of((0..rows).map(row));
                let level = |row: &u32| before + u8::from(*row != NOWHERE);
                self.slots = Slots::Some(Apart {
                    definition: Shelf::of(rows.iter().map(level)),
                    rows,
                    repetition: Shelf::default(),
                });
            }
            (Slots::Some(slots), nulls) => {
                for (row, level) in slots.rows.iter_mut().zip(slots.definition.iter_mut()) {
                    if *row == NOWHERE {
                        continue;
                    }
                    match nulls {
                        Some(nulls) if nulls.is_null(*row as usize) => *row = NOWHERE,
                        _ => *level += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the slots into the items of a list or map: one for each item, and
    /// one for each empty list.
    fn enter_list<'a>(&mut self, array: &'a dyn Array) -> Result<&'a dyn Array, String> {
        match array.data_type() {
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                self.spread(list.value_offsets())?;
                Ok(list.values().as_ref())
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                self.spread(map.value_offsets())?;
                Ok(map.entries())
            }
            _ => {
                let list = array.as_list::<i32>();
                self.spread(list.value_offsets())?;
                Ok(list.values().as_ref())
            }
        }
    }

    fn spread<O: ArrowNativeType>(&mut self, offsets: &[O]) -> Result<(), String> {
        let last = offsets.last().map_or(0, |last| last.as_usize());
        row_number(last)?;
        let every;
        let slots = match &self.slots {
            Slots::Some(slots) => slots,
            Slots::Every(len) => {
                every = Apart {
                    rows: Shelf::of(0..row_number(*len)?),
                    definition: Shelf::filled(self.definition, *len),
                    repetition: Shelf::default(),
                };
                &every
            }
        };
        self.repetition += 1;
        self.definition += 1;
        // Every row of a list gives its items or one slot.
        let first = offsets.first().map_or(0, |first| first.as_usize());
        let most = slots.rows.len() + last - first;
        let mut items = Apart {
            rows: Shelf::with_capacity(most),
            definition: Shelf::with_capacity(most),
            repetition: Shelf::with_capacity(most),
        };
        for (idx, (row, level)) in slots.rows.iter().zip(slots.definition.iter()).enumerate() {
            let mut repetition = slots.repetition.get(idx).copied().unwrap_or(0);
            let range = match *row {
                NOWHERE => 0..0,
                row => {
                    let row = row as usize;
                    offsets[row].as_usize() as u32..offsets[row + 1].as_usize() as u32
                }
            };
            if range.is_empty() {
                items.rows.push(NOWHERE);
                items.definition.push(*level);
                items.repetition.push(repetition);
                continue;
            }
            for item in range {
                items.rows.push(item);
                items.definition.push(self.definition);
                items.repetition.push(repetition);
                repetition = self.repetition;
            }
        }
        self.slots = Slots::Some(items);
        Ok(())
    }
}

/// A number of rows, all of which a slot can name.
fn row_number(rows: usize) -> Result<u32, String> {
    u32::try_from(rows)
        .ok()
        .filter(|rows| *rows < NOWHERE)
        .ok_or_else(|| format!("{rows} items are too many for one row group"))
}
