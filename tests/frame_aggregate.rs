//! Rows folded into a few: groups, counts, best rows and statistics of a frame
//! are those that a slow, plain version gives, however rows are cut.

mod oracle;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use oracle::{Cell, Row, rows_of};
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::exec::{Context, collect};
use windrow::expr::Scalar;
use windrow::plan::lower;
use windrow::plan::optimize::{RULES, optimize_without};
use windrow::prelude::*;

/// Log lines: keys that are null or missing, a fraction that comes late, a
/// `code` that turns into text near the end.
fn lines() -> Vec<String> {
    let line = |idx: usize| {
        let status = [200, 404, 500, 200, 301][idx * 7 % 5];
        let user = match idx % 7 {
            0 => String::new(),
            1 => r#","user":null"#.to_owned(),
            n => format!(r#","user":"u{}""#, n * idx % 4),
        };
        let bytes = match idx {
            700.. if idx.is_multiple_of(50) => "0.5".to_owned(),
            _ => (idx * 37 % 1000).to_string(),
        };
        let code = match idx {
            850.. if idx.is_multiple_of(3) => r#""x""#.to_owned(),
            _ => (idx % 5).to_string(),
        };
        format!(r#"{{"id":{idx},"status":{status}{user},"bytes":{bytes},"code":{code}}}"#)
    };
    (0..1000).map(line).collect()
}

/// The lines in eight gzip files, each a chunk or more.
fn write_logs(dir: &Path) -> Vec<Row> {
    let lines = lines();
    for (idx, part) in lines.chunks(130).enumerate() {
        let file = std::fs::File::create(dir.join(format!("{idx}.json.gz"))).unwrap();
        let mut gz = GzEncoder::new(file, Compression::fast());
        gz.write_all((part.join("\n") + "\n").as_bytes()).unwrap();
        gz.finish().unwrap();
    }
    let cell = |value: &serde_json::Value| match value {
        serde_json::Value::Null => Cell::Null,
        serde_json::Value::Bool(value) => Cell::Bool(*value),
        serde_json::Value::Number(number) => Cell::Number(number.as_f64().unwrap()),
        other => Cell::Text(other.as_str().unwrap().to_owned()),
    };
    let row = |line: &String| {
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let cells = fields
            .iter()
            .map(|(name, value)| (name.clone(), cell(value)));
        let mut row: Row = cells.filter(|(_, cell)| *cell != Cell::Null).collect();
        // The column holds text in the end, as canonical as it can be.
        if let Some(Cell::Number(code)) = row.get("code").cloned() {
            row.insert("code".to_owned(), Cell::Text(code.to_string()));
        }
        row
    };
    lines.iter().map(row).collect()
}

fn frame(dir: &Path, threads: usize, blocksize: u64) -> DataFrame {
    let session = Session::new(Settings {
        threads,
        blocksize: ByteSize::new(blocksize),
        ..Settings::default()
    });
    let all: PathBuf = dir.join("*.json.gz");
    session
        .read_json(all.display().to_string(), ReadOptions::default())
        .unwrap()
}

/// Asserts that an answer is the same one under every cut, and gives it.
fn under_every_cut(
    dir: &Path,
    ask: impl Fn(&DataFrame) -> windrow::Result<DataFrame>,
) -> Vec<RecordBatch> {
    let mut first = None;
    for (threads, blocksize) in [(1, 1 << 20), (2, 700), (5, 97), (5, 1 << 20)] {
        let frame = frame(dir, threads, blocksize);
        let (small, whole) = (frame.repartition(By::Rows(3)).unwrap(), frame);
        for frame in [whole, small] {
            let asked = ask(&frame).unwrap();
            let table = asked.compute().unwrap();
            assert!(table.num_partitions() <= 1);
            let batches = table.into_batches();
            match &first {
                None => first = Some(batches),
                Some(first) => assert_eq!(*first, batches, "{threads} {blocksize}"),
            }
        }
    }
    first.unwrap()
}

/// Rows by the value of a column, in order of first appearance.
fn groups<'a>(rows: &'a [Row], key: &str) -> Vec<(Option<&'a Cell>, Vec<&'a Row>)> {
    let mut groups: Vec<(Option<&Cell>, Vec<&Row>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(value, _)| *value == row.get(key)) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((row.get(key), vec![row])),
        }
    }
    groups
}

fn sum(rows: &[&Row], name: &str) -> f64 {
    let values = rows.iter().filter_map(|row| match row.get(name) {
        Some(Cell::Number(value)) => Some(*value),
        _ => None,
    });
    values.sum()
}

