//! Reading a record into its columns: the hot path.
//!
//! In:  text at the start of a record, and the columns of a schema.
//! Out: one more row, or the reason why not; the caller takes back what was appended.
//!
//! Each value is read as its column's type says, in place and once. Whatever is
//! unusual leaves through a cold function.

use super::column::{Column, Values};
use super::grammar::{Parser, SchemaMode, Stop, What};
use super::lattice::Scalars;
use super::number::{scan_float, scan_int};
use super::object::{NO_SLOT, Object, Use};

/// A key that was read and looked up: where its value's place begins, and its slot, if it has one.
struct Found {
    pos: usize,
    slot: Option<usize>,
}

impl Parser<'_> {
    /// Reads a record; returns where the next line starts.
    pub fn read_record(&mut self, root: &mut Object, pos: usize) -> Result<usize, Stop> {
        if self.at(pos) != b'{' {
            self.skip_record(pos)?;
            return Err(self.bad(pos, What::NotAnObject));
        }
        let end = self.read_object(root, pos, 0)?;
        self.end_of_record(end)
    }

    /// Reads the object at `pos`, within `depth` open containers, as the next row.
    fn read_object(
        &mut self,
        object: &mut Object,
        pos: usize,
        depth: usize,
    ) -> Result<usize, Stop> {
        self.check_depth(pos, depth)?;
        let row = object.rows;
        let mut guess = object.likely_first();
        let mut previous = NO_SLOT;
        let mut pos = self.space(pos + 1);
        if self.at(pos) == b'}' {
            object.rows += 1;
            return Ok(pos + 1);
        }
        loop {
            let idx = if let Some(end) = object.test(guess, self.text, pos) {
                pos = end;
                guess
            } else if let Some((idx, end)) = object.test_near(previous, self.text, pos) {
                pos = end;
                object.learn_order(previous, idx);
                idx
            } else {
                let found = self.find_slot(object, pos)?;
                pos = found.pos;
                if let Some(idx) = found.slot {
                    object.learn_order(previous, idx);
                }
                found.slot.unwrap_or(NO_SLOT)
            };
            pos = self.space(pos);
            match object.slots.get_mut(idx) {
                Some(slot) if slot.purpose == Use::Build => {
                    if slot.column.len() != row && slot.column.align(row, self.record) {
                        self.duplicate_keys += 1;
                    }
                    pos = match self.read_value(&mut slot.column, pos, depth + 1) {
                        Ok(end) => end,
                        Err(stop) => return Err(self.within(&slot.name, stop)),
                    };
                }
                other => {
                    let is_counted = other.is_some_and(|slot| slot.purpose == Use::Ignore);
                    self.ignored_values += u64::from(is_counted);
                    pos = match self.at(pos) {
                        b'"' => self.skip_string(pos + 1)?,
                        b'-' | b'0'..=b'9' => self.skip_number(pos)?,
                        b'{' | b'[' => self.skip_value(pos, depth + 1)?,
                        _ => self.skip_word(pos)?,
                    };
                }
            }
            if idx != NO_SLOT {
                guess = object.likely_after(idx);
            }
            previous = idx;
            pos = self.space(pos);
            match self.at(pos) {
                b',' => pos = self.space(pos + 1),
                b'}' => {
                    object.rows += 1;
                    return Ok(pos + 1);
                }
                _ => return Err(self.expected(pos, "',' or '}'")),
            }
        }
    }

    #[inline(always)]
    pub fn check_depth(&mut self, pos: usize, depth: usize) -> Result<(), Stop> {
        if depth >= self.max_depth {
            return Err(self.bad(pos, What::TooDeep(self.max_depth)));
        }
        Ok(())
    }

    /// Reads the key at `pos` and looks it up.
    #[inline(never)]
    fn find_slot(&mut self, object: &mut Object, pos: usize) -> Result<Found, Stop> {
        if self.at(pos) != b'"' {
            return Err(self.expected(pos, "a key in quotes"));
        }
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        let found = self.find_slot_of(object, pos, &mut key);
        self.scratch = key;
        found
    }

    fn find_slot_of(
        &mut self,
        object: &mut Object,
        start: usize,
        key: &mut Vec<u8>,
    ) -> Result<Found, Stop> {
        let end = self.copy_string(start + 1, key)?;
        let pos = self.skip_colon(end)?;
        if let Some(idx) = object.find(key) {
            return Ok(Found {
                pos,
                slot: Some(idx),
            });
        }
        let purpose = if !object.is_wanted(key) {
            Use::Skip
        } else {
            match self.mode {
                SchemaMode::Widen => return Err(Stop::Widen),
                SchemaMode::Ignore => Use::Ignore,
                SchemaMode::Strict => {
                    self.bad(start, What::UnknownKey);
                    let key = String::from_utf8_lossy(key).into_owned();
                    self.fault.path.push(key);
                    return Err(Stop::Misfit);
                }
            }
        };
        let slot = object.push_skipped(key, purpose);
        if slot.is_none() && purpose == Use::Ignore {
            self.ignored_values += 1;
        }
        Ok(Found { pos, slot })
    }

    /// Reads the value at `pos` into `column`; returns where it ends.
    #[inline(always)]
    fn read_value(&mut self, column: &mut Column, pos: usize, depth: usize) -> Result<usize, Stop> {
        let first = self.at(pos);
        let end = match &mut column.values {
            Values::Text(text) if first == b'"' && column.facts.has(Scalars::STRING) => {
                let end = self.copy_string(pos + 1, &mut text.bytes)?;
                text.end();
                end
            }
            Values::Int(values) => match scan_int(self.text, pos) {
                Some((value, end)) => {
                    values.push(value);
                    end
                }
                None => return self.read_unusual(column, pos, depth),
            },
            Values::Float(values) => match scan_float(self.text, pos) {
                Some((value, end)) => {
                    values.push(value);
                    end
                }
                None => return self.read_unusual(column, pos, depth),
            },
            Values::Bool(bits) if first == b't' && self.is_true(pos) => {
                bits.push(true);
                pos + 4
            }
            Values::Bool(bits) if first == b'f' && self.is_false(pos) => {
                bits.push(false);
                pos + 5
            }
            Values::Struct(object) if first == b'{' => self.read_object(object, pos, depth)?,
            Values::List(list) if first == b'[' => {
                let end = self.read_list(&mut list.item, pos, depth)?;
                list.ends.push(list.item.len() as i32);
                end
            }
            _ => return self.read_unusual(column, pos, depth),
        };
        column.appended();
        Ok(end)
    }

    fn read_list(&mut self, item: &mut Column, pos: usize, depth: usize) -> Result<usize, Stop> {
        self.check_depth(pos, depth)?;
        let mut pos = self.space(pos + 1);
        if self.at(pos) == b']' {
            return Ok(pos + 1);
        }
        loop {
            pos = match self.read_value(item, pos, depth + 1) {
                Ok(end) => end,
                Err(stop) => return Err(self.within("[]", stop)),
            };
            pos = self.space(pos);
            match self.at(pos) {
                b',' => pos = self.space(pos + 1),
                b']' => return Ok(pos + 1),
                _ => return Err(self.expected(pos, "',' or ']'")),
            }
        }
    }
}
