//! What must happen in input order.
//!
//! In:  worked chunks, in input order.
//! Out: rows to the output, counts to the balance sheet, bad records to the
//!      rejects file; the first error in the input, with its line.
//!
//! This is where results stop depending on timing: the schema widens, lines
//! are counted and partitions are cut here and nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::bad::{BadPolicy, BadRecords};
use super::chunk_place::ChunkPlace;
use super::control::Progress;
use super::output::{Group, Output, Rows};
use super::passing::{Ordered, Passing};
use super::rejects::Rejects;
use super::report::InputReport;
use super::schema::RunSchema;
use super::sheet::Stage;
use super::window::{Came, Event, Replay};
use super::worker::Worked;
use crate::error::{Error, Place, Result};
use crate::io::json::Line;

/// Counts of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub duplicate_keys: u64,
    pub ignored_values: u64,
    /// Columns of text without types that begin with numbers or booleans in some file.
    pub typed: BTreeSet<Arc<str>>,
    pub limited: u64,
    pub exploded: u64,
    /// Bytes of text, or logical ones.
    pub bytes: u64,
}

/// How rows went through the steps that need input order.
struct Went {
    /// The first row that a step failed on, and which step.
    failure: Option<(usize, Error)>,
    /// Whether the rows wait at a step.
    waits: bool,
}

/// Takes chunks in input order.
pub(crate) struct Sequencer<O> {
    pub schema: RunSchema,
    pub inputs: Vec<InputReport>,
    pub counts: Counts,
    pub output: O,
    ordered: Vec<Ordered>,
    bad: BadRecords,
    stage: Option<Stage>,
    /// The first row, if it has no columns.
    pub bare: Option<Place>,
    /// The place of the open file among the inputs.
    file: Option<u32>,
    /// Physical lines of the open file so far, where records may hold some.
    physical_lines: u64,
    progress: Arc<Progress>,
    /// Whether a partition ends with its file, not with each unit.
    by_file: bool,
    /// Partitions of the source that came to their end.
    n_ended: u64,
    /// Which pipeline of the plan it was, and how long it took, once it is over.
    pub ran: Option<(usize, Duration)>,
    /// Rows that waited at a step, on their way.
    replay: Option<(usize, Replay)>,
    /// The first error, behind rows that wait, with the step that it stands at.
    pending: Option<(usize, Error)>,
}

impl<O: Output> Sequencer<O> {
    pub fn new(
        stage: Option<Stage>,
        schema: RunSchema,
        ordered: Vec<Ordered>,
        bad: BadPolicy,
        output: O,
        progress: Arc<Progress>,
    ) -> Self {
        Sequencer {
            stage,
            schema,
            inputs: Vec::new(),
            counts: Counts::default(),
            output,
            ordered,
            bad: BadRecords::new(bad),
            bare: None,
            file: None,
            physical_lines: 0,
            progress,
            by_file: false,
            n_ended: 0,
            ran: None,
            replay: None,
            pending: None,
        }
    }

    /// Lets partitions that are given end with files, not with units.
    #[must_use]
    pub fn by_file(self, by_file: bool) -> Self {
        Sequencer { by_file, ..self }
    }

    /// Whether no further row can come out of those that come.
    pub fn is_done(&self) -> bool {
        self.pending.is_some() || self.is_done_behind(0)
    }

    /// Whether no further row can come out of step `from` and those behind it.
    fn is_done_behind(&self, from: usize) -> bool {
        self.output.is_done()
            || self.ordered[from..]
                .iter()
                .any(|step| matches!(step, Ordered::Limit(limit) if limit.is_done()))
    }

