//! What the commands print and write, against counts made by other means.

mod cli_common;

use std::collections::BTreeMap;

use cli_common::{logs, put, skewed, windrow};
use serde_json::Value;

/// Rows of some text per value of `user`, counted line by line.
fn users(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        *counts
            .entry(record["user"].as_str().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    counts
}

#[test]
fn inspect_tells_the_same_of_text_gzip_and_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (logs(5000), logs(70));
    for (folder, end) in [("plain", "json"), ("zipped", "json.gz")] {
        put(&dir.path().join(format!("{folder}/a.{end}")), &a);
        put(&dir.path().join(format!("{folder}/b.{end}")), &b);
        let out = format!("out-{folder}");
        // One part file an input file, so that files can be compared one by one.
        for name in ["a", "b"] {
            let input = format!("{folder}/{name}.{end}");
            let to = format!("{out}/{name}");
            windrow(dir.path(), &["convert", &input, "--to", &to, "--quiet"]).expect(0);
        }
    }
    let looks: Vec<Value> = ["plain", "zipped", "out-plain", "out-zipped"]
        .iter()
        .map(|folder| {
            let args = ["inspect", folder, "--by", "user", "--output", "json"];
            windrow(dir.path(), &args).expect(0).json()
        })
        .collect();
    let counted = users(&format!("{a}{b}"));
    let mut wanted: Vec<(&String, &u64)> = counted.iter().collect();
    wanted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for look in &looks {
        assert_eq!(look["files"], 2);
        assert_eq!(look["rows"], 5070);
        let rows: Vec<_> = look["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["rows"].clone())
            .collect();
        assert_eq!(rows, [5000, 70]);
        assert!((look["balance_rows"].as_f64().unwrap() - 5000.0 / 2535.0).abs() < 1e-12);
        assert_eq!(look["empty"], 0);
        assert_eq!(look["bytes_estimated"], false);
        for partition in look["partitions"].as_array().unwrap() {
            let file = dir.path().join(partition["path"].as_str().unwrap());
            assert_eq!(
                partition["stored_bytes"],
                std::fs::metadata(&file).unwrap().len()
            );
        }
        let hot = &look["hot_keys"];
        assert_eq!(
            (&hot["exact"], &hot["rows"]),
            (&Value::Bool(true), &Value::from(5070))
        );
        assert_eq!(hot["distinct"], wanted.len());
        let keys: Vec<(String, u64)> = hot["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| {
                (
                    key["key"].as_str().unwrap().to_owned(),
                    key["rows"].as_u64().unwrap(),
                )
            })
            .collect();
        let wanted: Vec<(String, u64)> = wanted
            .iter()
            .map(|(key, rows)| ((*key).clone(), **rows))
            .collect();
        assert_eq!(keys, wanted);
    }
    // Bytes in memory are a property of the rows, however they are stored.
    for look in &looks[1..] {
        assert_eq!(look["bytes"], looks[0]["bytes"]);
        assert_eq!(look["balance_bytes"], looks[0]["balance_bytes"]);
    }
}

#[test]
fn the_cure_that_inspect_prints_makes_it_even() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    let look = windrow(dir.path(), &["inspect", "logs/*.gz", "--output", "json"])
        .expect(0)
        .json();
    assert!(look["balance_rows"].as_f64().unwrap() > 2.0);
    let cure = look["cure"]
        .as_str()
        .unwrap()
        .replace("OUT", "even")
        .replace('\'', "");
    let words: Vec<&str> = cure.split(' ').skip(1).collect();
    windrow(dir.path(), &words).expect(0);
    let args = [
        "inspect",
        "even",
        "--max-balance",
        "1.01",
        "--fail-on-empty",
        "--output",
        "json",
    ];
    let look = windrow(dir.path(), &args).expect(0).json();
    assert_eq!(
        (&look["rows"], &look["cure"]),
        (&Value::from(990), &Value::Null)
    );
}

