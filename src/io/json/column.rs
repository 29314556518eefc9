//! Columns under construction: typed, appended to one value at a time.
//!
//! In:  values, in row order; rows may be left out and are null then.
//! Out: Arrow arrays, and the facts that only the values themselves tell.
//!
//! A column is padded with nulls only when its next value comes or the batch
//! ends, so a key that most records lack costs nothing in the records that do.
//! Every row can be taken back, with the facts it brought, until the batch ends.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StructArray, UInt64Array,
    new_null_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::buffer::{Bitmap, TextBuffer, Validity, take_all};
use super::fixed::FixedColumn;
use super::lattice::{Fixed, Kind, Node, ScalarType, Scalars};
use super::number::{facts_of_ints, facts_of_uints};
use super::object::Object;
use crate::error::{Error, Result};

/// A list column: where each list ends, and one column with all items.
#[derive(Debug)]
pub(in crate::io) struct List {
    pub ends: Vec<i32>,
    pub item: Column,
}

/// The values of a column, by type.
#[derive(Debug)]
pub(in crate::io) enum Values {
    /// Only nulls so far.
    Null,
    Bool(Bitmap),
    Int(Vec<i64>),
    UInt(Vec<u64>),
    Float(Vec<f64>),
    Text(TextBuffer),
    /// Canonical JSON text, and the facts that say how its scalars are written.
    Json(TextBuffer, Arc<Node>),
    Struct(Box<Object>),
    List(Box<List>),
    /// A type only a user's schema asks for.
    Fixed(Box<FixedColumn>),
}

/// A column under construction.
#[derive(Debug)]
pub(in crate::io) struct Column {
    pub values: Values,
    validity: Validity,
    /// What is known of its scalars, from the schema or from values of this batch.
    pub facts: Scalars,
    /// The facts before the record that last changed them, and that record's number.
    undo: (Scalars, u64),
    /// The type a user's schema asks for, if one does.
    pub fixed: Option<Arc<DataType>>,
}