    /// Begins the sheet of a file, unless it is the open one.
    fn open(&mut self, file: u32, path: &str) -> &mut InputReport {
        if self.file != Some(file) {
            self.file = Some(file);
            self.physical_lines = 0;
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
        if ends_file || !self.by_file {
            self.n_ended += 1;
            self.end_partition(0, self.n_ended);
        }
    }

    /// The end of a partition behind the rows that came to step `from`; the
    /// `n_ended`th one.
    fn end_partition(&mut self, from: usize, n_ended: u64) {
        match self.ordered[from..].iter_mut().find_map(Ordered::late) {
            Some(late) => late.end_unit(n_ended),
            None => self.output.end_unit(),
        }
    }

    /// An error of a chunk, which names the partition of the source if it is of user code.
    pub fn placed(&self, error: Error, path: &str) -> Error {
        error.on_partition(format_args!("partition {} ({path})", self.n_ended))
    }

    /// Takes the next chunk in input order. Its failure counts only if the
    /// rows before it are not enough.
    pub fn accept(&mut self, file: u32, path: &str, mut worked: Worked) -> Result<Vec<Group>> {
        let chunk = ChunkPlace {
            path,
            first_byte: worked.first_byte,
            lines_before: {
                self.open(file, path);
                self.physical_lines
            },
        };
        let failed = worked.failed.take();
        let mut failure = self.bad.leave_out(&chunk, &worked.bad)?;
        if failure.is_none() {
            failure = failed.map(|failed| chunk.failure(failed.place, failed.error));
        }
        let places = worked.places.take();
        if let (None, Some(place)) = (&self.bare, worked.bare) {
            self.bare = Some(chunk.place(place));
        }
        self.physical_lines += worked.lines + worked.inner_lines;
        self.count(file, &worked, path)?;
        self.schema.widen(&worked.schema)?;
        self.progress.add_text_bytes(worked.text_bytes);

        let rows = Rows {
            batch: worked.batch,
            from: worked.schema,
            text_bytes: worked.text_bytes,
            folded: worked.folded,
            bucket: worked.bucket,
            hot: worked.hot,
            shards: worked.shards,
        };
        let sheet = self.inputs.len() - 1;
        // The steps that the failing record would have had to go through.
        let failure = failure.map(|error| (0, error));
        self.go_on(0, rows, places, &chunk, sheet, failure)
    }

    /// Takes rows through step `from` and those behind it. A failure of theirs counts
    /// as that of [`accept`](Self::accept) does.
    fn go_on(
        &mut self,
        from: usize,
        mut rows: Rows,
        places: Option<Vec<Line>>,
        chunk: &ChunkPlace<'_>,
        sheet: usize,
        mut failure: Option<(usize, Error)>,
    ) -> Result<Vec<Group>> {
        let went = self.take_steps(from, &mut rows, places, chunk, sheet)?;
        if let Some(earlier) = went.failure {
            failure = Some(earlier);
        }
        let mut groups = Vec::new();
        if !went.waits {
            self.progress.add_rows(rows.batch.num_rows() as u64);
            let pushed = self.output.push(rows, &self.schema);
            groups = pushed.map_err(|error| self.placed(error, chunk.path))?;
        }
        if let Some((ahead, error)) = failure {
            self.fail(ahead, error)?;
        }
        Ok(groups)
    }

    /// What comes at step `ahead` has failed, which counts only if the rows before it
    /// are not enough. As long as some of these wait, it does, too.
    pub fn fail(&mut self, ahead: usize, error: Error) -> Result<()> {
        if self.is_done_behind(ahead) {
            return Ok(());
        }
        if !self.ordered.iter().any(Ordered::is_late) {
            return Err(error);
        }
        self.pending = Some((ahead, error));
        Ok(())
    }

    /// Adds a chunk to the sheet of its file.
    fn count(&mut self, file: u32, worked: &Worked, path: &str) -> Result<()> {
        let rejected = worked.bad.len() as u64;
        let sheet = self.open(file, path);
        sheet.lines += worked.lines;
        sheet.blank += worked.blank;
        sheet.rejected += rejected;
        sheet.filtered += worked.filtered;
        sheet.skipped_row_groups += worked.skipped.row_groups;
        sheet.skipped_files += worked.skipped.files;
        match (&mut sheet.replaced, worked.replaced) {
            (Some(before), Some(behind)) => before.add(behind),
            (None, found) => sheet.replaced = found,
            (Some(_), None) => {}
        }
        sheet.rows += worked
            .lines
            .checked_sub(worked.blank + rejected)
            .ok_or_else(|| {
                Error::internal(format!(
                    "{path}: a chunk of {} lines has {} blank and {rejected} bad ones",
                    worked.lines, worked.blank
                ))
            })?;
        let kept = worked.lines + worked.added - worked.blank - rejected - worked.filtered;
        if kept != worked.batch.num_rows() as u64 {
            return Err(Error::internal(format!(
                "{path}: a chunk of {} lines kept {kept} rows but gave {}",
                worked.lines,
                worked.batch.num_rows()
            )));
        }
        self.counts.duplicate_keys += worked.duplicate_keys;
        self.counts.ignored_values += worked.ignored_values;
        self.counts.typed.extend(worked.typed.iter().cloned());
        self.counts.exploded += worked.added;
        self.counts.bytes += worked.text_bytes;
        Ok(())
    }

    /// Takes rows through step `from` and those behind it, up to one that they wait
    /// at. A row that a step fails on ends the rows; the first such row comes back as
    /// an error, with the step.
    fn take_steps(
        &mut self,
        from: usize,
        rows: &mut Rows,
        places: Option<Vec<Line>>,
        chunk: &ChunkPlace<'_>,
        sheet: usize,
    ) -> Result<Went> {
        let mut passing = Passing {
            batch: rows.batch.clone(),
            places,
            chunk,
            sheet: &mut self.inputs[sheet],
            counts: &mut self.counts,
        };
        let mut failure = None;
        for (idx, step) in self.ordered.iter_mut().enumerate().skip(from) {
            if let Some(late) = step.late() {
                let before = passing.batch.num_rows();
                let came = Came {
                    n_rows: before,
                    sheet,
                    first_byte: chunk.first_byte,
                    lines_before: chunk.lines_before,
                    schema: passing.batch.schema(),
                    text_bytes: rows.text_bytes,
                    from: rows.from.clone(),
                    has_places: passing.places.is_some(),
                    n_ended: self.n_ended,
                };
                let failed = late.push(&passing.batch, passing.places.as_deref(), came)?;
                let failed = failed.map(|at| (at.row, at.error));
                if let Some(error) = passing.end_at(before, failed) {
                    failure = Some((idx, error));
                }
                let waits = true;
                return Ok(Went { failure, waits });
            }
            if let Some(error) = passing.through(step)? {
                failure = Some((idx, error));
            }
        }
        rows.batch = passing.batch;
        let waits = false;
        Ok(Went { failure, waits })
    }

    /// Lets the next rows that waited go on; none if no row waits any more.
    fn resume(&mut self) -> Result<Option<Vec<Group>>> {
        loop {
            if let Some((step, mut replay)) = self.replay.take() {
                let event = replay.next_event();
                let Some(event) = event.filter(|_| !self.is_done_behind(step + 1)) else {
                    continue;
                };
                let behind = self.pending.take();
                let groups = self.again(step, event, &mut replay)?;
                if self.pending.is_none() {
                    self.pending = behind;
                    self.replay = Some((step, replay));
                }
                return Ok(Some(groups));
            }
            let mut steps = self.ordered.iter_mut().enumerate();
            let late = steps.find_map(|(idx, step)| Some((idx, step.take_late()?)));
            let Some((step, late)) = late else {
                return Ok(None);
            };
            self.replay = Some((step, late.replay()?));
        }
    }

    /// What waited at a step happens to those behind it.
    fn again(&mut self, step: usize, event: Event, replay: &mut Replay) -> Result<Vec<Group>> {
        let came = match event {
            Event::Rows(came) => came,
            Event::EndUnit(n_ended) => {
                self.n_ended = n_ended;
                self.end_partition(step + 1, n_ended);
                return Ok(Vec::new());
            }
        };
        self.n_ended = came.n_ended;
        let told = replay.rows(&came)?;
        let path = self.inputs[came.sheet].path.clone();
        let chunk = ChunkPlace {
            path: &path,
            first_byte: came.first_byte,
            lines_before: came.lines_before,
        };
        let mut passing = Passing {
            batch: told.batch,
            places: told.places,
            chunk: &chunk,
            sheet: &mut self.inputs[came.sheet],
            counts: &mut self.counts,
        };
        let failed = told.failed.map(|at| (at.row, at.error));
        let failure = passing.end_at(came.n_rows, failed);
        let (batch, places) = (passing.batch, passing.places);
        let rows = Rows {
            batch,
            from: came.from,
            text_bytes: came.text_bytes,
            folded: None,
            bucket: None,
            hot: None,
            shards: None,
        };
        let failure = failure.map(|error| (step, error));
        self.go_on(step + 1, rows, places, &chunk, came.sheet, failure)
    }

    /// The end of the input: what is left to write. Asked again until there is
    /// nothing.
    pub fn finish(&mut self) -> Result<Vec<Group>> {
        while let Some(groups) = self.resume()? {
            if !groups.is_empty() {
                return Ok(groups);
            }
        }
        if let Some((ahead, error)) = self.pending.take() {
            self.fail(ahead, error)?;
        }
        let lines = self.inputs.iter().map(|input| input.lines).sum();
        self.bad.check_share(lines)?;
        let last = self.output.finish(&self.schema);
        last.map_err(|error| error.on_partition("all partitions"))
    }

    /// What gives the rows, where other runs do.
    pub fn take_stage(&mut self) -> Option<Stage> {
        self.stage.take()
    }

    /// The rejects file, to be published with the output.
    pub fn take_rejects(&mut self) -> Option<Rejects> {
        self.bad.take_rejects()
    }
}
