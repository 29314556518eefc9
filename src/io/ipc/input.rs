//! One Arrow IPC file.
//!
//! In:  a file or a stream that lies in one, here or behind a URL.
//! Out: schema, batches and their rows; the wanted columns of some batches.
//!
//! No descriptor is held between reads, so any number of files can be known at
//! once. Batches are read at their places, so several threads share a file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat;
use bytes::Bytes;

use super::body::{self, Failure};
use super::messages::{Contents, Described, Place, Reader};
use crate::error::{Error, Result};
use crate::io::guard::guarded;
use crate::io::pread::{self, Pread, Reads};
use crate::io::source::AHEAD_BYTES;
use crate::io::store::SourceFile;

/// An Arrow IPC file whose messages were found. Clones share them.
#[derive(Clone)]
pub struct IpcInput {
    file: Arc<SourceFile>,
    reads: Arc<Reads>,
    contents: Arc<Contents>,
    stored_bytes: u64,
    /// The file as memory, once somebody reads it so; none where it is read at places.
    map: Option<Arc<Mutex<Option<Bytes>>>>,
}

impl IpcInput {
    /// Reads and checks a file's footer, or walks over a stream, and what
    /// describes each batch; the rows stay where they are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming the file if it is damaged or no Arrow IPC
    /// file; [`Error::Io`] if it cannot be read.
    pub fn open(file: &SourceFile) -> Result<Self> {
        Self::open_counted(file, &Arc::default())
    }

    /// The same; what is read of the file, now and later, is counted in `reads`.
    pub(in crate::io) fn open_counted(source: &SourceFile, reads: &Arc<Reads>) -> Result<Self> {
        let name = source.path.as_str();
        guarded(name, || {
            let file = open(source, Vec::new(), reads)?;
            let contents = Reader { file: &file, name }.contents()?;
            Ok(IpcInput {
                file: Arc::new(source.clone()),
                reads: Arc::clone(reads),
                contents: Arc::new(contents),
                stored_bytes: parquet::file::reader::Length::len(&file),
                map: None,
            })
        })
    }

    /// The same version of the file, at its place in another list.
    pub(in crate::io) fn listed_as(&self, file: &SourceFile) -> Self {
        IpcInput {
            file: Arc::new(file.clone()),
            ..self.clone()
        }
    }

    /// The same, with batches whose arrays lie in the file itself, which is mapped
    /// into memory by the first read: what is not compressed is not copied. Dictionaries
    /// and columns that do not lie as their type asks are copied, and an object behind
    /// a URL is read as ever. Nobody may cut the file short while any such batch is
    /// there: that kills the process.
    #[must_use]
    pub fn memory_mapped(mut self) -> Self {
        if !self.file.may_wait() {
            self.map = Some(Arc::default());
        }
        self
    }

    /// The file, to be read at places or in memory.
    fn reader(&self, wanted: Vec<Range<u64>>) -> Result<Pread> {
        let Some(map) = &self.map else {
            return open(&self.file, wanted, &self.reads);
        };
        let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
        let map = match &mut *map {
            Some(map) => map,
            none => {
                let mapped = pread::map(&self.file);
                let name = &self.file.path;
                none.insert(mapped.map_err(|source| Error::io(name, "map", source))?)
            }
        };
        if map.len() as u64 != self.stored_bytes {
            return Err(Error::corrupt(
                &self.file.path,
                None,
                "its length has changed",
            ));
        }
        Ok(Pread::of_map(map.clone(), &self.reads))
    }

    /// Bytes of memory that what is known of the file takes.
    pub(in crate::io) fn held_bytes(&self) -> u64 {
        let contents = &*self.contents;
        let fields = contents.schema.flattened_fields().len() * size_of::<Field>();
        (fields
            + std::mem::size_of_val(contents.batches.as_slice())
            + std::mem::size_of_val(contents.dictionaries.as_slice())) as u64
    }

    /// The file's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.contents.schema
    }

    /// How many batches it holds.
    pub fn n_batches(&self) -> usize {
        self.contents.batches.len()
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.contents.batches.iter().map(|batch| batch.rows).sum()
    }

    /// Bytes of the file.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// The batches in runs that follow each other, each of about so many stored
    /// bytes, with how many each has.
    pub(crate) fn runs(&self, most_bytes: u64) -> Vec<(Range<usize>, u64)> {
        let mut runs: Vec<(Range<usize>, u64)> = Vec::new();
        for (idx, batch) in self.contents.batches.iter().enumerate() {
            let bytes = batch.place.body_bytes;
            match runs.last_mut() {
                Some((run, held)) if *held + bytes <= most_bytes => {
                    run.end = idx + 1;
                    *held += bytes;
                }
                _ => runs.push((idx..idx + 1, bytes)),
            }
        }
        runs
    }

    /// All batches, in order, with all columns. Holds one descriptor until it is dropped.
    ///
    /// # Errors
    ///
    /// As [`IpcInput::open`].
    pub fn batches(&self) -> Result<IpcBatches> {
        self.read(0..self.n_batches(), None)
    }

    /// Some batches, in order: all columns, or those named, in the file's order
    /// (of no columns, batches still tell their rows). Holds one descriptor
    /// until it is dropped, and the dictionaries that these columns use.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column the file lacks; [`Error::Config`] for
    /// batches there are none of; else as [`IpcInput::open`].
    pub fn read(&self, batches: Range<usize>, columns: Option<&[String]>) -> Result<IpcBatches> {
        let name = self.file.path.clone();
        let schema = self.schema();
        let Some(stored) = self.contents.batches.get(batches.clone()) else {
            let reason = format!("{name} has {}, not {batches:?}", self.n_batches());
            return Err(Error::config("batches", reason));
        };
        let wanted = match columns {
            None => (0..schema.fields().len()).collect(),
            Some(columns) => {
                let place = |column: &String| {
                    let found = schema.index_of(column);
                    found.map_err(|_| Error::plan(format!("{name} has no column {column:?}")))
                };
                let mut wanted = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
                wanted.sort_unstable();
                wanted.dedup();
                wanted
            }
        };
        let bodies = stored.iter().map(|batch| {
            let body = batch.place.body();
            body..body + batch.place.body_bytes
        });
        Ok(IpcBatches {
            file: self.reader(bodies.collect())?,
            projected: schema.project(&wanted)?,
            contents: Arc::clone(&self.contents),
            dictionaries: HashMap::new(),
            n_dictionaries: 0,
            wanted,
            left: batches,
            name,
        })
    }
}

