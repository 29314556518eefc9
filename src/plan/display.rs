//! Plans as text, for `explain`.

use std::fmt::{self, Write};

use serde::Serialize;

use super::estimate::{Estimate, counted};
use super::join::Join;
use super::join_way::JoinWay;
use super::logical::{Logical, Scan};
use super::lower::{Layout, Physical, Step, lower};
use super::merge_how::Side;
use super::optimize::optimize;
use super::source::{FileFormat, Source};
use super::ways::{Way, Ways};
use super::window;
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
    /// How many nodes read from it, one through the other.
    pub depth: usize,
    /// What it does.
    pub node: String,
    /// Rows that come out; 0, and not exact, where nothing is known of them.
    pub rows: u64,
    /// Logical bytes of Arrow data that come out.
    pub bytes: u64,
    /// Whether both are exact; else they are estimates.
    pub exact: bool,
    /// How the rows lie in partitions.
    pub partitioning: String,
}

impl ExplainedNode {
    /// How much comes out.
    pub(crate) fn estimate(&self) -> Estimate {
        Estimate {
            rows: self.rows,
            bytes: self.bytes,
            exact: self.exact,
        }
    }
}

/// What will run: the plan as built, after the rules, and its stages, with
/// estimated rows and bytes.
pub fn explain(plan: &Logical, blocksize: ByteSize) -> Explained {
    let optimized = optimize(plan.clone());
    Explained {
        built: chain(plan),
        optimized: chain(&optimized),
        stages: numbered(&stages(&lower(optimized, blocksize))),
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_plans(f)?;
        writeln!(f, "stages")?;
        for stage in &self.stages {
            writeln!(f, "  {stage}")?;
        }
        Ok(())
    }
}

impl Explained {
    /// The plan as built and after the rules, a node a line.
    pub(crate) fn write_plans(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, nodes) in [
            ("plan as built", &self.built),
            ("after the rules", &self.optimized),
        ] {
            writeln!(f, "{title}")?;
            for node in nodes {
                writeln!(
                    f,
                    "  {:indent$}{}  ({}, {})",
                    "",
                    node.node,
                    node.estimate(),
                    node.partitioning,
                    indent = node.depth * 2,
                )?;
            }
        }
        Ok(())
    }
}

/// The stages of a pipeline, a line each.
pub fn physical_text(physical: &Physical) -> String {
    let lines = numbered(&stages(physical)).into_iter();
    lines.map(|line| format!("  {line}\n")).collect()
}

/// What is done in one go.
pub(crate) struct PlannedStage {
    /// In words.
    pub text: String,
    /// That of the pipeline whose rows it reads; none of rows that another stage held.
    pub number: Option<usize>,
}

/// The stages of a pipeline, the first one first.
pub(crate) fn stages(physical: &Physical) -> Vec<PlannedStage> {
    let mut stages = Vec::new();
    add_stages(physical, None, &mut stages);
    stages
}

/// Stages in words, each with its place.
fn numbered(stages: &[PlannedStage]) -> Vec<String> {
    let lines = stages.iter().enumerate();
    lines
        .map(|(idx, stage)| format!("{}. {}", idx + 1, stage.text))
        .collect()
}

/// What ends a stage whose rows are looked at again.
const HELD: &str = "hold rows until all came";

/// The stages of a pipeline; what goes to another at its `end` lies in no partitions.
fn add_stages(physical: &Physical, end: Option<&dyn fmt::Display>, stages: &mut Vec<PlannedStage>) {
    add_inputs(&physical.scan.source, stages);
    let mut text = rows_stage(physical);
    let behind = match end {
        Some(end) => {
            let _ = write!(text, ", {end}");
            None
        }
        None => add_layout(physical, &mut text),
    };
    let number = Some(physical.number);
    stages.push(PlannedStage { text, number });
    stages.extend(behind.map(|text| PlannedStage { text, number: None }));
}

/// The stages of the pipelines that a source stands on.
fn add_inputs(source: &Source, stages: &mut Vec<PlannedStage>) {
    match source {
        Source::Mapped { input, .. } | Source::Picked { input, .. } => {
            add_stages(input, None, stages);
        }
        Source::Shared(shared) => {
            // Those who come later read what the first has kept.
            let kept = format!("keep as shared rows {}", shared.number);
            let is_new = !stages.iter().any(|stage| stage.text.ends_with(&kept));
            if let (true, Some(pipeline)) = (is_new, shared.pipeline()) {
                add_stages(pipeline, Some(&kept), stages);
            }
        }
        Source::Folded { fold, input } => add_stages(input, Some(fold), stages),
        Source::Joined { left, right, .. } => {
            add_stages(left, None, stages);
            add_stages(right, None, stages);
        }
        Source::Sorted { sort, input } => add_stages(input, Some(sort), stages),
        Source::Shuffled { by, input } => add_stages(input, Some(by), stages),
        Source::Ahead { input, .. } => add_stages(input, Some(&HELD), stages),
        Source::Union(inputs) => inputs
            .iter()
            .for_each(|(input, _)| add_stages(input, None, stages)),
        _ => {}
    }
}

