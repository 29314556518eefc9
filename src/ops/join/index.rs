//! The keys of the build side, to be looked up.
//!
//! In:  the key columns of all its rows; then those of probes.
//! Out: for each probe row the first build row that has its key, and behind it
//!      all others, in their order.
//!
//! ```text
//! whole numbers that pack into 64 bits ─▶ codes   (one or several columns)
//! one text                             ─▶ bytes   (short ones whole in the slot)
//! anything else                        ─▶ bytes   (rows as arrow-row writes them)
//! no key at all                        ─▶ every row meets every row
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use super::bytes::{Blobs, ByteTable};
use super::codes::{Packing, Steps};
use super::keys::{KeyColumn, KeyForms};
use super::table::{ALONE, Chains, CodeTable, MOST_ROWS, NONE};
use crate::cancel::{check, stretches};
use crate::error::{Error, Result};
use crate::expr::{hash_rows, hash_u64};

/// How an index is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexOptions {
    /// Whether null meets null.
    pub nulls_match: bool,
    /// Threads that may help.
    pub threads: usize,
    /// Bits that are kept of hashes: fewer make keys collide, in tests.
    pub hash_mask: u64,
}

/// The rows of the build side by key.
#[derive(Debug)]
pub(super) struct Index {
    forms: KeyForms,
    nulls_match: bool,
    lookup: Lookup,
    chains: Chains,
    n_rows: usize,
}

#[derive(Debug)]
enum Lookup {
    /// There is no key: all rows are one chain.
    All,
    Codes(Packing, CodeTable),
    Texts(ByteTable),
    Rows(RowConverter, ByteTable),
}

impl Index {
    /// An index of `n_rows` rows by their key columns, which come in pieces.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for more than 2^32 - 2 rows, and for keys whose values cannot be told apart.
    pub fn build(
        forms: KeyForms,
        pieces: &[Vec<ArrayRef>],
        n_rows: usize,
        options: IndexOptions,
    ) -> Result<Self> {
        if n_rows >= MOST_ROWS {
            return Err(Error::plan(format!(
                "{n_rows} rows of one side are looked up at once; at most {} can be",
                MOST_ROWS - 1
            )));
        }
        let bring = |columns: &Vec<ArrayRef>| {
            check()?;
            forms.bring(columns)
        };
        let keys = pieces.iter().map(bring);
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let (lookup, chains) = lookup(&forms, &keys, options)?;
        Ok(Index {
            forms,
            nulls_match: options.nulls_match,
            lookup,
            chains,
            n_rows,
        })
    }