#[test]
fn groups_are_those_of_the_rows_under_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    for key in ["status", "user", "code"] {
        let found = under_every_cut(dir.path(), |frame| {
            frame.groupby([key])?.agg([col("bytes").sum(), count()])
        });
        let expected = groups(&rows, key).into_iter().map(|(value, rows)| {
            let mut row = Row::new();
            if let Some(value) = value {
                row.insert(key.to_owned(), value.clone());
            }
            row.insert("bytes".to_owned(), Cell::Number(sum(&rows, "bytes")));
            row.insert("count".to_owned(), Cell::Number(rows.len() as f64));
            row
        });
        assert_eq!(rows_of(&found), expected.collect::<Vec<_>>(), "{key}");
    }
}

#[test]
fn computed_keys_and_arguments_and_steps_before_and_behind() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    let found = under_every_cut(dir.path(), |frame| {
        frame
            .filter("status <> 301")?
            .limit(500)
            .groupby([(col("id") % 10).alias("last")])?
            .agg([(col("id") * 2).sum().alias("twice"), col("id").max()])?
            .filter("twice > 0")?
            .select([col("last"), (col("twice") / 2).alias("sum"), col("id")])
    });
    let of = |row: &Row, name: &str| row[name].int().unwrap();
    let kept = rows.iter().filter(|row| of(row, "status") != 301).take(500);
    let mut expected: Vec<(i64, i64, i64)> = Vec::new();
    for row in kept {
        let id = of(row, "id");
        match expected.iter_mut().find(|(last, ..)| *last == id % 10) {
            Some((_, sum, max)) => (*sum, *max) = (*sum + id, id.max(*max)),
            None => expected.push((id % 10, id, id)),
        }
    }
    let found: Vec<(i64, i64, i64)> = rows_of(&found)
        .iter()
        .map(|row| (of(row, "last"), of(row, "sum"), of(row, "id")))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn null_is_a_group_unless_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    write_logs(dir.path());
    let by_user = frame(dir.path(), 2, 1000).groupby(["user"]).unwrap();
    let null = |frame: &DataFrame| frame.filter("user is null").unwrap().count().unwrap();
    assert_eq!(null(&by_user.size().unwrap()), 1);
    assert_eq!(null(&by_user.dropna().size().unwrap()), 0);
}

#[test]
fn value_counts_stand_most_first() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    let found = under_every_cut(dir.path(), |frame| frame.value_counts(["user"]));
    let mut expected: Vec<usize> = groups(&rows, "user").iter().map(|(_, g)| g.len()).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let counts = rows_of(&found);
    let counts: Vec<usize> = counts
        .iter()
        .map(|row| row["count"].int().unwrap() as usize)
        .collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_largest_rows_come_whole_with_columns_that_widened_behind_them() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    for (largest, n) in [(true, 7), (false, 40)] {
        let found = under_every_cut(dir.path(), |frame| match largest {
            true => frame.nlargest(n, "bytes"),
            false => frame.nsmallest(n, "bytes"),
        });
        let mut expected = rows.clone();
        expected.sort_by(|a, b| {
            let [a, b] = [sum(&[a], "bytes"), sum(&[b], "bytes")];
            let order = a.total_cmp(&b);
            if largest { order.reverse() } else { order }
        });
        expected.truncate(n);
        assert_eq!(rows_of(&found), expected);
    }
}

#[test]
fn statistics_are_the_same_under_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    let found = under_every_cut(dir.path(), DataFrame::describe);
    let table = rows_of(&found);
    assert_eq!(table[0]["bytes"], Cell::Number(1000.0));
    let nulls = rows.iter().filter(|row| !row.contains_key("user")).count();
    assert_eq!(table[1]["user"], Cell::Text(nulls.to_string()));
    assert_eq!(table[8]["id"], Cell::Number(999.0));
}

#[test]
fn single_values_are_computed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    write_logs(dir.path());
    let frame = frame(dir.path(), 2, 1000);
    assert_eq!(frame.nunique("status").unwrap(), 4);
    assert_eq!(frame.approx_nunique("status").unwrap(), 4);
    assert_eq!(frame.quantile("id", 0.5).unwrap(), Scalar::Float64(499.5));
    assert_eq!(frame.value("max(id)").unwrap(), Scalar::Int64(999));
    let nothing = frame.filter("id < 0").unwrap();
    assert_eq!(nothing.value("sum(id)").unwrap(), Scalar::Null);
    assert_eq!(nothing.value("count(*)").unwrap(), Scalar::Int64(0));
    let groups = nothing.groupby(["user"]).unwrap().size().unwrap();
    assert_eq!(groups.compute().unwrap().num_rows(), 0);
    let error = frame.value("list(id)").unwrap_err().to_string();
    assert!(error.contains("take it with agg"), "{error}");
}

