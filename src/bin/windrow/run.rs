//! A session for one command: settings, logging, signals, progress.
//!
//! In:  the flags of `RunArgs`.
//! Out: a `Session` that Ctrl-C cancels and whose work is shown while it lasts.

use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use windrow::{Cancel, DataFrame, Phase, Progress, Session, SortBy};

use crate::allocator;
use crate::args::{From, InputArgs, PickArgs, ReadArgs, RunArgs};
use crate::console::{Failure, to_stderr, wants_colour};
use crate::progress::{Moment, Watcher};
use crate::signals;

/// A command under way.
pub struct Run {
    /// Where frames come from.
    pub session: Session,
    quiet: bool,
    /// Stops to show progress when the command is done.
    watcher: Option<Watcher>,
}

impl Run {
    /// Settles everything that flags decide, and starts to watch.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used, or the system takes no signal handler.
    pub fn start(args: &RunArgs) -> Result<Run, Failure> {
        log(args.verbose, args.quiet);
        let cancel = Cancel::new();
        let settings = args.settings()?;
        allocator::settle(settings.memory);
        let session = Session::new(settings).with_cancel(cancel.clone());
        signals::watch(move || cancel.cancel())?;
        let progress = Arc::clone(session.progress());
        let watcher = Watcher::start(args.progress, args.quiet, move || look(&progress));
        Ok(Run {
            session,
            quiet: args.quiet,
            watcher: Some(watcher),
        })
    }

    /// The frame that input and reading flags describe: filtered, sorted, then projected.
    ///
    /// # Errors
    ///
    /// If there is no input, a column is unknown or an expression cannot be parsed.
    pub fn frame(
        &self,
        input: &InputArgs,
        pick: &PickArgs,
        read: &ReadArgs,
        order: &[SortBy],
    ) -> Result<DataFrame, Failure> {
        let options = read.options(pick.include_path.clone())?;
        let known = input.from.map(From::format);
        read.check(known)?;
        let mut frame = match input.from {
            None => self.session.read(&input.inputs, options)?,
            Some(From::Json) => self.session.read_json(&input.inputs, options)?,
            Some(From::Csv) => self.session.read_csv(&input.inputs, options)?,
            Some(From::Text) => self.session.read_text(&input.inputs, options)?,
            Some(From::Parquet) => {
                let options = (&options).into();
                self.session.read_parquet_with(&input.inputs, options)?
            }
            Some(From::Ipc) => {
                let options = (&options).into();
                self.session.read_ipc_with(&input.inputs, options)?
            }
        };
        read.check(frame.format())?;
        if let Some(filter) = &pick.filter {
            frame = frame.filter(filter.as_str())?;
        }
        if !order.is_empty() {
            frame = frame.sort_values(order.iter().cloned())?;
        }
        if let Some(columns) = &pick.columns {
            let mut columns = columns.clone();
            // The path was asked for by its own flag; a list of columns does not take it back.
            if let Some(path) = pick
                .include_path
                .as_ref()
                .filter(|path| !columns.contains(path))
            {
                columns.push(path.clone());
            }
            frame = frame.select(columns)?;
        }
        Ok(frame)
    }

    /// Ends the progress line, so that a result can be printed.
    pub fn done(&mut self) {
        self.watcher = None;
    }

    /// Tells a person something that is no result.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }
}

fn look(progress: &Arc<Progress>) -> Moment {
    Moment {
        stored_total: progress.stored_bytes_total(),
        stored_read: progress.stored_bytes_read(),
        rows: progress.rows(),
        memory: progress.memory_bytes(),
        spilled: progress.spilled_bytes(),
        phase: match progress.phase() {
            Phase::Reading => "reading",
            Phase::Laying => "laying out",
            Phase::Committing => "committing",
        },
    }
}

/// Logs to stderr: `-v` what happens, `-vv` every task's states; else what `WINDROW_LOG` asks for.
fn log(verbose: u8, quiet: bool) {
    let filter = match (verbose, std::env::var("WINDROW_LOG")) {
        _ if quiet => return,
        (0, Ok(wanted)) if !wanted.is_empty() => EnvFilter::new(wanted),
        (0, _) => return,
        (1, _) => EnvFilter::new("windrow=info"),
        _ => EnvFilter::new("windrow=trace"),
    };
    // There is no other subscriber: this is the first line of the only command that runs.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(wants_colour())
        .try_init();
}
