//! Rows to files: all of them, or nothing is visible.
//!
//! In:  a pipeline, and where and how to write.
//! Out: part files, committed, and the balance sheet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::Schema;

use super::build::{Built, build};
use super::context::Context;
use super::control::Phase;
use super::output::{PartAppender, RowGroups, WritePlan, streaming_cut, widen_with};
use super::rejects::WithOutput;
use super::report::RunReport;
use super::run::{CHUNK_BYTES, Run};
use super::schema::RunSchema;
use super::sheet::Sheet;
use crate::error::{Error, Place, Result};
use crate::io;
use crate::partition::By;
use crate::plan::{Layout, Physical, Source};
use crate::sink::{
    FinishedPart, Format, Job, ManifestInfo, PartName, SORTED_BY, Staging, WriteOptions,
};

/// Writes the rows of a pipeline: all of them, or nothing is visible.
///
/// # Errors
///
/// The first error of the input in input order, else the first of the output.
pub fn write(physical: &Physical, options: &WriteOptions, context: &Context) -> Result<RunReport> {
    refuse_url(&options.dir)?;
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let inputs = input_places(&physical.scan.source)?;
    // Before anything is read: a target that cannot be used is refused at once.
    let staging = Staging::open(options, &inputs)?;
    let built = build(physical, &run.context, CHUNK_BYTES)?;
    let (built, staging) = prepared(built, staging, options)?;
    let file_bytes = match built.layout {
        Layout::By(By::FileBytes(size)) => Some(size.bytes()),
        _ => None,
    };
    let done = run.lay_out(built, |cut| {
        let plan = Arc::new(WritePlan {
            options: options.clone(),
            cut,
            file_bytes,
        });
        Ok((
            RowGroups::new(Arc::clone(&plan), &run.drive.budget, &run.drive.spill_dir),
            PartAppender::new(plan, staging, run.drive.threads > 1),
        ))
    })?;
    context.cancel.check()?;
    let output = done.schema.output()?;
    check_columns_left(&done.sheet, done.bare, &output, options.format)?;
    context.progress.set_phase(Phase::Committing);
    let mut report = commit(
        &run,
        physical,
        options,
        done.appender,
        done.sheet,
        &done.schema,
    )?;
    report.target = Some(options.dir.clone());
    run.close(&mut report);
    Ok(report)
}

/// A pipeline and its target as they suit each other.
fn prepared(
    mut built: Built,
    staging: Staging,
    options: &WriteOptions,
) -> Result<(Built, Staging)> {
    if built.schema.lets_nothing_out() {
        return Err(Error::plan("there is no column to write"));
    }
    if let Some(existing) = staging.existing_schema()? {
        built.schema = built
            .schema
            .starting_from(&existing, &options.partition_on)?;
    }
    built.schema = built.schema.with_folders(&options.partition_on);
    if let Some(given) = &options.schema {
        built.schema = built.schema.with_given(given)?;
    }
    if options.format == Format::Csv {
        options.csv.check_columns(&*built.schema.output()?)?;
    }
    if !options.partition_on.is_empty() {
        check_folders(&built, options)?;
    }
    // Rows that stream to files may be followed by columns that nobody has seen yet.
    let staging = if built.schema.decoded().is_some() && streaming_cut(built.layout).is_some() {
        staging.with_room()
    } else {
        staging
    };
    Ok((built, staging))
}

/// Refuses rows that turned out to have no columns, but in a format that can hold them.
fn check_columns_left(
    sheet: &Sheet,
    bare: Option<Place>,
    output: &Schema,
    format: Format,
) -> Result<()> {
    let rows = sheet.report.rows_out();
    if rows == 0 || !output.fields().is_empty() || format == Format::Json {
        return Ok(());
    }
    Err(match bare {
        Some(at) => Error::NoColumns {
            at,
            rows,
            format: format.to_string(),
        },
        None => Error::plan("there is no column to write"),
    })
}

/// Makes part files and rejects visible, together.
fn commit(
    run: &Run,
    physical: &Physical,
    options: &WriteOptions,
    appender: PartAppender,
    sheet: Sheet,
    schema: &RunSchema,
) -> Result<RunReport> {
    let written = appender.finish()?;
    // What is wrong must not become visible.
    let n_written = written.parts.iter().map(FinishedPart::rows).sum();
    sheet.report.check_written(n_written)?;
    let Sheet {
        mut report,
        rejects,
        raced,
    } = sheet;
    let sorted_by = match &physical.sorted_by {
        // What is appended, or lies in folders by value, has no one order; another
        // type may have another one.
        Some(key) if options.keeps_order() && schema.keeps_type(key)? => Some(key.as_str()),
        _ => None,
    };
    let mut manifest = ManifestInfo {
        options: manifest_options(physical, sorted_by, options),
        ..ManifestInfo::default()
    };
    // The same input and options give the same manifest.
    if !raced {
        manifest.inputs = serde_json::to_value(&report.inputs).unwrap_or_default();
        manifest.balance = balance(&report);
    }
    // Twice the threads: each job ends with a wait for the disk.
    let threads = match run.drive.threads {
        1 => 1,
        many => many * 2,
    };
    // An output whose rejects are missing would have lost rows.
    let staging = written
        .staging
        .with_beside(Box::new(WithOutput::new(rejects)));
    let committed = staging.commit(
        written.parts,
        &*schema.output()?,
        &widen_with(&written.schemas, schema),
        manifest,
        &|jobs| run_jobs(jobs, threads),
    )?;
    report.rewritten_parts = committed.rewritten;
    report.outputs = committed.outputs;
    Ok(report)
}

