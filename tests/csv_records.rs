//! Promise: every record of CSV is read once and whole, however the text is
//! cut, compressed and decoded; and no field is other than it was written.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Schema};
use windrow::io::csv::{CsvDecoder, CsvOptions};
use windrow::io::json::{DecodeOptions, JsonSchema, SchemaMode, conform};
use windrow::io::{Framing, RecordKind, SourceFile, TextOptions, Unit, open_framed};

/// What a text was decoded to.
#[derive(Debug, PartialEq)]
struct Read {
    /// Names and types.
    columns: Vec<(String, String)>,
    /// Cells as text; null is none.
    rows: Vec<Vec<Option<String>>>,
    /// Records and blank lines.
    lines: u64,
    blank: u64,
    /// Byte, physical line, column and reason.
    bad: Vec<(u64, u64, Option<String>, String)>,
}

/// What each chunk is decoded from.
#[derive(Clone, Copy)]
enum Known {
    /// All that came before.
    Before,
    /// Nothing, as if all chunks were decoded at the same time.
    Nothing,
}

struct Case {
    csv: CsvOptions,
    schema: Option<Schema>,
    mode: SchemaMode,
}

impl Case {
    fn plain() -> Self {
        Case {
            csv: CsvOptions::default(),
            schema: None,
            mode: SchemaMode::Widen,
        }
    }

    fn with(csv: CsvOptions) -> Self {
        Case {
            csv,
            ..Case::plain()
        }
    }

    fn read(&self, path: &Path, chunk_bytes: usize, blocksize: u64, known: Known) -> Read {
        let file = Arc::new(SourceFile::at(path.to_str().unwrap(), 0).unwrap());
        let options = TextOptions {
            chunk_bytes,
            blocksize,
            ..TextOptions::default()
        };
        let framing = Framing {
            records: RecordKind::Csv(Arc::new(self.csv.clone())),
            ..Framing::default()
        };
        let decode = DecodeOptions {
            mode: self.mode,
            keep_bad: true,
            ..DecodeOptions::default()
        };
        let mut decoder = CsvDecoder::new(Arc::new(decode), None);
        let mut reader = open_framed(&Unit::whole(file), &options, &framing).unwrap();
        let start = match &self.schema {
            Some(schema) => JsonSchema::from_arrow(schema).unwrap(),
            None => JsonSchema::empty(),
        };
        // Lines of compressed text and of CR are not counted here.
        let stored = std::fs::read(path).unwrap();
        let is_plain = path.extension().is_some_and(|ending| ending == "csv");
        let has_newlines_only = is_plain && !stored.contains(&b'\r');
        let (mut schema, mut batches) = (start.clone(), Vec::new());
        let (mut lines, mut blank, mut physical, mut bad) = (0, 0, 0, Vec::new());
        let mut at = None;
        while let Some(mut chunk) = reader.next_chunk(Vec::new()).unwrap() {
            assert!(
                at.is_none_or(|at| at == chunk.first_byte),
                "chunks follow each other"
            );
            assert_eq!(chunk.block, chunk.first_byte / blocksize);
            at = Some(chunk.first_byte + chunk.bytes.len() as u64);
            let text = chunk.bytes.clone();
            let layout = Arc::clone(reader.csv_layout().unwrap());
            let from = match known {
                Known::Before => &schema,
                Known::Nothing => &start,
            };
            let decoded = decoder
                .decode(&mut chunk.bytes, chunk.first_byte, &layout, from)
                .unwrap();
            assert_eq!(chunk.bytes, text, "the text comes back");
            for one in &decoded.bad {
                let line = physical + one.line + 1;
                let byte = chunk.first_byte + one.byte;
                bad.push((byte, line, one.column.clone(), one.reason.clone()));
            }
            lines += decoded.lines;
            blank += decoded.blank;
            physical += decoded.lines + decoded.inner_lines;
            let ends = text.iter().filter(|byte| **byte == b'\n').count() as u64;
            if has_newlines_only && text.last() == Some(&b'\n') {
                assert_eq!(decoded.lines + decoded.inner_lines, ends, "physical lines");
            }
            schema = schema.merge(&decoded.schema);
            batches.push((decoded.batch, decoded.schema));
        }
        let rows = batches
            .iter()
            .map(|(batch, from)| conform(batch, from, &schema).unwrap())
            .flat_map(|batch| cells(&batch))
            .collect();
        let arrow = schema.to_arrow();
        let columns = arrow
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect();
        Read {
            columns,
            rows,
            lines,
            blank,
            bad,
        }
    }
}

