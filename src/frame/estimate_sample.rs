//! What an estimate is told from: heads of files, and what a run over them gave.
//!
//! In:  the files of an input; the report of the run over their heads.
//! Out: rows, bytes, memory and time of a run over everything, as unsure as
//!      heads differ.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::estimate::{Between, Estimate, EstimatedColumn};
use super::look::Spread;
use crate::error::{Error, Result};
use crate::exec::{Context, RunReport, longest_record};
use crate::inspect::type_text;
use crate::io::{self, SourceFile, TextOptions, Unit};
use crate::plan::{FileFormat, OnBadRecord, ReadOptions};

/// Files whose heads are taken, spread evenly over the list.
pub(super) const SAMPLE_FILES: usize = 8;

/// Decompressed bytes of each of them.
const SAMPLE_BYTES: u64 = 4 << 20;

/// Text that is asked for at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What heads of files may differ by from all of them, beyond what they differ
/// by from each other; and what one head alone may.
const MARGIN: f64 = 0.10;
const MARGIN_OF_ONE: f64 = 0.25;

/// Compressed bytes that a reader may hold that are not text yet: half of it on average.
const UNREAD_BYTES: u64 = 128 << 10;

/// The share of the sample's bytes of a row that rows may have in large files,
/// where dictionaries and footers are shared by more of them; and the most.
const OUTPUT_SHARE: (f64, f64) = (0.5, 1.25);

/// The share of the sample's peak of memory that the same rows may have in another run.
const PEAK_SHARE: (f64, f64) = (0.5, 2.0);

/// The share of the sample's time that the same bytes may take in a long run.
const TIME_SHARE: (f64, f64) = (0.5, 2.0);

/// A file's head.
struct Head {
    stored_bytes: u64,
    text_bytes: u64,
    /// What `stored_bytes` may be too large or too small by.
    unsure_bytes: u64,
}

/// What was taken of the input.
#[derive(Default)]
pub(super) struct Sample {
    files: u64,
    stored_bytes: u64,
    /// Files with the heads, one for each.
    pub paths: Vec<String>,
    heads: Vec<Head>,
    /// Rows of column files, where their footers tell.
    rows: Option<u64>,
    whole: bool,
}

impl Sample {
    pub fn of_text(
        inputs: &[String],
        format: FileFormat,
        options: &ReadOptions,
        folder: &Path,
        context: &Context,
    ) -> Result<Self> {
        let mut sample = Sample::default();
        let mut spread = Spread::default();
        for file in io::list(inputs)? {
            let file = file?;
            if !file.seekable {
                return Err(Error::config(
                    file.path,
                    "it can be read only once, and an estimate would do that",
                ));
            }
            sample.files += 1;
            sample.stored_bytes += file.bytes;
            spread.offer(file);
        }
        let mut all_whole = true;
        for (idx, file) in spread.files().iter().enumerate() {
            context.cancel.check()?;
            let path = folder.join(format!("head-{idx:02}"));
            let (head, whole) = head(file, format, options, &path, context)?;
            all_whole &= whole;
            sample.paths.push(path.display().to_string());
            sample.heads.push(head);
        }
        sample.whole = all_whole && sample.heads.len() as u64 == sample.files;
        Ok(sample)
    }

    pub fn of_columns(inputs: &[String], rows: Option<u64>) -> Result<Self> {
        let mut sample = Sample {
            rows,
            ..Sample::default()
        };
        for file in io::list(inputs)? {
            sample.files += 1;
            sample.stored_bytes += file?.bytes;
        }
        Ok(sample)
    }

