//! Where pages and dictionaries end, what is said of them, and how they are stored.

use super::*;

#[test]
fn pages_end_with_the_row_that_fills_them() {
    let rows = PAGE_ROWS as i64 * 2 + 5;
    let few = check(
        Arc::new(
            (0..rows)
                .map(|n| Some(mixed(n) % 9))
                .collect::<Int64Array>(),
        ),
        true,
    );
    let of = |close: &ColumnCloseResult| {
        let pages = close.offset_index.as_ref().unwrap().page_locations();
        pages
            .iter()
            .map(|page| page.first_row_index)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&few), [0, PAGE_ROWS as i64, PAGE_ROWS as i64 * 2]);
    let big = "x".repeat(400_000);
    let huge: StringArray = (0..9)
        .map(|n| {
            (n % 4 != 3).then(|| format!("{n}{}", if n == 4 { big.repeat(4) } else { big.clone() }))
        })
        .collect();
    assert_eq!(of(&check(Arc::new(huge), true)), [0, 3, 5]);
}

#[test]
fn every_page_has_the_bounds_of_its_rows() {
    for values in [
        (0..300_000)
            .map(|n| mixed(n) % 1000 + n / 1000)
            .collect::<Vec<_>>(),
        (0..300_000).map(mixed).collect(),
        (0..300_000).map(|n| -n).collect(),
    ] {
        let close = check(Arc::new(Int64Array::from(values.clone())), false);
        let Some(ColumnIndexMetaData::INT64(index)) = &close.column_index else {
            panic!("there is no index");
        };
        let pages = close.offset_index.as_ref().unwrap().page_locations();
        assert_eq!(pages.len(), 3);
        for (idx, page) in pages.iter().enumerate() {
            let start = page.first_row_index as usize;
            let end = pages
                .get(idx + 1)
                .map_or(values.len(), |page| page.first_row_index as usize);
            let rows = &values[start..end];
            assert_eq!(index.min_value(idx), rows.iter().min());
            assert_eq!(index.max_value(idx), rows.iter().max());
        }
    }
}

#[test]
fn every_codec_is_read_by_the_crate() {
    let array: ArrayRef = Arc::new(
        (0..9000)
            .map(|n| Some(format!("/a/{}", mixed(n))))
            .collect::<StringArray>(),
    );
    let field: FieldRef = Arc::new(Field::new("c", DataType::Utf8, true));
    for codec in [
        Codec::None,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Gzip(6),
        Codec::Zstd(19),
        ZSTD,
    ] {
        let (bytes, _) = file(&field, vec![Arc::clone(&array)], codec);
        assert_eq!(read(&bytes, None).column(0), &array, "{codec}");
    }
    let unknown = job(&field, vec![array], Codec::Zstd(99));
    assert!(unknown.run().is_err(), "a level that is not there");
}

#[test]
fn a_null_where_none_may_be_is_an_error() {
    let field: FieldRef = Arc::new(Field::new("c", DataType::Int64, false));
    let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let error = job(&field, vec![array], ZSTD).run().err().unwrap();
    assert!(error.to_string().contains("\"c\""), "{error}");
}

#[test]
fn other_types_are_left_to_the_crate() {
    let array: ArrayRef = Arc::new(
        arrow_array::Decimal128Array::from(vec![Some(7), None])
            .with_precision_and_scale(30, 2)
            .unwrap(),
    );
    let field: FieldRef = Arc::new(Field::new("c", array.data_type().clone(), true));
    let chunks = job(&field, vec![array], ZSTD).run().unwrap();
    assert!(matches!(chunks[0].0, Chunk::Crates(_)));
}

#[test]
fn a_dictionary_that_outgrows_its_page_is_given_up() {
    // The sample takes this for a column of 8,192 values; it has many more.
    let text = |n: i64| {
        format!(
            "{}{}",
            "x".repeat(300),
            if n % 10 == 0 { n % 2 } else { n / 2 }
        )
    };
    let array: StringArray = (0..60_000).map(|n| Some(text(n))).collect();
    let close = check(Arc::new(array), true);
    assert_eq!(close.metadata.dictionary_page_offset(), None);
    assert!(
        close
            .metadata
            .encodings()
            .any(|encoding| encoding != Encoding::RLE)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_texts_come_back(values in prop::collection::vec(prop::option::of(".{0,90}"), 0..300)) {
        check(Arc::new(StringArray::from(values)), true);
    }

    #[test]
    fn any_numbers_come_back(values in prop::collection::vec(prop::option::of(any::<i64>()), 0..600), shift in 0u32..64) {
        let values: Vec<Option<i64>> = values.into_iter().map(|value| Some(value? >> shift)).collect();
        check(Arc::new(Int64Array::from(values)), true);
    }

    #[test]
    fn any_lists_come_back(
        rows in prop::collection::vec(
            prop::option::of(prop::collection::vec(prop::option::of("[ab]{0,3}"), 0..5)), 0..200),
    ) {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in rows {
            lists.append_option(row);
        }
        check(Arc::new(lists.finish()), true);
    }
}

#[test]
fn a_column_of_nulls_is_what_null_arrays_give() {
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let members = vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::List(Arc::clone(&item)), false),
    ];
    let types = [
        DataType::Utf8,
        DataType::Boolean,
        DataType::Float64,
        DataType::List(item),
        DataType::Struct(members.into()),
        DataType::Decimal128(30, 2), // the crate's
    ];
    for data_type in types {
        let field: FieldRef = Arc::new(Field::new("c", data_type.clone(), true));
        for rows in [1, 8193, 200_000] {
            let array = arrow_array::new_null_array(&data_type, rows);
            let slow = job(&field, vec![array], ZSTD).run().unwrap();
            let quick = null_chunks(&field, rows, &how(ZSTD)).unwrap();
            assert!(
                file_of(&field, quick, ZSTD) == file_of(&field, slow, ZSTD),
                "{rows} nulls of {data_type}"
            );
        }
    }
}

#[test]
fn a_filter_holds_every_value_and_is_as_small_as_they_are_few() {
    let many = Int64Array::from_iter((0..10_000i64).map(|n| (n % 7 > 0).then_some(n << 20)));
    let few = StringArray::from_iter_values((0..10_000).map(|n| format!("text {}", n % 50)));
    let filter = |array: ArrayRef, name: &str| {
        let field = Arc::new(Field::new(name, array.data_type().clone(), true));
        let (_, closes) = file(&field, vec![array], ZSTD);
        closes[0].bloom_filter.clone()
    };
    let of_many = filter(Arc::new(many.clone()), "filtered").unwrap();
    assert!(many.iter().flatten().all(|value| of_many.check(&value)));
    let others = (0..10_000i64).map(|n| (n << 20) + 1);
    let wrong = others.filter(|value| of_many.check(value)).count();
    assert!(wrong < 300, "{wrong} of 10,000 that are not there");
    let of_few = filter(Arc::new(few.clone()), "filtered").unwrap();
    assert!(few.iter().flatten().all(|text| of_few.check(text)));
    assert!(of_few.num_blocks() * 100 < of_many.num_blocks());
    assert!(filter(Arc::new(few), "other").is_none());
}