#[test]
fn names_and_types_are_checked_when_the_call_is_made() {
    let dir = tempfile::tempdir().unwrap();
    write_logs(dir.path());
    let frame = frame(dir.path(), 1, 1000);
    let said = |outcome: windrow::Result<DataFrame>| outcome.unwrap_err().to_string();
    assert!(said(frame.agg(["sum(byte)"])).contains("bytes"));
    assert!(said(frame.agg([col("user").sum()])).contains("not a number"));
    assert!(said(frame.value_counts(["stat"])).contains("status"));
    assert!(said(frame.nlargest(3, "byte")).contains("bytes"));
    let error = frame.groupby(["usr"]).err().unwrap().to_string();
    assert!(error.contains("user"), "{error}");
    let twice = frame.groupby(["user"]).unwrap();
    assert!(said(twice.agg([count().alias("user")])).contains("\"user\""));
}

#[test]
fn a_value_that_cannot_be_computed_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    write_logs(dir.path());
    let mut errors = Vec::new();
    for (threads, blocksize) in [(1, 1 << 20), (5, 97)] {
        let frame = frame(dir.path(), threads, blocksize);
        let asked = frame.agg(["sum(cast(id as tinyint))"]).unwrap();
        errors.push(asked.compute().unwrap_err().to_string());
    }
    assert!(errors[0].contains("0.json.gz: line 129"), "{}", errors[0]);
    assert_eq!(errors[0], errors[1]);
}

