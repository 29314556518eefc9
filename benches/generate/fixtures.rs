//! The contents of `data/`.
//!
//! Out: each file's path, bytes, and what it is there to show; and the
//!      `README.md` that lists them, so that the list cannot be wrong.
//!
//! Four folders: `logs` and `skewed` hold only sound files of the generator's
//! log, `awkward` sound files that readers trip over, `broken` files of which
//! each has one fault, and that fault's line where it has one.

use std::fmt::Write;

use super::files::{Layout, LogSet};
use super::gzip::{Header, corrupt_bit, gzip, member, members};
use super::logs::Logs;
use super::random::Seed;

/// One file of `data/`.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Its path within `data/`, with `/`.
    pub path: String,
    /// All of it.
    pub bytes: Vec<u8>,
    /// What a reader finds.
    pub holds: Holds,
    /// What it is there to show; a sentence.
    pub shows: &'static str,
}

/// What a reader finds in a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// So many rows, every one of them sound.
    Rows(u64),
    /// A compressed stream that cannot be read to its end.
    BadStream,
    /// Sound lines but this one, counted from 1.
    BadLine(u64),
}

/// The seed of everything in `data/`.
const SEED: Seed = Seed(2025);

/// Rows of the log that the broken files were before they broke.
const BROKEN_ROWS: u64 = 24;
/// The line that is wrong in a file with a wrong line.
const BAD_LINE: u64 = 17;

/// All of them, in the order of the README.
pub fn fixtures() -> Vec<Fixture> {
    let mut all = logs();
    all.extend(skewed());
    all.extend(awkward());
    all.extend(awkward_schemas());
    all.extend(broken_streams());
    all.extend(broken_lines());
    all
}

/// The text of `data/README.md`.
pub fn readme() -> String {
    let mut text = String::from(
        "# Fixtures\n\n\
         Small inputs for tests and examples. Nothing here was logged by anyone: the project's own\n\
         generator (`benches/generate`) made every byte from a fixed seed, this page included:\n\n\
         ```text\n\
         cargo run --release --example generate -- fixtures data\n\
         ```\n\n\
         `tests/fixtures.rs` fails if that would give other bytes, or if a file is not what is said of it here.\n",
    );
    let mut folder = "";
    let all = fixtures();
    for fixture in &all {
        let (inside, name) = fixture.path.split_once('/').unwrap_or(("", &fixture.path));
        if inside != folder {
            folder = inside;
            let what = match folder {
                "logs" => {
                    "An access log in three files, all sound. The first command of the project's README reads them."
                }
                "skewed" => {
                    "The same kind of log, 1,200 rows in files of Pareto's sizes: what `inspect` is for."
                }
                "awkward" => "Sound files that readers trip over.",
                _ => {
                    "Files with one fault each. Reading one is an error that names the file and, where a line is wrong, the line."
                }
            };
            let _ = write!(
                text,
                "\n## {folder}\n\n{what}\n\n| file | holds | bytes | shows |\n|---|---|---|---|\n"
            );
        }
        let holds = match fixture.holds {
            Holds::Rows(1) => "1 row".to_string(),
            Holds::Rows(rows) => format!("{rows} rows"),
            Holds::BadStream => "no whole stream".to_string(),
            Holds::BadLine(line) => format!("line {line} is wrong"),
        };
        let (bytes, shows) = (fixture.bytes.len(), fixture.shows);
        let _ = writeln!(text, "| {name} | {holds} | {bytes} | {shows} |");
    }
    text
}

fn rows(path: &str, rows: u64, bytes: Vec<u8>, shows: &'static str) -> Fixture {
    Fixture {
        path: path.to_string(),
        bytes,
        holds: Holds::Rows(rows),
        shows,
    }
}

