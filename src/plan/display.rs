//! Plans as text, for `explain`.

use std::fmt::{self, Write};

use serde::Serialize;

use super::logical::{Logical, Scan};
use super::lower::{Layout, Physical, Step, lower};
use super::optimize::optimize;
use super::source::Source;
use crate::io;
use crate::partition::By;
use crate::size::ByteSize;

/// What will run. Displays as text, a node or stage a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The calls as they were made, the last one first.
    pub built: Vec<ExplainedNode>,
    /// The same answer in fewer steps.
    pub optimized: Vec<ExplainedNode>,
    /// What is done in one go, the first one first.
    pub stages: Vec<String>,
}

/// A node of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedNode {
    /// What it does.
    pub node: String,
    /// Rows that come out.
    pub rows: u64,
    /// Logical bytes of Arrow data that come out.
    pub bytes: u64,
    /// Whether both are exact; else they are estimates.
    pub exact: bool,
    /// How the rows lie in partitions.
    pub partitioning: String,
}

/// What will run: the plan as built, after the rules, and its stages, with
/// estimated rows and bytes.
pub fn explain(plan: &Logical, blocksize: ByteSize) -> Explained {
    let optimized = optimize(plan.clone());
    Explained {
        built: chain(plan),
        optimized: chain(&optimized),
        stages: physical_text(&lower(optimized, blocksize))
            .lines()
            .map(|line| line.trim_start().to_owned())
            .collect(),
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, nodes) in [
            ("plan as built", &self.built),
            ("after the rules", &self.optimized),
        ] {
            writeln!(f, "{title}")?;
            for (depth, node) in nodes.iter().enumerate() {
                let about = if node.exact { "" } else { "about " };
                writeln!(
                    f,
                    "  {:indent$}{}  ({about}{} rows, {about}{}, {})",
                    "",
                    node.node,
                    node.rows,
                    ByteSize::new(node.bytes),
                    node.partitioning,
                    indent = depth * 2,
                )?;
            }
        }
        writeln!(f, "stages")?;
        for stage in &self.stages {
            writeln!(f, "  {stage}")?;
        }
        Ok(())
    }
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

/// The nodes from the last call to the scan.
fn chain(plan: &Logical) -> Vec<ExplainedNode> {
    let mut nodes = Vec::new();
    let mut next = Some(plan);
    while let Some(node) = next {
        let estimate = node.estimate();
        nodes.push(ExplainedNode {
            node: match node {
                Logical::Scan(scan) => format!("scan {}", scan_text(scan)),
                Logical::Filter { predicate, .. } => format!("filter {predicate}"),
                Logical::Select { columns, .. } => format!("select {}", columns.join(", ")),
                Logical::Repartition { by, .. } => format!("repartition {by}"),
                Logical::Coalesce { bytes, .. } => {
                    format!("coalesce to about {}", ByteSize::new(*bytes))
                }
                Logical::Limit { rows, .. } => format!("limit {rows}"),
            },
            rows: estimate.rows,
            bytes: estimate.bytes,
            exact: estimate.exact,
            partitioning: node.partitioning().to_string(),
        });
        next = node.input();
    }
    nodes
}

/// Inputs as the user wrote them, less what may be secret of a URL.
fn shown(inputs: &[String]) -> String {
    let words: Vec<_> = inputs.iter().map(|input| io::url::shown(input)).collect();
    words.join(" ")
}

fn scan_text(scan: &Scan) -> String {
    let mut text = match &scan.source {
        Source::Text { inputs, format, .. } | Source::Columns { inputs, format } => {
            format!("{format} {}", shown(inputs))
        }
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