/// Rows whose `n` is their number, 10,000 a partition, with a text of so many bytes.
fn numbered(threads: usize, n_partitions: usize, text_bytes: usize) -> DataFrame {
    let session = Session::new(Settings {
        threads,
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let make = move |idx: usize| {
        let places = idx as i64 * 10_000..(idx as i64 + 1) * 10_000;
        let texts = places.clone().map(|n| format!("{n:>text_bytes$}"));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(places));
        RecordBatch::try_from_iter([("n", n), ("text", text)]).unwrap()
    };
    let schema = make(0).schema();
    session.from_map(schema, n_partitions, move |idx| Ok(vec![make(idx)]))
}

#[test]
fn groups_beyond_the_budget_are_spilled_and_keep_their_order() {
    let frame = numbered(2, 50, 150);
    let groups = frame.groupby(["n"]).unwrap();
    let groups = groups.agg([count(), col("text").max()]).unwrap();
    let some = groups.filter((col("n") % 5000).eq(lit(0))).unwrap();
    let table = some.compute().unwrap();
    assert!(table.report().spilled_bytes > 0);
    let found: Vec<i64> = table
        .batches()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    assert_eq!(found, (0..100).map(|n| n * 5000).collect::<Vec<_>>());
    assert_eq!(frame.nlargest(3, "n").unwrap().count().unwrap(), 3);
}

#[test]
fn a_key_with_half_of_the_rows_makes_no_task_large_where_groups_are_spilled() {
    let n_rows = 400_000;
    let key = when((col("n") % 2).eq(lit(0)))
        .then(lit(-7))
        .otherwise(col("n"));
    // The order of rows changes nothing, or it does: then they are grouped chunk by chunk.
    for text in [col("text").max(), col("text").first()] {
        let frame = numbered(2, 40, 300)
            .with_column("key", key.clone())
            .unwrap();
        let groups = frame.groupby(["key"]).unwrap();
        let groups = groups.agg([count(), text.alias("text")]).unwrap();
        let (mut n_groups, mut hot_rows) = (0, 0);
        let report = groups.for_each_batch(|batch| {
            let column = |idx: usize| batch.column(idx).as_primitive::<Int64Type>().values();
            n_groups += batch.num_rows() as i64;
            let hot = column(0).iter().position(|key| *key == -7);
            hot_rows += hot.map_or(0, |row| column(1)[row]);
            Ok(())
        });
        let report = report.unwrap();
        assert_eq!((n_groups, hot_rows), (n_rows / 2 + 1, n_rows / 2));
        assert!(report.spilled_bytes > 0, "{report}");
        let stage = report
            .stages
            .iter()
            .find(|stage| stage.name == "agg")
            .unwrap();
        let tasks = stage.tasks.as_ref().unwrap();
        let mean = tasks.rows as f64 / tasks.tasks as f64;
        assert!(tasks.largest_rows as f64 <= 1.5 * mean, "{report}");
        let [hot] = &stage.hot_keys[..] else {
            panic!("{report}");
        };
        assert_eq!((&hot.columns[0][..], &hot.value[..]), ("key", "-7"));
        let share = hot.rows as f64 / n_rows as f64;
        assert!((0.45..0.55).contains(&share) && hot.tasks > 1, "{hot:?}");
    }
}

#[test]
fn groups_of_rows_near_each_other_fill_one_table_after_the_other() {
    // Three neighbours share a key: a table that is full is set aside, and the next one begins.
    let key = col("n") - col("n") % 3;
    for threads in [1, 2] {
        let frame = numbered(threads, 100, 1).with_column("key", key.clone());
        let groups = frame.unwrap().groupby(["key"]).unwrap();
        let groups = groups.agg([col("n").sum(), count()]).unwrap();
        let table = groups.compute().unwrap();
        let mut key = 0;
        for batch in table.batches() {
            let column = |idx: usize| batch.column(idx).as_primitive::<Int64Type>().values();
            for row in 0..batch.num_rows() {
                let rows = 3.min(1_000_000 - key);
                let sum = key * rows + rows * (rows - 1) / 2;
                let found = [0, 1, 2].map(|idx| column(idx)[row]);
                assert_eq!(found, [key, sum, rows], "{threads}");
                key += 3;
            }
        }
        assert_eq!(key, 1_000_002);
    }
}

#[test]
fn groups_nearly_as_many_as_rows_are_those_of_a_map_in_input_order() {
    // Every key twice, far apart: tables fill, and rows pass by them.
    let key = (col("n") * 7919) % 200_000;
    for threads in [1, 3] {
        let frame = numbered(threads, 40, 1).with_column("key", key.clone());
        let groups = frame.unwrap().groupby(["key"]).unwrap();
        let groups = groups.agg([col("n").sum(), col("n").first(), count()]);
        let free = numbered(threads, 40, 1).with_column("key", key.clone());
        let free = free.unwrap().groupby(["key"]).unwrap();
        let free = free.agg([col("n").sum(), col("n").mean(), col("n").var(), count()]);
        for table in [groups.unwrap().compute(), free.unwrap().compute()] {
            let table = table.unwrap();
            let mut n = 0;
            for batch in table.batches() {
                let column = |name: &str| {
                    let column = batch.column_by_name(name).unwrap();
                    column.as_primitive::<Int64Type>().values().to_vec()
                };
                let rows = column("key").into_iter().zip(column("sum(n)"));
                for ((key, sum), count) in rows.zip(column("count")) {
                    assert_eq!(key, n * 7919 % 200_000, "{threads}");
                    assert_eq!((sum, count), (2 * n + 200_000, 2), "{threads}");
                    n += 1;
                }
            }
            assert_eq!(n, 200_000);
        }
    }
}

#[test]
fn one_group_beyond_the_budget_is_an_error_that_names_the_setting() {
    let frame = numbered(2, 10, 500);
    let one = frame.agg([col("text").list()]).unwrap();
    let by_nothing = frame.groupby([lit(1).alias("one")]).unwrap();
    for group in [one, by_nothing.agg([col("text").list()]).unwrap()] {
        let error = group.compute().unwrap_err().to_string();
        assert!(
            error.contains("agg") && error.contains("--memory"),
            "{error}"
        );
    }
}

#[test]
fn the_answer_is_the_same_without_a_rule_and_only_what_is_needed_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write_logs(dir.path());
    let frame = frame(dir.path(), 2, 1000);
    let asked = frame
        .groupby(["user"])
        .unwrap()
        .agg([(col("bytes") * 2).sum(), col("status").max()])
        .unwrap()
        .filter("status > 0")
        .unwrap();
    let plan = asked.explain().to_string();
    assert!(plan.contains("[columns status, bytes, user]"), "{plan}");
    assert_eq!(plan.matches("read json").count(), 1, "{plan}");
    let run = |off: &[&str]| {
        let physical = lower(
            optimize_without(asked.plan().clone(), off),
            ByteSize::new(1000),
        );
        let context = Context::new(Settings::default());
        rows_of(
            collect(&physical, &context)
                .unwrap()
                .partitions
                .iter()
                .flatten(),
        )
    };
    let all = run(&[]);
    assert!(!all.is_empty());
    for (name, _) in RULES {
        assert_eq!(run(&[name]), all, "without {name}");
    }
}

