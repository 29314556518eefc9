//! Which rows of a window pass a filter.
//!
//! In:  the columns of a window, loaded when a term of the filter looks at them.
//! Out: the rows that pass all terms, in order.
//!
//! A term over one column that comes as places in a dictionary is evaluated for
//! each value of that once, and looked up for each row. Terms that stand behind
//! others are looked up only for the rows that are left.

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};

use super::super::late::{RowFilter, Term};
use super::fault::Fault;
use super::rows::OneColumn;
use crate::error::{Error, Result};

/// The terms of a filter.
pub(super) struct Filter {
    terms: Vec<TermOf>,
    /// Rows of the window that pass so far.
    pub left: Vec<u32>,
    /// Rows of the stretch.
    rows: usize,
}

struct TermOf {
    term: Term,
    /// The columns it looks at.
    columns: Vec<usize>,
    /// Of each value of a dictionary whether it passes, and of no value.
    table: Option<Vec<bool>>,
}

impl Filter {
    pub fn new(filter: &RowFilter, columns: &[OneColumn], rows: usize) -> Self {
        let terms = filter.terms().into_iter().map(|term| {
            let is_of = |column: &OneColumn| term.asks_for(column.field.name());
            let places = (0..columns.len()).filter(|at| is_of(&columns[*at]));
            TermOf {
                columns: places.collect(),
                term,
                table: None,
            }
        });
        Filter {
            terms: terms.collect(),
            left: Vec::new(),
            rows,
        }
    }

    /// Finds the rows of a window that pass.
    pub fn look_at(&mut self, columns: &mut Loading<'_>) -> Result<()> {
        self.left.clear();
        let mut is_first = true;
        for of in &mut self.terms {
            if !is_first && self.left.is_empty() {
                return Ok(());
            }
            let all = std::mem::take(&mut is_first);
            for column in &of.columns {
                columns.load(*column)?;
            }
            if let [column] = of.columns[..]
                && !of.term.may_fail()
                && columns.columns[column].column.codes().is_some()
            {
                if of.table.is_none() {
                    of.table = columns.table(column, &of.term, self.rows)?;
                }
                if let Some(table) = &of.table
                    && let Some(codes) = columns.columns[column].column.codes()
                {
                    match all {
                        true => find(&codes[..columns.rows], table, &mut self.left),
                        false => keep(&mut self.left, |row| table[codes[row] as usize]),
                    }
                    continue;
                }
            }
            let mask = of.term.mask(&columns.batch(&of.columns)?)?;
            let mask = mask.values();
            match all {
                true => self.left.extend(mask.set_indices_u32()),
                false => keep(&mut self.left, |row| mask.value(row)),
            }
        }
        if is_first {
            self.left.extend(0..columns.rows as u32);
        }
        Ok(())
    }
}

/// Rows that are looked up before it is asked whether any passes.
const LOOKED_UP: usize = 16;

/// Finds the rows that pass among all. Where few do, most are only looked up.
fn find(codes: &[u32], table: &[bool], rows: &mut Vec<u32>) {
    let (whole, rest) = codes.as_chunks::<LOOKED_UP>();
    let mut row = 0;
    for few in whole {
        let mut passes = [false; LOOKED_UP];
        for (passes, code) in passes.iter_mut().zip(few) {
            *passes = table[*code as usize];
        }
        if passes != [false; LOOKED_UP] {
            let mut found = [0; LOOKED_UP];
            let mut kept = 0;
            // Written whether it passes or not: what passes is as good as random.
            for (at, passes) in passes.iter().enumerate() {
                found[kept % LOOKED_UP] = row + at as u32;
                kept += usize::from(*passes);
            }
            let before = rows.len();
            rows.extend_from_slice(&found);
            rows.truncate(before + kept);
        }
        row += LOOKED_UP as u32;
    }
    let found = (row..).zip(rest).filter(|(_, code)| table[**code as usize]);
    rows.extend(found.map(|(row, _)| row));
}

/// Keeps the rows that pass.
fn keep(rows: &mut Vec<u32>, pass: impl Fn(usize) -> bool) {
    let mut kept = 0;
    // Written whether it passes or not: what passes is as good as random.
    for at in 0..rows.len() {
        let row = rows[at];
        rows[kept] = row;
        kept += usize::from(pass(row as usize));
    }
    rows.truncate(kept);
}

/// The columns of a window, loaded when a term looks at them.
pub(super) struct Loading<'a> {
    pub path: &'a str,
    pub group: usize,
    pub columns: &'a mut [OneColumn],
    pub rows: usize,
}

impl Loading<'_> {
    fn load(&mut self, column: usize) -> Result<()> {
        let of = &mut self.columns[column];
        if !std::mem::replace(&mut of.loaded, true) {
            of.shown = None;
            let loaded = of.column.load(self.rows);
            loaded.map_err(|fault| self.failed(column, fault))?;
        }
        Ok(())
    }

    fn failed(&self, column: usize, fault: Fault) -> Error {
        self.columns[column].failed(self.path, self.group, fault)
    }

    /// Of each value of a column's dictionary whether a term is true for it;
    /// None where that is more than the rows that would be looked up.
    fn table(&self, column: usize, term: &Term, rows: usize) -> Result<Option<Vec<bool>>> {
        let of = &self.columns[column].column;
        if of.values() > rows {
            return Ok(None);
        }
        let values = of
            .dictionary()
            .map_err(|fault| self.failed(column, fault))?;
        let mask = term.mask(&self.of_arrays(vec![(column, values)], None)?)?;
        Ok(Some(mask.values().iter().collect()))
    }

    /// The rows of the window.
    fn batch(&mut self, columns: &[usize]) -> Result<RecordBatch> {
        let window = |column: &usize| Ok((*column, self.window(*column)?));
        let arrays = columns.iter().map(window).collect::<Result<Vec<_>>>()?;
        self.of_arrays(arrays, Some(self.rows))
    }

    /// A column of the window.
    fn window(&mut self, column: usize) -> Result<ArrayRef> {
        let of = &mut self.columns[column];
        if let Some(shown) = &of.shown {
            return Ok(ArrayRef::clone(shown));
        }
        match of.column.window(of.wanted) {
            Ok(array) => Ok(ArrayRef::clone(of.shown.insert(array))),
            Err(fault) => Err(self.failed(column, fault)),
        }
    }

    fn of_arrays(
        &self,
        arrays: Vec<(usize, ArrayRef)>,
        rows: Option<usize>,
    ) -> Result<RecordBatch> {
        let field = |(column, array): &(usize, ArrayRef)| {
            let name = self.columns[*column].field.name();
            Field::new(name, array.data_type().clone(), true)
        };
        let schema = Schema::new(arrays.iter().map(field).collect::<Vec<_>>());
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(rows);
        let batch = RecordBatch::try_new_with_options(SchemaRef::new(schema), arrays, &options)?;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_pass_are_found_be_they_few_or_most() {
        let codes: Vec<u32> = (0..1000u32)
            .map(|row| row.wrapping_mul(2_654_435_761) >> 25)
            .collect();
        for few in [0, 1, 20, 64, 127, 128] {
            let table: Vec<bool> = (0..128).map(|code| code * 37 % 128 < few).collect();
            for n in [0, 1, 15, 16, 17, 32, 1000] {
                let mut found = vec![5];
                find(&codes[..n], &table, &mut found);
                let want = (0..n as u32).filter(|row| table[codes[*row as usize] as usize]);
                assert!(
                    found[1..].iter().copied().eq(want),
                    "{few} of 128 codes, {n} rows"
                );
            }
        }
    }
}