    /// What the run over the sample says about one over everything.
    pub fn scaled(
        &self,
        report: &RunReport,
        schema: &SchemaRef,
        limit: u64,
        context: &Context,
    ) -> Estimate {
        let (rows, text_bytes, exact) = if self.heads.is_empty() {
            self.of_footers(report)
        } else {
            self.of_heads(report)
        };
        let rows = Between {
            low: rows.low.min(limit),
            estimate: rows.estimate.min(limit),
            high: rows.high.min(limit),
        };
        let times = self.times(report, text_bytes.estimate);
        let budget = context.settings.memory.bytes();
        Estimate {
            files: self.files,
            stored_bytes: self.stored_bytes,
            sampled_files: match self.heads.is_empty() {
                true => report.inputs.len() as u64,
                false => self.heads.len() as u64,
            },
            sampled_bytes: match self.heads.is_empty() {
                true => report.stored_bytes_read,
                false => self.heads.iter().map(|head| head.stored_bytes).sum(),
            },
            exact,
            confidence: match exact {
                true => "rows and bytes are those of all of the input".to_owned(),
                false => "intervals hold if what the sample does not show is like it; \
                          columns that come later make rows larger"
                    .to_owned(),
            },
            schema: columns(schema),
            rows,
            text_bytes,
            output_bytes: output_bytes(report, rows, exact),
            peak_bytes: peak_bytes(report.peak_bytes, times, exact, budget),
            seconds: Between {
                low: report.seconds * times * TIME_SHARE.0,
                estimate: report.seconds * times,
                high: report.seconds * times * TIME_SHARE.1,
            },
        }
    }

    /// How much more is read by the whole run. What is read takes the time,
    /// whether it is kept or not.
    fn times(&self, report: &RunReport, text_bytes: u64) -> f64 {
        let (read, all) = if self.heads.is_empty() {
            (report.rows, self.rows.unwrap_or(report.rows))
        } else {
            let read = self.heads.iter().map(|head| head.text_bytes).sum();
            (read, text_bytes)
        };
        (all as f64 / read.max(1) as f64).max(1.0)
    }

    /// Rows and bytes of column files, and whether they are exact.
    fn of_footers(&self, report: &RunReport) -> (Between<u64>, Between<u64>, bool) {
        let bytes = Between::sure(self.stored_bytes);
        let limited = report.limited > 0;
        if !limited {
            // All rows were looked at.
            return (Between::sure(report.rows_written()), bytes, true);
        }
        let total = self.rows.unwrap_or(report.rows);
        if report.filtered == 0 && report.skipped_row_groups == 0 {
            return (Between::sure(total), bytes, false);
        }
        let share = 1.0 - report.filtered as f64 / report.rows.max(1) as f64;
        let unseen = total.saturating_sub(report.rows);
        let seen = report.rows - report.filtered;
        let rows = Between {
            low: seen,
            estimate: seen + (unseen as f64 * share) as u64,
            // The first rows say nothing of what a filter makes of the others.
            high: seen + unseen,
        };
        (rows, bytes, false)
    }

    /// Rows and bytes of text, and whether they are exact.
    fn of_heads(&self, report: &RunReport) -> (Between<u64>, Between<u64>, bool) {
        let kept = report
            .inputs
            .iter()
            .map(|input| input.rows - input.filtered);
        let rows: Vec<u64> = kept.collect();
        let texts: Vec<u64> = self.heads.iter().map(|head| head.text_bytes).collect();
        if self.whole {
            let sum = |all: &[u64]| Between::sure(all.iter().sum());
            return (sum(&rows), sum(&texts), true);
        }
        (self.scaled_up(&rows), self.scaled_up(&texts), false)
    }

    /// A count of each head as one of all files: by the stored bytes, and as
    /// unsure as heads differ.
    fn scaled_up(&self, counts: &[u64]) -> Between<u64> {
        let seen: u64 = counts.iter().sum();
        let stored: u64 = self.heads.iter().map(|head| head.stored_bytes).sum();
        let unsure: u64 = self.heads.iter().map(|head| head.unsure_bytes).sum();
        let rate = seen as f64 / stored.max(1) as f64;
        let mut margin = unsure as f64 / stored.max(1) as f64;
        let mut compared = 0;
        let mut apart: f64 = 0.0;
        for (count, head) in counts.iter().zip(&self.heads) {
            if head.stored_bytes > 0 && rate > 0.0 {
                let own = *count as f64 / head.stored_bytes as f64;
                apart = apart.max((own / rate - 1.0).abs());
                compared += 1;
            }
        }
        margin += apart + if compared > 1 { MARGIN } else { MARGIN_OF_ONE };
        let unseen = rate * self.stored_bytes.saturating_sub(stored) as f64;
        let with = |share: f64| seen + (unseen * share).round() as u64;
        Between {
            low: with((1.0 - margin).max(0.0)),
            estimate: with(1.0),
            high: with(1.0 + margin),
        }
    }
}

