//! Two frames beside each other, by key.

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::ops::join::{Direction, Nearest, Tolerance};
use crate::plan::{Join, Logical, MergeHow};
use crate::size::ByteSize;

/// How two frames are merged. Made of the names of the keys; the rest has
/// defaults that work.
///
/// ```
/// use windrow::{MergeHow, MergeOptions};
/// let options = MergeOptions::on(["user"]).how(MergeHow::Left).suffixes("", "_right");
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct MergeOptions {
    on: Vec<(String, String)>,
    how: MergeHow,
    suffixes: (String, String),
    nulls_match: bool,
    hold: Option<ByteSize>,
    hash_mask: u64,
}

impl MergeOptions {
    /// Keys that both frames call the same. Each comes out once.
    pub fn on<N: Into<String>>(keys: impl IntoIterator<Item = N>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        MergeOptions::pairs(keys.map(|key| (key.clone(), key)).collect())
    }

    /// Keys of the left frame and keys of the right one, pair by pair. Both
    /// come out, unless they have one name.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there are not as many on both sides.
    pub fn on_pairs<L: Into<String>, R: Into<String>>(
        left: impl IntoIterator<Item = L>,
        right: impl IntoIterator<Item = R>,
    ) -> Result<Self> {
        let left: Vec<String> = left.into_iter().map(Into::into).collect();
        let right: Vec<String> = right.into_iter().map(Into::into).collect();
        if left.len() != right.len() {
            return Err(Error::config(
                "on",
                format!(
                    "{} keys of the left frame cannot meet {} of the right one",
                    left.len(),
                    right.len()
                ),
            ));
        }
        Ok(MergeOptions::pairs(left.into_iter().zip(right).collect()))
    }

    /// No keys: every row meets every row.
    pub fn cross() -> Self {
        MergeOptions::pairs(Vec::new()).how(MergeHow::Cross)
    }

    fn pairs(on: Vec<(String, String)>) -> Self {
        MergeOptions {
            on,
            how: MergeHow::default(),
            suffixes: ("_x".to_owned(), "_y".to_owned()),
            nulls_match: false,
            hold: None,
            hash_mask: u64::MAX,
        }
    }

    /// Which rows come out. Default: [`MergeHow::Inner`].
    #[must_use]
    pub fn how(mut self, how: MergeHow) -> Self {
        self.how = how;
        self
    }

    /// What is put behind names that both frames have and that are no shared
    /// key. Default: `_x` and `_y`.
    #[must_use]
    pub fn suffixes(mut self, left: &str, right: &str) -> Self {
        self.suffixes = (left.to_owned(), right.to_owned());
        self
    }

    /// Whether a null key meets null keys. Default: it meets nothing.
    #[must_use]
    pub fn nulls_match(mut self, nulls_match: bool) -> Self {
        self.nulls_match = nulls_match;
        self
    }

    /// Bytes of Arrow data that the frame which is looked up may have to be
    /// held in memory whole; a larger one is cut into parts by key. Default: a
    /// quarter of the memory. Changes how long it takes, never what comes out.
    #[must_use]
    pub fn hold(mut self, most: ByteSize) -> Self {
        self.hold = Some(most);
        self
    }

    /// For tests: only these bits of hashes are kept, so that keys collide.
    #[doc(hidden)]
    #[must_use]
    pub fn hash_mask(mut self, mask: u64) -> Self {
        self.hash_mask = mask;
        self
    }
}

impl From<&str> for MergeOptions {
    fn from(key: &str) -> Self {
        MergeOptions::on([key])
    }
}

impl<const N: usize> From<[&str; N]> for MergeOptions {
    fn from(keys: [&str; N]) -> Self {
        MergeOptions::on(keys)
    }
}

impl DataFrame {
    /// Rows of this frame beside those of `right` that have equal keys.
    ///
    /// Keys meet by value, whatever their number types; every NaN is one key, -0
    /// is 0, and null meets nothing unless asked to. The rows that come out are
    /// in the order of this frame (with [`MergeHow::Right`], of the other), the
    /// partners of one row in the order of theirs, whatever the number of threads
    /// and the memory. Columns are those of this frame, then those of `right`
    /// less the keys that both call the same; other names that both have get a
    /// suffix.
    ///
    /// The frame whose order counts streams past the other one, which is held, and
    /// cut into parts by key where it is too large. Where the first one is far
    /// smaller, it is held and the other one streams. Frames that are sorted by the
    /// same key, or that [`shuffle`](DataFrame::shuffle) put into as many partitions
    /// by it, go side by side, and neither has to be held; not in an outer merge.
    /// [`explain`](DataFrame::explain) says which way it is, and the report how it was.
    /// A merge, but for an outer one, keeps the index of the frame whose order it has.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, StringArray, RecordBatch};
    /// # use windrow::{MergeHow, MergeOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let session = Session::default();
    /// # let frame = |columns: [(&str, ArrayRef); 2]| {
    /// #     let batch = RecordBatch::try_from_iter(columns)?;
    /// #     session.from_batches(batch.schema(), [batch])
    /// # };
    /// # let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    /// # let texts = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    /// let orders = frame([("user", ints(&[1, 2, 1, 9])), ("price", ints(&[10, 20, 30, 40]))])?;
    /// let users = frame([("user", ints(&[1, 2, 3])), ("name", texts(&["ann", "bob", "eve"]))])?;
    /// let named = orders.merge(&users, "user")?;
    /// assert_eq!(named.count()?, 3);
    /// let all = orders.merge(&users, MergeOptions::on(["user"]).how(MergeHow::Outer))?;
    /// assert_eq!(all.filter("name is null")?.count()?, 1);
    /// assert_eq!(all.filter("price is null")?.count()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown key with near names, for keys whose types
    /// cannot be compared (naming both), and for two columns that would have one
    /// name; [`Error::Config`] for no keys, or keys of a cross merge.
    pub fn merge(&self, right: &DataFrame, options: impl Into<MergeOptions>) -> Result<DataFrame> {
        let options = options.into();
        let join = Join {
            how: options.how,
            on: options.on,
            suffixes: options.suffixes,
            next_to: None,
            nulls_match: options.nulls_match,
            hold: options.hold,
            hash_mask: options.hash_mask,
            columns: Vec::new(),
            passes_late: true,
        };
        self.joined(right, join)
    }

