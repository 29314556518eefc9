//! Bringing rows decoded under one schema to a wider one.
//!
//! In:  a batch, the schema it has, and one that covers it.
//! Out: the batch that decoding under the wider schema would have given, value for value.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, ListArray, RecordBatch, RecordBatchOptions, StructArray,
    UInt64Array, new_null_array,
};
use arrow_schema::DataType;

use super::canonical::as_scalar;
use super::grammar::{DEEPEST, Parser, SchemaMode};
use super::lattice::{Fields, Kind, Node, ScalarType, Scalars};
use super::number::{write_int, write_uint};
use super::scan::{PAD, Text};
use super::schema::JsonSchema;
use super::spelling::{BoolSpellings, NumberSpellings};
use super::string::write_quoted;
use crate::error::{Error, Result};

/// Converts `batch`, which has the schema `from`, to the schema `to`.
///
/// Columns that `batch` lacks become null; columns are in the order of `to`.
/// The values are those that decoding the same records under `to` gives.
/// Costs nothing where the types of a column are the same.
///
/// # Errors
///
/// [`Error::Internal`] if `to` does not cover `from`, or `batch` is not of the
/// schema `from`: both are mistakes of the caller.
pub fn conform(batch: &RecordBatch, from: &JsonSchema, to: &JsonSchema) -> Result<RecordBatch> {
    if !to.covers(from) {
        return Err(Error::internal(
            "rows were to be conformed to a narrower schema",
        ));
    }
    let schema = to.to_arrow();
    if from == to && batch.schema() == schema {
        return Ok(batch.clone());
    }
    let columns = conform_fields(
        batch.columns(),
        batch.num_rows(),
        from.fields(),
        to.fields(),
    )?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

fn conform_fields(
    columns: &[ArrayRef],
    rows: usize,
    from: &Fields,
    to: &Fields,
) -> Result<Vec<ArrayRef>> {
    if columns.len() != from.len() {
        return Err(Error::internal(format!(
            "a batch of {} columns was said to have a schema of {}",
            columns.len(),
            from.len()
        )));
    }
    to.iter()
        .map(|(name, node)| match from.find(name.as_bytes()) {
            Some(idx) => {
                let old = from.get(name.as_bytes()).unwrap_or(node);
                conform_array(&columns[idx], old, node)
            }
            None => Ok(new_null_array(&node.data_type(), rows)),
        })
        .collect()
}

fn conform_array(array: &ArrayRef, from: &Node, to: &Node) -> Result<ArrayRef> {
    use ScalarType::{Bool, Float, Int, Null, Text, UInt};
    Ok(match (from.kind(), to.kind()) {
        (Kind::Fixed(_), _) => Arc::clone(array),
        (Kind::Scalar(a), Kind::Scalar(b)) if a == b => Arc::clone(array),
        (Kind::Scalar(Null), _) => new_null_array(&to.data_type(), array.len()),
        (Kind::Scalar(Int), Kind::Scalar(UInt)) => {
            let values = array.as_primitive::<Int64Type>();
            Arc::new(values.unary::<_, UInt64Type>(|value| value as u64)) as ArrayRef
        }
        (Kind::Scalar(Int), Kind::Scalar(Float)) => {
            let values = array.as_primitive::<Int64Type>();
            Arc::new(values.unary::<_, Float64Type>(|value| value as f64))
        }
        (Kind::Scalar(UInt), Kind::Scalar(Float)) => {
            let values: &UInt64Array = array.as_primitive();
            let values: Float64Array = values.unary(|value| value as f64);
            Arc::new(values)
        }
        (Kind::Scalar(Bool | Int | UInt | Float), Kind::Scalar(Text)) => {
            write_rows(array, from, |cell, row, out| cell.write_plain(row, out))?
        }
        (Kind::Struct(old), Kind::Struct(new)) => {
            let structs = array.as_struct();
            let DataType::Struct(fields) = to.data_type() else {
                return Err(unexpected(from, to));
            };
            let columns = conform_fields(structs.columns(), array.len(), old, new)?;
            let nulls = structs.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(
                fields,
                columns,
                nulls,
                array.len(),
            )?)
        }
        (Kind::List(old), Kind::List(new)) => {
            let lists = array.as_list::<i32>();
            let items = conform_array(lists.values(), &old.node, &new.node)?;
            let field = Arc::new(new.node.field(&new.name));
            let offsets = lists.offsets().clone();
            Arc::new(ListArray::try_new(
                field,
                offsets,
                items,
                lists.nulls().cloned(),
            )?)
        }
        // Objects without keys were text until the first key came.
        (Kind::Json, Kind::Struct(fields)) => {
            let DataType::Struct(arrow) = to.data_type() else {
                return Err(unexpected(from, to));
            };
            let columns = fields
                .iter()
                .map(|(_, node)| new_null_array(&node.data_type(), array.len()))
                .collect();
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(
                arrow,
                columns,
                nulls,
                array.len(),
            )?)
        }
        (Kind::Json, Kind::Json) if from == to => Arc::clone(array),
        (_, Kind::Json) => write_rows(array, from, |cell, row, out| cell.write_json(row, to, out))?,
        _ => return Err(unexpected(from, to)),
    })
}

