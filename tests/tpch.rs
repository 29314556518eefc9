//! The 22 questions of TPC-H have the answers that DuckDB gives.
//!
//! `tests/golden/tpch` holds, for scale 0.01, each question in SQL and the answer;
//! `benches/peers/tpch_answers.py` makes the answers again. Each question is asked
//! of rows in memory under several cuts, and of Parquet files: the answers are the
//! same bit by bit.

#[path = "../benches/tpch/answers.rs"]
mod answers;
#[path = "../benches/tpch/data.rs"]
mod data;
#[path = "../benches/tpch/queries/mod.rs"]
mod queries;
#[path = "common/session.rs"]
mod session;

use std::path::Path;
use std::sync::Arc;

use answers::Answer;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use data::{Tables, batches};
use queries::QUERIES;
use session::session;
use windrow::arrow::schema::DataType;
use windrow::{ByteSize, Table};

const SCALE: f64 = 0.01;

/// Asks everything; panics with all differences. Gives the answers.
fn ask_all(tables: &Tables, cut: &str) -> Vec<RecordBatch> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tpch");
    let mut answers = Vec::new();
    let mut wrong = Vec::new();
    for (name, query) in QUERIES {
        let text = std::fs::read_to_string(golden.join(format!("{name}.txt"))).unwrap();
        let wanted = Answer::parse(&text);
        match query(tables).and_then(|frame| frame.compute()) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(table) => {
                if let Err(difference) = wanted.check(&table) {
                    wrong.push(format!("{name}: {difference}"));
                }
                let schema = table.schema();
                let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
                if names != wanted.names() {
                    wrong.push(format!("{name}: {names:?}, not {:?}", wanted.names()));
                }
                answers.push(concat_batches(&schema, table.batches()).unwrap());
            }
        }
    }
    assert!(wrong.is_empty(), "{cut}:\n{}", wrong.join("\n"));
    answers
}

/// Panics with the first answer that is not the same bit by bit.
fn assert_same(answers: &[RecordBatch], others: &[RecordBatch], cut: &str) {
    for (((name, _), answer), other) in QUERIES.iter().zip(answers).zip(others) {
        assert_eq!(answer.columns(), other.columns(), "{name}, {cut}");
    }
}

#[test]
fn answers_are_those_of_a_peer_under_every_cut() {
    let made = batches(SCALE).unwrap();
    let in_memory = |threads, memory, batch_rows| {
        let session = session(threads, memory);
        let tables = Tables::in_memory(&session, SCALE, &made, batch_rows).unwrap();
        let cut = format!("{threads} threads, {memory}, {batch_rows} rows a batch");
        (ask_all(&tables, &cut), cut)
    };
    let (whole, _) = in_memory(1, ByteSize::mib(512), usize::MAX);
    for (threads, memory, batch_rows) in [
        (2, ByteSize::mib(512), 8_192),
        (5, ByteSize::mib(512), 997),
        (2, ByteSize::mib(32), 8_192),
    ] {
        let (answers, cut) = in_memory(threads, memory, batch_rows);
        assert_same(&answers, &whole, &cut);
    }

    let session = session(2, ByteSize::mib(512));
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("tables");
    data::write(&session, SCALE, &dir).unwrap();
    let tables = Tables::in_files(&session, SCALE, &dir).unwrap();
    assert_same(&ask_all(&tables, "files"), &whole, "files");
}

#[test]
fn money_stays_money() {
    let session = session(2, ByteSize::mib(512));
    let made = batches(0.001).unwrap();
    let tables = Tables::in_memory(&session, 0.001, &made, 8_192).unwrap();
    let type_of = |query: &str, column: &str| {
        let (_, query) = QUERIES.iter().find(|(name, _)| *name == query).unwrap();
        let schema = query(&tables).unwrap().schema().unwrap();
        schema.field_with_name(column).unwrap().data_type().clone()
    };
    assert_eq!(type_of("q01", "sum_charge"), DataType::Decimal128(38, 6));
    assert_eq!(type_of("q05", "revenue"), DataType::Decimal128(38, 4));
    assert_eq!(type_of("q06", "revenue"), DataType::Decimal128(38, 4));
    assert_eq!(type_of("q11", "value"), DataType::Decimal128(38, 2));
    // Shares and means are fractions.
    assert_eq!(type_of("q14", "promo_revenue"), DataType::Float64);
}

/// Two rows: a key, a name, and a third.
fn small_table() -> Table {
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["AFRICA", "AMERICA"]));
    let shares: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(2.0 / 3.0)]));
    let columns = [("key", keys), ("name", names), ("share", shares)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let session = session(1, ByteSize::mib(64));
    let frame = session.from_batches(batch.schema(), [batch]).unwrap();
    frame.compute().unwrap()
}

#[test]
fn an_answer_that_differs_is_told() {
    let table = small_table();
    let check = |rows: &str| Answer::parse(&format!("key|name|share\n{rows}")).check(&table);
    assert_eq!(check("0|AFRICA|NULL\n 1 | AMERICA |0.67\n"), Ok(()));
    let told = |rows: &str| check(rows).unwrap_err();
    assert_eq!(told("0|AFRICA|NULL"), "2 rows, not 1");
    assert_eq!(
        told("0|AFRICA|NULL\n1|ASIA|0.67"),
        "row 2, name: AMERICA, not ASIA"
    );
    assert_eq!(
        told("0|AFRICA|NULL\n2|AMERICA|0.67"),
        "row 2, key: 1, not 2"
    );
    assert_eq!(told("0|AFRICA|0\n1|AMERICA|0.67"), "row 1, share: , not 0");
    assert_eq!(
        told("0|AFRICA|NULL\nNULL|AMERICA|0.67"),
        "row 2, key: 1, not NULL"
    );
    let narrow = Answer::parse("key\n0\n1").check(&table);
    assert_eq!(narrow, Err("3 columns, not 1".to_owned()));
}

#[test]
fn fractions_are_compared_by_the_digits_of_the_answer() {
    let table = small_table();
    let is = |share: &str| {
        let text = format!("key|name|share\n0|AFRICA|NULL\n1|AMERICA|{share}");
        Answer::parse(&text).check(&table).is_ok()
    };
    assert!(is("0.67") && is("0.6666666667"));
    assert!(!is("0.66") && !is("0.6666666666") && !is("0.6666666668"));
}
