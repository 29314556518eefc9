//! A pipeline whose steps are stages, each of its own.
//!
//! In:  a pipeline of several steps.
//! Out: one that gives the same rows in the same order, for who wants to see that.
//!
//! Filters on text stay with what is in front of them: they say which records
//! shape its columns, wherever a plan has them.

use std::sync::Arc;

use super::estimate::Estimate;
use super::lower::{DEFAULT_BYTES, Layout, Physical, Step, given};
use super::source::Source;
use super::ways::Lowering;

/// The same pipeline with a stage for each step.
pub(super) fn unfused(physical: Physical, to: Lowering<'_>) -> Physical {
    let n_fused = match physical.scan.source {
        Source::Text { .. } => {
            let mut steps = physical.steps.iter();
            let last = steps.rposition(|step| matches!(step, Step::Filter(_)));
            last.map_or(0, |last| last + 1)
        }
        _ => 0,
    };
    let behind = physical.steps[n_fused..].iter().map(|step| (step, false));
    let steps = behind.chain(physical.ordered.iter().map(|step| (step, true)));
    // Partitions that end where rows are read are given on.
    let (first, last) = match physical.layout {
        asked @ (Layout::Coalesce(_) | Layout::Even(_) | Layout::By(_)) => {
            (Layout::Coalesce(DEFAULT_BYTES), asked)
        }
        as_read => (as_read, Layout::Given),
    };
    let mut stages = Physical {
        scan: physical.scan.clone(),
        steps: physical.steps[..n_fused].to_vec(),
        ordered: Vec::new(),
        layout: first,
        sorted_by: None,
        coded: Vec::new(),
        ways: physical.ways,
        number: physical.number,
    };
    let mut n_stages = 1;
    for (step, in_order) in steps {
        // Columns that a step does not have were refused when the plan was built.
        let Ok(schema) = stages.output() else {
            return physical;
        };
        let estimate = Estimate {
            exact: false,
            ..stages.scan.estimate
        };
        let input = vec![(Arc::new(stages), Arc::clone(&schema))];
        stages = given(Source::Union(input), schema, estimate, to);
        match in_order {
            true => stages.ordered.push(step.clone()),
            false => stages.steps.push(step.clone()),
        }
        n_stages += 1;
    }
    if n_stages == 1 {
        return physical;
    }
    Physical {
        layout: last,
        sorted_by: physical.sorted_by,
        coded: physical.coded,
        ..stages
    }
}
