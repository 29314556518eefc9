//! Filters over real logs select what a plain JSON reader selects.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema_from_seekable;
use serde_json::Value;
use windrow::expr::Expr;

/// A file of real data; says that it skips where there is none.
fn real(path: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("WINDROW_REAL_DATA") else {
        println!("skipped: WINDROW_REAL_DATA is not set");
        return None;
    };
    Some(PathBuf::from(folder).join(path))
}

/// The text of a file, and its rows as batches of a few hundred rows.
fn read(path: &PathBuf) -> (Vec<Value>, Vec<RecordBatch>) {
    let mut text = Vec::new();
    let file = File::open(path).unwrap();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::MultiGzDecoder::new(file)
            .read_to_end(&mut text)
            .unwrap();
    } else {
        BufReader::new(file).read_to_end(&mut text).unwrap();
    }
    let records = text
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    let mut cursor = BufReader::new(std::io::Cursor::new(text));
    let (schema, _) = infer_json_schema_from_seekable(&mut cursor, None).unwrap();
    cursor.rewind().unwrap();
    let reader = ReaderBuilder::new(schema.into())
        .with_batch_size(700)
        .build(cursor)
        .unwrap();
    (records, reader.map(Result::unwrap).collect())
}

fn check(path: &str, filters: &[(&str, &dyn Fn(&Value) -> bool)]) {
    let Some(path) = real(path) else {
        return;
    };
    let (records, batches) = read(&path);
    for (text, wanted) in filters {
        let expr = Expr::parse(text).unwrap();
        let bound = expr.bind(&batches[0].schema()).unwrap();
        let selected: Vec<bool> = batches
            .iter()
            .flat_map(|batch| {
                let mask = bound.mask(batch).unwrap();
                mask.iter().map(|hit| hit == Some(true)).collect::<Vec<_>>()
            })
            .collect();
        let expected: Vec<bool> = records.iter().map(wanted).collect();
        assert_eq!(selected, expected, "{text}");
        let hits = selected.iter().filter(|hit| **hit).count();
        assert!(
            hits > 0 && hits < selected.len(),
            "{text} selects {hits}, which shows little"
        );
    }
}

#[test]
fn dns_queries() {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or("").to_owned();
    check(
        "zeek_json_logs/dns.json.gz",
        &[
            ("id.resp_p = 53 and proto = 'udp'", &|r| {
                r["id.resp_p"].as_i64() == Some(53) && text(r, "proto") == "udp"
            }),
            ("\"id.orig_h\" like '10.%' or query ilike '%.COM'", &|r| {
                text(r, "id.orig_h").starts_with("10.")
                    || text(r, "query").to_lowercase().ends_with(".com")
            }),
            ("rtt > 0.05 and rtt <= 1", &|r| {
                r["rtt"]
                    .as_f64()
                    .is_some_and(|rtt| rtt > 0.05 && rtt <= 1.0)
            }),
            ("rcode_name not in ('NOERROR', 'NXDOMAIN')", &|r| {
                r["rcode_name"]
                    .as_str()
                    .is_some_and(|name| name != "NOERROR" && name != "NXDOMAIN")
            }),
            ("AA is true or answers is null", &|r| {
                r["AA"] == true || r["answers"].is_null()
            }),
            ("length(answers) > 1", &|r| {
                r["answers"].as_array().is_some_and(|a| a.len() > 1)
            }),
            ("length(query) % 2 = 0", &|r| {
                r["query"]
                    .as_str()
                    .is_some_and(|query| query.chars().count() % 2 == 0)
            }),
        ],
    );
}

#[test]
fn a_web_servers_status() {
    check(
        "nginx_status_log/nginx_status.ndjson",
        &[
            ("connections.active > 5", &|r| {
                r["connections"]["active"].as_i64() > Some(5)
            }),
            ("server_zones.hg.nginx.org.responses.3xx > 12628", &|r| {
                r["server_zones"]["hg.nginx.org"]["responses"]["3xx"].as_i64() > Some(12_628)
            }),
            (
                "date_trunc('minute', to_timestamp(timestamp, 'ms')) >= '2015-10-31 00:20'",
                &|r| r["timestamp"].as_i64().unwrap() >= 1_446_250_800_000,
            ),
        ],
    );
}
