//! What a join is, as its operator sees it.
//!
//! In:  the schemas of both sides, keys and output columns by place.
//! Out: the schema that comes out.
//!
//! The *probe* side is the one whose order the rows that come out have; the
//! *build* side is looked up.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_schema::SchemaRef;

use super::asof::Times;
use super::keys::KeyForms;
use crate::error::Result;

/// Which rows come out, from the view of the probe side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Every pair of rows with equal keys.
    Inner,
    /// Those, and each probe row that has no partner once, with nulls.
    KeepProbe,
    /// Those, and at the end each build row without partner, in build order.
    KeepBoth,
    /// Every pair, and at the end each build row without partner, in build order.
    KeepBuild,
    /// Each probe row that has a partner, once.
    Semi,
    /// Each probe row that has none.
    Anti,
    /// At the end each build row that has a partner, once, in build order.
    BuildSemi,
    /// At the end each build row that has none, in build order.
    BuildAnti,
}

impl JoinKind {
    /// Whether probe rows without partner come out among others.
    pub fn keeps_probe(self) -> bool {
        matches!(self, JoinKind::KeepProbe | JoinKind::KeepBoth)
    }

    /// Whether build rows without partner come out at the end.
    pub fn keeps_build(self) -> bool {
        matches!(self, JoinKind::KeepBuild | JoinKind::KeepBoth)
    }

    /// Whether only build rows come out, and only at the end.
    pub fn is_of_build(self) -> bool {
        matches!(self, JoinKind::BuildSemi | JoinKind::BuildAnti)
    }

    /// What gives the same rows when the build side streams past the probe side.
    fn flipped(self) -> JoinKind {
        match self {
            JoinKind::Inner => JoinKind::Inner,
            JoinKind::KeepProbe => JoinKind::KeepBuild,
            JoinKind::KeepBuild => JoinKind::KeepProbe,
            JoinKind::KeepBoth => JoinKind::KeepBoth,
            JoinKind::Semi => JoinKind::BuildSemi,
            JoinKind::Anti => JoinKind::BuildAnti,
            JoinKind::BuildSemi => JoinKind::Semi,
            JoinKind::BuildAnti => JoinKind::Anti,
        }
    }
}

/// Where a column that comes out is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// This column of the probe side.
    Probe(usize),
    /// This column of the build side.
    Build(usize),
    /// A key that stands once for both sides: from the probe row, or from the
    /// build row where there is no probe row.
    Key {
        /// The column of the probe side.
        probe: usize,
        /// The column of the build side.
        build: usize,
    },
    /// A key that stands once for both sides: from the build row, or from the
    /// probe row where there is no build row.
    KeyOfBuild {
        /// The column of the probe side.
        probe: usize,
        /// The column of the build side.
        build: usize,
    },
}

impl Taken {
    /// The same column when the build side streams past the probe side.
    fn flipped(self) -> Taken {
        match self {
            Taken::Probe(idx) => Taken::Build(idx),
            Taken::Build(idx) => Taken::Probe(idx),
            Taken::Key { probe, build } => Taken::KeyOfBuild {
                probe: build,
                build: probe,
            },
            Taken::KeyOfBuild { probe, build } => Taken::Key {
                probe: build,
                build: probe,
            },
        }
    }
}

/// Where times stand, and how they meet.
#[derive(Debug, Clone)]
pub struct NextTo {
    /// The name of the column of the probe side.
    pub name: String,
    /// The column of the probe side.
    pub probe: usize,
    /// The column of the build side.
    pub build: usize,
    /// How they are compared.
    pub times: Times,
}

/// A join, ready to be built.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    /// Which rows come out.
    pub kind: JoinKind,
    /// How keys of both sides meet.
    pub forms: KeyForms,
    /// The key columns of the probe side; none: every row meets every row.
    pub probe_keys: Vec<usize>,
    /// Those of the build side.
    pub build_keys: Vec<usize>,
    /// Whether null meets null.
    pub nulls_match: bool,
    /// Bits that are kept of hashes: fewer make keys collide, in tests.
    pub hash_mask: u64,
    /// Of the rows with an equal key only the one whose time is next: the columns
    /// of times of the probe and the build side, and what is looked for. Both
    /// sides come in the order of their times.
    pub next_to: Option<NextTo>,
    /// The columns that come out.
    pub output: Vec<Taken>,
    /// Their names and types.
    pub schema: SchemaRef,
    /// The columns of the build side.
    pub build_schema: SchemaRef,
}

impl JoinSpec {
    /// The same rows in another order: the build side streams past the probe side,
    /// which has the columns `probe_schema`. Not for a join by times.
    #[must_use]
    pub fn flipped(self, probe_schema: &SchemaRef) -> JoinSpec {
        JoinSpec {
            kind: self.kind.flipped(),
            probe_keys: self.build_keys,
            build_keys: self.probe_keys,
            output: self.output.into_iter().map(Taken::flipped).collect(),
            build_schema: Arc::clone(probe_schema),
            ..self
        }
    }

    /// The columns of the build side that come out, in order, each once.
    pub(super) fn taken_of_build(&self) -> Vec<usize> {
        let alone = self.kind.keeps_build() || self.kind.is_of_build();
        let of_build = |taken: &Taken| match taken {
            Taken::Build(idx) | Taken::KeyOfBuild { build: idx, .. } => Some(*idx),
            Taken::Key { build, .. } => alone.then_some(*build),
            Taken::Probe(_) => None,
        };
        let taken: BTreeSet<usize> = self.output.iter().filter_map(of_build).collect();
        taken.into_iter().collect()
    }

    /// A batch of `n_rows` rows of the columns that come out, which `column` gives.
    pub(super) fn batch(
        &self,
        n_rows: usize,
        mut column: impl FnMut(Taken) -> Result<ArrayRef>,
    ) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.output.len());
        for (taken, field) in self.output.iter().zip(self.schema.fields()) {
            let column = column(*taken)?;
            columns.push(match column.data_type() == field.data_type() {
                true => column,
                // A key that stands for columns of two types.
                false => cast(&column, field.data_type())?,
            });
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(schema, columns, &rows)?)
    }
}
