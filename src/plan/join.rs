//! What a merge is, as plain data.
//!
//! In:  two schemas, names of keys, which rows are wanted.
//! Out: the columns that come out, with the side that each is taken from.
//!
//! Names are settled when the plan is built, so that a rule may drop columns
//! without renaming others. A column of text that is first met while reading
//! comes out behind the known ones.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::logical::Logical;
use crate::error::{Error, Result};
use crate::expr::{common_type, unknown_column};
use crate::ops::join::{JoinKind, JoinSpec, KeyForms, Nearest, NextTo, Taken, Times};
use crate::partition::Partitioning;
use crate::size::ByteSize;

/// Which rows come out of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeHow {
    /// Every pair of rows with equal keys, in the order of the left frame; the
    /// partners of one row in the order of the right one.
    #[default]
    Inner,
    /// As `Inner`, and each row of the left frame without partner, in its place.
    Left,
    /// As `Left` with the frames exchanged: in the order of the right frame.
    Right,
    /// As `Left`, and behind all others the rows of the right frame without
    /// partner, in their order.
    Outer,
    /// Rows of the left frame that have a partner, once each, with its columns only.
    Semi,
    /// Rows of the left frame that have none, with its columns only.
    Anti,
    /// Every pair of rows; there are no keys.
    Cross,
}

impl MergeHow {
    /// Whether rows of the left frame come out without a partner.
    fn keeps_left(self) -> bool {
        matches!(self, MergeHow::Left | MergeHow::Outer)
    }

    /// Whether rows of the right frame come out without a partner.
    fn keeps_right(self) -> bool {
        matches!(self, MergeHow::Right | MergeHow::Outer)
    }

    /// Whether columns of the right frame come out.
    pub(super) fn shows_right(self) -> bool {
        !matches!(self, MergeHow::Semi | MergeHow::Anti)
    }

    /// Whether no row of a side comes out that has no partner.
    pub(crate) fn needs_partner(self, side: Side) -> bool {
        match self {
            MergeHow::Inner | MergeHow::Semi => true,
            MergeHow::Left | MergeHow::Anti => side == Side::Right,
            MergeHow::Right => side == Side::Left,
            MergeHow::Outer | MergeHow::Cross => false,
        }
    }

    /// The side whose order the rows have that come out, and what happens to its rows.
    pub(crate) fn probe(self) -> (Side, JoinKind) {
        match self {
            MergeHow::Inner | MergeHow::Cross => (Side::Left, JoinKind::Inner),
            MergeHow::Left => (Side::Left, JoinKind::KeepProbe),
            MergeHow::Right => (Side::Right, JoinKind::KeepProbe),
            MergeHow::Outer => (Side::Left, JoinKind::KeepBoth),
            MergeHow::Semi => (Side::Left, JoinKind::Semi),
            MergeHow::Anti => (Side::Left, JoinKind::Anti),
        }
    }
}

impl fmt::Display for MergeHow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MergeHow::Inner => "inner",
            MergeHow::Left => "left",
            MergeHow::Right => "right",
            MergeHow::Outer => "outer",
            MergeHow::Semi => "semi",
            MergeHow::Anti => "anti",
            MergeHow::Cross => "cross",
        })
    }
}

impl FromStr for MergeHow {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        use MergeHow::{Anti, Cross, Inner, Left, Outer, Right, Semi};
        let all = [Inner, Left, Right, Outer, Semi, Anti, Cross];
        let found = all.into_iter().find(|how| how.to_string() == text);
        found.ok_or_else(|| {
            Error::config(
                "how",
                format!("{text:?} is none of inner, left, right, outer, semi, anti and cross"),
            )
        })
    }
}

/// A frame of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that `merge` is called on.
    Left,
    /// The other.
    Right,
}

impl Side {
    /// The other frame.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Left => "left",
            Side::Right => "right",
        })
    }
}

/// Where a column that comes out is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnOf {
    /// This column of the left frame.
    Left(String),
    /// This column of the right frame.
    Right(String),
    /// A key that both frames call so, once.
    Both(String),
}

/// Logical bytes of a side that is held, although the other one is far smaller:
/// holding it costs less than putting joined rows back into the other's order.
const LARGE_BYTES: u64 = 64 << 20;