#[test]
fn inspect_prints_a_table_and_a_page() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    let table = windrow(dir.path(), &["inspect", "logs"]).expect(0).stdout;
    assert!(table.starts_with("3 partitions, 990 rows, "), "{table}");
    assert!(
        table.contains("verdict  1 of 3 partitions without rows; skewed: logs/a.json.gz holds 9"),
        "{table}"
    );
    assert!(
        table.contains("cure     windrow repartition logs --to OUT --npartitions 1"),
        "{table}"
    );
    assert!(
        table.lines().all(|line| line.chars().count() <= 100),
        "{table}"
    );
    let page = windrow(dir.path(), &["inspect", "logs", "--output", "html"])
        .expect(0)
        .stdout;
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<svg") && !page.contains("<script"));
    let blocks = [
        "inspect",
        "logs",
        "--blocksize",
        "16KiB",
        "--output",
        "json",
    ];
    let look = windrow(dir.path(), &blocks).expect(0).json();
    assert!(look["partitions"].as_array().unwrap().len() >= 3, "{look}");
    assert_eq!(look["rows"], 990);
}

#[test]
fn a_printed_schema_reads_the_same_data_to_the_same_types() {
    let dir = tempfile::tempdir().unwrap();
    let late = "{\"id\":1,\"geo\":{\"city\":\"Bonn\",\"at\":[1.5,2]}}\n".to_owned();
    put(&dir.path().join("logs/a.json.gz"), &(logs(3000) + &late));
    let printed = windrow(dir.path(), &["schema", "logs", "--output", "json"])
        .expect(0)
        .stdout;
    let columns: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let types: Vec<(&str, &str)> = columns
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            ("id", "int64"),
            ("status", "int64"),
            ("user", "utf8"),
            ("ms", "float64"),
            ("late", "bool"),
            ("geo", "struct<city: utf8, at: list<float64>>")
        ]
    );
    std::fs::write(dir.path().join("schema.json"), &printed).unwrap();
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--schema",
        "schema.json",
        "--schema-mode",
        "strict",
    ];
    windrow(dir.path(), &args).expect(0);
    let again = windrow(dir.path(), &["schema", "out", "--output", "json"])
        .expect(0)
        .stdout;
    assert_eq!(again, printed);
    let table = windrow(dir.path(), &["schema", "out"]).expect(0).stdout;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .skip(6)
        .map(|line| line.split_whitespace().collect())
        .collect();
    let wanted = [
        ["geo", "struct", "yes"],
        ["city", "utf8", "yes"],
        ["at", "list<float64>", "yes"],
    ];
    assert_eq!(lines, wanted, "{table}");
    // Another type than the data has is an error with its place, or ignored when told to.
    std::fs::write(
        dir.path().join("narrow.json"),
        "[{\"name\":\"id\",\"type\":\"int8\"}]",
    )
    .unwrap();
    let narrow = [
        "convert",
        "logs",
        "--to",
        "narrow",
        "--schema",
        "narrow.json",
        "--schema-mode",
    ];
    let end = windrow(dir.path(), &[&narrow[..], &["strict"]].concat()).expect(1);
    assert!(
        end.stderr.contains("logs/a.json.gz: line 1 "),
        "{}",
        end.stderr
    );
    std::fs::write(
        dir.path().join("wrong.json"),
        "[{\"name\":\"id\",\"type\":\"it8\"}]",
    )
    .unwrap();
    let wrong = ["convert", "logs", "--to", "wrong", "--schema", "wrong.json"];
    let end = windrow(dir.path(), &wrong).expect(2);
    assert!(
        end.stderr.contains("wrong.json") && end.stderr.contains("it8"),
        "{}",
        end.stderr
    );
}

#[test]
fn head_walks_past_what_holds_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("logs/a.json.gz"), "");
    put(&dir.path().join("logs/b.json"), "\n\n");
    put(&dir.path().join("logs/c.json.gz"), &logs(500));
    let args = [
        "head",
        "logs",
        "-n",
        "2",
        "--where",
        "id >= 300 and status = 200",
        "--output",
        "json",
    ];
    let end = windrow(dir.path(), &args).expect(0);
    let rows: Vec<Value> = end
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [300, 305]);
    let table = windrow(
        dir.path(),
        &["head", "logs", "-n", "3", "--columns", "user,id"],
    )
    .expect(0)
    .stdout;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["user", "id"],
            vec!["u0", "0"],
            vec!["u1", "1"],
            vec!["u0", "2"]
        ]
    );
    let end = windrow(dir.path(), &["head", "--at", "logs/c.json.gz:99999999"]).expect(2);
    assert!(end.stderr.contains("99999999"), "{}", end.stderr);
}