fn logs() -> Vec<Fixture> {
    let logs = Logs::new(SEED, 2600);
    let text = |range| {
        let mut text = Vec::new();
        logs.write(range, &mut text);
        text
    };
    let mut last = text(2000..2600);
    last.pop();
    vec![
        rows(
            "logs/access-01.json.gz",
            1200,
            gzip(&text(0..1200)),
            "An ordinary file.",
        ),
        rows(
            "logs/access-02.json.gz",
            800,
            members(&text(1200..2000), 2),
            "Two gzip members; the cut falls inside a record.",
        ),
        rows(
            "logs/access-03.json.gz",
            600,
            gzip(&last),
            "No newline at the end; `trace_id` is first seen here, in row 2,341 of the set.",
        ),
    ]
}

fn skewed() -> Vec<Fixture> {
    let set = LogSet {
        logs: Logs::new(SEED, 1200),
        layout: Layout {
            files: 12,
            skew: true,
            ..Layout::default()
        },
        seed: SEED,
    };
    let cuts = set.cuts();
    let largest = cuts.iter().map(|cut| cut.end - cut.start).max();
    let mut all = Vec::new();
    for (file, cut) in cuts.into_iter().enumerate() {
        let n = cut.end - cut.start;
        let mut text = Vec::new();
        set.logs.write(cut, &mut text);
        let shows = if Some(n) == largest {
            "The large one."
        } else {
            "One of the others."
        };
        let path = format!("skewed/access-{file:02}.json.gz");
        all.push(rows(&path, n, gzip(&text), shows));
    }
    all
}

