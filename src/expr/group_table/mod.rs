//! Keys of rows to numbers of groups.
//!
//! In:  batches of key columns, of any types.
//! Out: a dense group id per row, in the order in which keys first appear, and
//!      the keys of all groups as columns.
//!
//! Null is a key like any other; every NaN is one key, and -0 is 0. Hashes have
//! a fixed seed and ids follow the rows, so the same rows give the same ids.
//!
//! ```text
//! numbers           ─▶ fixed:  by their distance from the least, or by hash (ids, slots)
//! texts             ─▶ text:   short ones as numbers, by hash (slots)
//! dictionaries      ─▶ column: each entry once, by one of these
//! several of these  ─▶ packed: the ids of the columns as one number (ids)
//! anything else     ─▶ rows:   the row as bytes (arrow-row)
//! ```
//!
//! A batch of JSON may type a key otherwise than those before it. The table
//! then takes the type that holds both, as the column itself does, and keeps
//! the ids.

mod column;
mod fixed;
mod ids;
mod packed;
mod rows;
mod slots;
mod text;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

use self::column::ColumnKeys;
use self::packed::PackedKeys;
use self::rows::RowKeys;
use super::unify::{common_type, unify};
use crate::error::{Error, Result};

/// One kind of keys.
trait Keys: Send {
    /// Writes the group of every row to `ids`, one a row.
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()>;

    /// Whether a column may come as a dictionary of its type.
    fn takes_dictionaries(&self) -> bool {
        false
    }

    /// How many groups there are.
    fn len(&self) -> usize;

    /// The keys of all groups in order.
    fn columns(&self) -> Result<Vec<ArrayRef>>;

    /// Bytes held.
    fn bytes(&self) -> usize;
}

/// Which group each key is.
///
/// ```
/// use std::sync::Arc;
/// use windrow::arrow::array::{ArrayRef, StringArray};
/// use windrow::arrow::schema::DataType;
/// use windrow::expr::GroupTable;
///
/// let users: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b")]));
/// let mut table = GroupTable::try_new(vec![DataType::Utf8])?;
/// assert_eq!(table.assign(&[users])?, [0, 1, 2, 0]);
/// assert_eq!(table.len(), 3);
/// # Ok::<(), windrow::Error>(())
/// ```
pub struct GroupTable {
    types: Vec<DataType>,
    keys: Box<dyn Keys>,
    hash_mask: u64,
}

impl GroupTable {
    /// A table for keys of these types, one a column. A dictionary is its values.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if there is no key, or if one is of a type whose values
    /// cannot be told apart (maps).
    pub fn try_new(types: Vec<DataType>) -> Result<Self> {
        GroupTable::with_hash_mask(types, u64::MAX)
    }