/// How many times as large as thought a sorted side may be that is not held.
const STORED_SMALLER: u64 = 8;

/// How many times as large as a side whose order counts another one must be to
/// stream past it.
const FAR_SMALLER: u64 = 16;

/// How the rows of two frames meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinWay {
    /// This side is held first, and looked up if it is not too large. If it is,
    /// rows are moved by key; unless both have one order already.
    Hold(Side, Option<OneOrder>),
    /// Both come in one order, and go side by side.
    InOrder(OneOrder),
}

/// An order that both frames of a merge come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrder {
    /// Each is sorted by its key.
    Sorted {
        /// The key of the left frame.
        left: String,
        /// That of the right frame.
        right: String,
    },
    /// Both lie in as many partitions by the hashes of their keys.
    Hashed {
        /// The keys of the left frame.
        left: Vec<String>,
        /// Those of the right frame.
        right: Vec<String>,
        /// How many partitions.
        count: usize,
        /// Whether the side whose order does not count has yet to be moved there.
        moves: bool,
    },
}

impl fmt::Display for OneOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |left: &str, right: &str| match left == right {
            true => left.to_owned(),
            false => format!("{left} and {right}"),
        };
        match self {
            OneOrder::Sorted { left, right } => {
                write!(
                    f,
                    "side by side by {}, as both are sorted",
                    pair(left, right)
                )
            }
            OneOrder::Hashed {
                left,
                right,
                count,
                moves,
            } => {
                let keys = pair(&left.join(", "), &right.join(", "));
                write!(f, "side by side in {count} partitions by {keys}, where ")?;
                f.write_str(if *moves { "one side lies" } else { "both lie" })
            }
        }
    }
}

/// A merge of two frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows come out.
    pub how: MergeHow,
    /// The key columns of the left frame, each with that of the right one.
    pub on: Vec<(String, String)>,
    /// What is put behind the names of columns that both frames have.
    pub suffixes: (String, String),
    /// Of the rows with equal keys only the one whose time is next: the columns
    /// of times of both frames, and what is looked for.
    pub next_to: Option<(String, String, Nearest)>,
    /// Whether a null key meets others.
    pub nulls_match: bool,
    /// Logical bytes of a frame that may be held whole; by default a quarter of the memory.
    pub hold: Option<ByteSize>,
    /// Bits that are kept of hashes: fewer make keys collide, in tests.
    pub hash_mask: u64,
    /// The columns that come out, in order, with their names.
    pub columns: Vec<(String, ColumnOf)>,
    /// Whether columns that are first met while reading come out, too.
    pub passes_late: bool,
}

impl Join {
    /// Settles the columns of a merge of frames with the schemas `left` and `right`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown key with near names, for keys whose types
    /// cannot be compared with both names and types, and for two columns that
    /// would have one name; [`Error::Config`] for no keys, or keys of a cross merge.
    pub fn settled(mut self, left: &Schema, right: &Schema) -> Result<Self> {
        match (self.how, self.on.is_empty()) {
            (MergeHow::Cross, false) => {
                return Err(Error::config("on", "a cross merge has no keys"));
            }
            (MergeHow::Cross, true) | (_, false) => {}
            (_, true) if self.next_to.is_some() => {}
            (_, true) => return Err(Error::config("on", "there are no keys to merge on")),
        }
        self.forms(left, right)?;
        self.times(left, right)?;
        self.columns = Vec::new();
        self.passes_late = true;
        self.add_columns(left, right)?;
        Ok(self)
    }

