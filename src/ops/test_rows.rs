//! The rows that operators are tested on.

use std::sync::Arc;

use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_cast::display::array_value_to_string;

/// Twelve rows: `n`, `x` and `word`, with nulls, ties, NaN and -0.
pub(crate) fn rows() -> RecordBatch {
    let long = Some("a long word, longer than twelve bytes");
    let n = [3, 1, 2, 2, 5, 1, 0, -4, 5, 3, 2, 7].map(|value| (value != 0).then_some(value));
    let x = [
        0.1,
        2.5,
        -0.0,
        1e16,
        0.1,
        -1e16,
        0.0,
        3.5,
        0.7,
        1.0,
        2.5,
        f64::NAN,
    ];
    let b = Some("b");
    let word = [
        b,
        None,
        Some("a"),
        b,
        long,
        None,
        b,
        Some("c"),
        long,
        b,
        None,
        Some("a"),
    ];
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from(n.to_vec())) as _),
        ("x", Arc::new(Float64Array::from(x.to_vec())) as _),
        ("word", Arc::new(StringArray::from(word.to_vec())) as _),
    ])
    .unwrap()
}

/// Each row as a text, its cells between blanks.
pub(crate) fn shown(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &dyn Array, row: usize| match column.is_null(row) {
        true => "null".to_owned(),
        false => array_value_to_string(column, row).unwrap(),
    };
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .map(|column| cell(column, row))
                .collect();
            cells.join(" ")
        })
        .collect()
}