#[test]
fn the_report_adds_up_and_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bad = logs(40) + "{\"id\":}\n\n" + &logs(60);
    put(&dir.path().join("logs/a.json.gz"), &bad);
    put(&dir.path().join("logs/b.json.gz"), &logs(10));
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--on-bad-record",
        "reject",
        "--rejects",
        "bad.json",
        "--report",
        "run.json",
        "--where",
        "status >= 500",
        "--npartitions",
        "2",
    ];
    let end = windrow(dir.path(), &args).expect(0);
    assert_eq!(end.stdout, "");
    assert!(
        end.stderr
            .contains("112 lines of 2 files = 110 rows + 1 rejected + 1 blank"),
        "{}",
        end.stderr
    );
    let text = std::fs::read_to_string(dir.path().join("run.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    for sheet in report["inputs"].as_array().unwrap().iter().chain([&report]) {
        let count = |name: &str| sheet[name].as_u64().unwrap();
        assert_eq!(
            count("lines"),
            count("rows") + count("rejected") + count("blank"),
            "{sheet}"
        );
    }
    assert_eq!(report["lines"], 112);
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    let rows: Vec<u64> = outputs
        .iter()
        .map(|output| output["rows"].as_u64().unwrap())
        .collect();
    assert_eq!(rows, [22, 22]);
    for output in outputs {
        assert_eq!(output["codec"], "zstd");
        let file = dir.path().join(output["path"].as_str().unwrap());
        assert_eq!(
            output["stored_bytes"],
            std::fs::metadata(file).unwrap().len()
        );
    }
    for name in ["seconds", "spilled_bytes", "peak_bytes", "widened"] {
        assert!(!report[name].is_null(), "{name}");
    }
    let reject: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("bad.json")).unwrap())
            .unwrap();
    assert_eq!(
        (&reject["file"], &reject["line"]),
        (&Value::from("logs/a.json.gz"), &Value::from(41))
    );
    // On stdout on request; nothing else is there, and --quiet leaves stderr empty.
    let args = [
        "convert",
        "logs/b.json.gz",
        "--to",
        "out2",
        "--report",
        "-",
        "--quiet",
    ];
    let end = windrow(dir.path(), &args).expect(0);
    assert_eq!(
        (&end.json()["rows"], end.stderr.as_str()),
        (&Value::from(10), "")
    );
    let left: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_report_that_could_not_be_written_came_after_the_output() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), "{\"a\":1}\n");
    let run = |report: &str| {
        let args = ["convert", "a.json", "--to", "out", "--report", report];
        windrow(dir.path(), &args)
    };
    run("nowhere/report.json").expect(1);
    assert!(!dir.path().join("out").exists());
    // One that lies in the output is made with it.
    run("out/report.json").expect(0);
    assert!(dir.path().join("out/report.json").exists());
}

#[test]
fn too_many_bad_records_fail_the_run() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &(logs(97) + "x\ny\nz\n"));
    let base = ["convert", "a.json", "--on-bad-record", "skip"];
    for (max, code) in [("2", 1), ("3", 0), ("2.9%", 1), ("3%", 0)] {
        let to = format!("out-{}", max.replace(['%', '.'], "p"));
        let end = windrow(
            dir.path(),
            &[&base[..], &["--to", &to, "--max-rejects", max]].concat(),
        )
        .expect(code);
        assert_eq!(dir.path().join(&to).exists(), code == 0, "{max}");
        // A number is passed by one of them; of a share, which the end tells, the first is named.
        let place = match max {
            "2" => format!(
                "a.json: line 100 (byte {} decompressed): ",
                logs(97).len() + 4
            ),
            _ => format!("a.json: line 98 (byte {} decompressed): ", logs(97).len()),
        };
        let said = end.stderr.contains(&place) && end.stderr.contains("--max-rejects is");
        assert_eq!(said, code == 1, "{}", end.stderr);
    }
}

