//! Runs the command as a user would, and makes it small logs.
#![allow(dead_code)] // Each test file uses its part.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts the exit code; shows everything where it differs.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The command, with nothing of the caller's environment that would change it.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windrow"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDROW_") {
            command.env_remove(name);
        }
    }
    command.env("COLUMNS", "100").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs `windrow ARGS...` in `dir`.
pub fn windrow(dir: &Path, args: &[&str]) -> Ended {
    ended(
        command()
            .current_dir(dir)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    )
}

pub fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The longest that a test waits for what comes at once, but on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a command watches for the signals that end it; before, they kill it.
pub fn wait_for_its_watch(child: &Child) {
    if !cfg!(target_os = "linux") {
        return std::thread::sleep(Duration::from_secs(1));
    }
    // A bit a signal, from the lowest on: SIGINT is the second, SIGTERM the fifteenth.
    let both = 1 << 1 | 1 << 14;
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let bits = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        u64::from_str_radix(bits.unwrap().trim(), 16).unwrap()
    };
    let start = Instant::now();
    while caught() & both != both {
        assert!(start.elapsed() < PATIENCE, "it watches for no signal");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes text, gzipped if the name says so.
pub fn put(path: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bytes = if path.extension().is_some_and(|extension| extension == "gz") {
        gzipped(text.as_bytes())
    } else {
        text.as_bytes().to_vec()
    };
    std::fs::write(path, bytes).unwrap();
    path.to_owned()
}

pub fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// `rows` log lines; `user` is "u0" in half of them, `late` exists from row 100 on.
pub fn logs(rows: usize) -> String {
    (0..rows)
        .map(|row| {
            let user = if row % 2 == 0 { 0 } else { row % 7 };
            let late = if row >= 100 { ",\"late\":true" } else { "" };
            format!(
                "{{\"id\":{row},\"status\":{},\"user\":\"u{user}\",\"ms\":{}.5{late}}}\n",
                200 + row % 5 * 100,
                row % 90
            )
        })
        .collect()
}

/// A folder of three unlike gzipped logs: 900, 90 and 0 rows.
pub fn skewed(dir: &Path) {
    put(&dir.join("logs/a.json.gz"), &logs(900));
    put(&dir.join("logs/b.json.gz"), &logs(90));
    put(&dir.join("logs/c.json.gz"), "");
}
