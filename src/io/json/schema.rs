//! The schema of JSON records: a tree that only grows.
//!
//! In:  facts learned by decoding, or a user's Arrow schema.
//! Out: the Arrow schema that holds them all.
//!
//! Cloning is cheap and schemas are compared by pointer first, so a pipeline
//! can hand the same one to every worker and join what comes back.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::fixed::is_supported;
use super::grammar::DEEPEST;
use super::lattice::{Fields, Fixed, Item, JSON_EXTENSION, Kind, Node, ScalarType, Scalars};
use crate::error::{Error, Result};

/// The keys and types of JSON records: what was seen, or what a user asked for.
///
/// ```
/// use windrow::io::json::infer;
/// let first = infer(b"{\"status\":200}\n", 128);
/// let later = infer(b"{\"status\":\"n/a\",\"user\":{\"id\":7}}\n", 128);
/// let both = first.merge(&later);
/// assert!(both.covers(&first) && both.covers(&later));
/// assert_eq!(both.to_arrow().field(0).data_type().to_string(), "Utf8");
/// assert_eq!(both.widened_columns()[0].path, "status");
/// ```
#[derive(Debug, Clone)]
pub struct JsonSchema(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    fields: Fields,
    arrow: OnceLock<SchemaRef>,
}

/// A column whose type had to give up something, for the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidenedColumn {
    /// Keys joined by dots; `[]` stands for a list's items.
    pub path: String,
    /// What happened to it, in words.
    pub kind: &'static str,
}

impl PartialEq for JsonSchema {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0.fields == other.0.fields
    }
}

impl Default for JsonSchema {
    fn default() -> Self {
        JsonSchema::empty()
    }
}

impl JsonSchema {
    /// The schema of no records.
    pub fn empty() -> Self {
        JsonSchema::from_fields(Fields::of_record())
    }

    pub(in crate::io) fn from_fields(fields: Fields) -> Self {
        JsonSchema(Arc::new(Inner {
            fields,
            arrow: OnceLock::new(),
        }))
    }

    pub(in crate::io) fn fields(&self) -> &Fields {
        &self.0.fields
    }

    /// Whether both are one schema in memory: a quick yes, never a wrong one.
    pub fn is_same(&self, other: &JsonSchema) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The number of columns.
    pub fn n_columns(&self) -> usize {
        self.0.fields.len()
    }

    /// The Arrow schema: columns in order of first appearance, all nullable.
    ///
    /// A column that was only ever null is `Utf8`, and so is an object in which
    /// no key was ever seen (its value is the text `{}`).
    pub fn to_arrow(&self) -> SchemaRef {
        let make = || Arc::new(Schema::new(self.0.fields.to_arrow()));
        Arc::clone(self.0.arrow.get_or_init(make))
    }

    /// A user's schema, whose types no value will change.
    ///
    /// Takes booleans, integers, floats, `Utf8`, `LargeUtf8`, `Date32`,
    /// timestamps, structs and lists of them. Columns are nullable whatever the
    /// schema says, as a JSON record may lack any key. `Utf8` takes any value:
    /// strings as they are, others as canonical JSON text.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the column if a type is not one of these, a name
    /// comes twice, or the nesting is deeper than 256 levels.
    pub fn from_arrow(schema: &Schema) -> Result<Self> {
        Ok(JsonSchema::from_fields(fixed_fields(
            schema.fields(),
            None,
            1,
        )?))
    }

    /// The least schema above both: their columns, this one's first, with joined types.
    pub fn merge(&self, other: &JsonSchema) -> Self {
        if self.covers(other) {
            return self.clone();
        }
        let mut fields = self.0.fields.clone();
        fields.merge(&other.0.fields);
        JsonSchema::from_fields(fields)
    }

    /// Whether merging `other` into this schema would change nothing.
    pub fn covers(&self, other: &JsonSchema) -> bool {
        self.is_same(other) || self.0.fields.covers(&other.0.fields)
    }

    /// The schema of these top-level columns only, in this schema's order.
    /// Names it does not have are left out.
    pub fn project(&self, columns: &[String]) -> Self {
        let wanted: HashSet<&str> = columns.iter().map(String::as_str).collect();
        let is_wanted = |name: &str| wanted.contains(name);
        if self.0.fields.iter().all(|(name, _)| is_wanted(name)) {
            return self.clone();
        }
        let mut fields = Fields::of_record();
        for (name, node) in self.0.fields.iter() {
            if is_wanted(name) {
                fields.push(Arc::clone(name), node.clone());
            }
        }
        JsonSchema::from_fields(fields)
    }

    /// Columns at any depth that hold values as text because no narrower type
    /// does, or nothing at all; in schema order.
    pub fn widened_columns(&self) -> Vec<WidenedColumn> {
        self.widened_columns_with(&BTreeSet::new())
    }

    /// The same, with the columns among `typed` that came to be text: of text
    /// without types, those of which some fields were something else.
    pub fn widened_columns_with(&self, typed: &BTreeSet<Arc<str>>) -> Vec<WidenedColumn> {
        let mut found = Vec::new();
        widened_fields(&self.0.fields, None, typed, &mut found);
        found
    }

