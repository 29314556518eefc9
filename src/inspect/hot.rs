//! The hottest keys of a column.
//!
//! In:  a column, batch by batch.
//! Out: the keys with the most rows: exact while the keys fit, bounds after that.
//!
//! Counts are exact until the distinct keys pass a cap. From then on the
//! smallest counts are taken off all counters whenever the table is full (the
//! Misra–Gries summary, halved at a time): a counter then tells at least how
//! many rows its key has, `rows_at_most` tells the most, and no key with more
//! than `error` rows is missing. The answer depends on the order of the batches only.

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use hashbrown::HashMap;
use serde::Serialize;

use crate::error::{Error, Result};

/// Distinct keys counted exactly before counting becomes approximate.
const MAX_KEYS: usize = 1 << 20;
/// Bytes of distinct keys held before counting becomes approximate.
const MAX_KEY_BYTES: usize = 128 << 20;

/// Counts keys of one column.
///
/// ```
/// use windrow::arrow::array::StringArray;
/// use windrow::inspect::HotKeys;
/// let mut hot = HotKeys::new("user");
/// hot.push(&StringArray::from(vec![Some("ann"), Some("bob"), Some("ann"), None])).unwrap();
/// let report = hot.report(1);
/// assert!(report.exact);
/// assert_eq!((report.keys[0].key.as_deref(), report.keys[0].rows), (Some("ann"), 2));
/// ```
#[derive(Debug, Clone)]
pub struct HotKeys {
    column: String,
    counters: HashMap<String, u64>,
    key_bytes: usize,
    nulls: u64,
    rows: u64,
    /// Taken off every counter so far.
    error: u64,
    max_keys: usize,
    max_key_bytes: usize,
}

/// A key and its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotKey {
    /// The key as text; none is null.
    pub key: Option<String>,
    /// Rows with it: exactly, or at least so many where the report is not exact.
    pub rows: u64,
    /// At most so many rows; equal to `rows` where the report is exact.
    pub rows_at_most: u64,
}

/// The hottest keys of a column, most rows first; ties by key, null first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotReport {
    /// The column.
    pub column: String,
    /// Whether counts are exact.
    pub exact: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Distinct keys, null among them; none where the count is not exact.
    pub distinct: Option<u64>,
    /// No key with more rows than this is missing among the candidates. 0 where exact.
    pub error: u64,
    /// The keys.
    pub keys: Vec<HotKey>,
}

impl HotKeys {
    /// Starts counting keys of `column`, exactly up to a million distinct keys.
    pub fn new(column: impl Into<String>) -> HotKeys {
        HotKeys::with_caps(column, MAX_KEYS, MAX_KEY_BYTES)
    }

    fn with_caps(column: impl Into<String>, max_keys: usize, max_key_bytes: usize) -> HotKeys {
        HotKeys {
            column: column.into(),
            counters: HashMap::new(),
            key_bytes: 0,
            nulls: 0,
            rows: 0,
            error: 0,
            max_keys: max_keys.max(2),
            max_key_bytes,
        }
    }

    /// Counts the values of one batch's column. A key is a value's text, so
    /// 7 in a number column and "7" in a text column are one key.
    ///
    /// # Errors
    ///
    /// [`Error::External`] for a type that has no text.
    pub fn push(&mut self, column: &dyn Array) -> Result<()> {
        self.rows += column.len() as u64;
        match column.data_type() {
            DataType::Null => self.nulls += column.len() as u64,
            DataType::Utf8 => {
                let column: &StringArray = column.as_string();
                column.iter().for_each(|key| self.add(key, 1));
            }
            DataType::LargeUtf8 => {
                let column = column.as_string::<i64>();
                column.iter().for_each(|key| self.add(key, 1));
            }
            DataType::Utf8View => column
                .as_string_view()
                .iter()
                .for_each(|key| self.add(key, 1)),
            _ => self.push_formatted(column)?,
        }
        Ok(())
    }

    fn push_formatted(&mut self, column: &dyn Array) -> Result<()> {
        use std::fmt::Write;
        let failed = |source| {
            Error::external(
                format!("printing values of column {:?}", self.column),
                source,
            )
        };
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(column, &options).map_err(failed)?;
        // Runs of one value are common in logs: they are formatted once per
        // row, but looked up once per run.
        let mut text = String::new();
        let mut previous = String::new();
        let mut run = 0;
        for row in 0..column.len() {
            if column.is_null(row) {
                self.nulls += 1;
                continue;
            }
            text.clear();
            write!(text, "{}", formatter.value(row)).map_err(|_| {
                Error::internal(format!("row {row} of column {:?} has no text", self.column))
            })?;
            if run > 0 && text == previous {
                run += 1;
                continue;
            }
            if run > 0 {
                self.add(Some(&previous), run);
            }
            std::mem::swap(&mut text, &mut previous);
            run = 1;
        }
        if run > 0 {
            self.add(Some(&previous), run);
        }
        Ok(())
    }

    fn add(&mut self, key: Option<&str>, rows: u64) {
        let Some(key) = key else {
            self.nulls += rows;
            return;
        };
        if let Some(counter) = self.counters.get_mut(key) {
            *counter += rows;
            return;
        }
        if self.counters.len() >= self.max_keys || self.key_bytes + key.len() > self.max_key_bytes {
            self.shrink();
        }
        self.key_bytes += key.len();
        self.counters.insert(key.to_owned(), rows);
    }

