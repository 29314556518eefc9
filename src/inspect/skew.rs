//! How even are partitions? Pure arithmetic on their sizes.
//!
//! In:  rows, Arrow bytes and stored bytes per partition.
//! Out: least, median, 95th percentile, largest, mean, balance, Gini, empties.
//!
//! Sums are exact (128-bit inside); only the last division is rounded.
//! Percentiles are by nearest rank, so each is the size of a real partition.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::partition::PartitionSize;

use super::hot::HotReport;
use super::render::{self, RenderOptions};
use super::verdict::{self, Cure};

/// Sizes of all partitions, in partition order.
///
/// ```
/// use windrow::inspect::{PartitionSize, PartitionSizes};
/// let sizes: PartitionSizes = [9, 1, 2]
///     .map(|rows| PartitionSize { path: "p".into(), rows, bytes: rows * 8, stored_bytes: rows })
///     .into_iter()
///     .collect();
/// assert_eq!(sizes.skew().rows.balance, 2.25); // 9 / 4
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct PartitionSizes(pub Vec<PartitionSize>);

impl PartitionSizes {
    /// How even these sizes are, with a verdict and its cure.
    pub fn skew(self) -> Skew {
        Skew::new(self.0)
    }
}

impl fmt::Display for PartitionSizes {
    /// As [`PartitionSizes::skew`] shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clone().skew().fmt(f)
    }
}

impl Deref for PartitionSizes {
    type Target = [PartitionSize];
    fn deref(&self) -> &[PartitionSize] {
        &self.0
    }
}

impl FromIterator<PartitionSize> for PartitionSizes {
    fn from_iter<I: IntoIterator<Item = PartitionSize>>(sizes: I) -> Self {
        PartitionSizes(sizes.into_iter().collect())
    }
}

impl IntoIterator for PartitionSizes {
    type Item = PartitionSize;
    type IntoIter = std::vec::IntoIter<PartitionSize>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How one measure (rows, bytes) is spread over partitions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Sum over all partitions.
    pub total: u64,
    /// The smallest partition.
    pub min: u64,
    /// Half of the partitions are no larger: nearest rank.
    pub p50: u64,
    /// 95 % of the partitions are no larger: nearest rank.
    pub p95: u64,
    /// The largest partition.
    pub max: u64,
    /// Total / partitions; 0 without partitions.
    pub mean: f64,
    /// Largest / mean. 1 is even; n is everything in one of n. 1 where the total is zero.
    pub balance: f64,
    /// Gini coefficient: 0 is even, 1 − 1/n is everything in one of n.
    pub gini: f64,
}

impl Spread {
    /// Measures sizes in any order. Sorts them: O(n log n).
    pub fn of(mut sizes: Vec<u64>) -> Spread {
        sizes.sort_unstable();
        let n = sizes.len();
        let (Some(&min), Some(&max)) = (sizes.first(), sizes.last()) else {
            return Spread {
                total: 0,
                min: 0,
                p50: 0,
                p95: 0,
                max: 0,
                mean: 0.0,
                balance: 1.0,
                gini: 0.0,
            };
        };
        let total: u128 = sizes.iter().map(|&size| u128::from(size)).sum();
        // Σ (2i − n − 1)·x_i over ascending sizes, i from 1; never negative.
        // Grouped from both ends, each term is (weight ≥ 0)·(larger − smaller),
        // so no signed sums are needed.
        let apart: u128 = (0..n / 2)
            .map(|idx| {
                let weight = (n - 1 - 2 * idx) as u128;
                weight * u128::from(sizes[n - 1 - idx] - sizes[idx])
            })
            .fold(0, u128::saturating_add);
        Spread {
            total: u64::try_from(total).unwrap_or(u64::MAX),
            min,
            p50: nearest_rank(&sizes, 50),
            p95: nearest_rank(&sizes, 95),
            max,
            mean: total as f64 / n as f64,
            balance: if total == 0 {
                1.0
            } else {
                max as f64 * n as f64 / total as f64
            },
            gini: if total == 0 {
                0.0
            } else {
                apart as f64 / (n as f64 * total as f64)
            },
        }
    }
}