    /// Whether the user gave the type of a column.
    pub(in crate::io) fn is_fixed(&self, column: &str) -> bool {
        let node = self.0.fields.get(column.as_bytes());
        node.is_some_and(|node| node.fixed.is_some())
    }
}

fn fixed_fields(
    fields: &arrow_schema::Fields,
    within: Option<&str>,
    depth: usize,
) -> Result<Fields> {
    let mut fixed = Fields::of_record();
    for field in fields {
        let path = joined(within, field.name());
        if fixed.get(field.name().as_bytes()).is_some() {
            return Err(Error::config(
                "schema",
                format!("the column {path:?} comes twice"),
            ));
        }
        let node = fixed_field(field, &path, depth)?;
        fixed.push(Arc::from(field.name().as_str()), node);
    }
    Ok(fixed)
}

/// The node of a field. Text that is marked as JSON stays JSON text, which takes
/// any value: its strings are quoted, as they are in files that an append goes on.
fn fixed_field(field: &Field, path: &str, depth: usize) -> Result<Node> {
    let mark = field.extension_type_name();
    if mark == Some(JSON_EXTENSION) && field.data_type() == &DataType::Utf8 {
        return Ok(Node {
            object: Some(Arc::default()),
            list: Some(Arc::default()),
            ..Node::default()
        });
    }
    fixed_node(field.data_type(), path, depth)
}

fn fixed_node(data_type: &DataType, path: &str, depth: usize) -> Result<Node> {
    if depth > DEEPEST {
        return Err(Error::config(
            "schema",
            format!("the column {path:?} is nested deeper than {DEEPEST} levels"),
        ));
    }
    let mut node = Node::default();
    match data_type {
        DataType::Struct(fields) if fields.is_empty() => {
            return Err(Error::config(
                "schema",
                format!("the column {path:?} is a struct without fields, which no file can hold"),
            ));
        }
        DataType::Struct(fields) => {
            node.object = Some(Arc::new(fixed_fields(fields, Some(path), depth + 1)?));
            node.fixed = Some(Fixed::Struct);
        }
        DataType::List(field) => {
            node.list = Some(Arc::new(Item {
                name: Arc::from(field.name().as_str()),
                node: fixed_field(field, &format!("{path}[]"), depth + 1)?,
            }));
            node.fixed = Some(Fixed::List);
        }
        leaf if is_supported(leaf) => node.fixed = Some(Fixed::Leaf(Arc::new(leaf.clone()))),
        other => {
            return Err(Error::config(
                "schema",
                format!("the column {path:?} has the type {other}, which JSON is not decoded to"),
            ));
        }
    }
    Ok(node)
}

/// The path of a key; an object may have an empty key, so that none is not the same as empty.
fn joined(within: Option<&str>, name: &str) -> String {
    match within {
        None => name.to_string(),
        Some(within) => format!("{within}.{name}"),
    }
}

fn widened_fields(
    fields: &Fields,
    within: Option<&str>,
    typed: &BTreeSet<Arc<str>>,
    found: &mut Vec<WidenedColumn>,
) {
    for (name, node) in fields.iter() {
        widened_node(node, joined(within, name), typed, found);
    }
}

fn widened_node(
    node: &Node,
    path: String,
    typed: &BTreeSet<Arc<str>>,
    found: &mut Vec<WidenedColumn>,
) {
    let kind = match node.kind() {
        Kind::Struct(fields) => return widened_fields(fields, Some(&path), typed, found),
        Kind::List(item) => return widened_node(&item.node, format!("{path}[]"), typed, found),
        Kind::Fixed(_) => return,
        Kind::Scalar(ScalarType::Null) => "never more than null, kept as text",
        Kind::Scalar(ScalarType::Text) if node.scalars == Scalars::STRING => return,
        Kind::Scalar(ScalarType::Text)
            if node.scalars.has(Scalars::FIELD) && typed.contains(path.as_str()) =>
        {
            "numbers or booleans beside fields that no one type gives back as they were written, kept as text"
        }
        // Text is what fields are made of: nothing was given up.
        Kind::Scalar(ScalarType::Text) if node.scalars.has(Scalars::FIELD) => return,
        Kind::Scalar(ScalarType::Text) if node.scalars.is_mixed_with_strings() => {
            "strings and other scalars, kept as text"
        }
        Kind::Scalar(ScalarType::Text) => "scalars that no one type holds exactly, kept as text",
        Kind::Scalar(_) => return,
        Kind::Json if node.scalars.is_none() && node.list.is_none() => match &node.object {
            Some(fields) if fields.is_map() => {
                "objects of more than 1000 different keys, kept as JSON text"
            }
            _ => "objects without keys, kept as JSON text",
        },
        Kind::Json => "objects or lists beside other values, kept as JSON text",
    };
    found.push(WidenedColumn { path, kind });
}
