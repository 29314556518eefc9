//! Gzipped JSON logs to compressed Parquet: one pass, nothing lost, proven by the balance sheet.
//!
//! ```text
//! cargo run --release --example logs_to_parquet
//! ```

use std::path::Path;

use windrow::prelude::*;
use windrow::{Existing, OnBadRecord, Session, verify};

fn main() -> windrow::Result<()> {
    let report = convert("data/logs/*.json.gz", Path::new("out/example-logs"))?;
    println!("{report}");
    Ok(())
}

/// Writes even part files of about 128 MiB of rows. Bad records are kept aside,
/// up to one in a hundred; a folder of an earlier run is replaced at once, when
/// the new one is complete.
pub fn convert(inputs: &str, out: &Path) -> windrow::Result<RunReport> {
    let read = ReadOptions {
        on_bad_record: OnBadRecord::Reject,
        rejects: Some(out.with_extension("rejects.jsonl")),
        max_rejects: Some("1%".parse()?),
        ..ReadOptions::default()
    };
    let logs = Session::default_session()?.read_json(inputs, read)?;
    let write = WriteOptions {
        codec: Some("zstd:3".parse()?),
        existing: Existing::Overwrite,
        ..WriteOptions::new(out)
    };
    let report = logs
        .repartition(By::Bytes(ByteSize::mib(128)))?
        .write(&write)?;

    // The sheet was checked before anything became visible; here it is again.
    assert_eq!(report.lines, report.rows + report.rejected + report.blank);
    let checked = verify(out)?;
    assert!(checked.findings.is_empty(), "{checked}");
    Ok(report)
}
