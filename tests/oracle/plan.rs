//! Steps on tables of whole numbers, applied to a frame and, row by row, to rows.

use std::collections::BTreeSet;

use windrow::expr::{col, count, lit};
use windrow::{By, DataFrame, Keep, MergeHow, MergeOptions, SortBy};

use super::merge::merged;

/// A row: a number for each column, or null.
pub type Numbers = Vec<Option<i64>>;

/// Rows in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plain {
    pub columns: Vec<String>,
    pub rows: Vec<Numbers>,
}

/// One step of a plan. Columns are named by their places.
#[derive(Debug, Clone)]
pub enum Step {
    /// Rows whose number is less.
    Filter(usize, i64),
    Select(Vec<usize>),
    /// A column of the sums of two.
    With(usize, usize),
    /// By keys: everything that is made of a column.
    Group(Vec<usize>, usize),
    ValueCounts(usize),
    /// All values of a column for each key, one row each again.
    Gather(usize, usize),
    /// Columns, whether the largest come first, whether nulls do.
    Sort(Vec<(usize, bool, bool)>),
    SetIndex(usize),
    Distinct(Vec<usize>, Keep),
    Merge(MergeHow, usize),
    /// With the other table behind it: that has the first column only.
    Concat,
    Limit(u64),
    Largest(usize, usize),
    Repartition(By),
    Persist,
}

impl Plain {
    fn name(&self, place: usize) -> &str {
        &self.columns[place]
    }

    fn with_rows(&self, rows: Vec<Numbers>) -> Plain {
        let columns = self.columns.clone();
        Plain { columns, rows }
    }

    /// The rows of each group, groups in the order in which they first appear.
    fn groups(&self, keys: &[usize]) -> Vec<(Numbers, Vec<&Numbers>)> {
        let mut groups: Vec<(Numbers, Vec<&Numbers>)> = Vec::new();
        for row in &self.rows {
            let key: Numbers = keys.iter().map(|key| row[*key]).collect();
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        groups
    }
}

/// Order of numbers with nulls behind or in front of them, in either direction.
fn order(
    a: Option<i64>,
    b: Option<i64>,
    descending: bool,
    nulls_first: bool,
) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        _ if nulls_first => a.is_some().cmp(&b.is_some()),
        _ => a.is_none().cmp(&b.is_none()),
    }
}

impl Step {
    /// The frame after this step; `other` is what merges and unions see, and
    /// `table` tells the columns of the frame.
    pub fn on_frame(
        &self,
        frame: &DataFrame,
        table: &Plain,
        other: &DataFrame,
    ) -> windrow::Result<DataFrame> {
        let names = |places: &[usize]| -> Vec<String> {
            let names = places.iter().map(|place| table.name(*place).to_owned());
            names.collect()
        };
        let column = |place: &usize| col(table.name(*place));
        match self {
            Step::Filter(of, less) => frame.filter(column(of).lt(lit(*less))),
            Step::Select(places) => frame.select(names(places).iter().map(String::as_str)),
            Step::With(a, b) => frame.with_column("w", column(a) + column(b)),
            Step::Group(keys, of) => {
                let of = column(of);
                let all = [
                    of.clone().sum().alias("sum"),
                    of.clone().min().alias("min"),
                    of.clone().nunique().alias("kinds"),
                    of.clone().first().alias("first"),
                    of.last().alias("last"),
                    count().alias("rows"),
                ];
                frame
                    .groupby(names(keys).iter().map(String::as_str))?
                    .agg(all)
            }
            Step::ValueCounts(of) => frame.value_counts([table.name(*of)]),
            Step::Gather(key, of) => frame
                .groupby([table.name(*key)])?
                .agg([column(of).list().alias("item")])?
                .explode(["item"]),
            Step::Sort(by) => {
                frame.sort_values(by.iter().map(|(place, descending, first)| SortBy {
                    column: table.name(*place).to_owned(),
                    descending: *descending,
                    nulls_first: *first,
                }))
            }
            Step::SetIndex(place) => frame.set_index(table.name(*place)),
            Step::Distinct(places, keep) => frame.drop_duplicates(names(places), *keep),
            Step::Merge(MergeHow::Cross, _) => frame.merge(other, MergeOptions::cross()),
            Step::Merge(how, key) => {
                let pairs = MergeOptions::on_pairs([table.name(*key)], ["other"])?;
                frame.merge(other, pairs.how(*how))
            }
            Step::Concat => {
                let other = other.select([col("other").alias(table.name(0))])?;
                windrow::concat([frame, &other])
            }
            Step::Limit(rows) => Ok(frame.limit(*rows)),
            Step::Largest(rows, by) => frame.nlargest(*rows, table.name(*by)),
            Step::Repartition(by) => frame.repartition(*by),
            Step::Persist => frame.persist(),
        }
    }