#[test]
fn info_counts_rows_nulls_and_columns_that_came_late() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    let mut all = Vec::new();
    for threads in [1, 5] {
        all.push(frame(dir.path(), threads, 500).info().unwrap());
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0].rows, 1000);
    for column in &all[0].columns {
        let nulls = rows.iter().filter(|row| !row.contains_key(&column.name));
        assert_eq!(column.nulls, nulls.count() as u64, "{}", column.name);
    }
    assert!(
        all[0].to_string().contains("code: Utf8, 0 nulls"),
        "{}",
        all[0]
    );
}

#[test]
fn what_was_folded_is_a_frame_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write_logs(dir.path());
    let frame = frame(dir.path(), 2, 1000);
    let users = frame.groupby(["user"]).unwrap().size().unwrap();
    let total = users.agg(["sum(count)", "count(*)"]).unwrap();
    let expected = [1000, groups(&rows, "user").len() as i64];
    let found = rows_of(&total.to_batches().unwrap());
    let found = ["sum(count)", "count(*)"].map(|name| found[0].get(name).and_then(Cell::int));
    assert_eq!(found, expected.map(Some), "{total}");
    let target = dir.path().join("out");
    let report = users.to_parquet(&target).unwrap();
    assert_eq!(report.rows_written(), users.count().unwrap());
    let back = windrow::read_parquet(target.display().to_string()).unwrap();
    let of = |frame: &DataFrame| rows_of(&frame.to_batches().unwrap());
    assert_eq!(of(&back), of(&users));
    assert_eq!(of(&users.persist().unwrap()), of(&users));
    let twice = windrow::concat([&users, &users]).unwrap();
    assert_eq!(twice.count().unwrap(), 2 * users.count().unwrap());
}

/// The weather of three airports, hour by hour in 2013, as gzip JSON.
fn write_weather(path: &Path) -> bool {
    let Some(folder) = std::env::var_os("WINDROW_REAL_DATA") else {
        println!("skipped: real weather needs WINDROW_REAL_DATA");
        return false;
    };
    let text = std::fs::read_to_string(Path::new(&folder).join("nycflights13/weather.csv"));
    let text = text.unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let mut gz = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    for cells in lines {
        let fields = names.iter().zip(cells).map(|(name, cell)| match *name {
            _ if cell == "NA" => format!("\"{name}\":null"),
            "origin" | "time_hour" => format!("\"{name}\":\"{cell}\""),
            _ => format!("\"{name}\":{cell}"),
        });
        let fields: Vec<String> = fields.collect();
        writeln!(gz, "{{{}}}", fields.join(",")).unwrap();
    }
    gz.finish().unwrap();
    true
}

#[test]
fn a_year_of_weather_is_grouped_as_duckdb_does() {
    // DuckDB 2.0: select origin, count(*), count(temp), min(dewp), max(pressure), median(temp),
    // count(distinct wind_dir), sum(month) … group by origin order by origin
    let stored = [
        ("EWR", [8703.0, 8702.0, -9.04, 1041.9, 55.94, 37.0, 56600.0]),
        ("JFK", [8706.0, 8706.0, -9.94, 1042.1, 53.96, 37.0, 56621.0]),
        ("LGA", [8706.0, 8706.0, -7.06, 1041.9, 55.94, 37.0, 56624.0]),
    ];
    let dir = tempfile::tempdir().unwrap();
    if !write_weather(&dir.path().join("weather.json.gz")) {
        return;
    }
    let texts = [
        "count(*) as rows",
        "count(temp) as temps",
        "min(dewp) as least",
        "max(pressure) as most",
        "median(temp) as middle",
        "count(distinct wind_dir) as winds",
        "sum(month) as months",
    ];
    for threads in [1, 2] {
        let frame = frame(dir.path(), threads, 64 << 10);
        let grouped = frame.groupby(["origin"]).unwrap().agg(texts).unwrap();
        for (row, (origin, values)) in rows_of(&grouped.to_batches().unwrap()).iter().zip(stored) {
            assert_eq!(row["origin"], Cell::Text(origin.to_owned()));
            for (text, value) in texts.iter().zip(values) {
                let name = text.rsplit(' ').next().unwrap();
                assert_eq!(row[name], Cell::Number(value), "{origin}: {text}");
            }
        }
        assert_eq!(grouped.count().unwrap(), stored.len() as u64);
    }
}