    /// The first build row for each of `n_rows` probe rows; [`NONE`] where there is none.
    ///
    /// # Errors
    ///
    /// None for columns of the types that the forms were made for.
    pub fn find(&self, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<u32>> {
        let mut heads = Vec::with_capacity(n_rows);
        let keys = self.forms.bring(columns)?;
        match &self.lookup {
            Lookup::All => heads.resize(n_rows, if self.n_rows > 0 { 0 } else { NONE }),
            Lookup::Codes(packing, table) => match packing.steps(&keys) {
                Some(Steps::Signed(values, low)) => {
                    let steps = values.iter().map(|value| value.wrapping_sub(low) as u64);
                    table.find(steps, &mut heads);
                }
                Some(Steps::Unsigned(values, low)) => {
                    let steps = values.iter().map(|value| value.wrapping_sub(low));
                    table.find(steps, &mut heads);
                }
                None => table.find(packing.codes(&keys).into_iter(), &mut heads),
            },
            Lookup::Texts(table) => {
                let valid = keys[0].values.nulls();
                for_texts(&keys[0].values, |row, text| {
                    let held = valid.is_none_or(|valid| valid.is_valid(row));
                    heads.push(if held { table.find(text) } else { NONE });
                });
            }
            Lookup::Rows(converter, table) => {
                let held = held(&keys, self.nulls_match);
                let rows = converter.convert_columns(&values(&keys))?;
                heads.extend(rows.iter().enumerate().map(|(idx, row)| {
                    match held.as_ref().is_none_or(|held| held.is_valid(idx)) {
                        true => table.find(row.data()),
                        false => NONE,
                    }
                }));
            }
        }
        Ok(heads)
    }

    /// Whether no key leads to more than one row.
    pub fn is_unique(&self) -> bool {
        match self.lookup {
            Lookup::All => self.n_rows <= 1,
            _ => self.chains.is_empty(),
        }
    }

    /// The most rows that a key leads to, where these are few.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`].
    pub fn longest(&self) -> Result<Option<usize>> {
        let longest = match self.lookup {
            Lookup::All => u8::try_from(self.n_rows).unwrap_or(u8::MAX),
            _ => self.chains.longest()?,
        };
        Ok((longest < u8::MAX).then_some(usize::from(longest.max(1))))
    }

    /// The next row with the key of `row`; [`NONE`] behind the last.
    #[inline]
    pub fn next(&self, row: u32) -> u32 {
        match self.lookup {
            Lookup::All if (row as usize) + 1 < self.n_rows => row + 1,
            Lookup::All => NONE,
            _ => self.chains.next(row),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.chains.bytes()
            + match &self.lookup {
                Lookup::All => 0,
                Lookup::Codes(_, table) => table.bytes(),
                Lookup::Texts(table) | Lookup::Rows(_, table) => table.bytes(),
            }
    }
}

/// Hashes of keys: those of keys that meet are equal.
#[derive(Debug, Clone)]
pub struct KeyHashes {
    forms: KeyForms,
    keys: Vec<usize>,
    /// Whether a null in a key has a hash of its own.
    nulls_together: bool,
}

impl KeyHashes {
    /// For rows with the key columns at these places.
    pub fn new(forms: KeyForms, keys: Vec<usize>, nulls_match: bool) -> Self {
        KeyHashes {
            forms,
            keys,
            nulls_together: nulls_match,
        }
    }

    /// The same, but that rows with equal keys have one hash also where those are null
    /// and meet nothing.
    #[must_use]
    pub fn with_nulls_together(self) -> Self {
        KeyHashes {
            nulls_together: true,
            ..self
        }
    }

    /// The places of the key columns.
    pub fn places(&self) -> &[usize] {
        &self.keys
    }

    /// A hash for each row. Rows that meet nothing have hashes of all kinds.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for columns that are no keys.
    pub fn of(&self, rows: &RecordBatch) -> Result<Vec<u64>> {
        if self.keys.is_empty() {
            return Ok(vec![0; rows.num_rows()]);
        }
        let columns = self.keys.iter().map(|idx| Arc::clone(rows.column(*idx)));
        let keys = self.forms.bring(&columns.collect::<Vec<_>>())?;
        let mut hashes = hash_rows(&values(&keys))?;
        if let Some(held) = held(&keys, self.nulls_together) {
            // One bucket for all of them would be the largest.
            for (row, hash) in hashes.iter_mut().enumerate() {
                if held.is_null(row) {
                    *hash = hash_u64(row as u64);
                }
            }
        }
        Ok(hashes)
    }
}

/// The table of keys, which come in pieces.
fn lookup(
    forms: &KeyForms,
    pieces: &[Vec<KeyColumn>],
    options: IndexOptions,
) -> Result<(Lookup, Chains)> {
    let IndexOptions {
        nulls_match,
        threads,
        hash_mask,
    } = options;
    let types = forms.types();
    if types.is_empty() {
        return Ok((Lookup::All, Chains::default()));
    }
    let n_rows: usize = pieces.iter().map(|keys| keys[0].values.len()).sum();
    let helping = if n_rows < ALONE { 1 } else { threads };
    if let Some(packing) = Packing::of(&types, pieces, nulls_match, helping)? {
        let codes = packing.codes_of(pieces, helping)?;
        let (table, chains) = CodeTable::build(&codes, packing.size, hash_mask, threads)?;
        return Ok((Lookup::Codes(packing, table), chains));
    }
    let mut blobs = Blobs::default();
    let mut meets = BooleanBufferBuilder::new(0);
    let texts = matches!(types.as_slice(), [DataType::Utf8 | DataType::Binary]) && !nulls_match;
    let converter = if texts {
        None
    } else {
        Some(converter(&types)?)
    };
    for keys in pieces {
        let n_rows = keys[0].values.len();
        match held(keys, nulls_match) {
            Some(held) => meets.append_buffer(held.inner()),
            None => meets.append_n(n_rows, true),
        }
        match &converter {
            None => add_texts(&keys[0].values, &mut blobs)?,
            Some(converter) => add_rows(converter, keys, &mut blobs)?,
        }
    }
    let meets = meets.finish();
    let is_held = |row: usize| meets.value(row);
    let (table, chains) = ByteTable::build(blobs, is_held, texts, hash_mask, threads)?;
    let lookup = match converter {
        None => Lookup::Texts(table),
        Some(converter) => Lookup::Rows(converter, table),
    };
    Ok((lookup, chains))
}

fn converter(types: &[DataType]) -> Result<RowConverter> {
    let fields: Vec<SortField> = types.iter().cloned().map(SortField::new).collect();
    if !RowConverter::supports_fields(&fields) {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let types = types.join(", ");
        return Err(Error::plan(format!("rows cannot be joined by {types}")));
    }
    Ok(RowConverter::new(fields)?)
}

/// The bytes of rows of keys, converted in turn, so that they are not all held twice.
fn add_rows(converter: &RowConverter, keys: &[KeyColumn], blobs: &mut Blobs) -> Result<()> {
    for rows in stretches(keys[0].values.len()) {
        let rows = rows?;
        let slices = keys
            .iter()
            .map(|key| key.values.slice(rows.start, rows.len()));
        let slices: Vec<ArrayRef> = slices.collect();
        let rows = converter.convert_columns(&slices)?;
        rows.iter().for_each(|row| blobs.push(row.data()));
    }
    Ok(())
}

/// The bytes of a column of text or bytes.
fn add_texts(column: &ArrayRef, blobs: &mut Blobs) -> Result<()> {
    for rows in stretches(column.len()) {
        let rows = rows?;
        let texts = column.slice(rows.start, rows.len());
        for_texts(&texts, |_, text| blobs.push(text));
    }
    Ok(())
}

fn values(keys: &[KeyColumn]) -> Vec<ArrayRef> {
    keys.iter().map(|key| key.values.clone()).collect()
}

/// The rows that may meet others, as valid ones; all if there is none.
fn held(keys: &[KeyColumn], nulls_match: bool) -> Option<NullBuffer> {
    let mut held: Option<NullBuffer> = None;
    for key in keys {
        if !nulls_match {
            held = NullBuffer::union(held.as_ref(), key.values.logical_nulls().as_ref());
        }
        let never = key.never.as_ref().map(|never| NullBuffer::new(!never));
        held = NullBuffer::union(held.as_ref(), never.as_ref());
    }
    held
}

/// Calls `each` with every row of a column of text or bytes, nulls as empty ones.
fn for_texts(column: &ArrayRef, mut each: impl FnMut(usize, &[u8])) {
    let (offsets, bytes) = match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            (texts.offsets(), texts.values())
        }
        _ => {
            let blobs = column.as_binary::<i32>();
            (blobs.offsets(), blobs.values())
        }
    };
    for (row, ends) in offsets.windows(2).enumerate() {
        each(row, &bytes[ends[0] as usize..ends[1] as usize]);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};