    fn joined(&self, right: &DataFrame, join: Join) -> Result<DataFrame> {
        let join = join.settled(self.known(), right.known())?;
        let schema = join.schema(self.known(), right.known())?;
        let plan = Logical::Join {
            left: self.input(),
            right: right.input(),
            join,
        };
        Ok(DataFrame::new(self.session().clone(), plan, schema))
    }

    /// Rows of both frames with equal keys: [`DataFrame::merge`] in few words.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::merge`].
    pub fn join<N: Into<String>>(
        &self,
        right: &DataFrame,
        on: impl IntoIterator<Item = N>,
        how: MergeHow,
    ) -> Result<DataFrame> {
        self.merge(right, MergeOptions::on(on).how(how))
    }

    /// Each row of this frame beside the row of `right` whose time is next to
    /// its own, among those with equal `by` keys; nulls where there is none.
    ///
    /// Both frames must be sorted by their times. Rows come out in the order of
    /// this frame, once each, with the columns of [`DataFrame::merge`]; a time
    /// that both call the same comes from this frame. A null time, or NaN, is next
    /// to nothing. Of several rows of one time the last one is found looking
    /// back, the first one looking ahead. The right frame is held in memory, or, where
    /// it does not fit, goes past this one block by block.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::{AsofOptions, Session};
    /// # fn main() -> windrow::Result<()> {
    /// # let session = Session::default();
    /// # let frame = |columns: [(&str, &[i64]); 2]| {
    /// #     let columns = columns.map(|(name, values)| {
    /// #         (name, Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)
    /// #     });
    /// #     let batch = RecordBatch::try_from_iter(columns)?;
    /// #     session.from_batches(batch.schema(), [batch])
    /// # };
    /// let trades = frame([("second", &[1, 5, 9]), ("amount", &[10, 20, 30])])?;
    /// let quotes = frame([("second", &[2, 4, 8]), ("price", &[100, 101, 102])])?;
    /// let priced = trades.merge_asof(&quotes, AsofOptions::on("second"))?;
    /// assert_eq!(priced.filter("price is null")?.count()?, 1);
    /// assert_eq!(priced.filter("second = 5 and price = 101")?.count()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DataFrame::merge`]; [`Error::Config`] for a tolerance of another kind
    /// than the times. When computed: [`Error::Plan`] naming the first row that is
    /// out of order, [`Error::Memory`] if one row of the right frame for each key, of the
    /// keys that meet in one bucket, does not fit.
    pub fn merge_asof(
        &self,
        right: &DataFrame,
        options: impl Into<AsofOptions>,
    ) -> Result<DataFrame> {
        let options = options.into();
        let (left_on, right_on) = options.on;
        let join = Join {
            how: MergeHow::Left,
            on: options
                .by
                .into_iter()
                .map(|key| (key.clone(), key))
                .collect(),
            suffixes: options.suffixes,
            next_to: Some((left_on, right_on, options.nearest)),
            nulls_match: false,
            hold: None,
            hash_mask: u64::MAX,
            columns: Vec::new(),
            passes_late: true,
        };
        self.joined(right, join)
    }
}

/// How two frames are merged by their times.
#[derive(Debug, Clone)]
pub struct AsofOptions {
    on: (String, String),
    by: Vec<String>,
    nearest: Nearest,
    suffixes: (String, String),
}

impl AsofOptions {
    /// By a column of times, or other numbers, that both frames call the same.
    pub fn on(time: impl Into<String>) -> Self {
        let time = time.into();
        AsofOptions::on_pair(time.clone(), time)
    }

    /// By a column of the left frame, and one of the right frame.
    pub fn on_pair(left: impl Into<String>, right: impl Into<String>) -> Self {
        AsofOptions {
            on: (left.into(), right.into()),
            by: Vec::new(),
            nearest: Nearest {
                direction: Direction::Backward,
                tolerance: None,
                exact: true,
            },
            suffixes: ("_x".to_owned(), "_y".to_owned()),
        }
    }

    /// Only rows with equal values in these columns meet. Default: none.
    #[must_use]
    pub fn by<N: Into<String>>(mut self, keys: impl IntoIterator<Item = N>) -> Self {
        self.by = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Which way to look. Default: [`Direction::Backward`].
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.nearest.direction = direction;
        self
    }

    /// How far away the row that is found may be. Default: any distance.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.nearest.tolerance = Some(tolerance);
        self
    }

    /// Whether a row of the same time counts. Default: it does.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.nearest.exact = exact;
        self
    }

    /// As [`MergeOptions::suffixes`].
    #[must_use]
    pub fn suffixes(mut self, left: &str, right: &str) -> Self {
        self.suffixes = (left.to_owned(), right.to_owned());
        self
    }
}

impl From<&str> for AsofOptions {
    fn from(time: &str) -> Self {
        AsofOptions::on(time)
    }
}