/// Bytes of part files that hold so many rows as the sample's do.
fn output_bytes(report: &RunReport, rows: Between<u64>, exact: bool) -> Between<u64> {
    let stored: u64 = report.outputs.iter().map(|part| part.stored_bytes).sum();
    if exact {
        return Between::sure(stored);
    }
    let of_row = stored as f64 / report.rows_written().max(1) as f64;
    let of = |rows: u64, share: f64| (of_row * rows as f64 * share).round() as u64;
    Between {
        low: of(rows.low, OUTPUT_SHARE.0),
        estimate: of(rows.estimate, 1.0),
        high: of(rows.high, OUTPUT_SHARE.1),
    }
}

/// The most that is held at once. Of a sample that was all of the input it differs
/// by how threads meet; of others no more is known than that the budget holds.
fn peak_bytes(seen: u64, times: f64, exact: bool, budget: u64) -> Between<u64> {
    let share = |share: f64| ((seen as f64 * share) as u64).min(budget);
    match exact {
        true => Between {
            low: share(PEAK_SHARE.0),
            estimate: share(1.0),
            high: share(PEAK_SHARE.1),
        },
        false => Between {
            low: share(1.0),
            estimate: share(times),
            high: budget,
        },
    }
}

/// Copies the head of a file to `path`, as text; whether that is all of it.
fn head(
    file: &SourceFile,
    format: FileFormat,
    options: &ReadOptions,
    path: &Path,
    context: &Context,
) -> Result<(Head, bool)> {
    let failed = |source| Error::io(path.display(), "write", source);
    let mut out = File::create(path).map_err(failed)?;
    let (max_record_bytes, limited_by) = longest_record(options, &context.settings);
    let text = TextOptions {
        chunk_bytes: CHUNK_BYTES,
        ahead_bytes: SAMPLE_BYTES,
        max_record_bytes,
        limited_by,
        pass_long: options.on_bad_record != OnBadRecord::Fail,
        salvage: options.salvage,
        ..TextOptions::default()
    };
    let unit = Unit::whole(Arc::new(file.clone()));
    let mut reader = io::open_framed(&unit, &text, &options.framing(format))?;
    let (mut text_bytes, mut whole) = (0, true);
    let mut spare = Vec::new();
    while let Some(chunk) = reader.next_chunk(std::mem::take(&mut spare))? {
        text_bytes += chunk.bytes.len() as u64;
        if chunk.long.is_none() {
            out.write_all(&chunk.bytes).map_err(failed)?;
        }
        spare = chunk.bytes;
        if text_bytes >= SAMPLE_BYTES {
            whole = text_bytes >= file.bytes && reader.next_chunk(Vec::new())?.is_none();
            break;
        }
    }
    let read = reader.stored_bytes_read();
    let (stored_bytes, unsure_bytes) = if whole {
        (file.bytes, 0)
    } else if read >= text_bytes {
        // Plain text, of which more was read than handed out.
        (text_bytes, 0)
    } else {
        let unread = UNREAD_BYTES.min(read) / 2;
        (read - unread, unread)
    };
    let head = Head {
        stored_bytes,
        text_bytes,
        unsure_bytes,
    };
    Ok((head, whole))
}

fn columns(schema: &SchemaRef) -> Vec<EstimatedColumn> {
    let columns = schema.fields().iter().map(|field| EstimatedColumn {
        name: field.name().clone(),
        data_type: type_text(field.data_type()),
    });
    columns.collect()
}
