//! Structs, lists and maps.

use super::*;

/// Structs in structs, nulls at each level, and values hidden under nulls.
fn nested(rows: i64) -> ArrayRef {
    let names: StringArray = (0..rows)
        .map(|n| (n % 3 != 0).then(|| format!("in-{}", n % 9)))
        .collect();
    let ids: Int64Array = (0..rows).map(Some).collect();
    let inner = StructArray::new(
        vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("id", DataType::Int64, false),
        ]
        .into(),
        vec![Arc::new(names), Arc::new(ids)],
        Some(NullBuffer::from_iter((0..rows).map(|n| n % 4 != 0))),
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(|n| {
        (n % 5 != 0).then(|| (0..n % 4).map(move |item| (item != 2).then_some(n + item)))
    }));
    Arc::new(StructArray::new(
        vec![
            Field::new("inner", inner.data_type().clone(), true),
            Field::new("list", lists.data_type().clone(), true),
        ]
        .into(),
        vec![Arc::new(inner), Arc::new(lists)],
        Some(NullBuffer::from_iter((0..rows).map(|n| n % 7 != 0))),
    ))
}

#[test]
fn structs_come_back_with_nulls_at_every_level() {
    for rows in SIZES {
        check(nested(rows), true);
    }
}

#[test]
fn lists_of_lists_and_maps_come_back() {
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for n in 0..9000i64 {
        for outer in 0..n % 3 {
            for item in 0..(n + outer) % 4 {
                match item {
                    2 => lists.values().values().append_null(),
                    _ => lists
                        .values()
                        .values()
                        .append_value(format!("{}", mixed(n) % 50)),
                }
            }
            lists.values().append(outer != 1 || n % 5 != 0);
        }
        lists.append(n % 11 != 0);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    check(Arc::clone(&lists), true);
    // An array that begins within its buffers.
    check(lists.slice(77, 5000), true);

    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for n in 0..5000 {
        for item in 0..n % 3 {
            maps.keys().append_value(format!("k{item}"));
            maps.values().append_option((n % 4 != 0).then_some(n));
        }
        maps.append(n % 6 != 0).unwrap();
    }
    check(Arc::new(maps.finish()), true);
}
