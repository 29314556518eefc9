//! What lies behind a URL is read as if it lay here: the same rows under every
//! cut, whatever the server does on the way, or an error that names the URL.

mod common;
mod remote_support;

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use common::cli::{Ended, command, ended, gzipped, put};
use remote_support::{Fault, Server};
use windrow::io::{SourceFile, TextOptions, open, units};

/// Lines of unlike length, one of them long, that do not compress away.
fn lines(n: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut random = 7u64;
    for i in 0..n {
        let pad = if i == n / 2 { 90_000 } else { i * 37 % 400 };
        text.extend_from_slice(format!("{{\"n\":{i},\"pad\":\"").as_bytes());
        for _ in 0..pad {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push(b'0' + (random >> 33) as u8 % 10);
        }
        text.extend_from_slice(b"\"}\n");
    }
    text
}

/// The text of a file, read in units of `range_bytes`.
fn read(url: &str, range_bytes: u64, ahead_bytes: u64) -> windrow::Result<Vec<u8>> {
    let file = SourceFile::at(url, 0)?;
    let options = TextOptions {
        chunk_bytes: 50_000,
        ahead_bytes,
        ..TextOptions::default()
    };
    let mut text = Vec::new();
    for unit in units(&file, range_bytes)? {
        let mut reader = open(&unit, &options)?;
        while let Some(chunk) = reader.next_chunk(Vec::new())? {
            assert_eq!(chunk.first_byte, text.len() as u64);
            text.extend_from_slice(&chunk.bytes);
        }
    }
    Ok(text)
}

#[track_caller]
fn error_of(url: &str) -> String {
    let error = read(url, u64::MAX, 1 << 20).expect_err("it should have failed");
    let text = error.to_string();
    assert!(text.contains(url.split('?').next().unwrap()), "{text}");
    text
}

#[test]
fn text_is_the_same_at_every_range_and_window() {
    let server = Server::start();
    let text = lines(6000);
    server.put("/logs.json", text.as_slice());
    server.put("/logs.json.gz", gzipped(&text));
    server.put(
        "/logs.json.zst",
        zstd::encode_all(text.as_slice(), 1).unwrap(),
    );
    server.put("/empty.json", "");
    for range_bytes in [70_001, 300_000, u64::MAX] {
        for ahead_bytes in [1, 1 << 20, 8 << 20] {
            for name in ["/logs.json", "/logs.json.gz", "/logs.json.zst"] {
                let got = read(&server.url(name), range_bytes, ahead_bytes).unwrap();
                assert!(got == text, "{name} by {range_bytes}, ahead {ahead_bytes}");
            }
        }
    }
    assert_eq!(read(&server.url("/empty.json"), 10, 1).unwrap(), b"");
}

#[test]
fn bytes_are_asked_for_about_once() {
    let server = Server::start();
    let text = lines(6000);
    server.put("/logs.json", text.as_slice());
    assert!(read(&server.url("/logs.json"), 400_000, 8 << 20).unwrap() == text);
    let sent: usize = server.log().iter().map(|asked| asked.sent).sum();
    // Each of three ranges overhangs by a piece, and the head is looked at.
    assert!(
        sent < text.len() + 5 * (64 << 10),
        "{sent} of {}",
        text.len()
    );
    assert!(server.log().iter().all(|asked| asked.method == "GET"));
}

#[test]
fn a_flaky_server_gives_every_byte_once() {
    let text = lines(6000);
    for (fault, times) in [
        (Fault::Status(503), 2),
        (Fault::Status(429), 2),
        (Fault::Drop(0), 2),
        (Fault::Drop(1000), 5),
        (Fault::Drop(70_000), 3),
    ] {
        let server = Server::start();
        server.put("/logs.json", text.as_slice());
        server.put("/packed", gzipped(&text));
        for name in ["/logs.json", "/packed"] {
            server.plan(name, 1, times, fault);
            let got = read(&server.url(name), 500_000, 1 << 20).unwrap();
            assert!(got == text, "{name}: {fault:?}");
        }
        assert_eq!(server.faults_left(), 0, "{fault:?} did not happen");
    }
}

