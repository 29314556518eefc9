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
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::merge_how::{MergeHow, Side};
use crate::error::{Error, Result};
use crate::expr::{common_type, unknown_column};
use crate::ops::join::{JoinSpec, KeyForms, Nearest, NextTo, Taken, Times};
use crate::size::ByteSize;

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
    /// What it is called where it needs more than there is.
    pub fn name(&self) -> &'static str {
        match self.next_to {
            Some(_) => "merge_asof",
            None => "merge",
        }
    }

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

    /// How the keys meet.
    fn forms(&self, left: &Schema, right: &Schema) -> Result<KeyForms> {
        let mut pairs = Vec::new();
        for (left_name, right_name) in &self.on {
            let left_field = key(left, left_name, "left")?;
            let right_field = key(right, right_name, "right")?;
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
        let types = (key(left, of_left, "left")?, key(right, of_right, "right")?);
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

pub(super) fn field<'a>(schema: &'a Schema, name: &str) -> Result<&'a Field> {
    match schema.column_with_name(name) {
        Some((_, field)) => Ok(field),
        None => Err(unknown_column(name, schema)),
    }
}

/// A key's column, or which of the frames has none of that name.
fn key<'a>(schema: &'a Schema, name: &str, frame: &str) -> Result<&'a Field> {
    field(schema, name).map_err(|error| match error {
        Error::Plan { reason, near } => Error::Plan {
            reason: format!("the {frame} frame: {reason}"),
            near,
        },
        other => other,
    })
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
