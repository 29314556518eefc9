//! Windows over rows, by looking at all rows for each of them.

/// A row: its key, its value, and its time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    pub key: Option<String>,
    pub value: Option<i64>,
    pub seconds: i64,
}

/// Which rows around a row count.
#[derive(Debug, Clone, Copy)]
pub enum Around {
    /// From a row to a row, counted from this one; none: the first, the last.
    Rows(Option<i64>, Option<i64>),
    /// Rows up to this one less than so many seconds before it.
    Seconds(i64),
}

/// The values of the rows around row `at` that count, of those with its key, or of all.
pub fn around(rows: &[Timed], at: usize, by_key: bool, around: Around) -> Vec<Option<i64>> {
    let group: Vec<usize> = (0..rows.len())
        .filter(|row| !by_key || rows[*row].key == rows[at].key)
        .collect();
    let place = group.iter().position(|row| *row == at).unwrap() as i64;
    let last = group.len() as i64 - 1;
    let counts = |idx: i64| match around {
        Around::Rows(start, end) => {
            let from = start.map_or(0, |start| place + start);
            let to = end.map_or(last, |end| place + end);
            (from..=to).contains(&idx)
        }
        Around::Seconds(width) => {
            let before = rows[at].seconds - rows[group[idx as usize]].seconds;
            idx <= place && before < width
        }
    };
    let counted = (0..=last).filter(|idx| counts(*idx));
    counted.map(|idx| rows[group[idx as usize]].value).collect()
}

/// An aggregate of values, by its name.
pub fn aggregate(name: &str, values: &[Option<i64>]) -> Option<f64> {
    let mut known: Vec<i64> = values.iter().copied().flatten().collect();
    let n = known.len() as i64;
    let sum: i64 = known.iter().sum();
    let one = |value: Option<i64>| value.map(|value| value as f64);
    match name {
        "count(*)" => Some(values.len() as f64),
        "count(x)" => Some(n as f64),
        "first_row(x)" => one(values.first().copied().flatten()),
        "last_row(x)" => one(values.last().copied().flatten()),
        _ if n == 0 => None,
        "sum(x)" => one(Some(sum)),
        "mean(x)" => Some(sum as f64 / n as f64),
        "min(x)" => one(known.iter().min().copied()),
        "max(x)" => one(known.iter().max().copied()),
        "first(x)" => one(known.first().copied()),
        "last(x)" => one(known.last().copied()),
        "var(x)" | "std(x)" if n == 1 => None,
        "var(x)" | "std(x)" => {
            let squares: i64 = known.iter().map(|value| value * value).sum();
            let variance = (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64;
            Some(if name == "var(x)" {
                variance
            } else {
                variance.sqrt()
            })
        }
        "median(x)" => {
            known.sort_unstable();
            let (low, high) = (known[(n as usize - 1) / 2], known[n as usize / 2]);
            Some((low + high) as f64 / 2.0)
        }
        "any(x > 3)" => Some(f64::from(known.iter().any(|value| *value > 3))),
        "all(x > 3)" => Some(f64::from(known.iter().all(|value| *value > 3))),
        "product(x)" => one(Some(known.iter().product())),
        other => panic!("the oracle knows no {other}"),
    }
}

/// The place of row `at` by its value, among the rows with its key, or all: what equal
/// values share is `"average"`, `"min"`, `"max"`, `"dense"` or, if nothing, `"first"`.
pub fn place(rows: &[Timed], at: usize, by_key: bool, ties: &str, descending: bool) -> Option<f64> {
    let own = rows[at].value?;
    let group = (0..rows.len()).filter(|row| !by_key || rows[*row].key == rows[at].key);
    let known: Vec<(usize, i64)> = group
        .filter_map(|row| Some((row, rows[row].value?)))
        .collect();
    let is_before = |value: i64| if descending { value > own } else { value < own };
    let mut before: Vec<i64> = known.iter().map(|(_, value)| *value).collect();
    before.retain(|value| is_before(*value));
    let equal: Vec<usize> = known
        .iter()
        .filter(|(_, value)| *value == own)
        .map(|(row, _)| *row)
        .collect();
    let (n_before, n_equal) = (before.len() as f64, equal.len() as f64);
    Some(match ties {
        "average" => n_before + (n_equal + 1.0) / 2.0,
        "min" => n_before + 1.0,
        "max" => n_before + n_equal,
        "dense" => {
            before.sort_unstable();
            before.dedup();
            before.len() as f64 + 1.0
        }
        "first" => n_before + 1.0 + equal.iter().filter(|row| **row < at).count() as f64,
        other => panic!("the oracle knows no ties by {other}"),
    })
}
