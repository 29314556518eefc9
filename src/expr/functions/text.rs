//! Functions of texts, and of lists where a text may be one.
//!
//! In:  columns, by their canonical texts.
//! Out: texts, conditions, counts. Places count characters, not bytes.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use arrow_string::like;

use super::{Kind, Prepared, list, pattern};
use crate::error::{Error, Result};
use crate::expr::compare::with_texts;
use crate::expr::convert::Value;
use crate::expr::number::{Num, Numbers};

/// The texts of an argument; a constant one counts for every row.
pub(super) struct Texts {
    texts: StringArray,
    constant: bool,
}

impl Texts {
    pub fn of(value: &Value) -> Result<Self> {
        Ok(Texts {
            texts: value.texts()?,
            constant: value.constant,
        })
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        let row = if self.constant { 0 } else { row };
        self.texts.is_valid(row).then(|| self.texts.value(row))
    }
}

/// Whole numbers of an argument, cut off and held within `i64`.
pub(super) struct Places {
    numbers: Numbers,
    constant: bool,
}

impl Places {
    pub fn of(value: &Value) -> Result<Self> {
        Ok(Places {
            numbers: value.numbers()?,
            constant: value.constant,
        })
    }

    pub fn get(&self, row: usize) -> Option<i64> {
        let number = self.numbers.get(if self.constant { 0 } else { row })?;
        let whole = number.truncated().or(match number {
            Num::Float(value) if value > 0.0 => Some(i128::MAX),
            Num::Float(value) if value < 0.0 => Some(i128::MIN),
            _ => None,
        })?;
        // No text has more characters than half of this.
        let far = i128::from(i64::MAX / 4);
        i64::try_from(whole.clamp(-far, far)).ok()
    }
}

pub(super) fn run(
    kind: Kind,
    args: &[Value],
    prepared: &Prepared,
    rows: usize,
) -> Result<ArrayRef> {
    match (kind, prepared) {
        (Kind::Length, Prepared::Mode(_)) => return list::length(&args[0]),
        (Kind::Contains, Prepared::Mode(mode)) => return list::contains(&args[0], &args[1], mode),
        (_, Prepared::Regex(regex)) => return pattern::run(kind, args, regex, rows),
        _ => {}
    }
    let first = Texts::of(&args[0])?;
    Ok(match kind {
        Kind::Lower => texts(rows, |row| first.get(row).map(str::to_lowercase)),
        Kind::Upper => texts(rows, |row| first.get(row).map(str::to_uppercase)),
        Kind::Length => counts(rows, |row| first.get(row).map(|text| text.chars().count())),
        Kind::Trim | Kind::Ltrim | Kind::Rtrim => trimmed(kind, &first, args.get(1), rows)?,
        Kind::StartsWith | Kind::EndsWith | Kind::Contains => found(kind, args, rows)?,
        Kind::Substring => parts(&first, &args[1], args.get(2), rows)?,
        Kind::Replace => {
            let (old, new) = (Texts::of(&args[1])?, Texts::of(&args[2])?);
            texts(rows, |row| {
                let (text, old, new) = (first.get(row)?, old.get(row)?, new.get(row)?);
                Some(match old {
                    "" => text.to_owned(),
                    _ => text.replace(old, new),
                })
            })
        }
        Kind::SplitPart => {
            let (separator, n) = (Texts::of(&args[1])?, Places::of(&args[2])?);
            texts(rows, |row| {
                let (text, separator) = (first.get(row)?, separator.get(row)?);
                Some(split_part(text, separator, n.get(row)?))
            })
        }
        Kind::Concat => {
            let all = args.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
            let known = |row| all.iter().filter_map(move |texts| texts.get(row));
            texts(rows, |row| Some(known(row).collect::<String>()))
        }
        Kind::Split => {
            let all: StringArray = (0..rows).map(|row| first.get(row)).collect();
            let separator = Texts::of(&args[1])?;
            list::split(&all, |row| separator.get(row).map(str::to_owned))
        }
        Kind::Position => {
            let part = Texts::of(&args[1])?;
            counts(rows, |row| {
                let (text, part) = (first.get(row)?, part.get(row)?);
                let place = text.find(part).map(|byte| text[..byte].chars().count() + 1);
                Some(place.unwrap_or(0))
            })
        }
        Kind::Lpad | Kind::Rpad => padded(kind, &first, &args[1], args.get(2), rows)?,
        other => {
            return Err(Error::internal(format!(
                "{other:?} is no function of texts"
            )));
        }
    })
}

/// A text of each row.
fn texts<T: AsRef<str>>(rows: usize, of: impl Fn(usize) -> Option<T>) -> ArrayRef {
    Arc::new((0..rows).map(of).collect::<StringArray>())
}

/// A count of each row.
fn counts(rows: usize, of: impl Fn(usize) -> Option<usize>) -> ArrayRef {
    let counts = (0..rows).map(|row| of(row).map(|count| count as i64));
    Arc::new(counts.collect::<Int64Array>())
}

/// Texts without blanks at their ends, or without any of the characters of `what`.
fn trimmed(kind: Kind, of: &Texts, what: Option<&Value>, rows: usize) -> Result<ArrayRef> {
    let what = what.map(Texts::of).transpose()?;
    Ok(texts(rows, |row| {
        let text = of.get(row)?;
        let Some(what) = &what else {
            return Some(trim(kind, text, char::is_whitespace));
        };
        let what = what.get(row)?;
        Some(trim(kind, text, |ch| what.contains(ch)))
    }))
}

