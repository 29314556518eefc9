//! What a person sees: results on stdout, everything else on stderr.
//!
//! In:  results, notes, and how a command ended.
//! Out: text, and an exit code: 0 done, 1 data or system, 2 usage, 3 a check failed, 130 interrupted.
//!
//! No write panics. A reader that closes its pipe ends the command quietly; a
//! full disk behind stdout is an error. Nothing from the data can move the
//! cursor: control characters are escaped.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use windrow::inspect::text::printable;
use windrow::{Error, Place, Position};

/// How a command ends when it does not end well.
#[derive(Debug)]
pub enum Failure {
    /// The library refused or failed.
    Error(Error),
    /// Stdout took no more.
    Stdout(io::Error),
    /// A check that was asked for failed: the sentence says which.
    Check(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// What every command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Error(Error::Cancelled) => 130,
            Failure::Error(error) if error.is_usage() => 2,
            Failure::Error(_) => 1,
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Failure::Stdout(_) => 1,
            Failure::Check(_) => 3,
        }
    }

    /// Prints the failure: one line, and a hint where something can be done.
    pub fn print(&self) {
        match self {
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Failure::Stdout(error) => complain(&format!("stdout: cannot write: {error}")),
            Failure::Check(sentence) => complain(sentence),
            Failure::Error(error) => {
                complain(&error.to_string());
                if let Some(hint) = hint(error) {
                    to_stderr(&format!("{} {}", painted("hint:", CYAN), printable(&hint)));
                }
            }
        }
    }
}

/// What to do about an error, where windrow has a flag for it.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Evaluate { at, doing, reason } => {
            let see = match at {
                Place::Record(Position { path, byte, .. }) if path != "-" => Some(format!(
                    "see the record with `windrow head --at {}`",
                    windrow::inspect::verdict::shell_quoted(&format!("{path}:{byte}"))
                )),
                _ => None,
            };
            let instead = if doing.contains("cast(") && !doing.contains("try_cast(") {
                Some("try_cast gives null where cast fails".to_owned())
            } else if reason.ends_with("does not fit 64 bits") {
                Some("cast numbers to float64 where they need not be exact".to_owned())
            } else {
                None
            };
            let both: Vec<String> = see.into_iter().chain(instead).collect();
            (!both.is_empty()).then(|| both.join("; "))
        }
        Error::Decode { at, reason, .. } if at.line == 1 && is_no_json(reason) => Some(
            "this is read as JSON: say what it is with --from csv, or --from text for any lines"
                .into(),
        ),
        // The reason says what to do, and no record can be passed over.
        Error::Decode { reason, .. }
            if reason.starts_with("this is UTF-")
                || reason.starts_with("in a top-level array, ") =>
        {
            None
        }
        Error::Plan { reason, .. } if reason.ends_with("no row showed one") => {
            Some("say with --schema which columns an input without rows has".into())
        }
        Error::Decode { reason, .. } if reason.contains("--max-rejects is") => {
            Some("allow more of them with --max-rejects, by number or share (0.1%)".into())
        }
        // A record that is too long was not read at all, and cannot be shown.
        Error::Decode {
            at: Position { path, byte, .. },
            reason,
            ..
        } if path != "-" && !reason.starts_with("the record is longer") => Some(format!(
            "see the record with `windrow head --at {}`; go on past such records with --on-bad-record skip or reject",
            windrow::inspect::verdict::shell_quoted(&format!("{path}:{byte}"))
        )),
        Error::Decode { .. } => {
            Some("go on past such records with --on-bad-record skip or reject".into())
        }
        Error::Corrupt { reason, .. } if reason.contains("gzip") => {
            Some("keep what can be read of a damaged gzip file with --salvage".into())
        }
        _ => None,
    }
}

/// Whether a record is not so much broken as something else.
fn is_no_json(reason: &str) -> bool {
    reason.starts_with("not JSON: expected a value at byte 0")
        || reason.ends_with("is not an object")
}

const RED: &str = "1;31";
const CYAN: &str = "36";

fn complain(sentence: &str) {
    to_stderr(&format!(
        "{} {}",
        painted("error:", RED),
        printable(sentence)
    ));
}

/// Whether stderr is a terminal that wants colour.
pub fn wants_colour() -> bool {
    io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A word in colour, where that is wanted.
fn painted(word: &str, colour: &str) -> String {
    if wants_colour() {
        format!("\x1b[{colour}m{word}\x1b[0m")
    } else {
        word.to_owned()
    }
}

/// One line to stderr. Where stderr is closed there is nobody to tell.
pub fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a result to stdout, whole.
pub fn print(result: impl Display) -> Outcome {
    let mut out = Stdout::new();
    out.write(format_args!("{result}"))?;
    out.finish()
}

/// Stdout for results that are written piece by piece.
pub struct Stdout(BufWriter<io::StdoutLock<'static>>);

impl Stdout {
    /// Takes stdout.
    pub fn new() -> Stdout {
        Stdout(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// Writes a piece.
    pub fn write(&mut self, piece: impl Display) -> Outcome {
        write!(self.0, "{piece}").map_err(Failure::Stdout)
    }

    /// Writes bytes as they are.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.0.write_all(bytes).map_err(Failure::Stdout)
    }

    /// Hands everything on; only then is the result written.
    pub fn finish(mut self) -> Outcome {
        self.0.flush().map_err(Failure::Stdout)
    }
}

/// Columns of the terminal that stdout is; 100 where it is none.
pub fn terminal_width() -> usize {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let width = told.or_else(|| comfy_table::Table::new().width().map(usize::from));
    width.filter(|&width| width > 0).unwrap_or(100)
}

/// Whether the locale speaks UTF-8. Where none is set, it is taken to.
pub fn is_ascii_only() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            !(locale.contains("utf-8") || locale.contains("utf8"))
        })
}