fn cells(batch: &arrow_array::RecordBatch) -> Vec<Vec<Option<String>>> {
    let options = FormatOptions::default();
    (0..batch.num_rows())
        .map(|row| {
            batch
                .columns()
                .iter()
                .map(|column| {
                    let text = ArrayFormatter::try_new(column, &options).unwrap();
                    column.is_valid(row).then(|| text.value(row).to_string())
                })
                .collect()
        })
        .collect()
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    // Two members, cut anywhere.
    let mut all = Vec::new();
    for part in [&text[..text.len() / 3], &text[text.len() / 3..]] {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(part).unwrap();
        all.extend(out.finish().unwrap());
    }
    all
}

/// Small texts that have tripped CSV readers.
fn awkward() -> Vec<(&'static str, Vec<u8>)> {
    let long = format!("a,b\n1,\"{}\n{}\"\n2,x\n", "y".repeat(40), "z,".repeat(30));
    vec![
        ("nothing", b"".to_vec()),
        ("blank lines only", b"\n\r\n\n".to_vec()),
        ("a header only", b"a,b".to_vec()),
        ("a mark", b"\xef\xbb\xbfa,b\n1,2\n".to_vec()),
        ("no last line end", b"a,b\n1,2\n3,4".to_vec()),
        ("crlf", b"a,b\r\n1,2\r\n\r\n3,\r\n,4\r\n".to_vec()),
        ("cr", b"a,b\r1,\"x\ry\"\r\r3,4\r".to_vec()),
        (
            "quoted line ends",
            b"a,b\n\"1\n2\",\"\n\n\"\n\"\n\",x\n3,\"4\r\n5\"\n".to_vec(),
        ),
        (
            "quotes in quotes",
            b"a,b\n\"\"\"\",\"\"\n\"x\"\"\ny\",\"\"\"\"\"\"\n".to_vec(),
        ),
        (
            "quotes that are characters",
            b"a,b\n5\" disk,3\" x\n\"5\"\"\n disk\",6\"\n".to_vec(),
        ),
        ("quoted names", b"\"a\nb\",\"c,d\"\n1,2\n".to_vec()),
        (
            "blank lines between",
            b"\n\na,b\n\n1,2\n\n\n3,4\n\n".to_vec(),
        ),
        ("one column", b"a\n1\n\n\"\"\n2\n".to_vec()),
        (
            "late types",
            b"a,b,c\n1,,true\n2,,false\n3,1,x\n4.5,2.50,\n-5,,\n".to_vec(),
        ),
        (
            "late text",
            b"a,b,c\n1.50,1,TRUE\n2.25,22,FALSE\n-0.10,9,\nv1,x,y\n".to_vec(),
        ),
        (
            "big numbers",
            b"a,b\n9223372036854775807,1\n9223372036854775808,0.1\n18446744073709551616,2\n"
                .to_vec(),
        ),
        ("ragged", b"a,b\n1\n1,2,3\n4,5\n\"6\n7\"\n8,9\n".to_vec()),
        (
            "quotes that are wrong",
            b"a,b\n\"1\"2,3\n4,5\n\"6\n\"x,7\n8,9\n10,\"never\nclosed\n".to_vec(),
        ),
        (
            "bytes that are no text",
            b"a,b\n1,\xff\n2,x\n\"\xc3\n\",3\n4,\xc3\xa9\n".to_vec(),
        ),
        ("a record longer than any block", long.into_bytes()),
    ]
}