    /// Adds the columns of both frames that do not come out yet.
    fn add_columns(&mut self, left: &Schema, right: &Schema) -> Result<()> {
        let times = self.next_to.iter().map(|(left, right, _)| (left, right));
        let keys = self.on.iter().map(|(left, right)| (left, right));
        let shared: BTreeSet<&str> = (keys.chain(times))
            .filter(|(left, right)| left == right)
            .map(|(left, _)| left.as_str())
            .collect();
        let known = |columns: &[(String, ColumnOf)], of: &ColumnOf| {
            columns.iter().any(|(_, column)| column == of)
        };
        let mut late = Vec::new();
        for field in left.fields() {
            let name = field.name();
            let of = match shared.contains(name.as_str()) {
                true => ColumnOf::Both(name.clone()),
                false => ColumnOf::Left(name.clone()),
            };
            let twice = self.how.shows_right()
                && right.column_with_name(name).is_some()
                && of == ColumnOf::Left(name.clone());
            if !known(&self.columns, &of) {
                late.push((suffixed(name, twice, &self.suffixes.0), of));
            }
        }
        let right_fields = right.fields().iter().filter(|_| self.how.shows_right());
        for field in right_fields {
            let name = field.name();
            let of = ColumnOf::Right(name.clone());
            if shared.contains(name.as_str()) || known(&self.columns, &of) {
                continue;
            }
            let twice = left.column_with_name(name).is_some();
            late.push((suffixed(name, twice, &self.suffixes.1), of));
        }
        self.columns.extend(late);
        let mut names = BTreeSet::new();
        match self.columns.iter().find(|(name, _)| !names.insert(name)) {
            Some((twice, _)) => Err(Error::plan(format!(
                "two columns of the merge would be named {twice:?}; choose other suffixes, or rename one before"
            ))),
            None => Ok(()),
        }
    }

    /// The same merge of frames that turned out to have these columns.
    pub(crate) fn with_late(&self, left: &Schema, right: &Schema) -> Result<Join> {
        let mut join = self.clone();
        if join.passes_late {
            join.add_columns(left, right)?;
        }
        Ok(join)
    }

    /// How the rows of two inputs are to meet. Where both are sorted by a key, and
    /// the one whose order does not count is large, side by side; else one is held:
    /// that one, unless it is large and the other one is far smaller.
    pub(super) fn way(&self, left: &Logical, right: &Logical) -> JoinWay {
        let (probe, _) = self.how.probe();
        let sizes = (left.estimate().bytes, right.estimate().bytes);
        let (of_probe, of_build) = match probe {
            Side::Left => sizes,
            Side::Right => (sizes.1, sizes.0),
        };
        let large = self
            .hold
            .map_or(LARGE_BYTES, |hold| hold.bytes().min(LARGE_BYTES));
        let order = self.one_order(left, right);
        let is_there = matches!(
            order,
            Some(OneOrder::Sorted { .. } | OneOrder::Hashed { moves: false, .. })
        );
        // What is stored in order is stored small: there are more bytes than are thought.
        if let (true, Some(order)) = (is_there && of_build > large / STORED_SMALLER, &order) {
            return JoinWay::InOrder(order.clone());
        }
        let few = of_probe.saturating_mul(FAR_SMALLER) <= of_build;
        // Rows without a key meet all: they come out in the order of the probe side anyway.
        let flips = few && of_build > large && !self.on.is_empty() && self.next_to.is_none();
        JoinWay::Hold(if flips { probe } else { probe.other() }, order)
    }

    /// The order that both inputs have, or the one whose order does not count could
    /// be brought to by moving it alone. Rows without partner that come last would
    /// have to wait.
    fn one_order(&self, left: &Logical, right: &Logical) -> Option<OneOrder> {
        if self.next_to.is_some() || self.how == MergeHow::Outer {
            return None;
        }
        let schemas = (left.schema().ok()?, right.schema().ok()?);
        // Values that are equal have one place in the order, and one hash.
        let alike = |(of_left, of_right): &(String, String)| {
            let fields = (field(&schemas.0, of_left), field(&schemas.1, of_right));
            let (Ok(of_left), Ok(of_right)) = fields else {
                return false;
            };
            let types = (of_left.data_type(), of_right.data_type());
            types.0 == types.1 || (types.0.is_integer() && types.1.is_integer())
        };
        let pairs = || self.on.iter().filter(|pair| alike(pair));
        let lie = (left.partitioning(), right.partitioning());
        if let (Partitioning::Range { key: of_left }, Partitioning::Range { key: of_right }) = &lie
        {
            let mut pairs = pairs();
            let pair = pairs.find(|(left, right)| left == of_left && right == of_right)?;
            let (left, right) = pair.clone();
            return Some(OneOrder::Sorted { left, right });
        }
        let (probe, _) = self.how.probe();
        let (of_probe, of_build) = match probe {
            Side::Left => (lie.0, lie.1),
            Side::Right => (lie.1, lie.0),
        };
        let Partitioning::Hash { keys, count } = of_probe else {
            return None;
        };
        let of_key = |key: &String| {
            let mut pairs = pairs();
            pairs.find(|(left, right)| *key == *if probe == Side::Left { left } else { right })
        };
        let found: Option<Vec<_>> = keys.iter().map(of_key).collect();
        let (left, right): (Vec<String>, Vec<String>) = found?.into_iter().cloned().unzip();
        let there = Partitioning::Hash {
            keys: if probe == Side::Left {
                right.clone()
            } else {
                left.clone()
            },
            count,
        };
        Some(OneOrder::Hashed {
            moves: of_build != there,
            left,
            right,
            count,
        })
    }

