//! Several frames computed in one go.
//!
//! In:  frames that may have parts in common.
//! Out: the rows of each; what they share is read and computed once.

use std::sync::Arc;

use super::dataframe::DataFrame;
use super::table::Table;
use crate::error::Result;
use crate::partition::Partitioning;
use crate::plan::{Estimate, Local, Logical, Scan, Source, asked_of, replaced, shared_part};

/// The rows of all frames, in their order. What several of them have in common
/// is done once: two aggregates of one scan read it once. Its rows are kept until
/// all frames are computed, as by [`DataFrame::persist`], no more of its columns
/// than any frame looks at, and spilled past half of the memory budget. Frames
/// have something in common if they were built of one frame, not if they read
/// the same files.
///
/// ```
/// use windrow::prelude::*;
/// # fn main() -> windrow::Result<()> {
/// let logs = windrow::read_json("data/logs/*.json.gz")?;
/// let by_level = logs.groupby(["level"])?.size()?;
/// let slowest = logs.nlargest(3, "latency_ms")?.select(["path", "latency_ms"])?;
/// let tables = windrow::compute_all([&by_level, &slowest])?; // the logs are read once
/// assert_eq!(tables[1].num_rows(), 3);
/// # Ok(())
/// # }
/// ```
///
/// Rows and their order are those that computing each frame alone gives. Where a
/// shared part lies in partitions of its own, they are kept as well.
///
/// # Errors
///
/// As [`DataFrame::compute`]: of the first frame that fails, or of what it shares.
pub fn compute_all<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Result<Vec<Table>> {
    let frames: Vec<&DataFrame> = frames.into_iter().collect();
    let mut plans: Vec<Logical> = frames.iter().map(|frame| frame.plan().clone()).collect();
    while let (Some(first), Some(shared)) = (frames.first(), shared_part(&plans)) {
        let shared = shared.clone();
        let kept = keep(first, &shared, &plans)?;
        plans = plans
            .into_iter()
            .map(|plan| replaced(plan, &shared, &kept))
            .collect();
    }
    let computed = frames.iter().zip(plans).map(|(frame, plan)| {
        let schema = Arc::clone(frame.known());
        DataFrame::new(frame.session().clone(), plan, schema).compute()
    });
    computed.collect()
}

/// Computes a part of plans, the columns that they look at, and keeps it.
fn keep(frame: &DataFrame, shared: &Logical, plans: &[Logical]) -> Result<Logical> {
    let schema = shared.schema()?;
    // A source that stands for the part tells what is asked of it.
    let stand_in = Source::Made {
        make: Local::making("shared", |_| Ok(Vec::new())),
        n_partitions: 0,
    };
    let scan = Logical::Scan(Box::new(Scan {
        source: stand_in.clone(),
        schema: Arc::clone(&schema),
        columns: None,
        predicate: None,
        estimate: Estimate::default(),
        lies: Partitioning::Unknown,
    }));
    let plans = plans.iter().cloned();
    let plans: Vec<Logical> = plans.map(|plan| replaced(plan, shared, &scan)).collect();
    let asked = asked_of(&plans, &stand_in);
    let part = DataFrame::new(frame.session().clone(), shared.clone(), Arc::clone(&schema));
    let part = match asked {
        Some(asked) => {
            let names = schema.fields().iter().map(|field| field.name());
            part.select(names.filter(|name| asked.contains(*name)))?
        }
        None => part,
    };
    Ok(part.persist()?.plan().clone())
}