#[test]
fn every_cut_gives_the_rows_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in awkward() {
        let plain = put(dir.path(), "plain.csv", &text);
        let case = Case::plain();
        let whole = case.read(&plain, 1 << 20, 1 << 40, Known::Before);
        assert_eq!(
            whole.lines,
            whole.rows.len() as u64 + whole.blank + whole.bad.len() as u64
        );
        for size in 1..=text.len() + 1 {
            for (chunk, block) in [(1 << 20, size as u64), (size, 1 << 40), (size, size as u64)] {
                for known in [Known::Before, Known::Nothing] {
                    let cut = case.read(&plain, chunk, block, known);
                    assert_eq!(cut, whole, "{name}: chunks of {chunk}, blocks of {block}");
                }
            }
        }
        let gzip = put(dir.path(), "text.csv.gz", &gzipped(&text));
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        let zstd = put(dir.path(), "text.csv.zst", &zstd);
        for path in [gzip, zstd] {
            for size in [1, 2, 3, 5, 8, 13, text.len() + 1] {
                let cut = case.read(&path, size, size as u64, Known::Nothing);
                assert_eq!(cut, whole, "{name}: {} by {size}", path.display());
            }
        }
    }
}

#[test]
fn a_blank_line_is_a_null_where_there_is_one_column() {
    let dir = tempfile::tempdir().unwrap();
    let comments = CsvOptions {
        comment: Some(b'#'),
        trim: true,
        ..CsvOptions::default()
    };
    for csv in [CsvOptions::default(), comments.clone()] {
        let path = put(dir.path(), "x.csv", b"\na\n1\n\n\"\"\r\n\r\n2\n\n");
        let read = Case::with(csv).read(&path, 3, 5, Known::Nothing);
        let rows: Vec<_> = read.rows.iter().map(|row| row[0].as_deref()).collect();
        assert_eq!(rows, [Some("1"), None, Some(""), None, Some("2"), None]);
        assert_eq!((read.lines, read.blank), (6, 0));
    }
    let path = put(dir.path(), "x.csv", b"a\n#no\n  \n3\n");
    let read = Case::with(comments).read(&path, 3, 5, Known::Nothing);
    let rows: Vec<_> = read.rows.iter().map(|row| row[0].as_deref()).collect();
    assert_eq!((rows, read.blank), (vec![None, Some("3")], 1));
}

#[test]
fn good_records_are_those_of_another_reader() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in awkward() {
        // Where it refuses, or takes CR, wrong quotes and blank lines otherwise, there is
        // nothing to compare.
        let is_told = ["nothing", "blank lines only", "one column", "cr", "ragged"].contains(&name)
            || name.contains("wrong")
            || name.contains("no text");
        if is_told {
            continue;
        }
        let path = put(dir.path(), "x.csv", &text);
        assert_eq!(as_text(&path, &text), by_other(&text), "{name}");
    }
}

/// All columns as text, nulls as nothing.
fn as_text(path: &Path, text: &[u8]) -> Vec<Vec<String>> {
    let names = csv::Reader::from_reader(text).headers().unwrap().clone();
    let fields: Vec<Field> = names
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect();
    let case = Case {
        schema: Some(Schema::new(fields)),
        mode: SchemaMode::Strict,
        ..Case::plain()
    };
    let read = case.read(path, 16, 64, Known::Before);
    assert_eq!(read.bad, []);
    let cells = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
    read.rows.into_iter().map(cells).collect()
}

fn by_other(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text);
    let records = reader.records().map(|record| record.unwrap());
    records
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect()
}

/// Numbers that differ from run to run of the tests by nothing but their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