    /// What is known of how joined rows lie: they have the order of one input.
    pub(super) fn partitioning(&self, left: &Logical, right: &Logical) -> Partitioning {
        let (side, _) = self.how.probe();
        let input = match side {
            Side::Left => left.partitioning(),
            Side::Right => right.partitioning(),
        };
        if self.how == MergeHow::Outer || !matches!(input, Partitioning::Range { .. }) {
            return Partitioning::Unknown;
        }
        input.renamed(|column| {
            let shown = self.columns.iter().find(|(_, of)| match of {
                ColumnOf::Left(name) => side == Side::Left && name == column,
                ColumnOf::Right(name) => side == Side::Right && name == column,
                ColumnOf::Both(name) => name == column,
            });
            shown.map(|(name, _)| name.clone())
        })
    }

    /// How the keys meet.
    fn forms(&self, left: &Schema, right: &Schema) -> Result<KeyForms> {
        let mut pairs = Vec::new();
        for (left_name, right_name) in &self.on {
            let left_field = field(left, left_name)?;
            let right_field = field(right, right_name)?;
            pairs.push((
                left_name.as_str(),
                left_field.data_type(),
                right_name.as_str(),
                right_field.data_type(),
            ));
        }
        KeyForms::try_new(&pairs)
    }

    /// How times are compared, where they count.
    fn times(&self, left: &Schema, right: &Schema) -> Result<Option<Times>> {
        let Some((of_left, of_right, nearest)) = &self.next_to else {
            return Ok(None);
        };
        let types = (field(left, of_left)?, field(right, of_right)?);
        let (left, right) = (types.0.data_type(), types.1.data_type());
        Times::try_new((of_left, left), (of_right, right), nearest.clone()).map(Some)
    }

