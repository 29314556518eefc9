//! What must happen in input order.
//!
//! In:  worked chunks, in input order.
//! Out: rows to the output, counts to the balance sheet, bad records to the
//!      rejects file; the first error in the input, with its line.
//!
//! This is where results stop depending on timing: the schema widens, lines
//! are counted and partitions are cut here and nowhere else.

use std::sync::Arc;

use super::control::Progress;
use super::output::{Group, Output, Rows};
use super::rejects::Rejects;
use super::report::InputReport;
use super::schema::RunSchema;
use super::worker::{Bad, Worked};
use crate::error::{Error, Position, Result};
use crate::expr::BoundExpr;
use crate::ops::{Filter, Limit, Operator};
use crate::plan::{MaxRejects, OnBadRecord};

/// A step that needs input order, or stands behind one that does.
pub(crate) enum Ordered {
    Filter(Filter),
    Limit(Limit),
}

impl Ordered {
    pub fn filter(predicate: BoundExpr) -> Self {
        Ordered::Filter(Filter::new(predicate))
    }

    pub fn limit(rows: u64) -> Self {
        Ordered::Limit(Limit::new(rows))
    }
}

/// What is done with bad records.
pub(crate) struct BadPolicy {
    pub on_bad: OnBadRecord,
    pub rejects: Option<Rejects>,
    pub max: Option<MaxRejects>,
}

/// Counts of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub duplicate_keys: u64,
    pub ignored_values: u64,
    pub limited: u64,
}

/// Takes chunks in input order.
pub(crate) struct Sequencer<O> {
    pub schema: RunSchema,
    pub inputs: Vec<InputReport>,
    pub counts: Counts,
    pub output: O,
    ordered: Vec<Ordered>,
    bad: BadPolicy,
    rejected: u64,
    /// The place of the open file among the inputs, and its lines so far.
    file: Option<u32>,
    progress: Arc<Progress>,
}

impl<O: Output> Sequencer<O> {
    pub fn new(
        schema: RunSchema,
        ordered: Vec<Ordered>,
        bad: BadPolicy,
        output: O,
        progress: Arc<Progress>,
    ) -> Self {
        Sequencer {
            schema,
            inputs: Vec::new(),
            counts: Counts::default(),
            output,
            ordered,
            bad,
            rejected: 0,
            file: None,
            progress,
        }
    }

    /// Whether no further row can come out.
    pub fn is_done(&self) -> bool {
        self.output.is_done()
            || self
                .ordered
                .iter()
                .any(|step| matches!(step, Ordered::Limit(limit) if limit.is_done()))
    }

    /// Begins the sheet of a file, unless it is the open one.
    fn open(&mut self, file: u32, path: &str) -> &mut InputReport {
        if self.file != Some(file) {
            self.file = Some(file);
            self.inputs.push(InputReport {
                path: path.to_owned(),
                ..InputReport::default()
            });
        }
        self.inputs
            .last_mut()
            .expect("one was pushed for this file")
    }

    /// The end of a unit of `file`; its sheet exists even if it had no lines.
    pub fn end_unit(&mut self, file: u32, path: &str, ends_file: bool, damage: Option<String>) {
        let sheet = self.open(file, path);
        if damage.is_some() {
            sheet.damage = damage;
        }
        if ends_file {
            self.progress.add_files_done(1);
        }
    }

    /// Takes the next chunk in input order.
    pub fn accept(&mut self, file: u32, path: &str, worked: Worked) -> Result<Vec<Group>> {
        let lines_before = self.open(file, path).lines;
        let rejected = worked.bad.len() as u64;
        for bad in &worked.bad {
            let at = Position {
                path: path.to_owned(),
                byte: worked.first_byte + bad.byte,
                line: lines_before + bad.line + 1,
            };
            self.reject(at, bad)?;
        }
        let sheet = self.open(file, path);
        sheet.lines += worked.lines;
        sheet.blank += worked.blank;
        sheet.rejected += rejected;
        sheet.filtered += worked.filtered;
        sheet.rows += worked
            .lines
            .checked_sub(worked.blank + rejected)
            .ok_or_else(|| {
                Error::internal(format!(
                    "{path}: a chunk of {} lines has {} blank and {rejected} bad ones",
                    worked.lines, worked.blank
                ))
            })?;
        let kept = worked.lines - worked.blank - rejected - worked.filtered;
        if kept != worked.batch.num_rows() as u64 {
            return Err(Error::internal(format!(
                "{path}: a chunk of {} lines kept {kept} rows but gave {}",
                worked.lines,
                worked.batch.num_rows()
            )));
        }
        self.counts.duplicate_keys += worked.duplicate_keys;
        self.counts.ignored_values += worked.ignored_values;
        self.schema.widen(&worked.schema)?;
        self.progress.add_text_bytes(worked.text_bytes);

        let mut rows = Rows {
            batch: worked.batch,
            from: worked.schema,
            text_bytes: worked.text_bytes,
        };
        for step in &mut self.ordered {
            let before = rows.batch.num_rows() as u64;
            match step {
                Ordered::Limit(limit) => {
                    rows.batch = limit.push(rows.batch);
                    self.counts.limited += before - rows.batch.num_rows() as u64;
                }
                Ordered::Filter(filter) => {
                    rows.batch = filter.push(rows.batch)?;
                    let dropped = before - rows.batch.num_rows() as u64;
                    self.inputs
                        .last_mut()
                        .expect("the file's sheet was opened above")
                        .filtered += dropped;
                }
            }
        }
        self.progress.add_rows(rows.batch.num_rows() as u64);
        self.output.push(rows, &self.schema)
    }

    fn reject(&mut self, at: Position, bad: &Bad) -> Result<()> {
        let error = || Error::Decode {
            at: at.clone(),
            column: bad.column.clone(),
            reason: bad.reason.clone(),
        };
        match self.bad.on_bad {
            OnBadRecord::Fail => return Err(error()),
            OnBadRecord::Skip => {}
            OnBadRecord::Reject => {
                if let Some(rejects) = &mut self.bad.rejects {
                    rejects.write(&at, bad)?;
                }
            }
        }
        self.rejected += 1;
        if let Some(MaxRejects::Count(max)) = self.bad.max
            && self.rejected > max
        {
            return Err(too_many(self.rejected, &format!("{max}"), &error()));
        }
        Ok(())
    }

    /// The end of the input: what is left to write.
    pub fn finish(&mut self) -> Result<Vec<Group>> {
        if let Some(MaxRejects::Percent(max)) = self.bad.max {
            let lines: u64 = self.inputs.iter().map(|input| input.lines).sum();
            if self.rejected as f64 > lines as f64 * max / 100.0 {
                return Err(Error::TooManyRejects {
                    rejected: self.rejected,
                    lines,
                    limit: format!("{max}%"),
                });
            }
        }
        self.output.finish(&self.schema)
    }

    /// The rejects file, to be published with the output.
    pub fn take_rejects(&mut self) -> Option<Rejects> {
        self.bad.rejects.take()
    }
}

fn too_many(seen: u64, max: &str, last: &Error) -> Error {
    match last {
        Error::Decode { at, column, reason } => Error::Decode {
            at: at.clone(),
            column: column.clone(),
            reason: format!("{reason}; this is bad record {seen} and --max-rejects is {max}"),
        },
        other => other.clone(),
    }
}