const CELLS: [&str; 40] = [
    "",
    "0",
    "-0",
    "1",
    "-1",
    "007",
    "+1",
    "1.5",
    "1.50",
    "1.0",
    "-2.25",
    "NaN",
    "inf",
    "-inf",
    "0.00005",
    "1e5",
    "1e-07",
    "1e-7",
    "123456789012345678",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "0.30000000000000004",
    "3.141592653589793",
    "1.",
    ".5",
    "-",
    "true",
    "True",
    "FALSE",
    "false",
    "x",
    "a b",
    " 1",
    "é",
    "\"",
    "a\"b",
    "l1\nl2",
    "a,b",
];

/// A file of random cells, some columns mostly of one kind, and its cells.
fn random_file(random: &mut Random) -> (String, Vec<Vec<&'static str>>) {
    let columns = 1 + random.below(4);
    let rows = random.below(40);
    let kinds: Vec<&[&str]> = (0..columns)
        .map(|_| match random.below(6) {
            0 => &CELLS[1..5],
            1 => &CELLS[6..11],
            2 => &CELLS[8..9],
            3 => &CELLS[28..32],
            4 => &CELLS[10..15],
            _ => &CELLS[..],
        })
        .collect();
    let end = if random.below(3) == 0 { "\r\n" } else { "\n" };
    let names: Vec<String> = (0..columns).map(|idx| format!("c{idx}")).collect();
    let mut text = names.join(",") + end;
    let mut cells = Vec::new();
    for _ in 0..rows {
        let mut row = Vec::new();
        for (idx, kind) in kinds.iter().enumerate() {
            let any = random.below(12) == 0;
            let cell = if any {
                CELLS[random.below(CELLS.len())]
            } else {
                kind[random.below(kind.len())]
            };
            let must = cell.contains([',', '\n'])
                || cell.starts_with('"')
                || cell.is_empty() && columns == 1;
            if idx > 0 {
                text.push(',');
            }
            if must || random.below(4) == 0 && !cell.is_empty() {
                text += &format!("\"{}\"", cell.replace('"', "\"\""));
            } else {
                text += cell;
            }
            row.push(cell);
        }
        text += end;
        cells.push(row);
    }
    (text, cells)
}

#[test]
fn no_cell_is_other_than_it_was_written_at_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(42);
    for round in 0..150 {
        let (text, cells) = random_file(&mut random);
        let path = put(dir.path(), "x.csv", text.as_bytes());
        let case = Case::plain();
        let whole = case.read(&path, 1 << 20, 1 << 40, Known::Before);
        assert_eq!(whole.bad, [], "{text}");
        assert_eq!(whole.rows.len(), cells.len(), "round {round}: {text}");
        assert_eq!(by_other(text.as_bytes()), cells, "round {round}");
        for (row, cells) in whole.rows.iter().zip(&cells) {
            for ((found, cell), (_, kind)) in row.iter().zip(cells).zip(&whole.columns) {
                let found = found.as_deref().unwrap_or("");
                match kind.as_str() {
                    "Utf8" => assert_eq!(found, *cell, "round {round}: {text}"),
                    "Boolean" => assert_eq!(found, cell.to_lowercase()),
                    "Int64" | "UInt64" => assert_eq!(found, *cell),
                    "Float64" if cell.is_empty() => assert_eq!(found, ""),
                    "Float64" => {
                        let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
                        assert_eq!(bits(found), bits(cell), "{found} for {cell}");
                    }
                    other => panic!("no column of fields is {other}"),
                }
            }
        }
        for size in [1, 7, 16, 33, 64, 200] {
            for known in [Known::Before, Known::Nothing] {
                let cut = case.read(&path, size, 1 + random.below(300) as u64, known);
                assert_eq!(cut, whole, "round {round} by {size}: {text}");
            }
        }
    }
}

fn types(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = put(dir.path(), "x.csv", text.as_bytes());
    let read = Case::plain().read(&path, 1 << 20, 1 << 40, Known::Before);
    read.columns.into_iter().map(|(_, kind)| kind).collect()
}

