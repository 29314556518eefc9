//! A run's output while nobody may see it, and the moment everybody does.
//!
//! In:  the target folder and the parts of a run.
//! Out: the target, entirely old until `commit` and entirely new after it.
//!
//! How, and what is left after a kill at any moment, is drawn in `../README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::{Schema, SchemaRef};

use super::encode::Style;
use super::file::sync;
use super::hive::HivePath;
use super::options::{Existing, Format, WriteOptions};
use super::part::{FinishedPart, PartWriter, Recipe, Segment};
use super::report::{CsvMarks, MANIFEST, Manifest, ManifestInfo, OutputReport};
use super::schema::{describe, difference, undescribe};
use super::settle::{adopt, settle};
use super::widen::Widen;
use crate::error::{Error, Result};

mod lock;
mod place;
mod target;
mod work;

pub(crate) use target::list;

use target::Target;
use work::Work;

/// Work that may run on any thread, beside others of its kind.
pub type Job<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// What a run wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Every part file of this run, by part number.
    pub outputs: Vec<OutputReport>,
    /// Part files that were written again, because the schema widened after them.
    pub rewritten: u64,
}

/// Files that belong to an output but lie elsewhere: they appear right before
/// it does, and not without it.
pub trait Beside: Send {
    /// Makes them visible.
    ///
    /// # Errors
    ///
    /// If that fails; then nothing is visible that was not before.
    fn show(&mut self) -> Result<()>;

    /// Takes them back, and puts in their place what was there before.
    ///
    /// # Errors
    ///
    /// If that fails.
    fn hide(&mut self) -> Result<()>;
}

/// Where finished files wait inside the staging folder.
const NEW: &str = "new";

/// Where segments are written inside the staging folder.
const SEGMENTS: &str = "segments";

/// The output of one run, hidden until it is committed. Dropped before, it
/// leaves no trace.
pub struct Staging {
    options: WriteOptions,
    extension: &'static str,
    target: Target,
    work: Work,
    recipe: Arc<Recipe>,
    first: u64,
    next: AtomicU64,
    beside: Option<Box<dyn Beside>>,
}

impl Staging {
    /// Takes the target folder for this run.
    ///
    /// Refuses a folder in use unless `options.existing` allows it, one that is
    /// an input, holds one or lies in one, a file in its place, and a folder that
    /// another run is writing to. Cleans up after runs that died. `inputs` are
    /// the local input files, or the folders that were listed for them.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the request is at fault, [`Error::Io`] if the folder
    /// cannot be written or another run holds it.
    pub fn open(options: &WriteOptions, inputs: &[PathBuf]) -> Result<Self> {
        let extension = options.extension()?;
        let path = target::resolve(&options.dir)?;
        target::check_inputs(&path, inputs)?;
        let work = Work::take(&path)?;
        let target = Target::look(&path)?;
        target.check(options.existing, &options.part_name)?;
        if target.exists {
            place::check_writable(&target.path)?;
        }
        if let Some(manifest) = target
            .manifest
            .as_ref()
            .filter(|_| options.existing == Existing::Append)
        {
            check_append_options(manifest, options)?;
        }
        let segments = work.folder.join(SEGMENTS);
        fs::create_dir(&segments)
            .map_err(|source| Error::io(segments.display(), "create", source))?;
        let first = match options.existing {
            Existing::Append => target.next_number(&options.part_name),
            _ => 0,
        };
        Ok(Staging {
            recipe: Arc::new(Recipe {
                style: Style::of(options)?,
                segments,
                room: false,
            }),
            options: options.clone(),
            extension,
            target,
            work,
            first,
            next: AtomicU64::new(first),
            beside: None,
        })
    }

    /// Has files elsewhere appear with the output.
    #[must_use]
    pub fn with_beside(mut self, beside: Box<dyn Beside>) -> Self {
        self.beside = Some(beside);
        self
    }

    /// Expects columns that are first seen after parts were written: these keep
    /// some room, so that columns of nulls need not have them written again.
    #[must_use]
    pub fn with_room(mut self) -> Self {
        self.recipe = Arc::new(Recipe {
            room: true,
            style: self.recipe.style.clone(),
            segments: self.recipe.segments.clone(),
        });
        self
    }

    /// Under [`Existing::Append`], the schema of what is there, which the run's
    /// final schema must equal; a run that starts from it gets there most surely.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it cannot be read from the manifest or the first file.
    pub fn existing_schema(&self) -> Result<Option<SchemaRef>> {
        if self.options.existing != Existing::Append {
            return Ok(None);
        }
        match &self.target.manifest {
            Some(manifest) => {
                let schema = undescribe(&manifest.schema).map_err(|reason| {
                    Error::corrupt(self.target.path.join(MANIFEST).display(), None, reason)
                })?;
                Ok(Some(schema))
            }
            None => match self.target.data_files(self.options.format).next() {
                Some(file) => super::settle::schema_of(&file, self.options.format),
                None => Ok(None),
            },
        }
    }

