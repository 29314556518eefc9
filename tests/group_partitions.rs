//! The number of partitions that groups come in follows how many groups there are,
//! whatever the input, and partitions are even; also of spilled groups.

use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::exec::{Context, sizes};
use windrow::expr::{col, count};
use windrow::inspect::PartitionSizes;
use windrow::plan::optimize::optimize_without;
use windrow::plan::{Layout, lower};
use windrow::{ByteSize, DataFrame, Keep, Result, Session, Settings};

fn settings(mib: u64) -> Settings {
    Settings {
        threads: 2,
        memory: ByteSize::mib(mib),
        ..Settings::default()
    }
}

/// So many rows with so many keys, those of one key all over.
fn frame(n_rows: i64, n_keys: i64) -> DataFrame {
    let column = |of: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..n_rows).map(of)))
    };
    let columns = [
        ("k", column(&|row| row * 7_919 % n_keys)),
        ("n", column(&|row| row)),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let pieces = (0..rows.num_rows()).step_by(8_192);
    let pieces = pieces.map(|from| rows.slice(from, 8_192.min(rows.num_rows() - from)));
    let session = Session::new(settings(1024));
    session.from_batches(rows.schema(), pieces).unwrap()
}

/// The partitions of a frame where each takes about `target` bytes, under so much
/// memory, and whether anything was spilled.
fn partitions(frame: &DataFrame, target: u64, mib: u64) -> (PartitionSizes, bool) {
    let plan = optimize_without(frame.plan().clone(), &[]);
    let mut physical = lower(plan, ByteSize::mib(128));
    let Layout::Coalesce(_) = physical.layout else {
        panic!("groups are laid out by their bytes: {:?}", physical.layout);
    };
    physical.layout = Layout::Coalesce(target);
    let (sizes, report) = sizes(&physical, &Context::new(settings(mib))).unwrap();
    (PartitionSizes(sizes), report.spilled_bytes > 0)
}

type Question = (&'static str, u64, fn(&DataFrame) -> Result<DataFrame>);

/// What makes a row of each key, with the bytes of such a row.
const QUESTIONS: [Question; 4] = [
    ("group-by", 24, |rows| {
        rows.groupby(["k"])?
            .agg([count(), col("n").max().alias("most")])
    }),
    ("group-by in order", 16, |rows| {
        rows.groupby(["k"])?.agg([col("n").first().alias("first")])
    }),
    ("drop_duplicates", 16, |rows| {
        rows.drop_duplicates(["k"], Keep::First)
    }),
    ("unique", 8, |rows| rows.unique("k")),
];

#[test]
fn partitions_of_groups_grow_with_the_groups_and_not_with_the_input() {
    for (name, row_bytes, question) in QUESTIONS {
        // 300 groups a partition.
        let target = 300 * row_bytes;
        for (n_rows, n_keys) in [
            (30_000, 1),
            (3_000, 1_000),
            (60_000, 1_000),
            (60_000, 30_000),
        ] {
            let groups = question(&frame(n_rows, n_keys)).unwrap();
            let (sizes, _) = partitions(&groups, target, 1024);
            let rows: u64 = sizes.iter().map(|size| size.rows).sum();
            assert_eq!(rows, n_keys as u64, "{name}");
            let wanted = (n_keys as usize).div_ceil(300);
            let found = sizes.len();
            assert_eq!(found, wanted, "{name}: {n_keys} keys of {n_rows} rows");
            let skew = sizes.skew();
            assert!(skew.rows.balance <= 1.2, "{name}: {}", skew.rows.balance);
            assert!(skew.bytes.balance <= 1.2, "{name}: {}", skew.bytes.balance);
        }
    }
}

#[test]
fn spilled_groups_come_in_as_many_partitions() {
    for (name, row_bytes, question) in QUESTIONS {
        // So many that no order of events holds them in 32 MiB: the fewer bytes a row
        // takes, the more of them.
        let n_keys = 12_000_000 / row_bytes as i64;
        let groups = question(&frame(2 * n_keys, n_keys)).unwrap();
        let target = 30_000 * row_bytes;
        let (held, spilled) = partitions(&groups, target, 1024);
        let wanted = (n_keys as usize).div_ceil(30_000);
        assert!(!spilled, "{name}: spilled within 1 GiB");
        assert_eq!(held.len(), wanted, "{name}");
        let (on_disk, spilled) = partitions(&groups, target, 32);
        assert!(spilled, "{name}: nothing was spilled within 32 MiB");
        assert_eq!(on_disk, held, "{name}");
        assert!(on_disk.skew().rows.balance <= 1.2, "{name}");
    }
}
