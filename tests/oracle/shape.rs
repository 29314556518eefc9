//! Steps that move rows, give them to functions, or make other columns of them,
//! applied to a frame and, row by row, to rows.

use arrow_arith::boolean::is_not_null;
use arrow_select::filter::filter_record_batch;
use windrow::expr::{col, row_number};
use windrow::{AsofOptions, ByteSize, DataFrame, Direction, MergeHow, MergeOptions, Session};

use super::plan::{Cell, Kind, Plain, met, same, sorted};

/// The column that rows are numbered by while they are elsewhere.
const PLACE: &str = "place";

/// One step of a plan. Columns are named by their places.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Small partitions joined to some of so many bytes.
    Coalesce(u64),
    /// Moved by key into so many partitions, and back.
    Shuffle(Vec<usize>, usize),
    /// With the other table, once moved by key, and back.
    MovedMerge(MergeHow, usize, usize),
    /// Sorted by a key, with the other table, sorted by its own.
    SortedMerge(MergeHow, usize),
    /// A share of the rows, chosen by their places and a seed.
    Sample(f64, u64),
    /// Shared out among frames by chance, and put together again.
    Split(Vec<f64>, u64),
    /// The last so many rows.
    Tail(u64),
    /// Rows that have a value, which a function finds partition by partition.
    Map(usize),
    /// A row for each of some columns of one kind, beside other columns.
    Melt(Vec<usize>, Vec<usize>),
    /// For each key the last value of a column, in a column for each value of another.
    Pivot(usize, usize, usize),
    /// With the row of the other table whose value is next, looking back or ahead.
    Asof(usize, Direction),
}

impl Shape {
    /// The frame after this step; as [`super::plan::Step::on_frame`].
    pub fn on_frame(
        &self,
        frame: &DataFrame,
        table: &Plain,
        (other, beside): (&DataFrame, &Plain),
        session: &Session,
    ) -> windrow::Result<DataFrame> {
        let name = |place: &usize| table.name(*place).to_owned();
        let theirs = |key: usize| beside.name(beside.meeting(table.kind(key)).unwrap());
        let numbered = || frame.with_column(PLACE, row_number());
        let back = |moved: DataFrame| moved.sort_values([PLACE])?.drop([PLACE]);
        match self {
            Shape::Coalesce(bytes) => frame.coalesce(ByteSize::new(*bytes)),
            Shape::Shuffle(keys, n) => back(numbered()?.shuffle(keys.iter().map(name), *n)?),
            Shape::MovedMerge(how, key, n) => {
                let moved = numbered()?.shuffle([name(key)], *n)?;
                let pairs = MergeOptions::on_pairs([name(key)], [theirs(*key)])?;
                back(moved.merge(other, pairs.how(*how))?)
            }
            Shape::SortedMerge(how, key) => {
                let pairs = MergeOptions::on_pairs([name(key)], [theirs(*key)])?;
                let other = other.set_index(theirs(*key))?;
                frame.set_index(name(key))?.merge(&other, pairs.how(*how))
            }
            Shape::Sample(share, seed) => frame.sample(*share, *seed),
            Shape::Split(weights, seed) => {
                let split = numbered()?.random_split(weights, *seed)?;
                back(windrow::concat(&split)?)
            }
            Shape::Tail(rows) => {
                let last = frame.tail(*rows)?;
                session.from_batches(last.schema(), last.batches().cloned())
            }
            Shape::Map(of) => {
                let of = *of;
                Ok(frame.map_partitions(frame.schema()?, move |partition| {
                    let present = partition.batches.iter().map(|batch| {
                        Ok(filter_record_batch(batch, &is_not_null(batch.column(of))?)?)
                    });
                    present.collect()
                }))
            }
            Shape::Melt(ids, columns) => {
                frame.melt(ids.iter().map(name), columns.iter().map(name), "of", "val")
            }
            Shape::Pivot(key, by, of) => frame
                .groupby([table.name(*key)])?
                .pivot(name(by), col(name(of)).last()),
            Shape::Asof(time, direction) => {
                let options = AsofOptions::on_pair(name(time), theirs(*time));
                let other = other.sort_values([theirs(*time)])?;
                frame
                    .sort_values([table.name(*time)])?
                    .merge_asof(&other, options.direction(*direction))
            }
        }
    }