#[test]
fn count_and_explain_say_what_a_convert_would_do() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    let end = windrow(
        dir.path(),
        &["count", "logs", "--where", "user = 'u0' and id < 100"],
    )
    .expect(0);
    let text = format!("{}{}", logs(900), logs(90));
    let wanted = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["user"] == "u0" && record["id"].as_u64().unwrap() < 100)
        .count();
    assert_eq!(end.stdout, format!("{wanted}\n"));
    let args = [
        "explain",
        "logs",
        "--where",
        "status >= 500",
        "--columns",
        "id,user",
        "--npartitions",
        "2",
    ];
    let plan = windrow(dir.path(), &args).expect(0).stdout;
    for part in [
        "plan as built",
        "after the rules",
        "where status >= 500",
        "columns id, user",
        "2 partitions",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let json = [&args[..], &["--output", "json"]].concat();
    let plan = windrow(dir.path(), &json).expect(0).json();
    assert_eq!(plan["built"].as_array().unwrap().len(), 4, "{plan}");
    let optimized = plan["optimized"].as_array().unwrap();
    assert_eq!(
        optimized.len(),
        2,
        "filter and columns are pushed into the scan: {plan}"
    );
    assert_eq!(optimized[0]["exact"], false);
    assert!(!plan["stages"].as_array().unwrap().is_empty());
    let analyzed = [&args[..], &["--analyze"]].concat();
    let ran = windrow(dir.path(), &analyzed).expect(0).stdout;
    assert!(
        ran.contains("plan as built") && ran.contains("files: 3"),
        "{ran}"
    );
    let analyzed = [&json[..], &["--analyze"]].concat();
    let ran = windrow(dir.path(), &analyzed).expect(0).json();
    let (stage, report) = (&ran["stages"][0]["ran"], &ran["report"]);
    assert_eq!(stage["rows_in"], 990, "{ran}");
    assert_eq!(stage["filtered"], report["filtered"]);
    assert_eq!(stage["rows_out"], ran["partitions"]["rows"]["total"]);
    assert_eq!(ran["partitions"]["n_partitions"], 2);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "explain writes nothing"
    );
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    windrow(dir.path(), &["convert", "logs", "--to", "out"]).expect(0);
    for flags in [
        &["--salvage"][..],
        &["--blocksize", "1MiB"],
        &["--on-bad-record", "skip"],
    ] {
        let end = windrow(dir.path(), &[&["count", "out"][..], flags].concat()).expect(2);
        let flag = flags[0].trim_start_matches('-');
        assert!(
            end.stderr.contains(flag) && end.stderr.contains("parquet"),
            "{}",
            end.stderr
        );
    }
    // A raw record is not decoded.
    for flags in [
        &["--where", "id > 1"][..],
        &["--columns", "id"],
        &["--on-bad-record", "skip"],
        &["--max-depth", "3"],
        &["--null", "NA"],
        &["--trim"],
    ] {
        let end = windrow(
            dir.path(),
            &[&["head", "--at", "logs/a.json.gz:0"][..], flags].concat(),
        );
        let end = end.expect(2);
        assert!(end.stderr.contains(flags[0]), "{}", end.stderr);
    }
    let with_path = [
        "head",
        "logs",
        "-n",
        "1",
        "--include-path",
        "file",
        "--columns",
        "id",
        "--output",
        "json",
    ];
    let end = windrow(dir.path(), &with_path).expect(0);
    assert_eq!(end.stdout, "{\"id\":0,\"file\":\"logs/a.json.gz\"}\n");
    // Files of columns have paths, too.
    let mut of_columns = with_path;
    of_columns[1] = "out";
    let end = windrow(dir.path(), &of_columns).expect(0);
    assert_eq!(
        end.stdout,
        "{\"id\":0,\"file\":\"out/part-000000.parquet\"}\n"
    );
}

