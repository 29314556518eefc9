//! In:  keys of every type, plain and packed, with nulls, NaN and forced collisions.
//! Out: nothing; groups must be those of the slow, plain way, in order of first appearance.

use super::*;
use arrow_array::{
    BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, NullArray,
    StringArray, UInt16Array,
};
use arrow_cast::display::array_value_to_string;

/// Ids in the order of first appearance, by comparing texts one by one.
fn oracle(columns: &[ArrayRef]) -> Vec<u32> {
    let mut known: Vec<Vec<String>> = Vec::new();
    (0..columns[0].len())
        .map(|row| {
            let key = texts(columns, row);
            let at = known.iter().position(|other| *other == key);
            at.unwrap_or_else(|| {
                known.push(key);
                known.len() - 1
            }) as u32
        })
        .collect()
}

fn texts(columns: &[ArrayRef], row: usize) -> Vec<String> {
    let text = |column: &ArrayRef| match column.is_null(row) {
        true => "null".to_owned(),
        false => format!("'{}'", array_value_to_string(column, row).unwrap()),
    };
    columns.iter().map(text).collect()
}

fn columns() -> Vec<ArrayRef> {
    let rows = 0..120_i64;
    let key = |row: i64| (row % 7 != 3).then_some((row * row) % 31 - 9);
    let ints: ArrayRef = Arc::new(rows.clone().map(key).collect::<Int64Array>());
    let words: ArrayRef = Arc::new(StringArray::from_iter(rows.clone().map(|row| {
        // Short ones, and long ones that differ at their ends only.
        key(row).map(|key| match key % 3 {
            0 => format!("w{key}"),
            _ => format!("a word of some length {key}"),
        })
    })));
    let floats = rows.clone().map(|row| key(row).map(|key| key as f64 / 4.0));
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8));
    vec![
        Arc::clone(&ints),
        cast(&words, &dictionary).unwrap(),
        words,
        Arc::new(floats.collect::<Float64Array>()),
        Arc::new(
            rows.clone()
                .map(|row| key(row).map(|key| key > 4))
                .collect::<BooleanArray>(),
        ),
        Arc::new(
            rows.clone()
                .map(|row| key(row).map(|key| key as i32))
                .collect::<Date32Array>(),
        ),
        Arc::new(rows.map(|row| (row % 50) as u16).collect::<UInt16Array>()),
        cast(&ints, &DataType::Decimal128(20, 0)).unwrap(),
    ]
}

#[test]
fn ids_follow_first_appearance_in_any_cut_and_when_all_hashes_collide() {
    let columns = columns();
    let mut keys: Vec<Vec<ArrayRef>> = columns
        .iter()
        .map(|column| vec![Arc::clone(column)])
        .collect();
    keys.push(vec![Arc::clone(&columns[1]), Arc::clone(&columns[6])]);
    keys.push(columns.clone());
    for keys in keys {
        let expected = oracle(&keys);
        for mask in [0, 3, u64::MAX] {
            for step in [1, 7, 120] {
                let types = keys.iter().map(|key| key.data_type().clone()).collect();
                let mut table = GroupTable::with_hash_mask(types, mask).unwrap();
                let mut found = Vec::new();
                for start in (0..120).step_by(step) {
                    let rows = step.min(120 - start);
                    let piece: Vec<ArrayRef> =
                        keys.iter().map(|key| key.slice(start, rows)).collect();
                    found.extend(table.assign(&piece).unwrap());
                }
                assert_eq!(found, expected, "{mask} {step}");
                let back = table.keys().unwrap();
                assert_eq!(back[0].len(), table.len());
                for (row, id) in found.iter().enumerate() {
                    assert_eq!(texts(&back, *id as usize), texts(&keys, row));
                }
            }
        }
    }
}

