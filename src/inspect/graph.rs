//! A plan as a picture.
//!
//! In:  the nodes of an explained plan, the last call first.
//! Out: a graph in the DOT language, or a drawing in SVG: inputs at the top,
//!      what comes out at the bottom, an arrow for every way that rows take.
//!
//! ```text
//! [scan a]   [scan b]
//!      \       /
//!      [concat]
//!         |
//!      [limit 10]
//! ```

use std::fmt::Write;
use std::path::Path;

use super::html::escaped;
use super::text::{count, printable, width};
use crate::error::{Error, Result};
use crate::plan::{Explained, ExplainedNode};
use crate::size::ByteSize;

/// Characters in a line of a box.
const LINE_CHARS: usize = 44;

/// Lines of a box that say what a node does; more are cut off.
const MAX_LINES: usize = 6;

/// Width of a character of the font, in units of the drawing.
const CHAR_WIDTH: f64 = 7.25;

/// Height of a line.
const LINE_HEIGHT: f64 = 16.0;

/// Between a box's border and its text, and half of what is between two boxes.
const PAD: f64 = 10.0;

/// Between boxes above each other.
const RISE: f64 = 34.0;

/// A plan as a graph, made by [`crate::DataFrame::visualize`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlanGraph {
    nodes: Vec<Node>,
}

/// A box.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    lines: Vec<String>,
    /// The place of the node that reads from it.
    reader: Option<usize>,
    depth: usize,
}

/// Where a box is drawn.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Of its middle.
    x: f64,
    /// Of its top.
    y: f64,
    width: f64,
    height: f64,
}

impl PlanGraph {
    /// The graph of a plan after the rules.
    pub fn new(explained: &Explained) -> Self {
        let mut nodes: Vec<Node> = Vec::with_capacity(explained.optimized.len());
        // The last node of each depth so far: the readers of what follows.
        let mut path: Vec<usize> = Vec::new();
        for node in &explained.optimized {
            path.truncate(node.depth);
            nodes.push(Node {
                lines: lines(node),
                reader: path.last().copied(),
                depth: node.depth,
            });
            path.push(nodes.len() - 1);
        }
        PlanGraph { nodes }
    }

    /// The graph in the DOT language, for Graphviz and its kin.
    pub fn dot(&self) -> String {
        let mut dot =
            String::from("digraph plan {\n  node [shape=box fontname=\"monospace\" fontsize=11]\n");
        for (idx, node) in self.nodes.iter().enumerate() {
            let label: Vec<String> = node
                .lines
                .iter()
                .map(|line| line.replace('\\', "\\\\").replace('"', "\\\""))
                .collect();
            let _ = writeln!(dot, "  n{idx} [label=\"{}\"]", label.join("\\n"));
            if let Some(reader) = node.reader {
                let _ = writeln!(dot, "  n{idx} -> n{reader}");
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// The graph as an SVG drawing that needs nothing else.
    pub fn svg(&self) -> String {
        let places = self.places();
        let right = |place: &Place| place.x + place.width / 2.0;
        let width = places.iter().map(right).fold(0.0, f64::max) + PAD;
        let bottom = |place: &Place| place.y + place.height;
        let height = places.iter().map(bottom).fold(0.0, f64::max) + PAD;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"monospace\" font-size=\"12\">\n\
             <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        for (node, place) in self.nodes.iter().zip(&places) {
            if let Some(reader) = node.reader {
                let to = places[reader];
                let _ = writeln!(
                    svg,
                    "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#555\" marker-end=\"url(#head)\"/>",
                    place.x,
                    place.y + place.height,
                    to.x,
                    to.y
                );
            }
        }
        for (node, place) in self.nodes.iter().zip(&places) {
            draw_box(&mut svg, node, place);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Writes the drawing to a file: SVG, or DOT, by what its name ends in.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for another ending; [`Error::Io`] naming the file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = match path.extension().and_then(|ending| ending.to_str()) {
            Some("svg") => self.svg(),
            Some("dot" | "gv") => self.dot(),
            _ => {
                return Err(Error::config(
                    path.display().to_string(),
                    "a plan is drawn as .svg, or as .dot for Graphviz",
                ));
            }
        };
        std::fs::write(path, text).map_err(|source| Error::io(path.display(), "write", source))
    }

    /// Every box has its inputs above it, side by side; the deepest are at the top.
    fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.nodes.iter().map(box_of).collect();
        let spans = self.spans(&places);
        let deepest = self.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        let mut tops = vec![PAD; deepest + 1];
        for depth in (0..deepest).rev() {
            let tallest = self.tallest(&places, depth + 1);
            tops[depth] = tops[depth + 1] + tallest + RISE;
        }
        // A node follows its reader, so that the reader's span is known; each
        // input takes its share of it, from the left.
        let mut next_left = vec![PAD; self.nodes.len()];
        for (idx, node) in self.nodes.iter().enumerate() {
            let left = match node.reader {
                None => PAD,
                Some(reader) => {
                    let left = next_left[reader];
                    next_left[reader] += spans[idx];
                    left
                }
            };
            let inputs: f64 = self.inputs(idx).map(|input| spans[input]).sum();
            next_left[idx] = left + (spans[idx] - inputs) / 2.0;
            places[idx].x = left + spans[idx] / 2.0;
            places[idx].y = tops[node.depth];
        }
        places
    }

    /// How wide each node is with all that it reads from.
    fn spans(&self, places: &[Place]) -> Vec<f64> {
        let mut spans = vec![0.0; self.nodes.len()];
        for idx in (0..self.nodes.len()).rev() {
            let inputs: f64 = self.inputs(idx).map(|input| spans[input]).sum();
            spans[idx] = inputs.max(places[idx].width + 2.0 * PAD);
        }
        spans
    }

    fn tallest(&self, places: &[Place], depth: usize) -> f64 {
        let of_depth = self
            .nodes
            .iter()
            .zip(places)
            .filter(|(node, _)| node.depth == depth);
        of_depth.map(|(_, place)| place.height).fold(0.0, f64::max)
    }

    /// The nodes that one reads from; all of them follow it.
    fn inputs(&self, reader: usize) -> impl Iterator<Item = usize> + '_ {
        let later = self.nodes.iter().enumerate().skip(reader + 1);
        later
            .filter(move |(_, node)| node.reader == Some(reader))
            .map(|(idx, _)| idx)
    }
}

fn box_of(node: &Node) -> Place {
    let widest = node.lines.iter().map(|line| width(line)).max().unwrap_or(0);
    Place {
        width: widest as f64 * CHAR_WIDTH + 2.0 * PAD,
        height: node.lines.len() as f64 * LINE_HEIGHT + PAD,
        ..Place::default()
    }
}

fn draw_box(svg: &mut String, node: &Node, place: &Place) {
    let left = place.x - place.width / 2.0;
    let fill = if node.depth == 0 {
        "#fdf3d8"
    } else {
        "#eef3f8"
    };
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"5\" fill=\"{fill}\" stroke=\"#789\"/>",
        place.y, place.width, place.height
    );
    let last = node.lines.len() - 1;
    for (number, line) in node.lines.iter().enumerate() {
        let colour = if number == last { "#667" } else { "#112" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" xml:space=\"preserve\">{}</text>",
            left + PAD,
            place.y + PAD / 2.0 + LINE_HEIGHT * (number as f64 + 0.75),
            escaped(line)
        );
    }
}