    /// Starts the next part file; parts are numbered in the order of these calls.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if the schema cannot be written.
    pub fn part(&self, folder: Option<&HivePath>, schema: &SchemaRef) -> Result<PartWriter> {
        let writer = PartWriter::new(
            Arc::clone(&self.recipe),
            self.next.load(Ordering::Relaxed),
            folder.cloned(),
            schema,
        )?;
        self.next.fetch_add(1, Ordering::Relaxed);
        Ok(writer)
    }

    /// Makes the output visible, whole.
    ///
    /// `parts` are all parts of the run; `schema` is its final schema, to which
    /// `widen` converts rows written under earlier ones. `run` runs the jobs it
    /// is given, in parallel if it likes, and reports the first error by position.
    /// After an error the target is as it was.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] naming the file; [`Error::Config`] if an append meets
    /// another schema; [`Error::Internal`] if a part is missing or a file does
    /// not read back as written.
    pub fn commit(
        mut self,
        mut parts: Vec<FinishedPart>,
        schema: &Schema,
        widen: &Widen<'_>,
        info: ManifestInfo,
        run: &dyn for<'a> Fn(Vec<Job<'a>>) -> Result<()>,
    ) -> Result<Committed> {
        let nothing = parts.iter().all(|part| part.rows() == 0);
        let stored = if nothing && schema.fields().is_empty() && !self.options.schema_file_if_empty
        {
            // Input without a record: no row is lost for want of a column.
            SchemaRef::new(Schema::empty())
        } else {
            self.recipe.style.stored(schema)?
        };
        parts.sort_by_key(|part| part.number);
        let issued = self.first..self.next.load(Ordering::Relaxed);
        if !parts.iter().map(|part| part.number).eq(issued) {
            return Err(Error::internal(
                "not every part that was started was finished",
            ));
        }
        parts.retain(|part| part.rows() > 0);

        let mut manifest = self.old_manifest(&stored)?;
        let new = self.work.folder.join(NEW);
        let mut reports = self.settle_all(&parts, &new, &stored, widen, run)?;
        if reports.is_empty() && manifest.parts.is_empty() && self.options.schema_file_if_empty {
            reports.push(self.schema_only(&new, &stored, widen)?);
        }
        manifest.add(reports.iter().cloned());
        manifest.runs.push(info);
        self.publish(&new, &manifest)?;

        for report in &mut reports {
            report.path = self.options.dir.join(&report.path).display().to_string();
        }
        Ok(Committed {
            rewritten: reports.iter().filter(|report| report.rewritten).count() as u64,
            outputs: reports,
        })
    }

    /// Under append the manifest of what is there, else an empty one.
    fn old_manifest(&self, stored: &SchemaRef) -> Result<Manifest> {
        let columns = describe(stored);
        let partition_on = self.options.partition_on.clone();
        let empty = Manifest {
            csv: (self.options.format == Format::Csv).then(|| CsvMarks::of(&self.options.csv)),
            ..Manifest::new(self.options.format, partition_on, columns)
        };
        let Some(old) = self.existing_schema()? else {
            return Ok(empty);
        };
        if let Some(difference) = difference(&old, stored) {
            return Err(Error::config(
                "append",
                format!(
                    "{} has another schema: {difference}; write to another folder, or overwrite",
                    self.target.path.display()
                ),
            ));
        }
        if let Some(manifest) = &self.target.manifest {
            return Ok(manifest.clone());
        }
        // Files of another program: from now on the manifest knows them.
        let mut adopted = empty;
        for file in self.target.data_files(self.options.format) {
            let relative = self.target.relative(&file)?;
            adopted.add([adopt(&file, relative, self.options.format, stored)?]);
        }
        Ok(adopted)
    }

    /// Puts every part's file in its place below `new`.
    fn settle_all(
        &self,
        parts: &[FinishedPart],
        new: &Path,
        stored: &SchemaRef,
        widen: &Widen<'_>,
        run: &dyn for<'a> Fn(Vec<Job<'a>>) -> Result<()>,
    ) -> Result<Vec<OutputReport>> {
        create_folder(new)?;
        let mut folders = BTreeSet::new();
        for folder in parts.iter().filter_map(|part| part.folder.as_ref()) {
            if folders.insert(folder) {
                create_folder(&folder.below(new)?)?;
            }
        }
        let slots: Vec<Mutex<Option<OutputReport>>> =
            parts.iter().map(|_| Mutex::new(None)).collect();
        let mut jobs: Vec<Job<'_>> = Vec::with_capacity(parts.len());
        for (part, slot) in parts.iter().zip(&slots) {
            let file = self.file_name(part.number);
            let (path, name) = match &part.folder {
                Some(folder) => (folder.below(new)?.join(&file), format!("{folder}/{file}")),
                None => (new.join(&file), file),
            };
            let style = &self.recipe.style;
            let durable = self.options.durable;
            jobs.push(Box::new(move || {
                let report = settle(part, &path, name, style, stored, durable, widen)?;
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
                Ok(())
            }));
        }
        run(jobs)?;
        slots
            .into_iter()
            .map(|slot| {
                slot.into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .ok_or_else(|| Error::internal("a part was not settled"))
            })
            .collect()
    }

    /// A part file without rows, for readers that need the schema.
    fn schema_only(
        &self,
        new: &Path,
        stored: &SchemaRef,
        widen: &Widen<'_>,
    ) -> Result<OutputReport> {
        let path = self.recipe.segments.join("schema");
        let segment = Segment::empty(&self.recipe.style, path, stored)?;
        let part = FinishedPart {
            number: self.first,
            folder: None,
            segments: vec![segment],
        };
        let name = self.file_name(part.number);
        let place = new.join(&name);
        settle(
            &part,
            &place,
            name,
            &self.recipe.style,
            stored,
            self.options.durable,
            widen,
        )
    }

    fn file_name(&self, number: u64) -> String {
        self.options.part_name.of(number, self.extension)
    }

    /// The one moment: what is below `new`, with the manifest, becomes the target.
    fn publish(&mut self, new: &Path, manifest: &Manifest) -> Result<()> {
        let append = self.options.existing == Existing::Append && self.target.is_used();
        let mut exchange = self.work.beside;
        if append && exchange {
            // The new folder gets every old file too, as a second name for the
            // same bytes; where the file system has no such thing, files are moved.
            exchange = place::link_all(&self.target.path, &self.target.holds, new)?;
        }
        manifest.write(new)?;
        if self.options.durable {
            place::sync_all(new)?;
        }
        let mut beside = self.beside.take();
        if let Some(beside) = &mut beside {
            beside.show()?;
        }
        if let Err(error) = self.appear(new, exchange) {
            if let Some(Err(left)) = beside.map(|mut beside| beside.hide()) {
                // What went wrong first is what the caller is told.
                tracing::error!(%left, "files beside the output could not be taken back");
            }
            return Err(error);
        }
        // Of an output that is noted, moves are left to do.
        place::move_noted(&self.work.folder, &self.target.path)?;
        if self.options.durable
            && let Some(parent) = self.target.path.parent()
        {
            sync(parent)?;
            self.work.sync_parents()?;
        }
        Ok(())
    }

    /// Makes what is below `new` the target, or notes that it is: the run counts
    /// as done behind this, and not after an error.
    fn appear(&self, new: &Path, exchange: bool) -> Result<()> {
        let target = &self.target;
        if !target.exists {
            return place::rename_new(new, &target.path);
        }
        if exchange && place::exchange(new, &target.path)? {
            return Ok(());
        }
        let dead = match self.options.existing {
            Existing::Overwrite => target.holds.clone(),
            _ => BTreeSet::new(),
        };
        place::check_moves(new, &target.path, &dead)?;
        place::note(&self.work.folder, new, dead)
    }
}

/// Whether what is there can be added to by these options.
fn check_append_options(manifest: &Manifest, options: &WriteOptions) -> Result<()> {
    if manifest.format != options.format {
        return Err(Error::config(
            "append",
            format!(
                "{} holds {} files, not {}",
                options.dir.display(),
                manifest.format,
                options.format
            ),
        ));
    }
    if let Some(there) = &manifest.csv {
        let asked = CsvMarks::of(&options.csv);
        if *there != asked {
            return Err(Error::config(
                "append",
                format!(
                    "{} holds CSV with {there}, not {asked}",
                    options.dir.display()
                ),
            ));
        }
    }
    if manifest.partition_on != options.partition_on {
        let words = |columns: &[String]| match columns {
            [] => "no column".to_owned(),
            columns => columns.join(", "),
        };
        return Err(Error::config(
            "append",
            format!(
                "{} is partitioned on {}, not on {}",
                options.dir.display(),
                words(&manifest.partition_on),
                words(&options.partition_on)
            ),
        ));
    }
    Ok(())
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| Error::io(path.display(), "create", source))
}