    /// The columns that come out of frames with these schemas.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column that is missing.
    pub fn schema(&self, left: &Schema, right: &Schema) -> Result<SchemaRef> {
        let fields = self
            .columns
            .iter()
            .map(|(name, of)| self.field(name, of, left, right));
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    fn field(&self, name: &str, of: &ColumnOf, left: &Schema, right: &Schema) -> Result<FieldRef> {
        let shown = |from: &Field, nullable: bool| {
            let nullable = from.is_nullable() || nullable;
            Arc::new(from.clone().with_name(name).with_nullable(nullable))
        };
        let (keeps_left, keeps_right) = (self.how.keeps_left(), self.how.keeps_right());
        Ok(match of {
            ColumnOf::Left(column) => shown(field(left, column)?, keeps_right),
            ColumnOf::Right(column) => shown(field(right, column)?, keeps_left),
            ColumnOf::Both(column) => {
                let (left, right) = (field(left, column)?, field(right, column)?);
                match self.how {
                    MergeHow::Right => shown(right, false),
                    MergeHow::Outer if left.data_type() != right.data_type() => {
                        let both = common(left.data_type(), right.data_type(), column)?;
                        Arc::new(Field::new(name, both, true))
                    }
                    MergeHow::Outer => shown(left, right.is_nullable()),
                    _ => shown(left, false),
                }
            }
        })
    }

    /// The columns of each side that are looked at.
    pub(crate) fn needs(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut left: BTreeSet<String> = self.on.iter().map(|(left, _)| left.clone()).collect();
        let mut right: BTreeSet<String> = self.on.iter().map(|(_, right)| right.clone()).collect();
        if let Some((of_left, of_right, _)) = &self.next_to {
            left.insert(of_left.clone());
            right.insert(of_right.clone());
        }
        for (_, of) in &self.columns {
            match of {
                ColumnOf::Left(name) => left.insert(name.clone()),
                ColumnOf::Right(name) => right.insert(name.clone()),
                ColumnOf::Both(_) => false,
            };
        }
        (left, right)
    }

    /// The join of frames with these schemas, as its operator sees it.
    ///
    /// # Errors
    ///
    /// As [`Join::settled`], where text turned out to have other types.
    pub(crate) fn spec(&self, left: &SchemaRef, right: &SchemaRef) -> Result<JoinSpec> {
        let (probe, kind) = self.how.probe();
        let place = |schema: &Schema, name: &str| match schema.column_with_name(name) {
            Some((idx, _)) => Ok(idx),
            None => Err(unknown_column(name, schema)),
        };
        let taken = |of: &ColumnOf| -> Result<Taken> {
            Ok(match (of, probe) {
                (ColumnOf::Left(name), Side::Left) => Taken::Probe(place(left, name)?),
                (ColumnOf::Left(name), Side::Right) => Taken::Build(place(left, name)?),
                (ColumnOf::Right(name), Side::Left) => Taken::Build(place(right, name)?),
                (ColumnOf::Right(name), Side::Right) => Taken::Probe(place(right, name)?),
                (ColumnOf::Both(name), Side::Left) => Taken::Key {
                    probe: place(left, name)?,
                    build: place(right, name)?,
                },
                (ColumnOf::Both(name), Side::Right) => Taken::Key {
                    probe: place(right, name)?,
                    build: place(left, name)?,
                },
            })
        };
        let left_keys = self.on.iter().map(|(name, _)| place(left, name));
        let right_keys = self.on.iter().map(|(_, name)| place(right, name));
        let (left_keys, right_keys): (Vec<usize>, Vec<usize>) = (
            left_keys.collect::<Result<_>>()?,
            right_keys.collect::<Result<_>>()?,
        );
        let (probe_keys, build_keys, build_schema) = match probe {
            Side::Left => (left_keys, right_keys, right),
            Side::Right => (right_keys, left_keys, left),
        };
        let output = self.columns.iter().map(|(_, of)| taken(of));
        // Rows come out in the order of the left frame.
        let next_to = match (&self.next_to, self.times(left, right)?) {
            (Some((of_left, of_right, _)), Some(times)) => Some(NextTo {
                name: of_left.clone(),
                probe: place(left, of_left)?,
                build: place(right, of_right)?,
                times,
            }),
            _ => None,
        };
        Ok(JoinSpec {
            next_to,
            kind,
            forms: self.forms(left, right)?,
            probe_keys,
            build_keys,
            nulls_match: self.nulls_match,
            hash_mask: self.hash_mask,
            output: output.collect::<Result<_>>()?,
            schema: self.schema(left, right)?,
            build_schema: Arc::clone(build_schema),
        })
    }
}

fn field<'a>(schema: &'a Schema, name: &str) -> Result<&'a Field> {
    match schema.column_with_name(name) {
        Some((_, field)) => Ok(field),
        None => Err(unknown_column(name, schema)),
    }
}

fn suffixed(name: &str, twice: bool, suffix: &str) -> String {
    match twice {
        true => format!("{name}{suffix}"),
        false => name.to_owned(),
    }
}

/// The type of a key that stands for columns of two types.
fn common(left: &DataType, right: &DataType, name: &str) -> Result<DataType> {
    common_type(left, right).ok_or_else(|| {
        Error::plan(format!(
            "the key {name:?} is {left} in one frame and {right} in the other; cast one of them"
        ))
    })
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} merge", self.how)?;
        let keys = self.on.iter().map(|(left, right)| match left == right {
            true => left.clone(),
            false => format!("{left} = {right}"),
        });
        let keys: Vec<String> = keys.collect();
        if !keys.is_empty() {
            write!(f, " on {}", keys.join(", "))?;
        }
        if let Some((left, right, nearest)) = &self.next_to {
            write!(f, ", {:?} from {left} to {right}", nearest.direction)?;
        }
        if self.nulls_match {
            f.write_str(", null meets null")?;
        }
        Ok(())
    }
}
