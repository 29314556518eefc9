//! Are the records of CSV the same at any cut, and are good ones as the csv crate has them?

#![no_main]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow_array::Array;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use libfuzzer_sys::fuzz_target;
use windrow::io::csv::{CsvDecoder, CsvOptions};
use windrow::io::json::{DecodeOptions, JsonSchema, conform};
use windrow::io::{Framing, RecordKind, SourceFile, TextOptions, Unit, open_framed};

type Row = Vec<Option<String>>;

#[derive(Debug, PartialEq)]
struct Read {
    names: Vec<String>,
    rows: Vec<Row>,
    /// Byte and reason.
    bad: Vec<(u64, String)>,
    lines: u64,
    blank: u64,
}

fn read(path: &Path, csv: &CsvOptions, chunk_bytes: usize) -> Result<Read, windrow::Error> {
    let file = Arc::new(SourceFile::at(path.to_str().expect("a path of ASCII"), 0)?);
    let options = TextOptions {
        chunk_bytes,
        ..TextOptions::default()
    };
    let framing = Framing {
        records: RecordKind::Csv(Arc::new(csv.clone())),
        ..Framing::default()
    };
    let mut reader = open_framed(&Unit::whole(file), &options, &framing)?;
    let decode = DecodeOptions {
        keep_bad: true,
        ..DecodeOptions::default()
    };
    let mut decoder = CsvDecoder::new(Arc::new(decode), None);
    let (mut schema, mut batches) = (JsonSchema::empty(), Vec::new());
    let (mut bad, mut lines, mut blank) = (Vec::new(), 0, 0);
    while let Some(mut chunk) = reader.next_chunk(Vec::new())? {
        let layout = Arc::clone(reader.csv_layout().expect("a chunk of CSV has a layout"));
        let from = chunk.first_byte;
        let decoded = decoder.decode(&mut chunk.bytes, from, &layout, &JsonSchema::empty())?;
        lines += decoded.lines;
        blank += decoded.blank;
        bad.extend(
            decoded
                .bad
                .into_iter()
                .map(|bad| (from + bad.byte, bad.reason)),
        );
        schema = schema.merge(&decoded.schema);
        batches.push((decoded.batch, decoded.schema));
    }
    let mut rows = Vec::new();
    for (batch, had) in batches {
        let batch = conform(&batch, &had, &schema)?;
        let options = FormatOptions::default();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("a cell has a text"))
            .collect();
        for row in 0..batch.num_rows() {
            let cell = |(column, text): (&arrow_array::ArrayRef, &ArrayFormatter)| {
                column.is_valid(row).then(|| text.value(row).to_string())
            };
            rows.push(batch.columns().iter().zip(&columns).map(cell).collect());
        }
    }
    let names = schema
        .to_arrow()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    Ok(Read {
        names,
        rows,
        bad,
        lines,
        blank,
    })
}

/// The records as another reader has them, if it takes them all.
fn by_other(text: &[u8]) -> Option<Vec<Vec<String>>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b',').from_reader(text);
    let records = reader.records().collect::<Result<Vec<_>, _>>().ok()?;
    Some(
        records
            .iter()
            .map(|record| record.iter().map(str::to_owned).collect())
            .collect(),
    )
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = common::choice(data) else {
        return;
    };
    // Other codecs and marks are other targets' matter.
    if data
        .iter()
        .take(6)
        .any(|byte| !byte.is_ascii() || *byte < b'\t')
    {
        return;
    }
    let csv = CsvOptions {
        delimiter: [Some(b','), None][choice & 1],
        trim: choice & 2 != 0,
        fill_short: choice & 4 != 0,
        comment: (choice & 8 != 0).then_some(b'#'),
        ..CsvOptions::default()
    };
    let path = common::file("csv", data);
    let Ok(whole) = read(&path, &csv, 1 << 20) else {
        return; // a header that is no record
    };
    assert_eq!(
        whole.lines,
        whole.rows.len() as u64 + whole.blank + whole.bad.len() as u64
    );
    for chunk_bytes in [1, 2, 3, 5, 11, 30] {
        let cut = read(&path, &csv, chunk_bytes).expect("what could be read whole");
        assert_eq!(cut, whole, "by {chunk_bytes}");
    }
    let is_plain = choice & 15 == 0 && whole.names.len() > 1 && !data.contains(&b'\r');
    if !is_plain || !whole.bad.is_empty() {
        return;
    }
    let Some(theirs) = by_other(data) else { return };
    // Numbers are shown as numbers; a text is exact.
    let is_same = |ours: &Option<String>, theirs: &String| match ours {
        None => theirs.is_empty(),
        Some(ours) => ours == theirs || ours.parse::<f64>().ok() == theirs.parse::<f64>().ok(),
    };
    assert_eq!(whole.rows.len(), theirs.len());
    for (ours, theirs) in whole.rows.iter().zip(&theirs) {
        let is_row = ours
            .iter()
            .zip(theirs)
            .all(|(ours, theirs)| is_same(ours, theirs));
        assert!(
            is_row && ours.len() == theirs.len(),
            "{ours:?} is {theirs:?}"
        );
    }
});
