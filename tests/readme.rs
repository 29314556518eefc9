//! Every command in README.md does what the README says, on the fixtures.
//!
//! Each ```` ```sh ```` block is run in a folder that holds a copy of `data/`, in the
//! order of the page. Where a ```` ```text ```` block follows, it is what the last
//! command printed. Commands that only build or test the project are left to CI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parquet::file::reader::{FileReader, SerializedFileReader};

/// A fenced block: its language and its lines.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_string(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "README.md ends inside a block");
    blocks
}

/// The commands of a block: comments left out, continued lines joined.
fn commands(block: &str) -> Vec<String> {
    block
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.replacen("cargo run --release -- ", "windrow ", 1))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Runs a command line with the built `windrow` first on the search path.
fn run(command: &str, dir: &Path) -> Output {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_windrow"));
    let mut path = binary.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Command::new("sh")
        .args(["-c", command])
        .current_dir(dir)
        .env("PATH", path)
        .output()
        .unwrap()
}

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join("README.md")).unwrap()
}

#[test]
fn every_command_of_the_readme_works_and_prints_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    copy(&data, &dir.path().join("data"));
    let blocks = blocks(&page());
    let mut ran = 0;
    for (index, (language, block)) in blocks.iter().enumerate() {
        if language != "sh" {
            continue;
        }
        let mut printed = None;
        for command in commands(block) {
            if !command.starts_with("windrow ") {
                continue;
            }
            let output = run(&command, dir.path());
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{command}: {}\n{errors}",
                output.status
            );
            printed = Some((command, String::from_utf8(output.stdout).unwrap()));
            ran += 1;
        }
        if let (Some((command, printed)), Some((language, wanted))) =
            (printed, blocks.get(index + 1))
            && language == "text"
        {
            assert_eq!(printed.trim_end(), wanted.trim_end(), "{command}");
        }
    }
    assert!(ran >= 5, "only {ran} commands found");
}

#[test]
fn the_first_command_keeps_every_row_of_the_logs() {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    copy(&data, &dir.path().join("data"));
    let first = blocks(&page())
        .iter()
        .filter(|(language, _)| language == "sh")
        .flat_map(|(_, block)| commands(block))
        .next()
        .unwrap();
    let output = run(&first, dir.path());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut rows = 0;
    let mut columns = BTreeMap::new();
    for entry in std::fs::read_dir(dir.path().join("out/logs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "parquet") {
            let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
            let metadata = file.metadata().file_metadata();
            rows += metadata.num_rows();
            for field in metadata.schema().get_fields() {
                *columns.entry(field.name().to_string()).or_insert(0) += 1;
            }
        }
    }
    // 1,200 + 800 + 600; `trace_id` is first seen in the last file.
    assert_eq!(rows, 2600);
    assert_eq!(columns.len(), 20, "{columns:?}");
    assert!(columns.contains_key("trace_id"), "{columns:?}");
}
