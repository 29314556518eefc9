//! Plans as text, for `explain`.

use std::fmt::Write;

use super::logical::{Logical, Scan};
use super::lower::{Layout, Physical, Step, lower};
use super::optimize::optimize;
use super::source::Source;
use crate::partition::By;
use crate::size::ByteSize;

/// What will run: the plan as built, after the rules, and its stages, with
/// estimated rows and bytes.
pub fn explain(plan: &Logical, blocksize: ByteSize) -> String {
    let optimized = optimize(plan.clone());
    let mut text = String::from("plan as built\n");
    write_chain(&mut text, plan);
    text.push_str("after the rules\n");
    write_chain(&mut text, &optimized);
    text.push_str("stages\n");
    text.push_str(&physical_text(&lower(optimized, blocksize)));
    text
}

/// The stages of a pipeline, a line each.
pub fn physical_text(physical: &Physical) -> String {
    let mut text = String::new();
    let mut line = format!("  1. read {}", scan_text(&physical.scan));
    for step in &physical.steps {
        line.push_str(", ");
        line.push_str(&step_text(step));
    }
    for step in &physical.ordered {
        line.push_str(", in order: ");
        line.push_str(&step_text(step));
    }
    match physical.layout {
        Layout::By(By::Count(_) | By::Bytes(_)) => {
            line.push_str(", hold rows until all are counted\n");
            let Layout::By(by) = physical.layout else {
                unreachable!("matched above")
            };
            line.push_str(&format!("  2. cut into partitions: {by}"));
        }
        Layout::By(by) => line.push_str(&format!(", cut into partitions: {by}")),
        Layout::Blocks(bytes) => line.push_str(&format!(
            ", a partition for each {} of text",
            ByteSize::new(bytes)
        )),
        Layout::Coalesce(bytes) => line.push_str(&format!(
            ", partitions of about {} of Arrow data",
            ByteSize::new(bytes)
        )),
    }
    text.push_str(&line);
    text.push('\n');
    text
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Filter(predicate) => format!("filter {predicate}"),
        Step::Select(columns) => format!("select {}", columns.join(", ")),
        Step::Limit(rows) => format!("first {rows} rows"),
    }
}

fn write_chain(text: &mut String, plan: &Logical) {
    let mut chain = vec![plan];
    while let Some(input) = chain.last().and_then(|node| node.input()) {
        chain.push(input);
    }
    for (depth, node) in chain.iter().enumerate() {
        let estimate = node.estimate();
        let about = if estimate.exact { "" } else { "about " };
        let line = match node {
            Logical::Scan(scan) => format!("scan {}", scan_text(scan)),
            Logical::Filter { predicate, .. } => format!("filter {predicate}"),
            Logical::Select { columns, .. } => format!("select {}", columns.join(", ")),
            Logical::Repartition { by, .. } => format!("repartition {by}"),
            Logical::Coalesce { bytes, .. } => {
                format!("coalesce to about {}", ByteSize::new(*bytes))
            }
            Logical::Limit { rows, .. } => format!("limit {rows}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:indent$}{line}  ({about}{} rows, {about}{}, {})",
            "",
            estimate.rows,
            ByteSize::new(estimate.bytes),
            node.partitioning(),
            indent = depth * 2,
        );
    }
}

fn scan_text(scan: &Scan) -> String {
    let mut text = match &scan.source {
        Source::Json { inputs, .. } => format!("json {}", inputs.join(" ")),
        Source::Columns { inputs, format } => format!("{format} {}", inputs.join(" ")),
        Source::Batches(batches) => format!("{} batches in memory", batches.len()),
    };
    if let Some(columns) = &scan.columns {
        let _ = write!(text, " [columns {}]", columns.join(", "));
    }
    if let Some(predicate) = &scan.predicate {
        let _ = write!(text, " [where {predicate}]");
    }
    text
}