fn type_of(cells: &[&str]) -> String {
    types(&format!(
        "a,b\n{}",
        cells
            .iter()
            .map(|cell| format!("{cell},x\n"))
            .collect::<String>()
    ))
    .swap_remove(0)
}

#[test]
fn a_column_is_of_numbers_only_if_all_fields_come_back() {
    for (cells, kind) in [
        (&["1", "", "-20"][..], "Int64"),
        (&["1", "\"2\""], "Int64"),
        (&["1", "9223372036854775808"], "UInt64"),
        (&["-1", "9223372036854775808"], "Utf8"),
        (&["007"], "Utf8"),
        (&["+1"], "Utf8"),
        (&["-0"], "Float64"),
        (&["1", "2.5"], "Float64"),
        (&["1.10", "2.55"], "Float64"),
        (&["1.10", "2.5"], "Utf8"),
        (&["1.10", "2"], "Utf8"),
        (&["1.0", "2.5"], "Float64"),
        (&["1.0", "2"], "Utf8"),
        (&["1e5"], "Utf8"),
        (&["1e-07", "0.5"], "Float64"),
        (&["0.00", "-0.05"], "Float64"),
        (&["9007199254740993", "0.5"], "Utf8"),
        (&["18446744073709551616"], "Utf8"),
        (&["true", "false", ""], "Boolean"),
        (&["true", "False"], "Utf8"),
        (&["true", "1"], "Utf8"),
        (&["2024-01-01"], "Utf8"),
        (&["NaN"], "Float64"),
        (&["1", "NaN", "-inf", "inf"], "Float64"),
        (&["1.10", "\"NaN\"", "2.25"], "Float64"),
        (&["9007199254740993", "NaN"], "Utf8"),
        (&["true", "NaN"], "Utf8"),
        (&["nan", "1"], "Utf8"),
        (&["NaN", "Infinity"], "Utf8"),
        (&["", ""], "Utf8"),
        (&["\"\"", "1"], "Utf8"),
    ] {
        assert_eq!(type_of(cells), kind, "{cells:?}");
    }
}

#[test]
fn a_schema_decides_types_and_refuses_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let text = b"day,n,x,t,s\n2024-02-29,007,+1.50,2024-01-01 00:00:01,1\nsoon,1,2,2024-01-01T00:00:00Z,2\n2024-01-01,300,1e2,,3\n";
    let path = put(dir.path(), "x.csv", text);
    let case = Case {
        schema: Some(Schema::new(vec![
            Field::new("day", DataType::Date32, true),
            Field::new("n", DataType::Int16, true),
            Field::new("x", DataType::Float32, true),
            Field::new(
                "t",
                DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, Some("UTC".into())),
                true,
            ),
            Field::new("s", DataType::Utf8, true),
        ])),
        mode: SchemaMode::Strict,
        ..Case::plain()
    };
    let read = case.read(&path, 16, 1 << 40, Known::Before);
    let cell = |text: &str| Some(text.to_owned());
    assert_eq!(
        read.rows,
        [
            vec![
                cell("2024-02-29"),
                cell("7"),
                cell("1.5"),
                cell("2024-01-01T00:00:01Z"),
                cell("1")
            ],
            vec![
                cell("2024-01-01"),
                cell("300"),
                cell("100.0"),
                None,
                cell("3")
            ],
        ]
    );
    let [(byte, line, column, reason)] = &read.bad[..] else {
        panic!("one record is bad: {:?}", read.bad);
    };
    assert_eq!((*byte, *line, column.as_deref()), (55, 3, Some("day")));
    assert_eq!(reason, "\"soon\" is not Date32");
}

