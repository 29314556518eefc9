//! Values of every type that is not nested.

use super::*;

macro_rules! check_numbers {
    ($($array:ty as $native:ty),*) => {$(
        check_all(|values| Arc::new(<$array>::from(values)), |n| mixed(n) as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |n| (mixed(n) % 5) as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |n| n as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |_| 7 as $native);
    )*};
}

#[test]
fn numbers_come_back_with_the_crates_statistics() {
    check_numbers!(
        Int64Array as i64,
        UInt64Array as u64,
        Int32Array as i32,
        Float64Array as f64
    );
}

#[test]
fn narrow_numbers_come_back_with_the_crates_statistics() {
    check_numbers!(
        Int8Array as i8,
        UInt8Array as u8,
        Int16Array as i16,
        UInt16Array as u16,
        UInt32Array as u32,
        Float32Array as f32
    );
}

#[test]
fn extreme_numbers_come_back() {
    let extremes = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN, i64::MIN + 1];
    check_all(
        |values| Arc::new(Int64Array::from(values)),
        |n| extremes[n as usize % 7],
    );
    check_all(
        |values| Arc::new(UInt64Array::from(values)),
        |n| extremes[n as usize % 7].cast_unsigned(),
    );
    let extremes = [i32::MIN, i32::MAX, 0, -1];
    check_all(
        |values| Arc::new(Int32Array::from(values)),
        |n| extremes[n as usize % 4],
    );
    check_all(
        |values| Arc::new(UInt32Array::from(values)),
        |n| extremes[n as usize % 4].cast_unsigned(),
    );
    let unique: Vec<i64> = (0..9000)
        .map(|n| {
            if n % 2 == 0 {
                i64::MIN + n
            } else {
                i64::MAX - n
            }
        })
        .collect();
    check(Arc::new(Int64Array::from(unique)), true);
}

#[test]
fn odd_floats_keep_their_bits() {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
    ];
    let patterns: [fn(usize) -> usize; 4] = [|n| n % 2, |n| n % 7, |_| 2, |n| 4 + n % 2];
    for pattern in patterns {
        for unique in [false, true] {
            let value = |n: usize| match n.is_multiple_of(2) && unique {
                true => n as f64 / 7.0,
                false => odd[pattern(n)],
            };
            let values: Vec<f64> = (0..9000).map(value).collect();
            let field: FieldRef = Arc::new(Field::new("c", DataType::Float64, true));
            let array: ArrayRef = Arc::new(Float64Array::from(values.clone()));
            let (bytes, _) = file(&field, vec![Arc::clone(&array)], ZSTD);
            let found = read(&bytes, None);
            let found = found
                .column(0)
                .as_primitive::<arrow_array::types::Float64Type>();
            for (found, value) in found.values().iter().zip(&values) {
                assert_eq!(found.to_bits(), value.to_bits());
            }
        }
    }
    // What cannot be compared is in no statistics, as with the crate.
    check(Arc::new(Float64Array::from(vec![-0.0, 0.0, 1.0])), true);
    check(Arc::new(Float64Array::from(vec![-1.0, -0.0])), true);
}

#[test]
fn booleans_and_times_come_back() {
    for pattern in [|n| mixed(n) % 2 == 0, |_| true, |n| n > 5000] {
        check_all(|values| Arc::new(BooleanArray::from(values)), pattern);
    }
    check_all(
        |values| Arc::new(Date32Array::from(values)),
        |n| (n / 50) as i32,
    );
    check_all(
        |values| Arc::new(Time64MicrosecondArray::from(values)),
        |n| n * 50,
    );
    check_all(
        |values| Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC")),
        |n| 1_767_225_600_000 + n * 37 - mixed(n) % 20,
    );
}

#[test]
fn texts_come_back_with_the_crates_statistics() {
    let texts: [fn(i64) -> String; 7] = [
        |n| format!("web-{}", n % 40),
        |n| format!("/a/{}", mixed(n)),
        |n| format!("2025-03-03T00:{n:010}"),
        |_| String::new(),
        |n| "é".repeat((n % 60) as usize),
        |n| format!("{}{}", "long and the same at first, ".repeat(3), mixed(n)),
        |n| format!("\u{10FFFF}{}", "\u{D7FF}".repeat(40 - (n % 3) as usize)),
    ];
    for text in texts {
        check_all(|values| Arc::new(StringArray::from(values)), text);
    }
    check_all(|values| Arc::new(LargeStringArray::from(values)), texts[1]);
    check_all(|values| Arc::new(StringViewArray::from(values)), texts[5]);
}

#[test]
fn bytes_that_are_no_text_have_the_crates_statistics() {
    for long in [
        vec![0xFF; 100],
        [vec![7; 60], vec![0xFF; 40]].concat(),
        [vec![0xFF; 63], vec![3; 9]].concat(),
        vec![0; 65],
    ] {
        let array = BinaryArray::from_iter_values([&long[..], &long[..64], b"", &long[1..]]);
        check(Arc::new(array), false);
    }
}

#[test]
fn dictionary_arrays_come_back_whatever_their_nulls() {
    let keys = Int32Array::from_iter((0..9000).map(|n| (n % 5 != 2).then_some(n % 4)));
    // An entry that is null, one that comes twice and one that is not used.
    let entries = StringArray::from(vec![Some("a"), None, Some("b"), Some("a"), Some("z")]);
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(entries)).unwrap();
    let field: FieldRef = Arc::new(Field::new("c", array.data_type().clone(), true));
    let (bytes, closes) = file(&field, vec![Arc::new(array.clone())], ZSTD);
    let found = arrow_cast::cast(read(&bytes, None).column(0), &DataType::Utf8).unwrap();
    let expected = arrow_cast::cast(&array, &DataType::Utf8).unwrap();
    assert_eq!(&found, &expected);
    let statistics = closes[0].metadata.statistics().unwrap();
    assert_eq!(statistics.max_bytes_opt(), Some(&b"b"[..]));
    assert_eq!(
        statistics.null_count_opt(),
        Some(expected.null_count() as u64)
    );
}