#[test]
fn verify_finds_what_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    windrow(
        dir.path(),
        &["convert", "logs", "--to", "out", "--npartitions", "3"],
    )
    .expect(0);
    let sound = windrow(dir.path(), &["verify", "out", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&sound["parts"], &sound["rows"]),
        (&Value::from(3), &Value::from(990))
    );
    let part = dir.path().join("out/part-000001.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let end = windrow(dir.path(), &["verify", "out"]).expect(3);
    assert!(end.stdout.contains("part-000001.parquet"), "{}", end.stdout);
    assert!(end.stderr.starts_with("error: out"), "{}", end.stderr);
    std::fs::remove_file(&part).unwrap();
    windrow(dir.path(), &["verify", "out"]).expect(3);
    let end = windrow(dir.path(), &["verify", "logs"]);
    assert_ne!(end.code, Some(0), "{}", end.stdout);
}

#[test]
fn inspect_takes_files_of_mixed_formats() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("in/b.json.gz"), &logs(30));
    for (format, name) in [("parquet", "a"), ("ipc", "c")] {
        let to = format!("made-{format}");
        windrow(
            dir.path(),
            &["convert", "in", "--to", &to, "--format", format, "--quiet"],
        )
        .expect(0);
        let part = std::fs::read_dir(dir.path().join(&to))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("part-")
            })
            .unwrap();
        std::fs::create_dir_all(dir.path().join("mixed")).unwrap();
        std::fs::copy(part, dir.path().join(format!("mixed/{name}"))).unwrap();
    }
    put(&dir.path().join("mixed/@b"), &logs(30));
    let args = ["inspect", "mixed", "--by", "user", "--output", "json"];
    let look = windrow(dir.path(), &args).expect(0).json();
    let parts = look["partitions"].as_array().unwrap();
    let paths: Vec<&str> = parts
        .iter()
        .map(|part| part["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["mixed/@b", "mixed/a", "mixed/c"]);
    for part in parts {
        assert_eq!(
            (&part["rows"], &part["bytes"]),
            (&Value::from(30), &parts[0]["bytes"]),
            "{look}"
        );
    }
    assert_eq!(
        (
            &look["hot_keys"]["rows"],
            &look["hot_keys"]["keys"][0]["key"]
        ),
        (&Value::from(90), &Value::from("u0"))
    );
}

#[test]
fn the_output_has_the_columns_and_the_names_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("logs/a.json.gz"), &logs(300));
    let columns = |given: &str| std::fs::write(dir.path().join("out.json"), given).unwrap();
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--columns",
        "status,id",
        "--output-schema",
        "out.json",
        "--name-template",
        "day-{i:02}",
        "--quiet",
    ];
    columns(
        "[{\"name\":\"id\",\"type\":\"float64\"},{\"name\":\"more\",\"type\":\"utf8\"},{\"name\":\"status\",\"type\":\"int16\"}]",
    );
    windrow(dir.path(), &args).expect(0);
    assert!(dir.path().join("out/day-00.parquet").exists());
    let printed = windrow(dir.path(), &["schema", "out", "--output", "json"]).expect(0);
    let found: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    let found: Vec<(&str, &str)> = (found.iter())
        .map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [("id", "float64"), ("more", "utf8"), ("status", "int16")]
    );
    windrow(dir.path(), &["verify", "out"]).expect(0);
    columns("[{\"name\":\"id\",\"type\":\"int64\"},{\"name\":\"state\",\"type\":\"int64\"}]");
    let again = [&args[..], &["--overwrite"]].concat();
    let end = windrow(dir.path(), &again).expect(2);
    assert!(
        end.stderr
            .contains("\"status\" is not in the schema of the output"),
        "{}",
        end.stderr
    );
    let end = windrow(
        dir.path(),
        &["convert", "logs", "--to", "o", "--name-template", "day"],
    )
    .expect(2);
    assert!(
        end.stderr.contains("no place for the number"),
        "{}",
        end.stderr
    );
}
