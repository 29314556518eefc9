//! `windrow convert` and `windrow repartition`: one engine, two names.
//!
//! In:  inputs, what to keep of them, how to cut, where to write.
//! Out: part files, complete or not at all; a balance sheet.

use std::io::Write;
use std::path::Path;

use clap::{ArgGroup, Parser};
use tempfile::NamedTempFile;
use windrow::{Error, Result};

use crate::args::{InputArgs, LayoutArgs, OrderArgs, PickArgs, ReadArgs, RunArgs};
use crate::console::{Outcome, print};
use crate::run::Run;
use crate::write_args::WriteArgs;

/// Convert files to Parquet (or JSON, CSV or Arrow IPC), evenly partitioned
///
/// Reads each input once. Columns and types are found while reading, and
/// nothing that is there gets lost. The output appears complete or not at all.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow convert 'logs/*.json.gz' --to out/logs
  windrow convert logs/ --to errors --where \"status >= 500\" --columns ts,user,bytes --npartitions 4
  windrow convert logs/ --to out --on-bad-record reject --rejects bad.json --max-rejects 0.1%
  windrow convert - --to out --format json --compression gzip --file-size 64MiB
  windrow convert 'exports/*.csv.gz' --to out --null NA --encoding latin1
  windrow convert logs/ --to by-time --sort-by ts --partition-size 128MiB
  windrow convert logs/ --to by-day --partition-on day --overwrite --report run.json")]
pub struct Convert {
    #[command(flatten)]
    job: Job,
}

/// Cut files into even parts, by number, size or rows
///
/// The engine is that of `convert`; one of --npartitions, --partition-size,
/// --partition-rows and --file-size must be given.
#[derive(Debug, Parser)]
#[command(
    group(ArgGroup::new("cut").required(true).args(["npartitions", "partition_size", "partition_rows", "file_size"])),
    after_help = "\
Examples:
  windrow repartition skewed/ --to even --npartitions 8
  windrow repartition 'parts/*.parquet' --to even --partition-size 128MiB --compression zstd:9
  windrow repartition logs/ --to shards --partition-rows 1000000
  windrow repartition parts/ --to sorted --npartitions 16 --sort-by \"user, bytes desc\""
)]
pub struct Repartition {
    #[command(flatten)]
    job: Job,
}

/// Everything both commands take.
#[derive(Debug, clap::Args)]
struct Job {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pick: PickArgs,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Convert {
    /// Runs it.
    pub fn run(&self) -> Outcome {
        self.job.run()
    }
}

impl Repartition {
    /// Runs it.
    pub fn run(&self) -> Outcome {
        self.job.run()
    }
}

impl Job {
    fn run(&self) -> Outcome {
        let mut run = Run::start(&self.run)?;
        let saved = self.write.report.as_deref();
        let saved = saved.filter(|path| *path != Path::new("-"));
        // The folder that is written is there only at the end.
        let early = saved.filter(|path| !path.starts_with(&self.write.to));
        let early = early.map(Staged::create).transpose()?;
        let mut frame = run.frame(&self.input, &self.pick, &self.read, &self.order.sort_by)?;
        if let Some(by) = self.layout.by() {
            frame = frame.repartition(by)?;
        }
        let report = frame.write(&self.write.options()?)?;
        run.done();
        match (early, saved) {
            (Some(file), _) => file.save(&as_json(&report)?)?,
            (None, Some(path)) => Staged::create(path)?.save(&as_json(&report)?)?,
            (None, None) if self.write.report.is_some() => print(as_json(&report)?)?,
            (None, None) => {}
        }
        run.note(&report.to_string());
        Ok(())
    }
}

/// A result as JSON text, with a newline at its end.
pub fn as_json(result: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(result)
        .map(|text| text + "\n")
        .map_err(|source| Error::external("printing JSON", source))
}

/// A file that will be there whole or not at all. It is begun before the run, so that
/// a place that cannot be written is refused before anything else is.
struct Staged<'a> {
    path: &'a Path,
    file: NamedTempFile,
}

impl<'a> Staged<'a> {
    fn create(path: &'a Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".windrow-report-")
            .tempfile_in(folder)
            .map_err(|source| Error::io(path.display(), "create", source))?;
        Ok(Staged { path, file })
    }

    fn save(mut self, text: &str) -> Result<()> {
        let path = self.path;
        let failed = |doing| move |source| Error::io(path.display(), doing, source);
        self.file
            .write_all(text.as_bytes())
            .map_err(failed("write"))?;
        self.file.as_file().sync_all().map_err(failed("sync"))?;
        self.file
            .persist(path)
            .map_err(|error| failed("rename")(error.error))?;
        Ok(())
    }
}
