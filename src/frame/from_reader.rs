//! A frame of the rows that a reader gives.
//!
//! In:  anything that gives record batches: another library's result, a decoder of
//!      a format of one's own, the network.
//! Out: a lazy frame of them.
//!
//! A reader gives its rows once. The first run that reads takes it; a second one is
//! an error, not an empty frame.

use std::sync::{Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ArrowError;

use super::dataframe::DataFrame;
use super::session::Session;
use crate::error::{Error, Result};
use crate::plan::{DEFAULT_BYTES, Estimate, Local, Logical, Source};

/// How plans and errors show it.
const NAME: &str = "from_reader";

impl Session {
    /// A frame of the batches that a reader gives, in its order; none is read before
    /// a run asks for it, and a batch is let go as soon as it was worked on. Partitions
    /// have about 128 MiB.
    ///
    /// The rows can be taken once: by the first run, also if that wants only some of
    /// them. Any other run of this frame, or of one made of it, is an error; give what
    /// is to be read more often to [`DataFrame::persist`], or write it. Several frames
    /// made of it can be computed in one run by [`compute_all`](crate::compute_all).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::Session;
    /// use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator};
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// # let schema = batch.schema();
    /// let reader = RecordBatchIterator::new([Ok(batch)], schema);
    /// let frame = Session::default().from_reader(reader).filter("n >= 4")?;
    /// let kept = frame.persist()?;
    /// assert_eq!((kept.count()?, kept.count()?), (6, 6));
    /// let again = frame.count().unwrap_err();
    /// assert!(again.to_string().contains("read already"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An error of the reader ends the run with [`Error::External`], and a panic of it
    /// with [`Error::Panic`]; both name the batch. So does a batch of other columns than
    /// the reader's schema.
    pub fn from_reader(&self, reader: impl RecordBatchReader + Send + 'static) -> DataFrame {
        let schema = reader.schema();
        let reader = Mutex::new(Some(reader));
        let take = move |_| {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            match reader.take() {
                Some(reader) => Ok(Box::new(Reading { reader, n_read: 0 }) as _),
                None => Err(Error::plan(
                    "the rows of a reader were read already: persist the frame to use it again",
                )),
            }
        };
        let source = Source::Made {
            make: Local::streaming(NAME, take),
            n_partitions: 1,
        };
        let rows = self.scan(source, schema, Estimate::default());
        rows.with(Logical::Coalesce {
            input: rows.input(),
            bytes: DEFAULT_BYTES,
        })
    }
}

/// The batches of a reader; a panic of it is an error.
struct Reading<R> {
    reader: R,
    n_read: usize,
}

impl<R: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Reading<R> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let n_read = self.n_read;
        let batch = || format!("batch {n_read} of {NAME}");
        self.n_read += 1;
        let next = Error::guarded(batch, || {
            let next = self.reader.next().transpose();
            next.map_err(|source| Error::external(batch(), source))
        });
        next.transpose()
    }
}