/// What a node does, and how much comes out of it.
fn lines(node: &ExplainedNode) -> Vec<String> {
    let mut lines = wrapped(&printable(&node.node));
    let (estimate, lies) = (node.estimate(), &node.partitioning);
    if !estimate.is_known() {
        lines.push(format!("{estimate}, {lies}"));
        return lines;
    }
    let about = if node.exact { "" } else { "about " };
    let (rows, bytes) = (count(node.rows), ByteSize::new(node.bytes));
    lines.push(format!("{about}{rows} rows, {bytes}, {lies}"));
    lines
}

/// Lines of whole words, unless one is longer than a line.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is one from the start");
            let room = LINE_CHARS.saturating_sub(line.chars().count());
            if word.len() < room || (line.is_empty() && word.len() <= LINE_CHARS) {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.extend(&word);
                break;
            }
            if line.is_empty() {
                line.extend(word.drain(..LINE_CHARS));
            }
            lines.push(String::new());
        }
    }
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        lines[MAX_LINES - 1].push_str(" …");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(depth: usize, text: &str) -> ExplainedNode {
        ExplainedNode {
            depth,
            node: text.into(),
            rows: 1234,
            bytes: 2048,
            exact: false,
            partitioning: "unknown".into(),
        }
    }

    fn graph(nodes: &[(usize, &str)]) -> PlanGraph {
        PlanGraph::new(&Explained {
            built: Vec::new(),
            optimized: nodes
                .iter()
                .map(|(depth, text)| node(*depth, text))
                .collect(),
            stages: Vec::new(),
        })
    }

    #[test]
    fn every_node_but_the_last_call_has_one_reader() {
        let tree = graph(&[
            (0, "limit 3"),
            (1, "concat"),
            (2, "filter"),
            (3, "scan a"),
            (2, "scan b"),
        ]);
        let dot = tree.dot();
        let edges: Vec<&str> = dot.lines().filter(|line| line.contains("->")).collect();
        assert_eq!(
            edges,
            ["  n1 -> n0", "  n2 -> n1", "  n3 -> n2", "  n4 -> n1"]
        );
        assert!(dot.contains("about 1,234 rows, 2 KiB, unknown"), "{dot}");
    }

    #[test]
    fn boxes_never_overlap_and_inputs_are_above() {
        let tree = graph(&[
            (0, "concat"),
            (
                1,
                "a long condition that makes the box of this filter quite wide",
            ),
            (2, "scan"),
            (1, "concat"),
            (2, "scan one"),
            (2, "scan two"),
            (2, "scan three"),
        ]);
        let places = tree.places();
        for (idx, a) in places.iter().enumerate() {
            assert!(a.x - a.width / 2.0 >= 0.0 && a.y >= 0.0);
            if let Some(reader) = tree.nodes[idx].reader {
                assert!(a.y + a.height < places[reader].y, "{idx}");
            }
            for b in &places[idx + 1..] {
                let beside = (a.x - b.x).abs() >= (a.width + b.width) / 2.0;
                let apart = a.y + a.height <= b.y || b.y + b.height <= a.y;
                assert!(beside || apart, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_comes_from_the_data_cannot_break_out_of_the_drawing() {
        let tree = graph(&[(0, "scan \"<b>&\\ \u{7}")]);
        assert!(tree.svg().contains("scan &quot;&lt;b&gt;&amp;\\ \\u{7}"));
        assert!(tree.dot().contains("scan \\\"<b>&\\\\ \\\\u{7}"));
    }

    #[test]
    fn long_texts_are_wrapped_and_cut() {
        assert_eq!(wrapped("a b"), ["a b"]);
        let lines = wrapped(&"x".repeat(100));
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [44, 44, 12]);
        assert_eq!(wrapped(&"word ".repeat(500)).len(), MAX_LINES);
    }
}
