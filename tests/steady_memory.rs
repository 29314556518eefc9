//! Memory comes back: a process that converts again and again does not grow.
//!
//! The only test of its file, so that nothing else in the process takes memory.

use windrow::{By, Existing, Session, WriteOptions};

/// Resident memory in KiB; none where Linux does not tell it.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn twenty_conversions_in_one_process_return_memory_to_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::default();
    let convert = || {
        let options = WriteOptions {
            existing: Existing::Overwrite,
            durable: false,
            ..WriteOptions::new(dir.path().join("out"))
        };
        let logs = session
            .read_json("data/skewed/*.json.gz", Default::default())
            .unwrap();
        let kept = logs.persist().unwrap();
        let report = kept
            .repartition(By::Count(3))
            .unwrap()
            .write(&options)
            .unwrap();
        assert_eq!(report.rows_written(), 1200);
    };
    // The first ones fill what is kept for good: thread stacks, the allocator's own.
    (0..5).for_each(|_| convert());
    let Some(base) = resident_kib() else {
        println!("skipped: this system does not tell what memory is resident");
        return;
    };
    (0..20).for_each(|_| convert());
    let after = resident_kib().unwrap();
    // Each holds more than 1 MiB of rows: kept twenty times they would be above 20.
    assert!(after < base + 12 * 1024, "{base} KiB became {after} KiB");
}