    use super::super::asof::{Direction, Nearest, Timeline, Times, heads_of};
    use super::*;
    use crate::cancel::ROWS_BETWEEN;
    use crate::cancel::tests::assert_stops;

    const STRETCHES: usize = 3;

    fn ints(value: impl Fn(i64) -> i64) -> ArrayRef {
        let rows = 0..(STRETCHES * ROWS_BETWEEN) as i64;
        Arc::new(Int64Array::from_iter_values(rows.map(value)))
    }

    fn build(keys: &ArrayRef, nulls_match: bool, threads: usize) -> Result<Index> {
        let of = keys.data_type();
        let forms = KeyForms::try_new(&[("k", of, "k", of)])?;
        let options = IndexOptions {
            nulls_match,
            threads,
            hash_mask: u64::MAX,
        };
        Index::build(forms, &[vec![Arc::clone(keys)]], keys.len(), options)
    }

    #[test]
    fn an_index_of_any_kind_is_given_up_between_stretches_of_rows() {
        let text = |row: i64| format!("key {}", row % 900);
        let rows = 0..(STRETCHES * ROWS_BETWEEN) as i64;
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.map(text)));
        // How often each kind passes over all rows.
        let kinds = [
            ("dense", ints(|row| row * 7 % 1013), false, 2),
            ("ranked, in order", ints(|row| row * 5), false, 2),
            ("ranked", ints(|row| row * 7919 % 999_983), false, 3),
            (
                "hashed",
                ints(|row| row.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64)),
                false,
                3,
            ),
            ("texts", Arc::clone(&texts), false, 4),
            ("rows", texts, true, 4),
        ];
        for (kind, keys, nulls_match, passes) in kinds {
            for threads in [1, 2] {
                assert_stops(kind, passes * STRETCHES, || {
                    build(&keys, nulls_match, threads)
                });
            }
        }
    }

    #[test]
    fn rows_by_time_are_given_up_between_stretches_of_rows() {
        let (keys, times) = (ints(|row| row % 50), ints(|row| row));
        let index = build(&keys, false, 2).unwrap();
        let nearest = Nearest {
            direction: Direction::Backward,
            tolerance: None,
            exact: true,
        };
        let long = &DataType::Int64;
        let of = Times::try_new(("t", long), ("t", long), nearest).unwrap();
        let codes = of.of(&times).unwrap();
        assert_stops("a timeline", 4 * STRETCHES, || {
            let heads = heads_of(&index, &[vec![Arc::clone(&keys)]], &[keys.len()])?;
            Timeline::build(of.clone(), "t", &heads, &codes)
        });
    }
}