/// What reads rows, and what happens to each.
fn rows_stage(physical: &Physical) -> String {
    let mut line = format!("read {}", scan_text(&physical.scan, physical.ways));
    for step in &physical.steps {
        line.push_str(", ");
        line.push_str(&step_text(step));
    }
    for step in &physical.ordered {
        line.push_str(", in order: ");
        line.push_str(&step_text(step));
    }
    for way in Way::ALL {
        if !physical.ways.takes(way) && is_of_use(way, physical) {
            let _ = write!(line, ", without {}", way.name());
        }
    }
    line
}

/// Adds how partitions are laid out. A layout that waits for totals is a stage of its own.
fn add_layout(physical: &Physical, line: &mut String) -> Option<String> {
    let is_counted = physical.is_counted();
    match physical.layout {
        Layout::By(by @ (By::Count(_) | By::Bytes(_))) if !is_counted => {
            line.push_str(", hold rows until all are counted");
            return Some(format!("cut into partitions: {by}"));
        }
        Layout::By(by) => {
            let _ = write!(line, ", cut into partitions: {by}");
        }
        Layout::Even(bytes) if is_counted => {
            let by = By::Bytes(ByteSize::new(bytes));
            let _ = write!(line, ", cut into partitions: {by}");
        }
        Layout::Blocks(bytes) => {
            let _ = write!(
                line,
                ", a partition for each {} of text",
                ByteSize::new(bytes)
            );
        }
        Layout::Coalesce(bytes) | Layout::Even(bytes) => {
            let _ = write!(
                line,
                ", partitions of about {} of Arrow data",
                ByteSize::new(bytes)
            );
        }
        Layout::Files => line.push_str(", a partition for each file"),
        Layout::Given => line.push_str(", partitions as they are given"),
    }
    None
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Filter(predicate) => format!("filter {predicate}"),
        Step::Project(projection) => projection.to_string(),
        Step::Explode(columns) => format!("explode {}", columns.join(", ")),
        Step::Window(windows) => window::text(windows),
        Step::Limit(rows) => format!("first {rows} rows"),
        Step::CheckSorted(column) => format!("check that rows are sorted by {column}"),
        Step::Sample { seed, from, to } => sample_text(*seed, *from, *to),
    }
}

/// The nodes from the last call to the scans.
fn chain(plan: &Logical) -> Vec<ExplainedNode> {
    let mut nodes = Vec::new();
    let mut rest = vec![(plan, 0)];
    while let Some((node, depth)) = rest.pop() {
        let estimate = node.estimate();
        nodes.push(ExplainedNode {
            depth,
            node: match node {
                Logical::Scan(scan) => format!("scan {}", scan_text(scan, Ways::default())),
                Logical::Filter { predicate, .. } => format!("filter {predicate}"),
                Logical::Project { projection, .. } => projection.to_string(),
                Logical::Repartition { by, .. } => format!("repartition {by}"),
                Logical::Coalesce { bytes, .. } => {
                    format!("coalesce to about {}", ByteSize::new(*bytes))
                }
                Logical::Limit { rows, .. } => format!("limit {rows}"),
                Logical::Union { inputs, .. } => format!("concat {} frames", inputs.len()),
                Logical::Aggregate { fold, .. } => fold.to_string(),
                Logical::Sort { sort, .. } => sort.to_string(),
                Logical::Shuffle { by, .. } => by.to_string(),
                Logical::Explode { columns, .. } => format!("explode {}", columns.join(", ")),
                Logical::Window { windows, .. } => window::text(windows),
                Logical::Partition { idx, .. } => format!("partition {idx}"),
                Logical::Join { join, .. } => join.to_string(),
                Logical::MapPartitions { map, .. } => format!("map partitions by {map:?}"),
                Logical::Sample { seed, from, to, .. } => sample_text(*seed, *from, *to),
            },
            rows: estimate.rows,
            bytes: estimate.bytes,
            exact: estimate.exact,
            partitioning: node.partitioning().to_string(),
        });
        let inputs = node.inputs().into_iter().rev();
        rest.extend(inputs.map(|input| (input, depth + 1)));
    }
    nodes
}

