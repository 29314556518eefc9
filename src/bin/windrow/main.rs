//! The command `windrow`: a thin caller of the library.
//!
//! In:  a command line.
//! Out: one command run, and its exit code.
//!
//! One command a file; `args.rs` holds the flags they share, `console.rs` the
//! ways out. Only the public API of the library is used.

mod allocator;
mod args;
mod codec_args;
mod completions;
mod console;
mod convert;
mod count;
mod csv_args;
mod estimate;
mod explain;
mod head;
mod inspect;
mod progress;
mod run;
mod schema;
mod signals;
mod table;
mod verify;
mod write_args;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Partitioned data, raked even: gzipped JSON logs to compressed Parquet, in bounded memory, losing nothing
#[derive(Debug, Parser)]
#[command(
    name = "windrow",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  windrow convert 'logs/*.json.gz' --to out/logs
  windrow inspect out/logs
  windrow head out/logs --where \"status >= 500\"

Exit codes: 0 done, 1 bad data or a refusal of the system, 2 wrong usage, 3 a check failed,
130 interrupted. WINDROW_MEMORY, WINDROW_THREADS, WINDROW_SPILL_DIR, WINDROW_BLOCKSIZE, or a
TOML file named in WINDROW_CONFIG, change defaults; flags win."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(convert::Convert),
    Repartition(convert::Repartition),
    Inspect(inspect::Args),
    Schema(schema::Args),
    Head(head::Args),
    Count(count::Args),
    Estimate(estimate::Args),
    Explain(explain::Args),
    Verify(verify::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Convert(args) => args.run(),
        Command::Repartition(args) => args.run(),
        Command::Inspect(args) => args.run(),
        Command::Schema(args) => args.run(),
        Command::Head(args) => args.run(),
        Command::Count(args) => args.run(),
        Command::Estimate(args) => args.run(),
        Command::Explain(args) => args.run(),
        Command::Verify(args) => args.run(),
        Command::Completions(args) => args.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_parses() {
        use clap::Parser;
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let examples: Vec<&str> = help
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("windrow "))
                .collect();
            assert!(
                !examples.is_empty(),
                "{} has no example",
                command.get_name()
            );
            for example in examples {
                let words = shell_words(example);
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    /// The words of a line, as a shell would split it; redirections and pipes end it.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (None, '>' | '|') => break,
                (None, ' ') => words.push(String::new()),
                (_, c) => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