fn open(file: &SourceFile, wanted: Vec<Range<u64>>, reads: &Arc<Reads>) -> Result<Pread> {
    Pread::open(file, wanted, AHEAD_BYTES, reads)
        .map_err(|source| Error::io(&file.path, "open", source))
}

/// Batches of one file. Ends with its first error.
pub struct IpcBatches {
    file: Pread,
    contents: Arc<Contents>,
    /// The places of the wanted columns.
    wanted: Vec<usize>,
    /// The wanted columns.
    projected: Schema,
    dictionaries: HashMap<i64, ArrayRef>,
    /// How many of the file's dictionaries were looked at.
    n_dictionaries: usize,
    /// The batches that are still to come.
    left: Range<usize>,
    name: String,
}

impl IpcBatches {
    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        let Some(idx) = self.left.next() else {
            return Ok(None);
        };
        let contents = Arc::clone(&self.contents);
        let stored = contents.batches[idx];
        while self.n_dictionaries < stored.n_dictionaries {
            self.take_dictionary(&contents.dictionaries[self.n_dictionaries])?;
            self.n_dictionaries += 1;
        }
        let described = self.describe(&stored.place)?;
        let message = described.message().map_err(|reason| self.corrupt(reason))?;
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.corrupt("a message is no batch".into()))?;
        let read = self.body(batch, &stored.place, &contents.schema, &self.wanted)?;
        if read.num_rows() as u64 != stored.rows {
            return Err(self.corrupt(format!("batch {idx} has changed")));
        }
        Ok(Some(read))
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::corrupt(&self.name, None, reason)
    }

    fn describe(&self, place: &Place) -> Result<Described> {
        let reader = Reader {
            file: &self.file,
            name: &self.name,
        };
        reader.describe(place)
    }

    fn body(
        &self,
        batch: arrow_ipc::RecordBatch<'_>,
        place: &Place,
        schema: &Schema,
        wanted: &[usize],
    ) -> Result<RecordBatch> {
        let mut read_bytes = |at: u64, n: usize| {
            let read = self.file.read(place.body() + at, n);
            read.map_err(|source| Error::io(&self.name, "read", source))
        };
        let body = place.body();
        let mapped = self.file.mapped(body..body + place.body_bytes);
        body::read(
            batch,
            (place.body_bytes, mapped),
            schema,
            wanted,
            &self.dictionaries,
            self.contents.version,
            &mut read_bytes,
        )
        .map_err(|failure| match failure {
            Failure::Read(error) => error,
            Failure::Corrupt(reason) => self.corrupt(reason),
        })
    }

    /// Reads the next dictionary, if a wanted column uses it: it takes the place
    /// of the one before it, or goes on with it.
    fn take_dictionary(&mut self, place: &Place) -> Result<()> {
        let described = self.describe(place)?;
        let message = described.message().map_err(|reason| self.corrupt(reason))?;
        let dictionary = message.header_as_dictionary_batch();
        let dictionary =
            dictionary.ok_or_else(|| self.corrupt("a message is no dictionary".into()))?;
        let id = dictionary.id();
        #[allow(deprecated)] // The one way to learn which columns a dictionary is for.
        let users = self.projected.fields_with_dict_id(id);
        let Some(DataType::Dictionary(_, values)) = users.first().map(|field| field.data_type())
        else {
            return Ok(());
        };
        let schema = Schema::new(vec![Field::new("", values.as_ref().clone(), true)]);
        let batch = dictionary.data();
        let batch = batch.ok_or_else(|| self.corrupt("a dictionary has no values".into()))?;
        let read = self.body(batch, place, &schema, &[0])?;
        let mut values = Arc::clone(read.column(0));
        if dictionary.isDelta() {
            let before = self.dictionaries.get(&id);
            let before = before
                .ok_or_else(|| self.corrupt(format!("nothing comes before dictionary {id}")))?;
            let all: [&dyn Array; 2] = [before, &values];
            values = concat(&all).map_err(|error| self.corrupt(error.to_string()))?;
        }
        self.dictionaries.insert(id, values);
        Ok(())
    }
}

impl Iterator for IpcBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.name.clone();
        let next = guarded(&name, || self.advance()).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.left = 0..0;
        }
        next
    }
}
