//! How long do the 22 questions of TPC-H take, from Parquet files? Unit: seconds a question.
//!
//! ```text
//! cargo bench --bench tpch -- --scale 1 --runs 3
//! ```
//!
//! Tables are made once and kept in a folder. Every answer is checked before its
//! time is printed: against those that `benches/peers/tpch_answers.py` left in the
//! folder, and without them, at scale 1, against the published ones; at other scales
//! it is told that none was checked. The time is that of the whole question, from reading on; of
//! several runs the fastest counts. Settings come from `WINDROW_*` variables.

#[path = "../measure/allocator.rs"]
mod allocator;
mod answers;
mod data;
mod queries;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use answers::Answer;
use clap::Parser;
use data::Tables;
use queries::{QUERIES, Query};
use tpchgen::q_and_a::QueryAndAnswer;
use windrow::{Result, Session};

/// The 22 questions of TPC-H.
#[derive(Parser)]
struct Options {
    /// The scale factor; at 1, lineitem has six million rows
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where the tables are, or are made; by default in the build folder
    #[arg(long)]
    data: Option<PathBuf>,
    /// How often each question is asked; the fastest time counts
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Only these: q01,q18
    #[arg(long, value_delimiter = ',')]
    queries: Vec<String>,
    /// Print how each question would be answered, and stop
    #[arg(long)]
    explain: bool,
    /// Make the tables and stop
    #[arg(long)]
    only_write: bool,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    allocator::settle();
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("{wrong} answers are wrong");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks the questions; gives how many were answered wrongly.
fn run(options: &Options) -> Result<usize> {
    let session = Session::from_env()?;
    let made = || Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tpch-{}", options.scale));
    let dir = options.data.clone().unwrap_or_else(made);
    data::write(&session, options.scale, &dir)?;
    println!("scale {}, {}", options.scale, dir.display());
    if options.only_write {
        return Ok(0);
    }
    let tables = Tables::in_files(&session, options.scale, &dir)?;
    let wanted =
        |name: &str| options.queries.is_empty() || options.queries.iter().any(|q| q == name);
    let chosen = QUERIES.into_iter().filter(|(name, _)| wanted(name));
    if options.explain {
        for (name, query) in chosen {
            println!("{name}\n{}", query(&tables)?.explain());
        }
        return Ok(0);
    }
    let (mut total, mut wrong) = (Duration::ZERO, 0);
    for (name, query) in chosen {
        let answer = stored_answer(name, options.scale, &dir);
        match ask(query, &tables, answer.as_deref(), options.runs) {
            Ok((fastest, rows)) => {
                let checked = if answer.is_some() {
                    ""
                } else {
                    "  NOT CHECKED"
                };
                println!(
                    "{name}  {:8.3} s  {rows:6} rows{checked}",
                    fastest.as_secs_f64()
                );
                total += fastest;
            }
            Err(difference) => {
                println!("{name}  WRONG: {difference}");
                wrong += 1;
            }
        }
    }
    println!("all  {:8.3} s", total.as_secs_f64());
    Ok(wrong)
}

/// The fastest time, and how many rows the answer has; or what is wrong with it.
fn ask(
    query: Query,
    tables: &Tables,
    answer: Option<&str>,
    runs: usize,
) -> std::result::Result<(Duration, usize), String> {
    let mut fastest = Duration::MAX;
    let mut rows = 0;
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        let found = query(tables).and_then(|frame| frame.compute());
        fastest = fastest.min(begun.elapsed());
        let found = found.map_err(|error| error.to_string())?;
        if let Some(answer) = answer {
            Answer::parse(answer).check(&found)?;
        }
        rows = found.num_rows();
    }
    Ok((fastest, rows))
}

/// What is known to be right: a file beside the tables, or what was published for scale 1.
fn stored_answer(name: &str, scale: f64, dir: &Path) -> Option<String> {
    let file = dir.join("answers").join(format!("{name}.txt"));
    if let Ok(text) = std::fs::read_to_string(file) {
        return Some(text);
    }
    if let Some(text) = corrected_answer(name, scale) {
        return Some(text.to_owned());
    }
    let number = name.trim_start_matches('q').parse().ok()?;
    let published = QueryAndAnswer::new(number, scale).ok()?;
    Some(published.answer().to_owned())
}

/// DuckDB's answers where the text in the generator crate is not the published one:
/// it has the first four digits of keys in q11, and another last digit in q17.
fn corrected_answer(name: &str, scale: f64) -> Option<&'static str> {
    match name {
        _ if scale != 1.0 => None,
        "q11" => Some(include_str!("answers/q11.txt")),
        "q17" => Some(include_str!("answers/q17.txt")),
        _ => None,
    }
}
