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

use super::codes::Packing;
use super::keys::{KeyColumn, KeyForms};
use super::table::{Blobs, ByteTable, Chains, CodeTable, MOST_ROWS, NONE};
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
        let keys = pieces.iter().map(|columns| forms.bring(columns));
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
            Lookup::Codes(packing, table) => table.find(&packing.codes(&keys), &mut heads),
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
    nulls_match: bool,
}

impl KeyHashes {
    /// For rows with the key columns at these places.
    pub fn new(forms: KeyForms, keys: Vec<usize>, nulls_match: bool) -> Self {
        KeyHashes {
            forms,
            keys,
            nulls_match,
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
        if let Some(held) = held(&keys, self.nulls_match) {
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
    if let Some(packing) = Packing::of(&types, pieces, nulls_match) {
        let codes = pieces.iter().map(|keys| packing.codes(keys));
        let joined = codes.reduce(|mut all, mut more| {
            all.append(&mut more);
            all
        });
        let codes = joined.unwrap_or_default();
        let (table, chains) = CodeTable::build(&codes, packing.size, hash_mask, threads);
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
            None => for_texts(&keys[0].values, |_, text| blobs.push(text)),
            Some(converter) => add_rows(converter, keys, &mut blobs)?,
        }
    }
    let meets = meets.finish();
    let is_held = |row: usize| meets.value(row);
    let (table, chains) = ByteTable::build(blobs, is_held, texts, hash_mask, threads);
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
    const AT_ONCE: usize = 1 << 16;
    let n_rows = keys[0].values.len();
    for from in (0..n_rows).step_by(AT_ONCE) {
        let len = AT_ONCE.min(n_rows - from);
        let slices: Vec<ArrayRef> = keys.iter().map(|key| key.values.slice(from, len)).collect();
        let rows = converter.convert_columns(&slices)?;
        rows.iter().for_each(|row| blobs.push(row.data()));
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
