//! `--sort-by` writes parts that are ranges of the order, and loses nothing.

mod cli_common;

use cli_common::{logs, put, windrow};
use serde_json::Value;

fn records(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn parts_are_ranges_of_the_order_and_the_sheet_is_that_of_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}\n{}", logs(3_000), logs(40));
    put(&dir.path().join("logs/a.json"), &text);
    let mut wanted = records(&text);
    wanted.sort_by(|a, b| {
        let user = |row: &Value| row["user"].as_str().map(str::to_owned);
        let id = |row: &Value| row["id"].as_i64();
        user(a).cmp(&user(b)).then(id(b).cmp(&id(a)))
    });
    for threads in ["1", "3"] {
        let to = format!("sorted-{threads}");
        let args = [
            "convert",
            "logs/",
            "--to",
            &to,
            "--sort-by",
            "user,id desc",
            "--npartitions",
            "4",
            "--format",
            "json",
            "--columns",
            "id,user",
            "--threads",
            threads,
            "--quiet",
            "--report",
            "-",
        ];
        let report = windrow(dir.path(), &args).expect(0).json();
        assert_eq!(
            report["lines"],
            report["rows"].as_u64().unwrap() + report["blank"].as_u64().unwrap()
        );
        assert_eq!(report["rows"], 3_040);
        assert!(
            report["inputs"][0]["path"]
                .as_str()
                .unwrap()
                .ends_with("a.json")
        );
        let mut parts: Vec<_> = std::fs::read_dir(dir.path().join(&to))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|end| end == "jsonl" || end == "json")
            })
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("part-")
            })
            .collect();
        parts.sort();
        assert_eq!(parts.len(), 4, "{parts:?}");
        let found: String = parts
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let found = records(&found);
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(
                (&found["user"], &found["id"]),
                (&wanted["user"], &wanted["id"])
            );
        }
    }
    let unknown = ["convert", "logs/", "--to", "no", "--sort-by", "usr"];
    let said = windrow(dir.path(), &unknown).expect(2);
    assert!(said.stderr.contains("user"), "{}", said.stderr);
    let explained = [
        "explain",
        "logs/",
        "--sort-by",
        "user,id desc",
        "--npartitions",
        "4",
    ];
    let plan = windrow(dir.path(), &explained).expect(0).stdout;
    assert!(plan.contains("sort by user, id desc"), "{plan}");
}