/// The text of a small log, one line an item, newlines included.
fn small_log() -> Vec<Vec<u8>> {
    let text = Logs::new(SEED, BROKEN_ROWS).text();
    text.split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn awkward() -> Vec<Fixture> {
    let lines = small_log();
    let log = lines.concat();
    let n = BROKEN_ROWS;
    let mut padded = gzip(&log);
    padded.resize(padded.len() + 512, 0);
    let with_empty = [
        gzip(&lines[..9].concat()),
        gzip(b""),
        gzip(&lines[9..].concat()),
    ]
    .concat();
    let a_line_each: Vec<u8> = lines.iter().flat_map(|line| gzip(line)).collect();
    vec![
        rows(
            "awkward/bom-crlf-blank.json",
            3,
            b"\xEF\xBB\xBF{\"a\":1}\r\n\r\n{\"a\":2}\r\n   \r\n{\"a\":3}".to_vec(),
            "A byte order mark, CRLF, two blank lines and no newline at the end.",
        ),
        rows(
            "awkward/plain-named.json.gz",
            n,
            log.clone(),
            "Plain text by the name of a gzip file.",
        ),
        rows(
            "awkward/gzip-named.json",
            n,
            gzip(&log),
            "gzip by the name of a plain file.",
        ),
        rows(
            "awkward/zero-bytes.json.gz",
            0,
            Vec::new(),
            "A file of no bytes.",
        ),
        rows(
            "awkward/gzip-of-nothing.json.gz",
            0,
            gzip(b""),
            "A sound gzip file of no text.",
        ),
        rows(
            "awkward/zero-padding.json.gz",
            n,
            padded,
            "512 zero bytes after the last member, as tape and block devices leave them.",
        ),
        rows(
            "awkward/three-members.json.gz",
            n,
            members(&log, 3),
            "Three members, cut inside records.",
        ),
        rows(
            "awkward/empty-member.json.gz",
            n,
            with_empty,
            "Three members, the second without text.",
        ),
        rows(
            "awkward/member-a-line.json.gz",
            n,
            a_line_each,
            "One member a line, as an appending logger leaves them.",
        ),
        rows(
            "awkward/full-header.json.gz",
            n,
            member(&log, Header::Full),
            "A gzip header with every optional field.",
        ),
    ]
}

/// Long files of tiny records: they shrink to nothing, and every one outruns a sample.
fn awkward_schemas() -> Vec<Fixture> {
    let many = |line: &dyn Fn(u64) -> String| {
        let text: String = (0..30_000).map(line).collect();
        gzip(text.as_bytes())
    };
    vec![
        rows(
            "awkward/late-key.json.gz",
            30_000,
            many(&|row| match row {
                25_000.. => format!("{{\"a\":{},\"b\":{row}}}\n", row % 10),
                _ => format!("{{\"a\":{}}}\n", row % 10),
            }),
            "Key `b` is first seen in line 25,001: 5,000 values to lose.",
        ),
        rows(
            "awkward/late-nested-key.json.gz",
            30_000,
            many(&|row| match row {
                25_000.. => format!("{{\"o\":{{\"a\":1,\"b\":\"{}\"}}}}\n", row % 7),
                _ => "{\"o\":{\"a\":1}}\n".to_string(),
            }),
            "The same inside an object.",
        ),
        rows(
            "awkward/integer-then-text.json.gz",
            30_000,
            many(&|row| match row {
                25_000 => "{\"v\":\"n/a\"}\n".to_string(),
                _ => format!("{{\"v\":{}}}\n", row % 10),
            }),
            "`v` is an integer but in line 25,001.",
        ),
        rows(
            "awkward/integer-then-float.json.gz",
            30_000,
            many(&|row| match row {
                25_000.. => format!("{{\"v\":{}.5}}\n", row % 10),
                _ => format!("{{\"v\":{}}}\n", row % 10),
            }),
            "`v` is an integer up to line 25,000 and a float after it.",
        ),
        rows(
            "awkward/null-then-object.json.gz",
            30_000,
            many(&|row| match row {
                25_000.. => format!("{{\"v\":{{\"k\":{}}}}}\n", row % 10),
                _ => "{\"v\":null}\n".to_string(),
            }),
            "`v` is null up to line 25,000 and an object after it.",
        ),
        rows(
            "awkward/key-in-one-file-1.json",
            2,
            b"{\"a\":1}\n{\"a\":2}\n".to_vec(),
            "With the next: a key that the first file does not have.",
        ),
        rows(
            "awkward/key-in-one-file-2.json",
            2,
            b"{\"b\":\"x\",\"a\":3}\n{\"a\":4}\n".to_vec(),
            "With the one before.",
        ),
        rows(
            "awkward/numbers.json",
            3,
            concat!(
                "{\"i64\":-9223372036854775808,\"u64\":18446744073709551615,\"exact\":9007199254740993,",
                "\"beyond\":18446744073709551616,\"huge\":1e400,\"zero\":-0.0,\"tiny\":5e-324}\n",
                "{\"i64\":9223372036854775807,\"u64\":0,\"exact\":1,\"beyond\":1,\"huge\":1,\"zero\":0.0,\"tiny\":2.2250738585072014e-308}\n",
                "{\"i64\":0,\"u64\":9223372036854775808,\"exact\":0.5,\"beyond\":-1,\"huge\":-1e400,\"zero\":1E+2,\"tiny\":1.7976931348623157e308}\n",
            )
            .as_bytes()
            .to_vec(),
            "The limits of 64 bits, an integer no float can hold beside a float, numbers past both.",
        ),
        rows(
            "awkward/duplicate-keys.json",
            2,
            b"{\"a\":1,\"b\":\"x\",\"a\":2}\n{\"a\":3,\"b\":\"y\"}\n".to_vec(),
            "A key twice in one object.",
        ),
    ]
}

fn broken_streams() -> Vec<Fixture> {
    let lines = small_log();
    let log = lines.concat();
    let sound = gzip(&log);
    let end = sound.len();
    let (first, second) = (gzip(&lines[..12].concat()), gzip(&lines[12..].concat()));
    let flipped = |byte: usize| {
        let mut bytes = sound.clone();
        corrupt_bit(&mut bytes, byte, 3);
        bytes
    };
    let mut second_flipped = second.clone();
    corrupt_bit(&mut second_flipped, second.len() / 2, 3);
    let broken = |name: &str, bytes: Vec<u8>, shows| Fixture {
        path: format!("broken/{name}.json.gz"),
        bytes,
        holds: Holds::BadStream,
        shows,
    };
    vec![
        broken(
            "truncated",
            sound[..end * 6 / 10].to_vec(),
            "Cut after six tenths.",
        ),
        broken(
            "no-trailer",
            sound[..end - 8].to_vec(),
            "All of the text, but the checksum and length after it are gone.",
        ),
        broken(
            "truncated-member",
            [&first[..], &second[..second.len() / 2]].concat(),
            "A whole member of 12 lines, then half of one.",
        ),
        broken(
            "truncated-header",
            [&first[..], &second[..6]].concat(),
            "A whole member of 12 lines, then six bytes of a header.",
        ),
        broken("bad-crc", flipped(end - 6), "A wrong checksum."),
        broken("bad-length", flipped(end - 2), "A wrong length."),
        broken(
            "flipped-bit",
            flipped(end / 2),
            "One bit turned over in the compressed data.",
        ),
        broken(
            "flipped-bit-member",
            [first.clone(), second_flipped].concat(),
            "The same in the second of two members.",
        ),
        broken(
            "trailing-bytes",
            [&sound[..], b"not gzip"].concat(),
            "Bytes after the end that are no member and not zero.",
        ),
    ]
}

fn broken_lines() -> Vec<Fixture> {
    let with_line = |name: &str, change: &dyn Fn(&str) -> Vec<u8>, shows| {
        let mut lines = small_log();
        let line = String::from_utf8(lines[BAD_LINE as usize - 1].clone())
            .expect("the generator writes UTF-8");
        lines[BAD_LINE as usize - 1] = change(&line);
        Fixture {
            path: format!("broken/{name}.json.gz"),
            bytes: gzip(&lines.concat()),
            holds: Holds::BadLine(BAD_LINE),
            shows,
        }
    };
    let replaced = |from: &'static str, to: &'static str| {
        move |line: &str| line.replacen(from, to, 1).into_bytes()
    };
    let mut cut = small_log().concat();
    cut.truncate(cut.len() - 40);
    vec![
        with_line(
            "trailing-comma",
            &replaced("}\n", ",}\n"),
            "A comma before a closing brace.",
        ),
        with_line(
            "not-a-number",
            &replaced("\"bytes\":", "\"bytes\":NaN,\"was\":"),
            "`NaN` is not JSON.",
        ),
        with_line(
            "leading-zero",
            &replaced("\"bytes\":", "\"bytes\":0"),
            "A number with a leading zero.",
        ),
        with_line(
            "control-character",
            &replaced("\"level\":\"", "\"level\":\"\u{1}"),
            "A raw control character in a string.",
        ),
        with_line(
            "bad-escape",
            &replaced("\"level\":\"", "\"level\":\"\\x"),
            "An escape that JSON does not have.",
        ),
        with_line(
            "lone-surrogate",
            &replaced("\"level\":\"", "\"level\":\"\\ud83d"),
            "Half of a surrogate pair.",
        ),
        with_line(
            "bad-utf8",
            &|line| {
                let mut bytes = line
                    .replacen("\"level\":\"", "\"level\":\"?", 1)
                    .into_bytes();
                if let Some(at) = bytes.iter().position(|&byte| byte == b'?') {
                    bytes[at] = 0xE9;
                }
                bytes
            },
            "A Latin-1 byte in a string.",
        ),
        with_line(
            "two-records",
            &|line| format!("{}{line}", line.trim_end()).into_bytes(),
            "Two objects in one line.",
        ),
        with_line(
            "not-an-object",
            &|_| b"[1,2,3]\n".to_vec(),
            "A line that is JSON but no object.",
        ),
        with_line(
            "deep",
            &|_| format!("{{\"a\":{}{}}}\n", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
            "10,000 arrays one in another: more than any stack should follow.",
        ),
        Fixture {
            path: "broken/cut-record.json.gz".to_string(),
            bytes: gzip(&cut),
            holds: Holds::BadLine(BROKEN_ROWS),
            shows: "A sound gzip file whose last record is cut short.",
        },
    ]
}