#[test]
fn dictionaries_that_change_on_the_way_meet_plain_columns() {
    let dictionary = |values: Vec<Option<&str>>, keys: Vec<Option<i32>>| -> ArrayRef {
        let values: ArrayRef = Arc::new(StringArray::from(values));
        Arc::new(DictionaryArray::new(Int32Array::from(keys), values))
    };
    let whole = dictionary(
        vec![Some("unused"), Some("b"), None, Some("a"), Some("b")],
        vec![Some(3), Some(1), None, Some(2), Some(4), Some(3)],
    );
    let other = dictionary(vec![Some("a"), Some("c")], vec![Some(1), Some(0), None]);
    let plain: ArrayRef = Arc::new(StringArray::from(vec!["c", "unused", "b"]));
    let ones = |array: &ArrayRef| Arc::new(Int64Array::from(vec![1; array.len()])) as ArrayRef;
    for n_columns in [1, 2] {
        let columns = |of: &ArrayRef| vec![Arc::clone(of), ones(of)][..n_columns].to_vec();
        let types = vec![DataType::Utf8, DataType::Int64][..n_columns].to_vec();
        let mut table = GroupTable::try_new(types).unwrap();
        let slices = [whole.slice(0, 2), whole.slice(2, 4), whole.slice(0, 0)];
        let ids = slices.map(|slice| table.assign(&columns(&slice)).unwrap());
        assert_eq!(ids.concat(), [0, 1, 2, 2, 1, 0]);
        assert_eq!(table.assign(&columns(&other)).unwrap(), [3, 0, 2]);
        assert_eq!(table.assign(&columns(&plain)).unwrap(), [3, 4, 1]);
        assert_eq!(table.assign(&columns(&whole)).unwrap(), [0, 1, 2, 2, 1, 0]);
        let keys = StringArray::from(vec![Some("a"), Some("b"), None, Some("c"), Some("unused")]);
        assert_eq!(table.keys().unwrap()[0].as_ref(), &keys);
    }
}

#[test]
fn nan_is_one_key_and_so_is_zero() {
    let floats = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let column = floats(vec![0.0, -0.0, f64::NAN, -f64::NAN, 1.0]);
    let mut one = GroupTable::try_new(vec![DataType::Float64]).unwrap();
    assert_eq!(one.assign(&[Arc::clone(&column)]).unwrap(), [0, 0, 1, 1, 2]);
    let mut two = GroupTable::try_new(vec![DataType::Float64; 2]).unwrap();
    let ids = two
        .assign(&[Arc::clone(&column), floats(vec![1.0; 5])])
        .unwrap();
    assert_eq!(ids, [0, 0, 1, 1, 2]);
}

#[test]
fn a_key_that_is_typed_otherwise_later_keeps_its_ids() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
    let halves: ArrayRef = Arc::new(Float64Array::from(vec![7.0, 0.5]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["n/a", "0.5", "5"]));
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    let mut table = GroupTable::try_new(vec![DataType::Null]).unwrap();
    assert_eq!(table.assign(&[Arc::clone(&nothing)]).unwrap(), [0, 0]);
    assert_eq!(table.assign(&[Arc::clone(&ints)]).unwrap(), [1, 0, 2]);
    assert_eq!(table.assign(&[halves]).unwrap(), [2, 3]);
    assert_eq!(table.types(), [DataType::Float64]);
    assert_eq!(table.assign(&[words]).unwrap(), [4, 3, 1]);
    assert_eq!(table.types(), [DataType::Utf8]);
    assert_eq!(table.assign(&[nothing]).unwrap(), [0, 0]);
    assert_eq!(table.assign(&[ints]).unwrap(), [1, 0, 2]);
    let expected = StringArray::from(vec![None, Some("5"), Some("7"), Some("0.5"), Some("n/a")]);
    assert_eq!(table.keys().unwrap()[0].as_ref(), &expected);
    assert!(table.bytes() > 0);
}

#[test]
fn what_is_no_key_is_refused() {
    assert!(GroupTable::try_new(vec![]).is_err());
    let mut table = GroupTable::try_new(vec![DataType::new_list(DataType::Int64, true)]).unwrap();
    let error = table
        .assign(&[Arc::new(Int64Array::from(vec![1]))])
        .unwrap_err();
    assert!(error.to_string().contains("a key is"), "{error}");
}