    /// Takes the median count off every counter and drops those that reach zero: at least half.
    fn shrink(&mut self) {
        let mut counts: Vec<u64> = self.counters.values().copied().collect();
        if counts.is_empty() {
            return;
        }
        let middle = counts.len() / 2;
        let (_, &mut taken, _) = counts.select_nth_unstable(middle);
        self.error += taken;
        let mut key_bytes = 0;
        self.counters.retain(|key, counter| {
            *counter = counter.saturating_sub(taken);
            if *counter > 0 {
                key_bytes += key.len();
            }
            *counter > 0
        });
        self.key_bytes = key_bytes;
    }

    /// The `top` hottest keys.
    pub fn report(&self, top: usize) -> HotReport {
        let exact = self.error == 0;
        let mut keys: Vec<(u64, Option<&str>)> = self
            .counters
            .iter()
            .map(|(key, &rows)| (rows, Some(key.as_str())))
            .collect();
        if self.nulls > 0 {
            // Nulls are counted aside and exactly; beside bounds they rank by what is certain.
            keys.push((self.nulls, None));
        }
        keys.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        HotReport {
            column: self.column.clone(),
            exact,
            rows: self.rows,
            distinct: exact.then_some(keys.len() as u64),
            error: self.error,
            keys: keys
                .into_iter()
                .take(top)
                .map(|(rows, key)| HotKey {
                    key: key.map(str::to_owned),
                    rows,
                    rows_at_most: if key.is_none() {
                        rows
                    } else {
                        rows + self.error
                    },
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringViewArray,
    };

    use super::*;

    fn skewed_keys(n: u64, keys: u64) -> Vec<Option<String>> {
        let mut state = 11u64;
        (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let draw = (state >> 33) % (keys * keys);
                // Square root makes low keys rare, 1 in 7 rows goes to one key.
                match draw % 7 {
                    0 => Some("hot".to_string()),
                    1 if draw.is_multiple_of(3) => None,
                    _ => Some(format!("k{}", (draw as f64).sqrt() as u64)),
                }
            })
            .collect()
    }

    fn truth(keys: &[Option<String>]) -> BTreeMap<Option<String>, u64> {
        let mut counts = BTreeMap::new();
        for key in keys {
            *counts.entry(key.clone()).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn counts_under_the_cap_equal_a_plain_count() {
        let keys = skewed_keys(20_000, 100);
        let mut hot = HotKeys::new("k");
        for part in keys.chunks(333) {
            hot.push(&StringArray::from(part.to_vec())).unwrap();
        }
        let report = hot.report(usize::MAX);
        assert!(report.exact);
        assert_eq!(report.rows, 20_000);
        let mut wanted: Vec<_> = truth(&keys).into_iter().collect();
        wanted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        assert_eq!(report.distinct, Some(wanted.len() as u64));
        let found: Vec<_> = report
            .keys
            .into_iter()
            .map(|key| (key.key, key.rows))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn bounds_over_the_cap_hold_for_every_key() {
        let keys = skewed_keys(50_000, 3_000);
        for (max_keys, max_bytes) in [(64, usize::MAX), (500, usize::MAX), (usize::MAX, 900)] {
            let mut hot = HotKeys::with_caps("k", max_keys, max_bytes);
            for part in keys.chunks(777) {
                hot.push(&StringArray::from(part.to_vec())).unwrap();
            }
            let report = hot.report(usize::MAX);
            assert!(!report.exact && report.distinct.is_none());
            assert!(report.error < 50_000 / 20, "error {}", report.error);
            let found: BTreeMap<_, _> = report
                .keys
                .iter()
                .map(|key| (key.key.clone(), key))
                .collect();
            for (key, rows) in truth(&keys) {
                match found.get(&key) {
                    Some(counted) => assert!(
                        counted.rows <= rows && rows <= counted.rows_at_most,
                        "{key:?} has {rows}, not {}..={}",
                        counted.rows,
                        counted.rows_at_most
                    ),
                    None => assert!(rows <= report.error, "{key:?} with {rows} rows is missing"),
                }
            }
            assert_eq!(report.keys[0].key.as_deref(), Some("hot"));
        }
    }

    #[test]
    fn every_type_counts_by_its_text() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(7), None, Some(7), Some(8)])),
            Arc::new(StringArray::from(vec![
                Some("7"),
                None,
                Some("7"),
                Some("8"),
            ])),
            Arc::new(LargeStringArray::from(vec![
                Some("7"),
                None,
                Some("7"),
                Some("8"),
            ])),
            Arc::new(StringViewArray::from(vec![
                Some("7"),
                None,
                Some("7"),
                Some("8"),
            ])),
        ];
        for column in &columns {
            let mut hot = HotKeys::new("k");
            hot.push(column).unwrap();
            let report = hot.report(9);
            let keys: Vec<_> = report
                .keys
                .iter()
                .map(|key| (key.key.as_deref(), key.rows))
                .collect();
            assert_eq!(
                keys,
                [(Some("7"), 2), (None, 1), (Some("8"), 1)],
                "{}",
                column.data_type()
            );
        }
        let mut mixed = HotKeys::new("k");
        columns
            .iter()
            .for_each(|column| mixed.push(column).unwrap());
        assert_eq!(mixed.report(1).keys[0].rows, 8);
        let mut others = HotKeys::new("k");
        others
            .push(&BooleanArray::from(vec![true, true, false]))
            .unwrap();
        others.push(&Float64Array::from(vec![1.5, 1.5])).unwrap();
        others.push(&arrow_array::NullArray::new(3)).unwrap();
        let keys: Vec<_> = others
            .report(9)
            .keys
            .into_iter()
            .map(|key| (key.key, key.rows))
            .collect();
        assert_eq!(
            keys,
            [
                (None, 3),
                (Some("1.5".into()), 2),
                (Some("true".into()), 2),
                (Some("false".into()), 1)
            ]
        );
    }
}