/// The smallest size that at least `percent` % of the sizes do not exceed.
/// `sorted` is ascending and not empty.
fn nearest_rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// A report on partitions: what `windrow inspect` prints.
///
/// `Display` is the table of `windrow inspect` at 100 columns; `Serialize`
/// is its `--output json`.
#[derive(Debug, Clone)]
pub struct Skew {
    /// Files looked at. Equal to the number of partitions where each file is one.
    pub files: u64,
    /// The partitions, in order.
    pub partitions: Vec<PartitionSize>,
    /// Spread of rows.
    pub rows: Spread,
    /// Spread of Arrow bytes.
    pub bytes: Spread,
    /// Spread of stored bytes.
    pub stored_bytes: Spread,
    /// Partitions without a row.
    pub empty: u64,
    /// Whether `bytes` were partly estimated: Parquet files whose footers lack
    /// the unencoded size of text columns.
    pub bytes_estimated: bool,
    /// What is wrong, in words; "even" where nothing is.
    pub verdict: String,
    /// The call that makes it right; none where nothing is wrong.
    pub cure: Option<Cure>,
    /// The inputs as the user wrote them, for the text of the cure.
    pub inputs: Vec<String>,
    /// Hottest keys, where a column was asked for.
    pub hot: Option<HotReport>,
}

impl Skew {
    /// Measures partitions. Nothing is read.
    pub fn new(partitions: Vec<PartitionSize>) -> Skew {
        let spread =
            |size: fn(&PartitionSize) -> u64| Spread::of(partitions.iter().map(size).collect());
        let mut skew = Skew {
            files: partitions.len() as u64,
            rows: spread(|partition| partition.rows),
            bytes: spread(|partition| partition.bytes),
            stored_bytes: spread(|partition| partition.stored_bytes),
            empty: partitions
                .iter()
                .filter(|partition| partition.rows == 0)
                .count() as u64,
            partitions,
            bytes_estimated: false,
            verdict: String::new(),
            cure: None,
            inputs: Vec::new(),
            hot: None,
        };
        skew.judge();
        skew
    }

    /// Names the inputs, so that the cure can be run as it is printed; but for
    /// the query of a URL, which may be secret.
    #[must_use]
    pub fn with_inputs(mut self, inputs: &[String]) -> Skew {
        let shown = |input: &String| crate::io::url::shown(input).into_owned();
        self.inputs = inputs.iter().map(shown).collect();
        self
    }

    /// Adds the hottest keys of a column; a key that holds a fifth of the rows enters the verdict.
    #[must_use]
    pub fn with_hot_keys(mut self, hot: HotReport) -> Skew {
        self.hot = Some(hot);
        self.judge();
        self
    }

    /// Says that some Arrow bytes were estimated.
    #[must_use]
    pub fn with_bytes_estimated(mut self, estimated: bool) -> Skew {
        self.bytes_estimated = estimated;
        self
    }

    /// The command that cures it, ready to run; none where nothing is wrong.
    pub fn cure_command(&self) -> Option<String> {
        self.cure.as_ref().map(|cure| cure.command(&self.inputs))
    }

    fn judge(&mut self) {
        (self.verdict, self.cure) = verdict::judge(self);
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::table(self, &RenderOptions::default()))
    }
}

impl Serialize for Skew {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("files", &self.files)?;
        map.serialize_entry("partitions", &self.partitions)?;
        map.serialize_entry("rows", &self.rows.total)?;
        map.serialize_entry("bytes", &self.bytes.total)?;
        map.serialize_entry("stored_bytes", &self.stored_bytes.total)?;
        map.serialize_entry("balance_rows", &self.rows.balance)?;
        map.serialize_entry("balance_bytes", &self.bytes.balance)?;
        map.serialize_entry("gini", &self.rows.gini)?;
        map.serialize_entry("gini_bytes", &self.bytes.gini)?;
        map.serialize_entry("empty", &self.empty)?;
        map.serialize_entry("verdict", &self.verdict)?;
        map.serialize_entry("cure", &self.cure_command())?;
        map.serialize_entry("spread_rows", &self.rows)?;
        map.serialize_entry("spread_bytes", &self.bytes)?;
        map.serialize_entry("spread_stored_bytes", &self.stored_bytes)?;
        map.serialize_entry("bytes_estimated", &self.bytes_estimated)?;
        if let Some(hot) = &self.hot {
            map.serialize_entry("hot_keys", hot)?;
        }
        map.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Partitions named p0, p1 … with the given rows, 1 KiB and 100 stored bytes a row.
    pub(crate) fn sized(rows: &[u64]) -> Vec<PartitionSize> {
        rows.iter()
            .enumerate()
            .map(|(idx, &rows)| PartitionSize {
                path: format!("p{idx}"),
                rows,
                bytes: rows << 10,
                stored_bytes: rows * 100,
            })
            .collect()
    }

