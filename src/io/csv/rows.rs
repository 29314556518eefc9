//! Columns under construction, for files of one layout and one schema.
//!
//! In:  the names of a file's fields, and what is known of their columns.
//! Out: a slot for each field that a record is read into, and the columns they come to.

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};

use super::layout::CsvLayout;
use super::read::Slot;
use super::task::Task;
use crate::error::{Error, Result};
use crate::io::json::column::Column;
use crate::io::json::lattice::{Fields, Kind, Node};
use crate::io::json::{JsonSchema, SchemaMode};

/// Columns under construction, for files of one layout and one schema.
pub(super) struct Rows {
    layout: Arc<CsvLayout>,
    /// What was asked for.
    asked: JsonSchema,
    /// The same with the columns that the layout adds.
    pub schema: JsonSchema,
    /// By field.
    pub slots: Vec<Slot>,
    /// By column of the schema: its field, if the file has it.
    pub fields: Vec<Option<usize>>,
    /// The first field that no column of the schema is for, where that makes records bad.
    pub unknown: Option<usize>,
    pub n_ignored: u64,
}

impl Rows {
    /// Columns for the fields of `task`, of which `asked` knows types.
    pub fn new(task: &Task<'_>, asked: &JsonSchema, known: JsonSchema) -> Result<Self> {
        let mut fields = known.fields().clone();
        let mut slots = Vec::with_capacity(task.layout.names.len());
        let (mut unknown, mut n_ignored) = (None, 0);
        for (idx, name) in task.layout.names.iter().enumerate() {
            let is_wanted = task.wanted.is_none_or(|wanted| wanted.contains(&**name));
            slots.push(match (fields.get(name.as_bytes()), task.mode) {
                _ if !is_wanted => Slot::Skip,
                (Some(node), _) => Slot::Build(Box::new(column(name, node)?)),
                (None, SchemaMode::Widen) => {
                    fields.push(Arc::clone(name), Node::default());
                    Slot::Build(Box::new(Column::new(&Node::default())))
                }
                (None, SchemaMode::Ignore) => {
                    n_ignored += 1;
                    Slot::Ignore
                }
                (None, SchemaMode::Strict) => {
                    unknown = unknown.or(Some(idx));
                    Slot::Ignore
                }
            });
        }
        let schema = if fields.len() == known.fields().len() {
            known
        } else {
            JsonSchema::from_fields(fields)
        };
        let place = |name: &Arc<str>| task.layout.names.iter().position(|other| other == name);
        let fields = schema
            .fields()
            .iter()
            .map(|(name, _)| place(name))
            .collect();
        Ok(Rows {
            layout: Arc::clone(task.layout),
            asked: asked.clone(),
            schema,
            slots,
            fields,
            unknown,
            n_ignored,
        })
    }

    pub fn is_for(&self, task: &Task<'_>, schema: &JsonSchema) -> bool {
        let same_layout = Arc::ptr_eq(&self.layout, task.layout) || self.layout == *task.layout;
        same_layout && self.asked == *schema
    }

    pub fn roll_back(&mut self, rows: usize, record: u64) {
        for slot in &mut self.slots {
            if let Slot::Build(column) = slot {
                column.roll_back(rows, record);
            }
        }
    }

    /// Adds to `fields` what the values of this round say beyond the schema.
    pub fn teach(&self, fields: &mut Fields) {
        for (idx, field) in self.fields.iter().enumerate() {
            if let Some(Slot::Build(column)) = field.map(|field| &self.slots[field]) {
                column.teach(fields.node_mut(idx));
            }
        }
    }

    pub fn has_news(&self) -> bool {
        let columns = self.fields.iter().zip(self.schema.fields().iter());
        columns.into_iter().any(|(field, (_, node))| {
            matches!(field.map(|field| &self.slots[field]),
                Some(Slot::Build(column)) if column.has_news(node))
        })
    }

    /// The columns as a batch; they are empty again.
    pub fn finish(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        let arrow = self.schema.to_arrow();
        let columns = self.fields.iter().zip(arrow.fields());
        columns
            .map(|(field, known)| match field {
                Some(field) => match &mut self.slots[*field] {
                    Slot::Build(column) => column.finish(rows, known.data_type()),
                    Slot::Skip | Slot::Ignore => Err(Error::internal(format!(
                        "the column {:?} was not built",
                        known.name()
                    ))),
                },
                None => Ok(new_null_array(known.data_type(), rows)),
            })
            .collect()
    }
}

/// A column for the fields of one name.
fn column(name: &str, node: &Node) -> Result<Column> {
    match node.kind() {
        Kind::Scalar(_) | Kind::Fixed(_) => Ok(Column::new(node)),
        Kind::Json | Kind::Struct(_) | Kind::List(_) => Err(Error::config(
            "schema",
            format!(
                "the column {name:?} has the type {}, which a CSV field is not decoded to",
                node.field(name).data_type()
            ),
        )),
    }
}
