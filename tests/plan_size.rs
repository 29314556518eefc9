//! Plans grow with operators, not with partitions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use windrow::{By, DataFrame, Session};

thread_local! {
    /// Bytes that this thread holds, and the most it has held: what it frees of
    /// others counts against it.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, which counts.
struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above, and what is freed was allocated above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

fn count(bytes: isize) {
    // A thread that is ending has no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A plan of many steps, written out: its lines, and the most bytes that were held for it.
fn planned(n_partitions: usize) -> (usize, isize) {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let made = Session::default().from_map(Arc::clone(&schema), n_partitions, |_| Ok(Vec::new()));
    let steps = |mut frame: DataFrame| {
        for step in 0..8 {
            let (name, above) = (format!("c{step}"), format!("c{step} > {step}"));
            frame = frame.with_column(name, "n + 1")?.filter(above)?;
        }
        let mapped = frame.map_partitions(schema, |partition| Ok(partition.batches));
        let sums = mapped.groupby(["n"])?.agg(["count(*)"])?;
        let both = sums.merge(&mapped, "n")?;
        both.repartition(By::Count(n_partitions))
    };
    let frame = steps(made).unwrap();
    let lines = frame.explain().to_string().lines().count();
    (lines, HELD.get().1 - before)
}

#[test]
fn a_plan_over_100_000_partitions_is_as_large_as_one_over_ten() {
    planned(10); // What is made once for all plans is made now.
    let (few_lines, few_bytes) = planned(10);
    let (many_lines, many_bytes) = planned(100_000);
    assert!(few_lines > 16, "{few_lines} lines");
    assert_eq!(many_lines, few_lines);
    // Numbers of partitions are written in four more digits each.
    let more = (many_bytes - few_bytes).abs();
    assert!(
        more < 10_000,
        "{many_bytes} bytes for many, {few_bytes} for few"
    );
    assert!(many_bytes < 10 << 20, "{many_bytes} bytes");
}