#[test]
fn options_change_what_fields_are() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |csv: CsvOptions, text: &str| {
        let path = put(dir.path(), "x.csv", text.as_bytes());
        let case = Case::with(csv);
        let whole = case.read(&path, 1 << 20, 1 << 40, Known::Before);
        for size in 1..=text.len() {
            assert_eq!(
                case.read(&path, size, 7, Known::Nothing),
                whole,
                "{size}: {text}"
            );
        }
        whole
    };
    let cell = |text: &str| Some(text.to_owned());
    let options = CsvOptions::default;

    let bare = rows(
        CsvOptions {
            header: false,
            ..options()
        },
        "1;a\n2;\n",
    );
    assert_eq!(bare.columns[1], ("column_1".to_owned(), "Utf8".to_owned()));
    assert_eq!(bare.rows, [[cell("1"), cell("a")], [cell("2"), None]]);

    let nulls = CsvOptions {
        nulls: vec!["NA".into(), "-9".into()],
        ..options()
    };
    let nulls = rows(nulls, "a,b\nNA,x\n-9,\"NA\"\n5,\n");
    assert_eq!(nulls.columns[0].1, "Int64");
    assert_eq!(
        nulls.rows,
        [[None, cell("x")], [None, cell("NA")], [cell("5"), None]]
    );

    let trimmed = rows(
        CsvOptions {
            trim: true,
            ..options()
        },
        "a , b\n 1 ,\" x \" \n  \n2,\t\n",
    );
    assert_eq!(trimmed.columns[0], ("a".to_owned(), "Int64".to_owned()));
    assert_eq!(trimmed.rows, [[cell("1"), cell(" x ")], [cell("2"), None]]);
    assert_eq!(trimmed.blank, 1);

    let comments = CsvOptions {
        comment: Some(b'#'),
        ..options()
    };
    let comments = rows(comments, "#,\"\na,b\n1,#2\n# it's \"\n\"#3\",4\n");
    assert_eq!(
        comments.rows,
        [[cell("1"), cell("#2")], [cell("#3"), cell("4")]]
    );
    assert_eq!((comments.lines, comments.blank), (3, 1));

    let escaped = CsvOptions {
        escape: Some(b'\\'),
        ..options()
    };
    let escaped = rows(escaped, "a,b\n\"x\\\"\ny\",\"\\\\\"\n\"\"\"\",\\n\n");
    assert_eq!(
        escaped.rows,
        [[cell("x\"\ny"), cell("\\")], [cell("\""), cell("\\n")]]
    );

    let unquoted = rows(
        CsvOptions {
            quote: None,
            ..options()
        },
        "a,b\n\"1,2\"\n",
    );
    assert_eq!(unquoted.rows, [[cell("\"1"), cell("2\"")]]);

    let filled = rows(
        CsvOptions {
            fill_short: true,
            ..options()
        },
        "a,b,c\n1\n1,x\n1,2,3,4\n",
    );
    assert_eq!(
        filled.rows,
        [[cell("1"), None, None], [cell("1"), cell("x"), None]]
    );
    assert_eq!(
        filled.bad[0].3,
        "the record has 4 fields, where there are 3 columns"
    );
}

#[test]
fn bad_records_have_their_place_in_physical_lines() {
    let dir = tempfile::tempdir().unwrap();
    let text = "a,b\n\"1\n2\n3\",x\n\n1\n\"q\"w,2\n5,\"open\n6,7\n";
    let path = put(dir.path(), "x.csv", text.as_bytes());
    let read = Case::plain().read(&path, 3, 1 << 40, Known::Before);
    let bad: Vec<(u64, u64, &str)> = read
        .bad
        .iter()
        .map(|(byte, line, _, reason)| (*byte, *line, reason.as_str()))
        .collect();
    assert_eq!(
        bad,
        [
            (15, 6, "the record has 1 field, where there are 2 columns"),
            (
                17,
                7,
                "'w' at byte 3 of the record follows the closing quote of field 1; \
                 a quote in a quoted field is written twice"
            ),
            (
                24,
                8,
                "the quoted field 2 of the record has no closing quote"
            ),
        ]
    );
    // What follows the quote that is never closed is read all the same.
    assert_eq!((read.lines, read.blank, read.rows.len()), (6, 1, 2));
}