/// What is said of how the rows of two frames meet, and which of them may not even be read.
fn joined_text(
    join: &Join,
    (way, ways): (&JoinWay, Ways),
    (left, right): (&Physical, &Physical),
) -> String {
    let mut text = way_text(join, way, ways);
    let looks = ways.takes(Way::RuntimeFilter) && ways.takes(Way::Broadcast);
    if let (true, JoinWay::Hold(held, _)) = (looks, way) {
        let streams = held.other();
        let (held, streamed) = match held {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        let needs_key = join.how.needs_partner(streams) && !join.nulls_match && !join.on.is_empty();
        if needs_key && held.leaves_out() && reads_files(streamed) {
            let _ = write!(
                text,
                "; {streams} rows that meet none are passed over where files tell"
            );
        }
    }
    text
}

/// Whether the keys of rows may be told where they are read.
fn reads_files(physical: &Physical) -> bool {
    physical.ordered.is_empty()
        && match &physical.scan.source {
            Source::Columns { .. } => true,
            Source::Joined { left, right, .. } => reads_files(left) || reads_files(right),
            Source::Folded { input, .. }
            | Source::Sorted { input, .. }
            | Source::Shuffled { input, .. } => reads_files(input),
            Source::Union(inputs) => inputs.iter().any(|(input, _)| reads_files(input)),
            _ => false,
        }
}

/// Whether a stage could take a way to spare work that shows in no other words of it.
fn is_of_use(way: Way, physical: &Physical) -> bool {
    let filters = |step: &Step| matches!(step, Step::Filter(_));
    match (way, &physical.scan.source) {
        (Way::PartialAggregation, Source::Folded { .. }) => true,
        (Way::GroupsTogether, Source::Folded { input, .. }) => matches!(
            input.scan.source,
            Source::Joined { .. } | Source::Shuffled { .. }
        ),
        (
            Way::Statistics | Way::LateColumns,
            Source::Columns {
                format: FileFormat::Parquet,
                ..
            },
        ) => physical.scan.predicate.is_some() || physical.steps.iter().any(filters),
        _ => false,
    }
}

/// How the rows of two frames meet.
fn way_text(join: &Join, way: &JoinWay, ways: Ways) -> String {
    let (held, order) = match way {
        JoinWay::InOrder(order) => return format!("rows go {order}: none is moved"),
        JoinWay::Hold(held, order) => (held, order),
    };
    let streams = held.other();
    let some = match join.next_to.is_some() && join.on.is_empty() {
        true => "around their time",
        false => "of their key",
    };
    if !ways.takes(Way::Broadcast) {
        return match order {
            Some(order) => format!("rows go {order}"),
            None => format!("{streams} rows stream past the {held} ones {some}"),
        };
    }
    let past = format!("{streams} rows stream past all {held} ones");
    if *held == join.how.probe().0 {
        return format!(
            "{past}, which are fewer by far, and are put into their order; if {held} ones are too many to be held, they stream past {streams} ones"
        );
    }
    match order {
        Some(order) => format!("{past}, or {order}, if these are too many to be held"),
        None => format!("{past}, or past those {some} if these are too many to be held"),
    }
}

/// Inputs as the user wrote them, less what may be secret of a URL.
fn shown(inputs: &[String]) -> String {
    let words: Vec<_> = inputs.iter().map(|input| io::url::shown(input)).collect();
    words.join(" ")
}

fn sample_text(seed: u64, from: f64, to: f64) -> String {
    format!("sample {from} to {to} by seed {seed}")
}

fn scan_text(scan: &Scan, ways: Ways) -> String {
    let mut text = match &scan.source {
        Source::Text { inputs, format, .. } | Source::Columns { inputs, format, .. } => {
            format!("{format} {}", shown(inputs))
        }
        Source::Batches(batches) => {
            let batches = counted(batches.len() as u64, "batch", "batches");
            format!("{batches} in memory")
        }
        Source::Made { make, n_partitions } => {
            let partitions = counted(*n_partitions as u64, "partition", "partitions");
            format!("{partitions} of {make:?}")
        }
        Source::Union(inputs) => format!("{} stages one behind the other", inputs.len()),
        Source::Folded { fold, .. } => format!("the rows of {}", fold.name()),
        Source::Shared(shared) => format!("shared rows {}", shared.number),
        Source::Sorted { sort, .. } => format!("the rows of {}", sort.name()),
        Source::Shuffled { by, .. } => format!("the rows of {}", by.name()),
        Source::Ahead { windows, .. } => {
            format!("the rows backwards, {}", window::text(windows))
        }
        Source::Picked { idx, .. } => format!("partition {idx}"),
        Source::Joined {
            join,
            left,
            right,
            way,
        } => {
            let met = joined_text(join, (way, ways), (left, right));
            format!("the {join}: {met}")
        }
        Source::Mapped { map, .. } => format!("each partition through {map:?}"),
    };
    if let Some(columns) = &scan.columns {
        let _ = write!(text, " [columns {}]", columns.join(", "));
    }
    if let Some(predicate) = &scan.predicate {
        let _ = write!(text, " [where {predicate}]");
    }
    text
}
