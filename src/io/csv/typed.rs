//! Which columns of a file begin with numbers or booleans, whatever they come to.
//!
//! In:  the chunks in which a file's first records stand.
//! Out: the names of those columns: one of them that ends as text was given up on.
//!
//! Text says nothing of what its fields might have been, and to look at each of
//! them would cost every column of text its speed. So only the records are looked
//! at that begin in the first 16 KiB of a file: the same ones at every cut.

use std::sync::Arc;

use super::cell::Meaning;
use super::layout::CsvLayout;
use super::task::{Broken, Task, Visit};
use crate::io::json::JsonSchema;

/// How far behind its header a file is looked at.
const LOOKED_AT_BYTES: u64 = 16 << 10;

/// Up to where records are looked at in the chunk that stands at `first_byte` of its file.
pub(super) fn looked_at(layout: &CsvLayout, first_byte: u64) -> usize {
    let end = (layout.records_from + LOOKED_AT_BYTES).saturating_sub(first_byte);
    usize::try_from(end).unwrap_or(usize::MAX)
}

impl Task<'_> {
    /// The columns of which a field is a number or a boolean in a record that
    /// begins before byte `end` of the chunk. `schema` says of which columns the
    /// user gave the type.
    pub fn typed(&self, end: usize, schema: &JsonSchema) -> Vec<Arc<str>> {
        let names = &self.layout.names;
        let is_open = |name: &&Arc<str>| {
            let is_wanted = self.wanted.is_none_or(|wanted| wanted.contains(&***name));
            is_wanted && !schema.is_fixed(name)
        };
        let mut open: Vec<usize> = (0..names.len())
            .filter(|field| is_open(&&names[*field]))
            .collect();
        let mut typed = Vec::new();
        let mut broken = Broken::default();
        self.visit(|pos| {
            if pos >= end || open.is_empty() {
                return Visit::Stop;
            }
            let is_sound = !broken.is_overrun(self, pos) && self.utf8_fault(pos).is_none();
            let cells = is_sound.then(|| self.records.cells(pos, names.len()));
            let Some(Ok(cells)) = cells else {
                return Visit::Next(broken.behind(self, pos));
            };
            open.retain(|field| {
                let meaning = cells.get(*field).map(|cell| self.records.meaning(cell).0);
                let is_typed = matches!(meaning, Some(Meaning::Bool(_) | Meaning::Number(_)));
                if is_typed {
                    typed.push(*field);
                }
                !is_typed
            });
            let end = cells.last().map_or(pos, |cell| cell.next);
            Visit::Next(self.records.after_line_end(end))
        });
        typed.sort_unstable();
        typed
            .into_iter()
            .map(|field| Arc::clone(&names[field]))
            .collect()
    }
}