#[test]
fn a_quote_that_is_never_closed_took_the_rest_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = "a,b\n1,x\n2,\"open\n".to_owned();
    for n in 3..200 {
        text.push_str(&format!("{n},x\n"));
    }
    // Closed by the opening quote of a later field, and followed by what is in it.
    let closed = text.clone() + "200,\"a\nb\"\n201,x\n";
    for (text, last) in [(text, 199), (closed, 201)] {
        let path = put(dir.path(), "x.csv", text.as_bytes());
        let whole = Case::plain().read(&path, 1 << 20, 1 << 40, Known::Before);
        let bad: Vec<_> = whole.bad.iter().map(|bad| (bad.0, bad.1)).collect();
        let firsts = whole.rows.iter().map(|row| row[0].clone().unwrap());
        let firsts: Vec<u64> = firsts.map(|first| first.parse().unwrap()).collect();
        let is_sound = |n: &u64| ![2, 200].contains(n);
        assert_eq!(firsts, (1..=last).filter(is_sound).collect::<Vec<_>>());
        // The line of the quote; and those of the field that it was closed by.
        let wanted = [(8, 3), (1094, 201), (1101, 202)];
        assert_eq!(bad, wanted[..if last == 199 { 1 } else { 3 }]);
        for size in [1, 7, 64, 333] {
            let cut = Case::plain().read(&path, size, size as u64, Known::Nothing);
            assert_eq!(cut, whole, "by {size}");
        }
    }
}

#[test]
fn any_bytes_give_the_same_records_at_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    let pieces = [
        "a", "b", "1", "2.50", "\"", "\"\"", ",", ",", ",", "\n", "\n", "\r\n", "\r", " ", "\\",
        "#", ";", "\t", "\u{e9}", "true", "-", "0",
    ];
    for round in 0..600 {
        let mut text = Vec::new();
        for _ in 0..random.below(24) {
            text.extend(pieces[random.below(pieces.len())].as_bytes());
            if random.below(60) == 0 {
                text.push(0xff);
            }
        }
        let csv = CsvOptions {
            header: random.below(2) == 0,
            delimiter: [None, Some(b','), Some(b'\t')][random.below(3)],
            quote: [Some(b'"'), Some(b'"'), None][random.below(3)],
            escape: None,
            comment: [None, Some(b'#')][random.below(2)],
            nulls: [vec![], vec!["a".to_owned()]][random.below(2)].clone(),
            trim: random.below(3) == 0,
            fill_short: random.below(2) == 0,
        };
        let escape = csv.quote.filter(|_| random.below(4) == 0).map(|_| b'\\');
        let csv = CsvOptions { escape, ..csv };
        let path = put(dir.path(), "x.csv", &text);
        let shown = format!(
            "round {round}: {:?} {csv:?}",
            String::from_utf8_lossy(&text)
        );
        if is_refused(&path, &csv) {
            continue; // a header that is no record
        }
        let case = Case::with(csv);
        let whole = case.read(&path, 1 << 20, 1 << 40, Known::Before);
        let accounted = whole.rows.len() as u64 + whole.blank + whole.bad.len() as u64;
        assert_eq!(whole.lines, accounted, "{shown}");
        for size in [1, 2, 3, 4, 5, 7, 11, 17] {
            for known in [Known::Before, Known::Nothing] {
                let cut = case.read(&path, size, 1 + random.below(30) as u64, known);
                assert_eq!(cut, whole, "by {size}, {shown}");
            }
        }
    }
}

/// Whether a file with these options cannot even be opened.
fn is_refused(path: &Path, csv: &CsvOptions) -> bool {
    let file = Arc::new(SourceFile::at(path.to_str().unwrap(), 0).unwrap());
    let framing = Framing {
        records: RecordKind::Csv(Arc::new(csv.clone())),
        ..Framing::default()
    };
    open_framed(&Unit::whole(file), &TextOptions::default(), &framing).is_err()
}
