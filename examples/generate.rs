//! Makes the small files of `data/` and the large sets of the benchmarks.
//!
//! ```text
//! cargo run --release --example generate -- fixtures data
//! cargo run --release --example generate -- logs DIR --rows 2200000 --files 214 --skew
//! ```

#[path = "../benches/generate/mod.rs"]
mod generate;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use generate::{Layout, LogSet, Logs, MEAN_LINE_BYTES, Order, Seed};
use windrow::ByteSize;

const USAGE: &str = "\
usage: generate fixtures DIR          remake the files of data/
       generate logs DIR [options]    make a set of log files

  --rows N          rows (default 100000)
  --bytes SIZE      instead of rows: about so much text, such as 200MB
  --files N         files (default 1)
  --skew            file sizes by Pareto's law (default: even)
  --members N       gzip members a file (default 1)
  --plain           .ndjson instead of .json.gz
  --order ORDER     sorted, nearly or shuffled (default nearly)
  --seed N          another set of the same shape (default 7)
  --threads N       files made at once (default: all cores); no effect on the files";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((what, rest)) if what == "fixtures" && rest.len() == 1 => {
            write_fixtures(Path::new(&rest[0]))
        }
        Some((what, rest)) if what == "logs" && !rest.is_empty() => {
            parse(&rest[1..]).and_then(|set| write_logs(&set, &PathBuf::from(&rest[0])))
        }
        _ => Err(USAGE.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn write_fixtures(dir: &Path) -> Result<(), String> {
    for fixture in generate::fixtures() {
        write_file(&dir.join(fixture.path), &fixture.bytes)?;
    }
    write_file(&dir.join("README.md"), generate::readme().as_bytes())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn write_logs(set: &LogSet, dir: &Path) -> Result<(), String> {
    let started = Instant::now();
    let written = set
        .write(dir)
        .map_err(|error| format!("{}: {error}", dir.display()))?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes: u64 = written.iter().map(|file| file.bytes).sum();
    let stored_bytes: u64 = written.iter().map(|file| file.stored_bytes).sum();
    println!(
        "{} rows, {bytes} bytes of JSON, {stored_bytes} stored, {} files, {seconds:.1} s ({:.0} MB/s)",
        set.logs.rows(),
        written.len(),
        bytes as f64 / 1e6 / seconds,
    );
    Ok(())
}

fn parse(options: &[String]) -> Result<LogSet, String> {
    let mut rows = 100_000;
    let mut seed = Seed(7);
    let mut order = Order::default();
    let mut layout = Layout {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..Layout::default()
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || {
            options
                .next()
                .ok_or_else(|| format!("{option} needs a value\n{USAGE}"))
        };
        let number = |text: &String| {
            text.parse::<u64>()
                .map_err(|_| format!("{option}: {text:?} is not a number"))
        };
        match option.as_str() {
            "--rows" => rows = number(value()?)?,
            "--bytes" => {
                let size: ByteSize = value()?.parse().map_err(|e| format!("{option}: {e}"))?;
                rows = size.bytes() / MEAN_LINE_BYTES;
            }
            "--files" => layout.files = number(value()?)? as usize,
            "--members" => layout.members = number(value()?)? as usize,
            "--threads" => layout.threads = number(value()?)? as usize,
            "--seed" => seed = Seed(number(value()?)?),
            "--skew" => layout.skew = true,
            "--plain" => layout.plain = true,
            "--order" => {
                order = match value()?.as_str() {
                    "sorted" => Order::Sorted,
                    "nearly" => Order::Nearly,
                    "shuffled" => Order::Shuffled,
                    other => return Err(format!("--order: {other:?} is unknown\n{USAGE}")),
                }
            }
            other => return Err(format!("{other:?} is unknown\n{USAGE}")),
        }
    }
    Ok(LogSet {
        logs: Logs::new(seed, rows).with_order(order),
        layout,
        seed,
    })
}
