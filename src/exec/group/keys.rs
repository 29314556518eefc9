//! A column of keys that lies in many batches.
//!
//! In:  its arrays, some of them dictionaries, others not.
//! Out: the values of any of its rows, as one plain array.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, new_null_array};
use arrow_schema::DataType;

use crate::error::Result;
use crate::expr::{in_key_types, plain};
use crate::shuffle::{At, gather};

/// The arrays of a column.
pub(super) struct KeyColumn<'a> {
    /// Plain arrays, or the values of dictionaries.
    values: Vec<&'a dyn Array>,
    /// The dictionaries, at their places; none where there is no dictionary.
    coded: Vec<Option<&'a DictionaryArray<Int32Type>>>,
    any_coded: bool,
    /// What a null of a dictionary is.
    null: ArrayRef,
}

/// A dictionary that is taken as it is.
fn as_coded<'a>(column: &'a ArrayRef, of: &DataType) -> Option<&'a DictionaryArray<Int32Type>> {
    let coded = column.as_dictionary_opt::<Int32Type>()?;
    (coded.values().data_type() == of).then_some(coded)
}

impl<'a> KeyColumn<'a> {
    /// Of arrays that [`conform`](Self::conform) gave.
    pub fn new(of: &DataType, columns: impl Iterator<Item = &'a ArrayRef>) -> Self {
        let (mut values, mut coded) = (Vec::new(), Vec::new());
        for column in columns {
            let dictionary = as_coded(column, of);
            values.push(dictionary.map_or(&**column, |dictionary| &**dictionary.values()));
            coded.push(dictionary);
        }
        KeyColumn {
            any_coded: coded.iter().any(Option::is_some),
            values,
            coded,
            null: new_null_array(of, 1),
        }
    }

    /// Key columns of one batch in the types that all have, plain or as
    /// dictionaries of those.
    ///
    /// # Errors
    ///
    /// [`crate::Error::External`] if a value does not fit its type.
    pub fn conform(columns: &[ArrayRef], types: &[DataType]) -> Result<Vec<ArrayRef>> {
        let columns = columns.iter().zip(types).map(|(column, of)| {
            if as_coded(column, of).is_some() {
                return Ok(column.clone());
            }
            let column = plain(std::slice::from_ref(column))?;
            Ok(in_key_types(&column, std::slice::from_ref(of))?.remove(0))
        });
        columns.collect()
    }

    /// The values at some places.
    ///
    /// # Errors
    ///
    /// [`crate::Error::External`] if texts are too large for one array.
    pub fn gather(&self, at: &[At]) -> Result<ArrayRef> {
        if !self.any_coded {
            return gather(&self.values, at);
        }
        let mut values = self.values.clone();
        values.push(&self.null);
        let of_null = (self.values.len() as u32, 0);
        let decoded = at
            .iter()
            .map(|&(array, row)| match self.coded[array as usize] {
                None => (array, row),
                Some(coded) if coded.is_null(row as usize) => of_null,
                Some(coded) => (array, coded.keys().values()[row as usize] as u32),
            });
        gather(&values, &decoded.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn dictionaries_and_plain_arrays_are_one_column() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let coded = |of: Vec<Option<&str>>| -> ArrayRef {
            Arc::new(of.into_iter().collect::<DictionaryArray<Int32Type>>())
        };
        let first = coded(vec![Some("x"), None, Some("a"), Some("x")]);
        let second = coded(vec![Some("y")]);
        let at = [(1, 2), (0, 0), (1, 1), (2, 0), (0, 1), (1, 3), (1, 0)];
        let wanted = [
            Some("a"),
            Some("a"),
            None,
            Some("y"),
            None,
            Some("x"),
            Some("x"),
        ];
        let column = KeyColumn::new(&DataType::Utf8, [&plain, &first, &second].into_iter());
        assert_eq!(
            column.gather(&at).unwrap().as_string::<i32>(),
            &StringArray::from(wanted.to_vec())
        );
    }

    #[test]
    fn columns_take_the_types_that_all_have() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let short = vec![Some("a"), None]
            .into_iter()
            .collect::<DictionaryArray<arrow_array::types::Int8Type>>();
        let short: ArrayRef = Arc::new(short);
        let types = [DataType::Utf8, DataType::Utf8];
        let texts = KeyColumn::conform(&[numbers, short], &types).unwrap();
        assert_eq!(
            texts[0].as_string::<i32>(),
            &StringArray::from(vec![Some("1"), None])
        );
        assert_eq!(
            texts[1].as_string::<i32>(),
            &StringArray::from(vec![Some("a"), None])
        );
    }
}