    /// For tests: as [`try_new`](Self::try_new), but only the bits of `mask`
    /// are kept of each hash, so that keys collide. The ids are the same.
    ///
    /// # Errors
    ///
    /// As for [`try_new`](Self::try_new).
    #[doc(hidden)]
    pub fn with_hash_mask(types: Vec<DataType>, mask: u64) -> Result<Self> {
        let types: Vec<DataType> = types.into_iter().map(plain_type).collect();
        Ok(GroupTable {
            keys: new_keys(&types, mask)?,
            types,
            hash_mask: mask,
        })
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no group yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The types of the key columns; wider than at first where a batch was.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// The group of every row of a batch of key columns, new keys getting the next ids.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a column has a type that does not meet the one of
    /// its key, or for more than 2^32 - 1 groups.
    pub fn assign(&mut self, columns: &[ArrayRef]) -> Result<Vec<u32>> {
        let columns = self.conform(columns)?;
        let n_rows = columns.first().map_or(0, |column| column.len());
        let mut ids = vec![0; n_rows];
        self.keys.assign(&columns, &mut ids)?;
        if self.len() >= u32::MAX as usize {
            return Err(Error::plan("there are more than 4294967295 groups"));
        }
        Ok(ids)
    }

    /// Key columns as those of the table are: in its types, which widen as in
    /// [`assign`](Self::assign), with one NaN and one zero. One may be a
    /// dictionary of its type.
    ///
    /// # Errors
    ///
    /// As for [`assign`](Self::assign).
    pub(crate) fn conformed(&mut self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        self.conform(columns)
    }

    /// The keys of all groups, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if texts of keys take more than 2 GiB, which no array holds.
    pub fn keys(&self) -> Result<Vec<ArrayRef>> {
        self.keys.columns()
    }

    /// The columns in the types of the table, which widens where it must.
    fn conform(&mut self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let mut conformed = Vec::with_capacity(columns.len());
        for (idx, column) in columns.iter().enumerate() {
            let stays = self.keys.takes_dictionaries() && is_dictionary(column, &self.types[idx]);
            let column = match stays {
                true => Arc::clone(column),
                false => plain_column(column)?,
            };
            if !stays && *column.data_type() != self.types[idx] {
                self.widen(idx, &column)?;
            }
            conformed.push(column);
        }
        for (column, to) in conformed.iter_mut().zip(&self.types) {
            if is_dictionary(column, to) && self.keys.takes_dictionaries() {
                continue;
            }
            *column = plain_column(column)?;
            if column.data_type() != to {
                *column = in_type(column, to)?;
            }
            if let Some(canonical) = canonical_floats(column) {
                *column = canonical;
            }
        }
        Ok(conformed)
    }

    /// Makes room for values of another type in one key.
    fn widen(&mut self, idx: usize, column: &ArrayRef) -> Result<()> {
        let own = &self.types[idx];
        let common = common_type(own, column.data_type()).ok_or_else(|| {
            Error::plan(format!(
                "a key is {own} in some rows and {} in others",
                column.data_type()
            ))
        })?;
        if common == *own {
            return Ok(());
        }
        let mut keys = self.keys()?;
        // Whether whole numbers can stand among fractions depends on their values.
        let wanted = unify(&[Arc::clone(&keys[idx]), Arc::clone(column)], &common)?;
        let to = wanted[0].data_type().clone();
        keys[idx] = in_type(&keys[idx], &to)?;
        let n_groups = self.len();
        self.types[idx] = to;
        self.keys = new_keys(&self.types, self.hash_mask)?;
        self.keys.assign(&keys, &mut vec![0; n_groups])?;
        if self.len() != n_groups {
            return Err(Error::internal(format!(
                "{n_groups} keys became {} as {}",
                self.len(),
                self.types[idx]
            )));
        }
        Ok(())
    }
}

fn new_keys(types: &[DataType], mask: u64) -> Result<Box<dyn Keys>> {
    Ok(match types {
        [] => return Err(Error::plan("there is no key to group by")),
        [one] if ColumnKeys::holds(one) => Box::new(ColumnKeys::new(one, mask)),
        some if PackedKeys::hold(some) => Box::new(PackedKeys::new(some, mask)),
        many => Box::new(RowKeys::try_new(many, mask)?),
    })
}

/// Columns in the types that all columns like them have in the end, each wide
/// enough for the values here.
///
/// # Errors
///
/// [`Error::External`] if one is not.
pub(crate) fn in_key_types(columns: &[ArrayRef], types: &[DataType]) -> Result<Vec<ArrayRef>> {
    let columns = columns.iter().zip(types);
    columns
        .map(|(column, to)| match column.data_type() == to {
            true => Ok(Arc::clone(column)),
            false => in_type(column, to),
        })
        .collect()
}

/// What a dictionary or a column of runs holds.
pub(crate) fn plain_type(data_type: DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(*values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type().clone()),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        other => other,
    }
}

/// Whether a column is a dictionary of a type whose values are keys as they are.
fn is_dictionary(column: &ArrayRef, of: &DataType) -> bool {
    matches!(column.data_type(), DataType::Dictionary(_, values) if **values == *of)
        && !of.is_floating()
}

/// A column without a dictionary or runs.
fn plain_column(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            cast(column, &plain_type(column.data_type().clone()))?
        }
        _ => Arc::clone(column),
    })
}

/// Columns without dictionaries and runs.
pub(crate) fn plain(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    columns.iter().map(plain_column).collect()
}

/// A column in exactly one type.
fn in_type(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let column = unify(&[Arc::clone(column)], to)?.remove(0);
    Ok(if column.data_type() == to {
        column
    } else {
        cast(&column, to)?
    })
}

/// Floats with one NaN and one zero; nothing if they are no floats or have them already.
fn canonical_floats(column: &ArrayRef) -> Option<ArrayRef> {
    macro_rules! canonical {
        ($type:ty, $native:ty) => {{
            let array = column.as_primitive::<$type>();
            let one = |value: $native| {
                if value.is_nan() {
                    <$native>::NAN
                } else {
                    value + 0.0
                }
            };
            let same = |value: &$native| value.to_bits() == one(*value).to_bits();
            (!array.values().iter().all(same)).then(|| Arc::new(array.unary::<_, $type>(one)) as _)
        }};
    }
    match column.data_type() {
        DataType::Float32 => canonical!(Float32Type, f32),
        DataType::Float64 => canonical!(Float64Type, f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