fn refuse_url(target: &Path) -> Result<()> {
    match target.to_str() {
        Some(text) if io::url::scheme(text).is_some() => Err(Error::config(
            io::url::shown(text),
            "windrow writes to folders of this machine, not to URLs: write to a folder, then upload it",
        )),
        _ => Ok(()),
    }
}

/// Refuses a layout that folders cannot have, and folders that do not exist.
fn check_folders(built: &Built, options: &WriteOptions) -> Result<()> {
    if matches!(
        built.layout,
        Layout::By(By::Count(_) | By::Bytes(_) | By::FileBytes(_))
    ) {
        return Err(Error::config(
            "partition-on",
            "files lie in folders by value; their number or size cannot be asked for as well, but --partition-rows can",
        ));
    }
    let all = built.schema.clone().with_folders(&[]).output()?;
    for name in &options.partition_on {
        if all.column_with_name(name).is_none() {
            return Err(crate::expr::unknown_column(name, &all));
        }
    }
    if all.fields().len() == options.partition_on.len() {
        return Err(Error::config(
            "partition-on",
            "no column would be left for the files",
        ));
    }
    Ok(())
}

fn balance(report: &RunReport) -> serde_json::Value {
    serde_json::json!({
        "lines": report.lines, "rows": report.rows, "rejected": report.rejected,
        "blank": report.blank, "filtered": report.filtered, "limited": report.limited, "exploded": report.exploded,
    })
}

fn manifest_options(
    physical: &Physical,
    sorted_by: Option<&str>,
    options: &WriteOptions,
) -> serde_json::Value {
    let mut all = serde_json::json!({
        "plan": crate::plan::physical_text(physical),
        "format": options.format.to_string(),
        "codec": options.codec.map(|codec| codec.to_string()),
        "partition_on": options.partition_on,
    });
    if !options.column_codecs.is_empty() {
        let named = options.column_codecs.iter();
        let named = named.map(|(name, codec)| serde_json::json!([name, codec.to_string()]));
        all["column_codecs"] = named.collect();
    }
    if !options.metadata.is_empty() {
        all["metadata"] = serde_json::json!(options.metadata);
    }
    if options.part_name != PartName::default() {
        all["part_name"] = options.part_name.to_string().into();
    }
    if let Some(key) = sorted_by {
        all[SORTED_BY] = key.into();
    }
    if options.format == Format::Csv {
        all["csv"] = serde_json::json!({
            "delimiter": char::from(options.csv.delimiter).to_string(),
            "null": options.csv.null,
            "nested_as_json": options.csv.nested_as_json,
        });
    }
    all
}

/// Local places that the output must not touch.
fn input_places(source: &Source) -> Result<Vec<PathBuf>> {
    match source {
        Source::Text { inputs, .. } | Source::Columns { inputs, .. } => io::places(inputs),
        Source::Mapped { input, .. }
        | Source::Folded { input, .. }
        | Source::Sorted { input, .. }
        | Source::Ahead { input, .. }
        | Source::Shuffled { input, .. }
        | Source::Picked { input, .. } => input_places(&input.scan.source),
        Source::Shared(shared) => match shared.pipeline() {
            Some(pipeline) => input_places(&pipeline.scan.source),
            None => Ok(Vec::new()),
        },
        Source::Joined { left, right, .. } => {
            let mut places = input_places(&left.scan.source)?;
            places.extend(input_places(&right.scan.source)?);
            Ok(places)
        }
        Source::Union(inputs) => {
            let mut places = Vec::new();
            for (input, _) in inputs {
                places.extend(input_places(&input.scan.source)?);
            }
            Ok(places)
        }
        Source::Batches(_) | Source::Made { .. } => Ok(Vec::new()),
    }
}

/// Runs independent jobs on a few threads; the first error in their order wins.
fn run_jobs(jobs: Vec<Job<'_>>, threads: usize) -> Result<()> {
    let jobs: Vec<_> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None::<(usize, Error)>);
    let work = || {
        loop {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(idx) else { return };
            let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(Err(error)) = job.map(|job| job()) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| idx < *first) {
                    *failed = Some((idx, error));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