    /// The definitions, word for word and slowly: percentile by counting, Gini by all pairs.
    fn slow(sizes: &[u64]) -> Spread {
        let n = sizes.len();
        let total: u64 = sizes.iter().sum();
        let percentile = |percent: usize| {
            sizes
                .iter()
                .copied()
                .filter(|&candidate| {
                    let covered = sizes.iter().filter(|&&size| size <= candidate).count();
                    covered * 100 >= percent * n
                })
                .min()
                .unwrap_or(0)
        };
        let pairs: u64 = sizes
            .iter()
            .flat_map(|&a| sizes.iter().map(move |&b| a.abs_diff(b)))
            .sum();
        let mean = if n == 0 { 0.0 } else { total as f64 / n as f64 };
        let max = sizes.iter().copied().max().unwrap_or(0);
        Spread {
            total,
            min: sizes.iter().copied().min().unwrap_or(0),
            p50: percentile(50),
            p95: percentile(95),
            max,
            mean,
            balance: if total == 0 { 1.0 } else { max as f64 / mean },
            gini: if total == 0 {
                0.0
            } else {
                pairs as f64 / (2.0 * n as f64 * total as f64)
            },
        }
    }

    fn assert_same(fast: Spread, slow: Spread, sizes: &[u64]) {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        assert!(
            fast.total == slow.total
                && fast.min == slow.min
                && fast.p50 == slow.p50
                && fast.p95 == slow.p95
                && fast.max == slow.max
                && close(fast.mean, slow.mean)
                && close(fast.balance, slow.balance)
                && close(fast.gini, slow.gini),
            "{sizes:?}: {fast:?} is not {slow:?}"
        );
    }

    #[test]
    fn figures_equal_their_definitions() {
        // Every list of up to five sizes out of 0..4, then longer ones.
        for len in 0..=5u32 {
            for code in 0..4u64.pow(len) {
                let sizes: Vec<u64> = (0..len).map(|place| code / 4u64.pow(place) % 4).collect();
                assert_same(Spread::of(sizes.clone()), slow(&sizes), &sizes);
            }
        }
        let mut state = 7u64;
        for len in [20, 21, 99, 100, 101, 214] {
            let sizes: Vec<u64> = (0..len)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    (state >> 33) % 1000 * ((state >> 60) + 1)
                })
                .collect();
            assert_same(Spread::of(sizes.clone()), slow(&sizes), &sizes);
        }
    }

    #[test]
    fn enormous_sizes_do_not_overflow() {
        let spread = Spread::of(vec![u64::MAX, u64::MAX, 0]);
        assert_eq!(spread.total, u64::MAX);
        assert!((spread.balance - 1.5).abs() < 1e-12);
        assert!((spread.gini - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn four_uneven_parts_are_measured_in_bytes_too() {
        let parts = [0u64, 3_325_928, 756_776, 9_195_951].map(|bytes| PartitionSize {
            path: "part".into(),
            rows: bytes / 100,
            bytes,
            stored_bytes: bytes / 8,
        });
        let skew = PartitionSizes(parts.to_vec()).skew();
        assert_eq!(skew.empty, 1);
        assert_eq!(skew.bytes.total, 13_278_655);
        assert!((skew.bytes.balance - 9_195_951.0 * 4.0 / 13_278_655.0).abs() < 1e-12);
    }

    #[test]
    fn the_json_has_the_promised_keys_in_order() {
        let skew = Skew::new(sized(&[1, 3])).with_inputs(&["logs/*.gz".into()]);
        let json = serde_json::to_value(&skew).unwrap();
        let keys: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys[..12],
            [
                "files",
                "partitions",
                "rows",
                "bytes",
                "stored_bytes",
                "balance_rows",
                "balance_bytes",
                "gini",
                "gini_bytes",
                "empty",
                "verdict",
                "cure"
            ]
        );
        assert_eq!(json["rows"], 4);
        assert_eq!(json["balance_rows"], 1.5);
        assert_eq!(json["gini"], 0.25);
        assert_eq!(
            json["partitions"][1],
            serde_json::json!({"path": "p1", "rows": 3, "bytes": 3072, "stored_bytes": 300})
        );
    }
}