/// Whether texts begin with, end with or contain others.
fn found(kind: Kind, args: &[Value], rows: usize) -> Result<ArrayRef> {
    let kernel = match kind {
        Kind::StartsWith => like::starts_with,
        Kind::EndsWith => like::ends_with,
        _ => like::contains,
    };
    let left = Value {
        array: args[0].clone().into_array(rows)?,
        constant: false,
        json: args[0].json,
    };
    let (left, right) = (left.texts()?, args[1].texts()?);
    let found = with_texts(right, args[1].constant, |right| kernel(&left, right))?;
    Ok(Arc::new(found))
}

/// Parts of texts, from a place on, so many characters or all.
fn parts(of: &Texts, start: &Value, length: Option<&Value>, rows: usize) -> Result<ArrayRef> {
    let start = Places::of(start)?;
    let length = length.map(Places::of).transpose()?;
    Ok(texts(rows, |row| {
        let (text, start) = (of.get(row)?, start.get(row)?);
        let length = match &length {
            Some(length) => Some(length.get(row)?),
            None => None,
        };
        Some(substring(text, start, length))
    }))
}

/// Texts of so many characters, filled up with `fill` or blanks.
fn padded(
    kind: Kind,
    of: &Texts,
    length: &Value,
    fill: Option<&Value>,
    rows: usize,
) -> Result<ArrayRef> {
    let length = Places::of(length)?;
    let fill = fill.map(Texts::of).transpose()?;
    Ok(texts(rows, |row| {
        let fill = match &fill {
            Some(fill) => fill.get(row)?,
            None => " ",
        };
        pad(kind, of.get(row)?, length.get(row)?, fill)
    }))
}

fn trim(kind: Kind, text: &str, what: impl Fn(char) -> bool) -> &str {
    match kind {
        Kind::Ltrim => text.trim_start_matches(what),
        Kind::Rtrim => text.trim_end_matches(what),
        _ => text.trim_matches(what),
    }
}

/// Characters from `start`, counted from 1, or from the end if negative. A
/// start before the text uses up the length, as SQL has it.
fn substring(text: &str, start: i64, length: Option<i64>) -> &str {
    let chars = text.chars().count() as i64;
    let from = if start < 0 { chars + start } else { start - 1 };
    let to = length.map_or(chars, |length| from + length);
    let byte_of = |place: i64| {
        let place = usize::try_from(place.clamp(0, chars)).unwrap_or(0);
        text.char_indices()
            .nth(place)
            .map_or(text.len(), |(byte, _)| byte)
    };
    let (from, to) = (byte_of(from), byte_of(to));
    text.get(from..to).unwrap_or("")
}

/// Longest text that padding makes.
const MAX_PADDED: i64 = 1 << 20;

/// A text of so many characters: cut off at its end, or filled up at one; none if that is too many.
fn pad(kind: Kind, text: &str, length: i64, fill: &str) -> Option<String> {
    if length > MAX_PADDED {
        return None;
    }
    let length = usize::try_from(length).unwrap_or(0);
    let chars = text.chars().count();
    if chars >= length || fill.is_empty() {
        return Some(text.chars().take(length).collect());
    }
    let filling: String = fill.chars().cycle().take(length - chars).collect();
    Some(match kind {
        Kind::Lpad => filling + text,
        _ => text.to_owned() + &filling,
    })
}

fn split_part(text: &str, separator: &str, n: i64) -> String {
    let place = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    if separator.is_empty() {
        return if place == 1 {
            text.to_owned()
        } else {
            String::new()
        };
    }
    let part = match n {
        0 => None,
        1.. => text.split(separator).nth(place - 1),
        // From the end, so that overlapping separators are cut as from the front.
        _ => {
            let parts: Vec<&str> = text.split(separator).collect();
            parts
                .len()
                .checked_sub(place)
                .and_then(|idx| parts.get(idx))
                .copied()
        }
    };
    part.unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_follow_sql() {
        for (start, length, expected) in [
            (1, None, "größe"),
            (3, None, "öße"),
            (2, Some(2), "rö"),
            (0, Some(2), "g"),
            (0, None, "größe"),
            (-2, None, "ße"),
            (-2, Some(1), "ß"),
            (-9, None, "größe"),
            (6, None, ""),
            (3, Some(-1), ""),
            (i64::MAX / 4, Some(i64::MAX / 4), ""),
        ] {
            assert_eq!(
                substring("größe", start, length),
                expected,
                "{start} {length:?}"
            );
        }
    }

    #[test]
    fn parts_are_counted_from_either_end() {
        for (n, expected) in [
            (1, "a"),
            (2, ""),
            (3, "b"),
            (4, ""),
            (0, ""),
            (-1, "b"),
            (-3, "a"),
            (-4, ""),
            (i64::MIN, ""),
        ] {
            assert_eq!(split_part("a,,b", ",", n), expected, "{n}");
        }
        assert_eq!(split_part("a,b", "", 1), "a,b");
        assert_eq!(split_part("a,b", "", 2), "");
        assert_eq!(split_part("aXXXb", "XX", -1), split_part("aXXXb", "XX", 2));
    }
}