    /// The rows after this step.
    pub fn on_rows(&self, table: &Plain, other: &Plain) -> Plain {
        let rows = |rows: Vec<Vec<Cell>>| Plain {
            columns: table.columns.clone(),
            rows,
        };
        let by = |key: usize| [(key, false, false)];
        match self {
            Shape::Coalesce(_) | Shape::Shuffle(..) | Shape::Split(..) => table.clone(),
            Shape::MovedMerge(how, key, _) => met(table, other, *how, *key),
            Shape::SortedMerge(how, key) => {
                let theirs = other.meeting(table.kind(*key)).unwrap();
                let (table, other) = (sorted(table, &by(*key)), sorted(other, &by(theirs)));
                met(&table, &other, *how, *key)
            }
            Shape::Sample(share, seed) => {
                let numbered = table.rows.iter().zip(0..);
                let kept = numbered.filter(|(_, place)| chance(*seed, *place) < *share);
                rows(kept.map(|(row, _)| row.clone()).collect())
            }
            Shape::Tail(n) => {
                let from = table.rows.len().saturating_sub(*n as usize);
                rows(table.rows[from..].to_vec())
            }
            Shape::Map(of) => {
                let present = table.rows.iter().filter(|row| !row[*of].is_null());
                rows(present.cloned().collect())
            }
            Shape::Melt(ids, columns) => melted(table, ids, columns),
            Shape::Pivot(key, by, of) => pivoted(table, *key, *by, *of),
            Shape::Asof(time, direction) => {
                let theirs = other.meeting(table.kind(*time)).unwrap();
                let (table, other) = (sorted(table, &by(*time)), sorted(other, &by(theirs)));
                beside_next(&table, *time, (&other, theirs), *direction)
            }
        }
    }
}

/// The number from 0 to 1 that a place has by chance: the outputs of splitmix64, one
/// after the other.
fn chance(seed: u64, place: u64) -> f64 {
    let next = |state: u64| {
        let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (next(next(seed) ^ place) >> 11) as f64 * 0.5f64.powi(53)
}

fn melted(table: &Plain, ids: &[usize], columns: &[usize]) -> Plain {
    let kind = match table.kind(columns[0]) {
        Kind::Coded => Kind::Text,
        kind => kind,
    };
    let new = [("of".to_owned(), Kind::Text), ("val".to_owned(), kind)];
    let ids_of = ids.iter().map(|place| table.columns[*place].clone());
    let mut rows = Vec::new();
    for row in &table.rows {
        for place in columns {
            let mut long: Vec<Cell> = ids.iter().map(|place| row[*place].clone()).collect();
            long.push(Cell::Text(table.name(*place).to_owned()));
            long.push(row[*place].clone());
            rows.push(long);
        }
    }
    Plain {
        columns: ids_of.chain(new).collect(),
        rows,
    }
}

/// The values of a column in order, each with the name of the column it becomes.
pub fn categories(table: &Plain, of: usize) -> Vec<(Cell, String)> {
    let mut found: Vec<(Cell, String)> = Vec::new();
    for row in &sorted(table, &[(of, false, false)]).rows {
        let name = match &row[of] {
            Cell::Int(value) => value.to_string(),
            Cell::Text(value) => value.clone(),
            _ => continue,
        };
        if found.last().is_none_or(|(_, last)| *last != name) {
            found.push((row[of].clone(), name));
        }
    }
    found
}

fn pivoted(table: &Plain, key: usize, by: usize, of: usize) -> Plain {
    let categories = categories(table, by);
    let new = (categories.iter()).map(|(_, name)| (name.clone(), table.kind(of)));
    let columns = std::iter::once(table.columns[key].clone()).chain(new);
    let mut rows = Vec::new();
    for (key, group) in table.groups(&[key]) {
        let last = |(category, _): &(Cell, String)| {
            let mut own = group.iter().rev().map(|row| &table.rows[*row]);
            let own = own.find(|row| {
                same(&row[by..=by], std::slice::from_ref(category)) && !row[of].is_null()
            });
            own.map_or(Cell::Null, |row| row[of].clone())
        };
        rows.push(key.into_iter().chain(categories.iter().map(last)).collect());
    }
    Plain {
        columns: columns.collect(),
        rows,
    }
}

/// Sorted rows, each beside the one of other sorted rows whose value is next to its own.
fn beside_next(
    table: &Plain,
    time: usize,
    (other, theirs): (&Plain, usize),
    direction: Direction,
) -> Plain {
    let at = |cell: &Cell| cell.number().filter(|time| !time.is_nan());
    let rows = table.rows.iter().map(|row| {
        let next = at(&row[time]).and_then(|own| {
            let is_next = |row: &&Vec<Cell>| match (at(&row[theirs]), direction) {
                (Some(time), Direction::Backward) => time <= own,
                (Some(time), _) => time >= own,
                (None, _) => false,
            };
            match direction {
                Direction::Backward => other.rows.iter().rfind(is_next),
                _ => other.rows.iter().find(is_next),
            }
        });
        let nulls = vec![Cell::Null; other.columns.len()];
        let next = next.cloned().unwrap_or(nulls);
        row.iter().cloned().chain(next).collect()
    });
    Plain {
        rows: rows.collect(),
        columns: [&table.columns[..], &other.columns].concat(),
    }
}
