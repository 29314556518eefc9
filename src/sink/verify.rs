//! Is what the manifest says still true?
//!
//! In:  a folder with a manifest.
//! Out: every way in which the files and the manifest disagree.
//!
//! Files are read whole: sizes and checksums from their bytes, rows and codecs
//! from their footers (for JSON, from the text).

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::file::{Sum, checksum};
use super::report::{MANIFEST, Manifest, OutputReport};
use super::settle::inspect;
use super::staging::list;
use crate::error::{Error, Result};

/// One disagreement between a manifest and its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, relative to the folder.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The folder.
    pub path: String,
    /// Part files that were read.
    pub parts: u64,
    /// Rows the manifest promises.
    pub rows: u64,
    /// Bytes of the part files, as stored.
    pub stored_bytes: u64,
    /// The codecs found in the files, sorted.
    pub codecs: Vec<String>,
    /// Everything that is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether everything the manifest says is true.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}: {}", finding.path, finding.problem)?;
        }
        let size = crate::ByteSize::new(self.stored_bytes);
        write!(
            f,
            "{}: {} {}, {} {}, {size}: ",
            self.path,
            self.parts,
            if self.parts == 1 { "part" } else { "parts" },
            self.rows,
            if self.rows == 1 { "row" } else { "rows" },
        )?;
        match self.findings.len() {
            0 => f.write_str("as the manifest says"),
            1 => f.write_str("1 problem"),
            many => write!(f, "{many} problems"),
        }
    }
}

/// Compares the files of a folder with its manifest.
///
/// # Errors
///
/// [`Error::Config`] if there is no manifest, [`Error::Corrupt`] if it does not
/// parse. Anything wrong with part files is a finding and no error.
pub fn verify(dir: impl AsRef<Path>) -> Result<VerifyReport> {
    let dir = dir.as_ref();
    let manifest = Manifest::read(dir)?.ok_or_else(|| no_manifest(dir))?;
    let mut report = VerifyReport {
        path: dir.display().to_string(),
        parts: 0,
        rows: manifest.rows,
        stored_bytes: 0,
        codecs: Vec::new(),
        findings: Vec::new(),
    };
    let mut codecs = BTreeSet::new();
    let mut listed: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::from(MANIFEST)]);
    for part in &manifest.parts {
        let relative = PathBuf::from(&part.path);
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let problems = if !plain {
            vec!["its path leaves the folder; it was not read".to_owned()]
        } else if !listed.insert(relative.clone()) {
            vec!["it is listed twice".to_owned()]
        } else {
            report.parts += 1;
            check(
                &dir.join(&relative),
                part,
                &manifest,
                &mut report.stored_bytes,
                &mut codecs,
            )
        };
        report
            .findings
            .extend(problems.into_iter().map(|problem| Finding {
                path: part.path.clone(),
                problem,
            }));
    }
    let rows: u64 = manifest.parts.iter().map(|part| part.rows).sum();
    if rows != manifest.rows {
        report.findings.push(Finding {
            path: MANIFEST.to_owned(),
            problem: format!(
                "it says {} rows, and its parts sum to {rows}",
                manifest.rows
            ),
        });
    }
    for extra in list(dir)?.difference(&listed) {
        let found = std::fs::symlink_metadata(dir.join(extra));
        if found.is_ok_and(|found| !found.is_dir()) {
            report.findings.push(Finding {
                path: extra.display().to_string(),
                problem: "the manifest does not know it".to_owned(),
            });
        }
    }
    report.codecs = codecs.into_iter().collect();
    Ok(report)
}

fn no_manifest(dir: &Path) -> Error {
    Error::config(
        "verify",
        format!(
            "{} holds no {MANIFEST}, so there is nothing to compare its files with: it was not \
             written by windrow, or not completely; `windrow count` reads what is there, \
             `windrow convert` writes it into a folder that can be verified",
            dir.display()
        ),
    )
}

/// What is wrong with one part file.
fn check(
    path: &Path,
    part: &OutputReport,
    manifest: &Manifest,
    stored_bytes: &mut u64,
    codecs: &mut BTreeSet<String>,
) -> Vec<String> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec!["it is missing".to_owned()];
        }
        Ok(found) if !found.is_file() => return vec!["it is not a file".to_owned()],
        _ => {}
    }
    let mut problems = Vec::new();
    match checksum(path) {
        Err(error) => return vec![error.to_string()],
        Ok(Sum { crc32, bytes }) => {
            *stored_bytes += bytes;
            let crc32 = format!("{crc32:08x}");
            if bytes != part.stored_bytes {
                problems.push(format!("it has {bytes} bytes, not {}", part.stored_bytes));
            }
            if crc32 != part.crc32 {
                problems.push(format!("its checksum is {crc32}, not {}", part.crc32));
            }
        }
    }
    match inspect(path, manifest.format) {
        Err(error) => problems.push(error.to_string()),
        Ok(found) => {
            if found.rows != part.rows {
                problems.push(format!("it has {} rows, not {}", found.rows, part.rows));
            }
            let codec = found.codec();
            if codec != part.codec {
                problems.push(format!("it is compressed with {codec}, not {}", part.codec));
            }
            codecs.insert(codec);
        }
    }
    problems
}