    /// The rows after this step; `other` has the columns `other` and `right`.
    pub fn on_rows(&self, table: &Plain, other: &Plain) -> Plain {
        let of_rows = |rows: Vec<Numbers>| table.with_rows(rows);
        match self {
            Step::Filter(of, less) => {
                let kept = table.rows.iter();
                let kept = kept.filter(|row| row[*of].is_some_and(|n| n < *less));
                of_rows(kept.cloned().collect())
            }
            Step::Select(places) => Plain {
                columns: places
                    .iter()
                    .map(|place| table.columns[*place].clone())
                    .collect(),
                rows: table
                    .rows
                    .iter()
                    .map(|row| places.iter().map(|place| row[*place]).collect())
                    .collect(),
            },
            Step::With(a, b) => with_sum(table, *a, *b),
            Step::Group(keys, of) => grouped(table, keys, *of),
            Step::ValueCounts(of) => {
                let groups = table.groups(&[*of]).into_iter();
                let mut rows: Vec<Numbers> = groups
                    .map(|(key, rows)| vec![key[0], Some(rows.len() as i64)])
                    .collect();
                rows.sort_by_key(|row| std::cmp::Reverse(row[1]));
                let columns = vec![table.columns[*of].clone(), "count".to_owned()];
                Plain { columns, rows }
            }
            Step::Gather(key, of) => {
                let mut rows = Vec::new();
                for (value, group) in table.groups(&[*key]) {
                    rows.extend(group.iter().map(|row| vec![value[0], row[*of]]));
                }
                let columns = vec![table.columns[*key].clone(), "item".to_owned()];
                Plain { columns, rows }
            }
            Step::Sort(by) => sorted(table, by),
            Step::SetIndex(place) => sorted(table, &[(*place, false, false)]),
            Step::Distinct(places, keep) => distinct(table, places, *keep),
            Step::Merge(how, key) => met(table, other, *how, *key),
            Step::Concat => {
                let mut rows = table.rows.clone();
                for row in &other.rows {
                    let mut new = vec![None; table.columns.len()];
                    new[0] = row[0];
                    rows.push(new);
                }
                of_rows(rows)
            }
            Step::Limit(rows) => of_rows(table.rows.iter().take(*rows as usize).cloned().collect()),
            Step::Largest(rows, by) => {
                let all = sorted(table, &[(*by, true, false)]).rows;
                of_rows(all.into_iter().take(*rows).collect())
            }
            Step::Repartition(_) | Step::Persist => table.clone(),
        }
    }
}

fn with_sum(table: &Plain, a: usize, b: usize) -> Plain {
    let mut columns = table.columns.clone();
    let place = columns.iter().position(|name| name == "w");
    if place.is_none() {
        columns.push("w".to_owned());
    }
    let rows = table.rows.iter().map(|row| {
        let sum = row[a].and_then(|a| Some(a + row[b]?));
        let mut row = row.clone();
        match place {
            Some(place) => row[place] = sum,
            None => row.push(sum),
        }
        row
    });
    let rows = rows.collect();
    Plain { columns, rows }
}

fn grouped(table: &Plain, keys: &[usize], of: usize) -> Plain {
    let mut columns: Vec<String> = keys.iter().map(|key| table.columns[*key].clone()).collect();
    columns.extend(["sum", "min", "kinds", "first", "last", "rows"].map(str::to_owned));
    let mut rows = Vec::new();
    for (mut row, group) in table.groups(keys) {
        let values: Vec<i64> = group.iter().filter_map(|row| row[of]).collect();
        let kinds = values.iter().collect::<BTreeSet<_>>().len();
        row.extend([
            (!values.is_empty()).then(|| values.iter().sum()),
            values.iter().min().copied(),
            Some(kinds as i64),
            values.first().copied(),
            values.last().copied(),
            Some(group.len() as i64),
        ]);
        rows.push(row);
    }
    Plain { columns, rows }
}

fn sorted(table: &Plain, by: &[(usize, bool, bool)]) -> Plain {
    let mut rows = table.rows.clone();
    rows.sort_by(|a, b| {
        let columns = by
            .iter()
            .map(|(place, descending, first)| order(a[*place], b[*place], *descending, *first));
        columns.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    table.with_rows(rows)
}

fn distinct(table: &Plain, places: &[usize], keep: Keep) -> Plain {
    let alike = |a: &Numbers, b: &Numbers| places.iter().all(|place| a[*place] == b[*place]);
    let stays = |idx: &usize| {
        let row = &table.rows[*idx];
        match keep {
            Keep::First => !table.rows[..*idx].iter().any(|other| alike(other, row)),
            Keep::Last => !table.rows[*idx + 1..].iter().any(|other| alike(other, row)),
            Keep::None => table.rows.iter().filter(|other| alike(other, row)).count() == 1,
        }
    };
    let kept = (0..table.rows.len()).filter(stays);
    table.with_rows(kept.map(|idx| table.rows[idx].clone()).collect())
}

fn met(table: &Plain, other: &Plain, how: MergeHow, key: usize) -> Plain {
    let equal = |left: usize, right: usize| {
        let (left, right) = (table.rows[left][key], other.rows[right][0]);
        left.is_some() && left == right
    };
    let pairs = merged(how, table.rows.len(), other.rows.len(), &equal);
    let left_only = matches!(how, MergeHow::Semi | MergeHow::Anti);
    let rows = pairs.into_iter().map(|(left, right)| {
        let nulls = |side: &Plain| vec![None; side.columns.len()];
        let mut row = left.map_or_else(|| nulls(table), |left| table.rows[left].clone());
        if !left_only {
            row.extend(right.map_or_else(|| nulls(other), |right| other.rows[right].clone()));
        }
        row
    });
    let rows = rows.collect();
    let mut columns = table.columns.clone();
    if !left_only {
        columns.extend(other.columns.iter().cloned());
    }
    Plain { columns, rows }
}