impl Column {
    pub fn new(node: &Node) -> Self {
        let text = TextBuffer::default;
        let (values, fixed) = match node.kind() {
            Kind::Scalar(ScalarType::Null) => (Values::Null, None),
            Kind::Scalar(ScalarType::Bool) => (Values::Bool(Bitmap::default()), None),
            Kind::Scalar(ScalarType::Int) => (Values::Int(Vec::new()), None),
            Kind::Scalar(ScalarType::UInt) => (Values::UInt(Vec::new()), None),
            Kind::Scalar(ScalarType::Float) => (Values::Float(Vec::new()), None),
            Kind::Scalar(ScalarType::Text) => (Values::Text(text()), None),
            Kind::Json => (Values::Json(text(), Arc::new(node.clone())), None),
            Kind::Struct(fields) => (Values::Struct(Box::new(Object::new(fields))), None),
            Kind::List(item) => {
                let item = Column::new(&item.node);
                let ends = Vec::new();
                (Values::List(Box::new(List { ends, item })), None)
            }
            Kind::Fixed(data_type) => {
                let values = match data_type.as_ref() {
                    DataType::Boolean => Values::Bool(Bitmap::default()),
                    DataType::Int64 => Values::Int(Vec::new()),
                    DataType::UInt64 => Values::UInt(Vec::new()),
                    DataType::Float64 => Values::Float(Vec::new()),
                    DataType::Utf8 | DataType::LargeUtf8 => Values::Text(text()),
                    other => Values::Fixed(Box::new(FixedColumn::new(other))),
                };
                (values, Some(Arc::clone(data_type)))
            }
        };
        let fixed = fixed.or_else(|| match node.fixed {
            Some(Fixed::Struct | Fixed::List) => Some(Arc::new(node.data_type())),
            _ => None,
        });
        // A user's text column takes strings as a matter of course.
        let facts = match &values {
            Values::Text(_) if fixed.is_some() => Scalars::STRING,
            _ => node.scalars,
        };
        Column {
            values,
            validity: Validity::default(),
            facts,
            undo: (Scalars::NONE, 0),
            fixed,
        }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Counts a value that has been appended to `values`.
    #[inline(always)]
    pub fn appended(&mut self) {
        self.validity.push_valid();
    }

    /// Appends nulls.
    pub fn push_nulls(&mut self, n: usize) {
        self.validity.push_nulls(n);
        match &mut self.values {
            Values::Null => {}
            Values::Bool(bits) => bits.extend(false, n),
            Values::Int(values) => values.resize(values.len() + n, 0),
            Values::UInt(values) => values.resize(values.len() + n, 0),
            Values::Float(values) => values.resize(values.len() + n, 0.0),
            Values::Text(text) | Values::Json(text, _) => text.extend_empty(n),
            Values::Struct(object) => object.rows += n,
            Values::List(list) => {
                let end = list.item.len() as i32;
                list.ends.resize(list.ends.len() + n, end);
            }
            Values::Fixed(column) => column.push_nulls(n),
        }
    }

    /// Makes the next value row `row`: pads rows without one, and takes back
    /// the value of an equal key of the same record. Returns whether there was one.
    #[cold]
    #[inline(never)]
    pub fn align(&mut self, row: usize, record: u64) -> bool {
        if self.len() > row {
            self.remember_from(row, record);
            self.truncate(row);
            return true;
        }
        self.push_nulls(row - self.len());
        false
    }

    /// Adds facts, so that they go again if record `record` is taken back.
    pub fn add_facts(&mut self, facts: Scalars, record: u64) {
        if self.undo.1 != record {
            self.undo = (self.facts, record);
        }
        self.facts = self.facts.join(facts);
    }

    /// Keeps the facts of rows from `row` on, which are about to be overwritten.
    fn remember_from(&mut self, row: usize, record: u64) {
        if self.fixed.is_none() {
            let facts = match &self.values {
                Values::Int(values) => values.get(row..).map(facts_of_ints),
                Values::UInt(values) => values.get(row..).map(facts_of_uints),
                _ => None,
            };
            if let Some(facts) = facts {
                self.add_facts(facts, record);
            }
        }
        match &mut self.values {
            Values::Struct(object) => {
                for column in object.columns_mut() {
                    column.remember_from(row, record);
                }
            }
            Values::List(list) => {
                let start = row.checked_sub(1).map_or(0, |row| list.ends[row] as usize);
                list.item.remember_from(start, record);
            }
            _ => {}
        }
    }

    /// Takes back rows from `rows` on, and the facts that `record` brought.
    pub fn roll_back(&mut self, rows: usize, record: u64) {
        if self.undo.1 == record {
            self.facts = self.undo.0;
        }
        match &mut self.values {
            Values::Struct(object) => object.roll_back(rows, record),
            Values::List(list) => {
                list.ends.truncate(rows);
                let end = list.ends.last().map_or(0, |end| *end as usize);
                list.item.roll_back(end, record);
            }
            _ => {}
        }
        self.truncate(rows);
    }

    pub fn truncate(&mut self, rows: usize) {
        self.validity.truncate(rows);
        match &mut self.values {
            Values::Null => {}
            Values::Bool(bits) => bits.truncate(rows),
            Values::Int(values) => values.truncate(rows),
            Values::UInt(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Text(text) | Values::Json(text, _) => text.truncate(rows),
            Values::Struct(object) => object.truncate(rows),
            Values::List(list) => {
                list.ends.truncate(rows);
                let end = list.ends.last().map_or(0, |end| *end as usize);
                list.item.truncate(end);
            }
            Values::Fixed(column) => column.truncate(rows),
        }
    }

    /// What the column's type is called in a message: never with the fields of
    /// an object, as those may grow while the message must not.
    pub fn type_name(&self) -> String {
        let name = match (&self.values, &self.fixed) {
            (Values::Struct(_), _) => "Struct",
            (Values::List(_), _) => "List",
            (_, Some(data_type)) => return data_type.to_string(),
            (Values::Null, _) => "null, as every value of the column before it",
            (Values::Bool(_), _) => "Boolean",
            (Values::Int(_), _) => "Int64",
            (Values::UInt(_), _) => "UInt64",
            (Values::Float(_), _) => "Float64",
            (Values::Text(_) | Values::Json(..), _) => "Utf8",
            (Values::Fixed(column), _) => return column.data_type().to_string(),
        };
        name.to_string()
    }

    /// The facts about scalars that this batch's values leave the column with.
    fn learned_facts(&self) -> Scalars {
        match &self.values {
            _ if self.fixed.is_some() || self.len() == 0 => self.facts,
            Values::Int(values) => self.facts.join(facts_of_ints(values)),
            Values::UInt(values) => self.facts.join(facts_of_uints(values)),
            _ => self.facts,
        }
    }

    /// Whether the values say anything beyond `node`, from which this column was made.
    pub fn has_news(&self, node: &Node) -> bool {
        match (&self.values, &node.object, &node.list) {
            (Values::Struct(object), Some(fields), _) => object.has_news(fields),
            (Values::List(list), _, Some(item)) => list.item.has_news(&item.node),
            _ if self.fixed.is_some() => false,
            _ => self.learned_facts() != node.scalars,
        }
    }

    /// Adds to `node`, from which this column was made, what the values say beyond it.
    pub fn teach(&self, node: &mut Node) {
        if !self.has_news(node) {
            return;
        }
        match (&self.values, &mut node.object, &mut node.list) {
            (Values::Struct(object), Some(fields), _) => object.teach(Arc::make_mut(fields)),
            (Values::List(list), _, Some(item)) => {
                list.item.teach(&mut Arc::make_mut(item).node);
            }
            _ => node.scalars = self.learned_facts(),
        }
    }

    /// The finished array of `rows` rows; the column is empty again.
    pub fn finish(&mut self, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
        if self.len() < rows {
            self.push_nulls(rows - self.len());
        }
        let nulls = self.validity.take();
        self.undo = (Scalars::NONE, 0);
        Ok(match &mut self.values {
            Values::Null => new_null_array(data_type, rows),
            Values::Bool(bits) => Arc::new(BooleanArray::new(bits.take(), nulls)),
            Values::Int(values) => Arc::new(Int64Array::try_new(take_all(values).into(), nulls)?),
            Values::UInt(values) => Arc::new(UInt64Array::try_new(take_all(values).into(), nulls)?),
            Values::Float(values) => {
                Arc::new(Float64Array::try_new(take_all(values).into(), nulls)?)
            }
            Values::Text(text) | Values::Json(text, _) => {
                let array: ArrayRef = Arc::new(text.take(nulls)?);
                match data_type {
                    DataType::Utf8 => array,
                    wider => arrow_cast::cast(&array, wider)?,
                }
            }
            Values::Struct(object) => {
                let DataType::Struct(fields) = data_type else {
                    return Err(mismatch("a struct", data_type));
                };
                let columns = object.finish(rows, fields)?;
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    columns,
                    nulls,
                    rows,
                )?)
            }
            Values::List(list) => {
                let DataType::List(field) = data_type else {
                    return Err(mismatch("a list", data_type));
                };
                if i32::try_from(list.item.len()).is_err() {
                    return Err(Error::config(
                        "blocksize",
                        "one list column of a single chunk has more than 2^31 items",
                    ));
                }
                let n_items = list.item.len();
                let items = list.item.finish(n_items, field.data_type())?;
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                offsets.append(&mut list.ends);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::try_new(
                    Arc::clone(field),
                    offsets,
                    items,
                    nulls,
                )?)
            }
            Values::Fixed(column) => column.finish(nulls)?,
        })
    }
}

fn mismatch(built: &str, data_type: &DataType) -> Error {
    Error::internal(format!(
        "{built} was built where the schema has {data_type}"
    ))
}