#[test]
fn without_etags_a_body_that_breaks_off_is_still_made_whole() {
    let server = Server::start();
    let text = lines(3000);
    server.put("/logs.json", text.as_slice());
    server.plan("/logs.json", 0, 1, Fault::NoETag);
    let file = SourceFile::at(&server.url("/logs.json"), 0).unwrap();
    for _ in 0..3 {
        server.plan("/logs.json", 0, 1, Fault::Drop(20_000));
        server.plan("/logs.json", 0, 1, Fault::NoETag);
    }
    let unit = &units(&file, u64::MAX).unwrap()[0];
    let mut reader = open(unit, &TextOptions::default()).unwrap();
    let mut got = Vec::new();
    while let Some(chunk) = reader.next_chunk(Vec::new()).unwrap() {
        got.extend_from_slice(&chunk.bytes);
    }
    assert!(got == text);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let text = lines(6000);
    for fault in [Fault::OtherETag, Fault::OtherSize] {
        let server = Server::start();
        server.put("/logs.json", text.as_slice());
        server.plan("/logs.json", 1, 1, fault);
        let error = error_of(&server.url("/logs.json"));
        assert!(error.contains("changed while it was read"), "{error}");
    }
}

#[test]
fn a_server_without_ranges_is_noticed_at_once_and_later() {
    let server = Server::start();
    server.put("/logs.json", lines(6000));
    server.plan("/logs.json", 0, 100, Fault::IgnoreRange);
    let error = error_of(&server.url("/logs.json"));
    assert!(error.contains("download it first"), "{error}");
    let server = Server::start();
    server.put("/logs.json", lines(6000));
    server.plan("/logs.json", 1, 100, Fault::IgnoreRange);
    let error = error_of(&server.url("/logs.json"));
    assert!(error.contains("another part"), "{error}");
    // A body that broke off, and its rest answered with the whole file.
    let server = Server::start();
    let text = lines(6000);
    server.put("/logs.json", text.as_slice());
    server.plan("/logs.json", 1, 1, Fault::Drop(30_000));
    server.plan("/logs.json", 0, 1, Fault::IgnoreRange);
    let got = read(&server.url("/logs.json"), u64::MAX, 1 << 20);
    match got {
        Ok(got) => assert!(got == text),
        Err(error) => assert!(error.to_string().contains("another part"), "{error}"),
    }
}

