//! The constants of an `in` list.
//!
//! In:  constants, each with how it is compared; then a column.
//! Out: whether each value is among them, as `or` over `=` says it.
//!
//! A few texts or whole numbers alone are compared one by one, all others are hashed.

use arrow_array::{Array, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use hashbrown::HashSet;

use super::compare::Mode;
use super::convert::Value;
use super::number::{Num, Numbers};
use super::scalar::Scalar;
use crate::error::Result;

/// Constants that a value is compared with one by one sooner than it is hashed.
const FEW: usize = 8;

/// The constants of an `in` list, each in the kind it is compared as.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    numbers: HashSet<(bool, i128)>,
    times: HashSet<i128>,
    texts: HashSet<String>,
    bools: HashSet<bool>,
    /// Whether a null is among them: then a value that is not found is unknown.
    null: bool,
}

impl Members {
    /// Adds a constant; gives it back if its kind has no set.
    pub fn insert(&mut self, mode: &Mode, literal: &Scalar) -> Result<bool> {
        let value = Value::constant(literal.to_array());
        let found = match mode {
            _ if *literal == Scalar::Null => false,
            Mode::Number => match value.numbers()?.get(0) {
                Some(number) => {
                    self.numbers.insert(number.key());
                    true
                }
                None => false,
            },
            Mode::Time => match value.times()?.get(0) {
                Some(time) => {
                    self.times.insert(time);
                    true
                }
                None => false,
            },
            Mode::Text => {
                self.texts.insert(value.texts()?.value(0).to_owned());
                true
            }
            Mode::Bool => match value.bools()?.iter().next().flatten() {
                Some(condition) => {
                    self.bools.insert(condition);
                    true
                }
                None => false,
            },
            Mode::Decimal | Mode::Native(_) => return Ok(false),
        };
        self.null |= !found;
        Ok(true)
    }

    /// The numbers among them, in no order.
    pub fn numbers(&self) -> impl Iterator<Item = Num> {
        self.numbers.iter().map(|key| Num::of_key(*key))
    }

    /// The points in time among them, in no order.
    pub fn times(&self) -> impl Iterator<Item = i128> {
        self.times.iter().copied()
    }

    /// The texts among them, in no order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// The conditions among them, in no order.
    pub fn bools(&self) -> impl Iterator<Item = bool> {
        self.bools.iter().copied()
    }

    /// Whether a null is among them.
    pub fn has_null(&self) -> bool {
        self.null
    }

    /// The same of a few texts alone: each value is compared with all of them.
    fn contain_text(&self, value: &Value) -> Result<Option<BooleanArray>> {
        let others = self.numbers.len() + self.times.len() + self.bools.len();
        if self.null || others > 0 || self.texts.is_empty() || self.texts.len() > FEW {
            return Ok(None);
        }
        let wanted: Vec<&str> = self.texts().collect();
        let texts = value.texts()?;
        let is_wanted = |row| wanted.contains(&texts.value(row));
        let found = BooleanBuffer::collect_bool(texts.len(), is_wanted);
        Ok(Some(BooleanArray::new(found, texts.nulls().cloned())))
    }

    /// The same of a few whole numbers alone.
    fn contain_whole(&self, value: &Value) -> Result<Option<BooleanArray>> {
        let others = self.texts.len() + self.times.len() + self.bools.len();
        if self.null || others > 0 || self.numbers.is_empty() || self.numbers.len() > FEW {
            return Ok(None);
        }
        let whole = |number: Num| match number {
            Num::Int(number) => i64::try_from(number).ok(),
            Num::Float(_) => None,
        };
        let wanted: Option<Vec<i64>> = self.numbers().map(whole).collect();
        let (Some(wanted), Numbers::Int(numbers)) = (wanted, value.numbers()?) else {
            return Ok(None);
        };
        let values = numbers.values();
        let is_wanted = |row: usize| {
            // Not by `contains`, which stops early: all are compared at once.
            let same = wanted.iter().map(|number| values[row] == *number);
            same.fold(false, |any, same| any | same)
        };
        let found = BooleanBuffer::collect_bool(values.len(), is_wanted);
        Ok(Some(BooleanArray::new(found, numbers.nulls().cloned())))
    }

    /// Whether each value is among the constants, as `or` over `=` says it.
    pub fn contain(&self, value: &Value) -> Result<BooleanArray> {
        if let Some(found) = self.contain_text(value)? {
            return Ok(found);
        }
        if let Some(found) = self.contain_whole(value)? {
            return Ok(found);
        }
        let rows = value.array.len();
        let mut found = vec![false; rows];
        // A value that is null under a kind is unknown if that kind has members.
        let mut known = vec![!self.null; rows];
        let mut note = |row: usize, hit: Option<bool>| match hit {
            Some(hit) => found[row] |= hit,
            None => known[row] = false,
        };
        if !self.numbers.is_empty() {
            let numbers = value.numbers()?;
            for row in 0..rows {
                note(
                    row,
                    numbers
                        .get(row)
                        .map(|number| self.numbers.contains(&number.key())),
                );
            }
        }
        if !self.times.is_empty() {
            for (row, time) in value.times()?.iter().enumerate() {
                note(row, time.map(|time| self.times.contains(&time)));
            }
        }
        if !self.texts.is_empty() {
            for (row, text) in value.texts()?.iter().enumerate() {
                note(row, text.map(|text| self.texts.contains(text)));
            }
        }
        if !self.bools.is_empty() {
            for (row, condition) in value.bools()?.iter().enumerate() {
                note(
                    row,
                    condition.map(|condition| self.bools.contains(&condition)),
                );
            }
        }
        let valid: Vec<bool> = found
            .iter()
            .zip(&known)
            .map(|(found, known)| *found || *known)
            .collect();
        Ok(BooleanArray::new(
            BooleanBuffer::from(found),
            Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, StringArray};

    #[test]
    fn a_text_among_a_few_is_found_as_among_many() {
        let texts = ["", "a", "b", "null", "c"]
            .map(Some)
            .into_iter()
            .chain([None]);
        let column = Value::rows(Arc::new(StringArray::from_iter(texts)));
        for n in [1, 3, FEW, FEW + 1] {
            let mut members = Members::default();
            let wanted: Vec<String> = (0..n).map(|n| format!("{}", n * 100)).collect();
            for text in wanted.iter().map(String::as_str).chain(["a"]).skip(1) {
                assert!(members.insert(&Mode::Text, &text.into()).unwrap());
            }
            let found: Vec<_> = members.contain(&column).unwrap().iter().collect();
            let (yes, no) = (Some(true), Some(false));
            assert_eq!(found, [no, yes, no, no, no, None], "{n}");
        }
    }

    #[test]
    fn a_number_among_a_few_is_found_as_among_many() {
        let small: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(7), None, Some(-1)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("1"),
            Some("7.0"),
            None,
            Some("x"),
        ]));
        let (yes, no) = (Some(true), Some(false));
        for n in [1, 3, FEW, FEW + 1] {
            let mut members = Members::default();
            for number in (0..n as i64 - 1).map(|n| 100 + n).chain([7]) {
                assert!(members.insert(&Mode::Number, &number.into()).unwrap());
            }
            let found = |array: &ArrayRef| -> Vec<Option<bool>> {
                let found = members.contain(&Value::rows(Arc::clone(array))).unwrap();
                found.iter().collect()
            };
            assert_eq!(found(&small), [no, yes, None, no], "{n}");
            assert_eq!(found(&texts), [no, yes, None, None], "{n}");
        }
    }
}