fn unexpected(from: &Node, to: &Node) -> Error {
    Error::internal(format!(
        "{} was to become {}, which is not above it",
        from.data_type(),
        to.data_type()
    ))
}

/// A text column with what `write` says of each row that is not null.
fn write_rows(
    array: &ArrayRef,
    node: &Node,
    mut write: impl FnMut(&mut Cells<'_>, usize, &mut Vec<u8>) -> Result<()>,
) -> Result<ArrayRef> {
    let mut cells = Cells::new(array, node)?;
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut out = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        out.clear();
        write(&mut cells, row, &mut out)?;
        if builder.values_slice().len() + out.len() > i32::MAX as usize {
            return Err(Error::config(
                "blocksize",
                "one column of JSON text would have more than Arrow's 2 GiB",
            ));
        }
        let text = std::str::from_utf8(&out)
            .map_err(|source| Error::external("writing values as JSON text", source))?;
        builder.append_value(text);
    }
    Ok(Arc::new(builder.finish()))
}

/// An array by type, with everything that is the same for all rows looked up once.
struct Cells<'a> {
    array: &'a ArrayRef,
    kind: CellKind<'a>,
}

enum CellKind<'a> {
    Bool(BoolSpellings),
    Int,
    UInt,
    Float(NumberSpellings),
    /// Plain text, and whether all of it was strings.
    Text,
    /// Canonical JSON text, with room to read it again.
    Json(Vec<u8>),
    /// Members sorted by key.
    Struct(Vec<(&'a Arc<str>, Cells<'a>)>),
    List(Box<Cells<'a>>),
    Null,
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef, node: &'a Node) -> Result<Self> {
        let kind = match node.kind() {
            Kind::Scalar(ScalarType::Null) => CellKind::Null,
            Kind::Scalar(ScalarType::Bool) => CellKind::Bool(node.scalars.bool_spellings()),
            Kind::Scalar(ScalarType::Int) => CellKind::Int,
            Kind::Scalar(ScalarType::UInt) => CellKind::UInt,
            Kind::Scalar(ScalarType::Float) => CellKind::Float(node.scalars.number_spellings()),
            Kind::Scalar(ScalarType::Text) => CellKind::Text,
            Kind::Json => CellKind::Json(Vec::new()),
            Kind::Struct(fields) => {
                let columns = array.as_struct().columns();
                let mut members = fields
                    .iter()
                    .zip(columns)
                    .map(|((name, node), column)| Ok((name, Cells::new(column, node)?)))
                    .collect::<Result<Vec<_>>>()?;
                members.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
                CellKind::Struct(members)
            }
            Kind::List(item) => {
                let items = Cells::new(array.as_list::<i32>().values(), &item.node)?;
                CellKind::List(Box::new(items))
            }
            // Under Json, where alone this is asked for, nothing is a user's.
            Kind::Fixed(data_type) => {
                return Err(Error::internal(format!(
                    "a column of the fixed type {data_type} was to become text"
                )));
            }
        };
        Ok(Cells { array, kind })
    }

    /// A scalar's text, a row that is not null.
    fn write_plain(&mut self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match &self.kind {
            CellKind::Bool(spellings) => {
                spellings.write(self.array.as_boolean().value(row), out);
            }
            CellKind::Int => write_int(self.array.as_primitive::<Int64Type>().value(row), out),
            CellKind::UInt => write_uint(self.array.as_primitive::<UInt64Type>().value(row), out),
            CellKind::Float(spellings) => {
                spellings.write(self.array.as_primitive::<Float64Type>().value(row), out);
            }
            CellKind::Text => {
                out.extend_from_slice(self.array.as_string::<i32>().value(row).as_bytes());
            }
            _ => {
                return Err(Error::internal(
                    "an object or list was to become plain text",
                ));
            }
        }
        Ok(())
    }

    /// A value's canonical JSON text under the facts of `to`, a row that is not null.
    fn write_json(&mut self, row: usize, to: &Node, out: &mut Vec<u8>) -> Result<()> {
        match &mut self.kind {
            CellKind::Null => out.extend_from_slice(b"null"),
            CellKind::Text if to.scalars.has(Scalars::STRING) => {
                write_quoted(self.array.as_string::<i32>().value(row).as_bytes(), out);
            }
            CellKind::Bool(_)
            | CellKind::Int
            | CellKind::UInt
            | CellKind::Float(_)
            | CellKind::Text => {
                let mut plain = Vec::new();
                self.write_plain(row, &mut plain)?;
                as_scalar(Some(to), out, |out| out.extend_from_slice(&plain));
            }
            CellKind::Json(padded) => {
                padded.clear();
                padded.extend_from_slice(self.array.as_string::<i32>().value(row).as_bytes());
                padded.push(b'\n');
                let end = padded.len();
                padded.resize(end + PAD, 0);
                // The facts of the text are not those of the values it was made
                // from (1e18 has become an integer), so they are not checked.
                Parser::new(Text::new(padded, end), DEEPEST, SchemaMode::Ignore)
                    .write_canonical(0, 0, Some(to), out)
                    .map_err(|_| {
                        Error::internal("a column of JSON text held something that is none")
                    })?;
            }
            CellKind::Struct(members) => write_members(members, row, to, out)?,
            CellKind::List(items) => {
                let Some(item) = &to.list else {
                    return Err(Error::internal("the wider schema lacks a list's items"));
                };
                let offsets = self.array.as_list::<i32>().offsets();
                out.push(b'[');
                for (n, idx) in (offsets[row]..offsets[row + 1]).enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    if items.is_null(idx as usize) {
                        out.extend_from_slice(b"null");
                    } else {
                        items.write_json(idx as usize, &item.node, out)?;
                    }
                }
                out.push(b']');
            }
        }
        Ok(())
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
}

/// An object of the members that are not null.
fn write_members(
    members: &mut [(&Arc<str>, Cells<'_>)],
    row: usize,
    to: &Node,
    out: &mut Vec<u8>,
) -> Result<()> {
    let fields = to.object.as_deref();
    let mut separator = b'{';
    for (name, cells) in members {
        let node = fields.and_then(|fields| fields.get(name.as_bytes()));
        let Some(node) = node else {
            return Err(Error::internal(format!("the wider schema lacks {name:?}")));
        };
        if cells.is_null(row) {
            continue;
        }
        out.push(separator);
        separator = b',';
        write_quoted(name.as_bytes(), out);
        out.push(b':');
        cells.write_json(row, node, out)?;
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}