#[test]
fn refusals_name_the_url_and_hold_no_secret() {
    let server = Server::start();
    for (status, words) in [(403, "signed URL may have expired"), (404, "cannot open")] {
        server.plan("/x.json", 0, 1, Fault::Status(status));
        let url = server.url("/x.json?X-Amz-Signature=canary-query");
        let error = error_of(&url);
        assert!(
            error.contains(words) && error.contains(&status.to_string()),
            "{error}"
        );
        assert!(error.contains("As planned."), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let error = SourceFile::at("https://ann:canary@h/x", 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("https://h/x: ") && !error.contains("canary"),
        "{error}"
    );
}

fn table(rows: i64) -> RecordBatch {
    let wide = |from: i64| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| {
            format!("{:032x}", (row + from).wrapping_mul(0x1e37_79b9_7f4a_7c15))
        })))
    };
    let mut columns: Vec<(String, ArrayRef)> =
        vec![("id".into(), Arc::new(Int64Array::from_iter_values(0..rows)))];
    for idx in 0..8 {
        columns.push((format!("wide{idx}"), wide(idx * 1_000_003)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(batch: &RecordBatch, row_group: usize) -> Vec<u8> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .set_dictionary_enabled(false)
        .build();
    let mut out = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn of_column_files_only_the_wanted_columns_are_fetched() {
    let server = Server::start();
    let batch = table(30_000);
    let stored = parquet(&batch, 10_000);
    server.put("/t.parquet", stored.as_slice());
    let frame = windrow::read_parquet(server.url("/t.parquet")).unwrap();
    assert_eq!(frame.compute().unwrap().num_rows(), 30_000);
    server.forget_log();
    let picked = frame.select(["id", "wide5"]).unwrap().compute().unwrap();
    assert_eq!(picked.num_rows(), 30_000);
    let sent: usize = server.log().iter().map(|asked| asked.sent).sum();
    assert!(sent < stored.len() / 2, "{sent} of {}", stored.len());
    let requests = server.log().len();
    assert!(requests < 20, "{requests} requests for 6 column chunks");
}

#[test]
fn column_files_are_the_same_as_here_even_from_a_flaky_server() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let batch = table(9_000);
    let local = dir.path().join("t.parquet");
    std::fs::write(&local, parquet(&batch, 4_000)).unwrap();
    server.put("/t.parquet", std::fs::read(&local).unwrap());
    let mut arrow = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut arrow, &batch.schema()).unwrap();
    for from in (0..9_000).step_by(3_000) {
        writer.write(&batch.slice(from, 3_000)).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    server.put("/t.arrow", arrow);
    let want = windrow::read_parquet(&local).unwrap().compute().unwrap();
    for (name, fault) in [
        ("/t.parquet", Fault::Drop(5_000)),
        ("/t.arrow", Fault::Status(500)),
    ] {
        server.plan(name, 1, 2, fault);
        let frame = match name {
            "/t.parquet" => windrow::read_parquet(server.url(name)).unwrap(),
            _ => windrow::read_ipc(server.url(name)).unwrap(),
        };
        let got = frame.compute().unwrap();
        assert_eq!(got.num_rows(), want.num_rows(), "{name}");
        assert_eq!(got.to_string(), want.to_string(), "{name}");
    }
    assert_eq!(server.faults_left(), 0);
    // A store that fails is no damage of the file.
    let file = SourceFile::at(&server.url("/t.parquet"), 0).unwrap();
    let input = windrow::io::ParquetInput::open(&file).unwrap();
    server.plan("/t.parquet", 0, 1, Fault::Status(403));
    let error = input
        .read_row_group(1, None, 1000)
        .and_then(|batches| batches.collect::<windrow::Result<Vec<_>>>())
        .unwrap_err();
    assert!(matches!(error, windrow::Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("403"), "{error}");
}

/// Runs the command against the server as its S3.
fn s3(server: &Server, dir: &Path, args: &[&str]) -> Ended {
    let mut command = command();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(dir)
        .args(args)
        .env("AWS_ACCESS_KEY_ID", "canary-id")
        .env("AWS_SECRET_ACCESS_KEY", "canary-secret")
        .env("AWS_SESSION_TOKEN", "canary-token")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT", format!("http://{}", server.address))
        .env("AWS_ALLOW_HTTP", "true")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let ended = ended(output);
    assert!(!ended.stdout.contains("canary"), "{}", ended.stdout);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    ended
}

/// A bucket `b` and a folder with the same files below `logs`.
fn bucket(server: &Server, dir: &Path) {
    for (name, n) in [
        ("logs/day=1/a.json", 300),
        ("logs/day=1/b c+d%2F.json.gz", 200),
        ("logs/day=2/e.json", 1),
        ("logs/day=2/_tmp/f.json", 9),
        ("logs/day=3/g.json.gz", 500),
        ("logs/.hidden.json", 9),
        ("logs/_SUCCESS", 0),
    ] {
        let text = String::from_utf8(lines(n)).unwrap();
        let path = put(&dir.join(name), &text);
        server.put(&format!("/b/{name}"), std::fs::read(path).unwrap());
    }
    // The mark of a folder, which comes after names that go on with `-`.
    server.put("/b/logs/day=1-late.json", "{\"n\":0}\n");
    std::fs::write(dir.join("logs/day=1-late.json"), "{\"n\":0}\n").unwrap();
    server.put("/b/logs/day=1/", "");
}

#[test]
fn a_bucket_is_converted_as_the_same_folder_is() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    bucket(&server, dir.path());
    for (idx, (remote, local)) in [
        ("s3://b/logs/", "logs"),
        ("s3://b/logs", "logs"),
        ("s3://b/logs/day=[13]/*.gz", "logs/day=[13]/*.gz"),
        ("s3://b/logs/**/*.json*", "logs/**/*.json*"),
        ("s3://b/logs/day=1/a.json", "logs/day=1/a.json"),
    ]
    .into_iter()
    .enumerate()
    {
        let (theirs, ours) = (format!("out{idx}"), format!("want{idx}"));
        let convert = |input, to| {
            s3(
                &server,
                dir.path(),
                &["convert", input, "--to", to, "--report", "-", "--quiet"],
            )
            .expect(0)
            .json()
        };
        let (got, want) = (convert(remote, &theirs), convert(local, &ours));
        let inputs = |report: &serde_json::Value, cut: &str| -> Vec<String> {
            let inputs = report["inputs"].as_array().unwrap();
            let line = |input: &serde_json::Value| {
                let path = input["path"].as_str().unwrap();
                format!("{} {}", path.strip_prefix(cut).unwrap(), input["rows"])
            };
            inputs.iter().map(line).collect()
        };
        assert_eq!(inputs(&got, "s3://b/"), inputs(&want, ""), "{remote}");
        let parts = |folder: &str| -> Vec<Vec<u8>> {
            let paths = common::folder::parts(&dir.path().join(folder));
            paths
                .iter()
                .map(|path| std::fs::read(path).unwrap())
                .collect()
        };
        assert!(parts(&theirs) == parts(&ours), "{remote}: other bytes");
        let manifest = std::fs::read_to_string(dir.path().join(&theirs).join("_windrow.json"));
        assert!(!manifest.unwrap().contains("canary"));
    }
}

#[test]
fn every_reading_command_takes_urls_and_writing_ones_refuse_them() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    bucket(&server, dir.path());
    let run = |args: &[&str]| s3(&server, dir.path(), args);
    let count = run(&["count", "s3://b/logs/day=1/"]).expect(0);
    assert_eq!(count.stdout.trim(), "500");
    assert!(
        run(&["schema", "s3://b/logs/day=2/"])
            .expect(0)
            .stdout
            .contains("pad")
    );
    assert!(
        run(&["head", "s3://b/logs/day=3/*"])
            .expect(0)
            .stdout
            .contains("pad")
    );
    let skew = run(&["inspect", "s3://b/logs/", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(skew["partitions"][0]["path"], "s3://b/logs/day=1-late.json");
    let plan = run(&["explain", "s3://b/logs/"]).expect(0).stdout;
    assert!(plan.contains("s3://b/logs/"), "{plan}");
    let refused = run(&["convert", "s3://b/logs/", "--to", "s3://b/out"]).expect(2);
    assert!(refused.stderr.contains("not to URLs"), "{}", refused.stderr);
    let none = run(&["count", "s3://b/none/"]).expect(2);
    assert!(
        none.stderr.contains("s3://b/none/: no file matches"),
        "{}",
        none.stderr
    );
    // A list may hold URLs; a signed one is never shown whole.
    let signed = server.url("/b/logs/day=1/a.json?X-Amz-Signature=canary-signature");
    std::fs::write(
        dir.path().join("urls.txt"),
        format!("{signed}\ns3://b/logs/day=2/e.json\n"),
    )
    .unwrap();
    let both = run(&["convert", "@urls.txt", "--to", "both", "--report", "-"]).expect(0);
    assert_eq!(both.json()["rows"], 301);
    let manifest = std::fs::read_to_string(dir.path().join("both/_windrow.json")).unwrap();
    assert!(
        manifest.contains("a.json?…") && !manifest.contains("canary"),
        "{manifest}"
    );
    let plan = run(&["explain", &signed]).expect(0);
    assert!(
        plan.stdout.contains("/b/logs/day=1/a.json?…"),
        "{}",
        plan.stdout
    );
    let skew = run(&["inspect", &signed]).expect(0);
    assert!(skew.stdout.contains("a.json?…"), "{}", skew.stdout);
}

#[test]
fn a_listing_looks_only_where_a_glob_can_match() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    for idx in 0..60 {
        server.put(&format!("/b/logs/{idx:02}.json"), "{\"a\":1}\n");
    }
    let count = s3(&server, dir.path(), &["count", "s3://b/logs/30*"]).expect(0);
    assert_eq!(count.stdout.trim(), "1");
    let lists = server
        .log()
        .iter()
        .filter(|asked| asked.query.contains("list-type"))
        .count();
    // Two keys a page: a whole listing would take 30 requests each time.
    assert!(lists < 30, "{lists} requests to list one key");
}

#[test]
fn a_store_that_refuses_is_an_error_with_a_hint() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    bucket(&server, dir.path());
    server.plan("/b/logs/day=1/a.json", 0, 9, Fault::Status(403));
    let refused = s3(&server, dir.path(), &["count", "s3://b/logs/day=1/a.json"]).expect(1);
    for words in [
        "s3://b/logs/day=1/a.json: cannot open",
        "403",
        "AWS_ACCESS_KEY_ID",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
}

#[test]
fn a_bucket_of_flaky_objects_keeps_every_row() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    bucket(&server, dir.path());
    server.plan("/b", 2, 2, Fault::Status(503));
    server.plan("a.json", 0, 3, Fault::Drop(7_000));
    server.plan("g.json.gz", 0, 3, Fault::Drop(100));
    let count = s3(
        &server,
        dir.path(),
        &["count", "s3://b/logs/", "--threads", "5"],
    )
    .expect(0);
    assert_eq!(count.stdout.trim(), "1002");
    assert_eq!(server.faults_left(), 0);
}
