//! Steps on tables of cells of several kinds, applied to a frame and, row by
//! row, to rows.

use std::cmp::Ordering;

use windrow::expr::{Expr, col, count, lit, row_number};
use windrow::{By, DataFrame, Keep, MergeHow, MergeOptions, Session, SortBy};

use super::merge::merged;
use super::shape::Shape;

/// What a column holds; text may come as a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Text,
    Coded,
    /// Days since 1970.
    Date,
    /// Of whole numbers.
    List,
}

impl Kind {
    /// Whether its values meet those of another kind in a merge or a union.
    pub fn meets(self, other: Kind) -> bool {
        self == other || self.is_text() && other.is_text()
    }

    pub fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::Coded)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::Float)
    }
}

#[derive(Debug, Clone)]
pub enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Date(i32),
    List(Vec<Cell>),
}

impl Cell {
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }

    /// Where it stands among others of its kind: NaN is above all numbers, -0 is 0.
    fn against(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) if a == b => Ordering::Equal,
            (Cell::Float(a), Cell::Float(b)) if a.is_nan() || b.is_nan() => {
                a.is_nan().cmp(&b.is_nan())
            }
            (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (a, b) => unreachable!("{a:?} and {b:?} have no order"),
        }
    }

    fn is(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Null, Cell::Null) => true,
            (Cell::Null, _) | (_, Cell::Null) => false,
            (Cell::List(a), Cell::List(b)) => same(a, b),
            (Cell::List(_), _) | (_, Cell::List(_)) => false,
            (a, b) => {
                std::mem::discriminant(a) == std::mem::discriminant(b)
                    && a.against(b) == Ordering::Equal
            }
        }
    }

    /// Its number, or that of the day.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Date(days) => Some(f64::from(*days)),
            Cell::Int(value) => Some(*value as f64),
            Cell::Float(value) => Some(*value),
            _ => None,
        }
    }
}

/// Whether two rows have equal cells: null is null, NaN is NaN, -0 is 0.
pub fn same(a: &[Cell], b: &[Cell]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b))
}

/// Rows in order.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Vec<Cell>>,
}

/// What a window makes of a column, of all rows or of those with a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// The value so many rows before.
    Shift(i64),
    /// The place of the row.
    Number,
    /// The sum so far.
    Sum,
    /// The next value that is not null.
    Next,
}

/// One step of a plan. Columns are named by their places.
#[derive(Debug, Clone)]
pub enum Step {
    /// Rows whose value is less.
    Filter(usize, Cell),
    /// Rows that have a value.
    Present(usize),
    Select(Vec<usize>),
    /// A column of the sums of two.
    With(usize, usize),
    /// A column of a window over another, maybe by a key.
    Window(Window, usize, Option<usize>),
    /// By keys: everything that is made of a column.
    Group(Vec<usize>, usize),
    ValueCounts(usize),
    /// All values of a column for each key, one row each again.
    Gather(usize, usize),
    /// A row for each item of lists.
    Explode(usize),
    /// Columns, whether the largest come first, whether nulls do.
    Sort(Vec<(usize, bool, bool)>),
    /// The first so many rows of sorted ones.
    First(Vec<(usize, bool, bool)>, u64),
    SetIndex(usize),
    Distinct(Vec<usize>, Keep),
    /// With the column of the other table whose kind is that of the key.
    Merge(MergeHow, usize),
    /// With the other table behind it: its column of the kind of the first one.
    Concat,
    Limit(u64),
    Largest(usize, usize),
    Repartition(By),
    Persist,
    /// One that moves rows, or makes other columns of them.
    Shape(Shape),
}

/// Order with nulls behind or in front, in either direction.
fn order(a: &Cell, b: &Cell, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) if descending => b.against(a),
        (false, false) => a.against(b),
        (a, b) if nulls_first => b.cmp(&a),
        (a, b) => a.cmp(&b),
    }
}

impl Plain {
    pub fn name(&self, place: usize) -> &str {
        &self.columns[place].0
    }

    pub fn kind(&self, place: usize) -> Kind {
        self.columns[place].1
    }

    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(known, _)| known == name)
    }

    /// The first column whose values meet those of a kind.
    pub fn meeting(&self, kind: Kind) -> Option<usize> {
        self.columns.iter().position(|(_, of)| of.meets(kind))
    }

    fn with_rows(&self, rows: Vec<Vec<Cell>>) -> Plain {
        let columns = self.columns.clone();
        Plain { columns, rows }
    }

    fn cells(&self, row: usize, places: &[usize]) -> Vec<Cell> {
        let row = &self.rows[row];
        places.iter().map(|place| row[*place].clone()).collect()
    }

    /// The rows of each group, groups in the order in which they first appear.
    pub fn groups(&self, keys: &[usize]) -> Vec<(Vec<Cell>, Vec<usize>)> {
        let mut groups: Vec<(Vec<Cell>, Vec<usize>)> = Vec::new();
        for row in 0..self.rows.len() {
            let key = self.cells(row, keys);
            match groups.iter_mut().find(|(known, _)| same(known, &key)) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        groups
    }
}

/// What is made of a column for each group: names, and of which kinds they are.
pub fn made_of(kind: Kind) -> Vec<(&'static str, Kind)> {
    let mut made = vec![("first", kind), ("last", kind), ("rows", Kind::Int)];
    if kind != Kind::List {
        made.extend([("min", kind), ("max", kind), ("kinds", Kind::Int)]);
    }
    if kind.is_number() {
        made.extend([("sum", kind), ("middle", Kind::Float)]);
    }
    made
}

impl Step {
    /// The frame after this step; `other` is what merges and unions see,
    /// `beside` tells its columns, and `table` those of the frame.
    pub fn on_frame(
        &self,
        frame: &DataFrame,
        table: &Plain,
        (other, beside): (&DataFrame, &Plain),
        session: &Session,
    ) -> windrow::Result<DataFrame> {
        let names = |places: &[usize]| -> Vec<String> {
            let names = places.iter().map(|place| table.name(*place).to_owned());
            names.collect()
        };
        let column = |place: &usize| col(table.name(*place));
        let sort = |by: &[(usize, bool, bool)]| {
            frame.sort_values(by.iter().map(|(place, descending, first)| SortBy {
                column: table.name(*place).to_owned(),
                descending: *descending,
                nulls_first: *first,
            }))
        };
        match self {
            Step::Filter(of, less) => frame.filter(column(of).lt(match less {
                Cell::Int(value) => lit(*value),
                Cell::Float(value) => lit(*value),
                Cell::Text(value) => lit(value.as_str()),
                other => unreachable!("{other:?} is no literal here"),
            })),
            Step::Present(of) => frame.filter(column(of).is_not_null()),
            Step::Select(places) => frame.select(names(places).iter().map(String::as_str)),
            Step::With(a, b) => frame.with_column("w", column(a) + column(b)),
            Step::Window(window, of, key) => {
                let made = match window {
                    Window::Shift(rows) => column(of).shift(*rows),
                    Window::Number => row_number(),
                    Window::Sum => column(of).cum_sum(),
                    Window::Next => column(of).bfill(None),
                };
                let made = match key {
                    Some(key) => made.over([table.name(*key)]),
                    None => made,
                };
                frame.with_column("win", made)
            }
            Step::Group(keys, of) => {
                let all = made_of(table.kind(*of)).into_iter().map(|(name, _)| {
                    let of = column(of);
                    let made = match name {
                        "first" => of.first(),
                        "last" => of.last(),
                        "rows" => count(),
                        "min" => of.min(),
                        "max" => of.max(),
                        "kinds" => of.nunique(),
                        "sum" => of.sum(),
                        _ => of.median(),
                    };
                    made.alias(name)
                });
                frame
                    .groupby(names(keys).iter().map(String::as_str))?
                    .agg(all)
            }
            Step::ValueCounts(of) => frame.value_counts([table.name(*of)]),
            Step::Gather(key, of) => frame
                .groupby([table.name(*key)])?
                .agg([column(of).list().alias("item")])?
                .explode(["item"]),
            Step::Explode(of) => frame.explode([table.name(*of)]),
            Step::Sort(by) => sort(by),
            Step::First(by, rows) => Ok(sort(by)?.limit(*rows)),
            Step::SetIndex(place) => frame.set_index(table.name(*place)),
            Step::Distinct(places, keep) => frame.drop_duplicates(names(places), *keep),
            Step::Merge(MergeHow::Cross, _) => frame.merge(other, MergeOptions::cross()),
            Step::Merge(how, key) => {
                let theirs = beside.meeting(table.kind(*key)).unwrap();
                let pairs = MergeOptions::on_pairs([table.name(*key)], [beside.name(theirs)])?;
                frame.merge(other, pairs.how(*how))
            }
            Step::Concat => {
                let theirs = beside.meeting(table.kind(0)).unwrap();
                let theirs: Expr = col(beside.name(theirs));
                windrow::concat([frame, &other.select([theirs.alias(table.name(0))])?])
            }
            Step::Limit(rows) => Ok(frame.limit(*rows)),
            Step::Largest(rows, by) => frame.nlargest(*rows, table.name(*by)),
            Step::Repartition(by) => frame.repartition(*by),
            Step::Persist => frame.persist(),
            Step::Shape(shape) => shape.on_frame(frame, table, (other, beside), session),
        }
    }

    /// The rows after this step.
    pub fn on_rows(&self, table: &Plain, other: &Plain) -> Plain {
        let of_rows = |rows: Vec<Vec<Cell>>| table.with_rows(rows);
        let rows_where = |keeps: &dyn Fn(&Vec<Cell>) -> bool| {
            let kept = table.rows.iter().filter(|row| keeps(row));
            of_rows(kept.cloned().collect())
        };
        match self {
            Step::Filter(of, less) => {
                rows_where(&|row| !row[*of].is_null() && row[*of].against(less).is_lt())
            }
            Step::Present(of) => rows_where(&|row| !row[*of].is_null()),
            Step::Select(places) => Plain {
                columns: places
                    .iter()
                    .map(|place| table.columns[*place].clone())
                    .collect(),
                rows: (0..table.rows.len())
                    .map(|row| table.cells(row, places))
                    .collect(),
            },
            Step::With(a, b) => with_sum(table, *a, *b),
            Step::Window(window, of, key) => windowed(table, *window, *of, *key),
            Step::Group(keys, of) => grouped(table, keys, *of),
            Step::ValueCounts(of) => {
                let groups = table.groups(&[*of]).into_iter();
                let counted = groups.map(|(key, rows)| (key[0].clone(), rows.len()));
                let mut counted: Vec<(Cell, usize)> = counted.collect();
                counted.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
                let rows = counted.into_iter();
                Plain {
                    columns: vec![table.columns[*of].clone(), ("count".to_owned(), Kind::Int)],
                    rows: rows
                        .map(|(key, rows)| vec![key, Cell::Int(rows as i64)])
                        .collect(),
                }
            }
            Step::Gather(key, of) => {
                let mut rows = Vec::new();
                for (value, group) in table.groups(&[*key]) {
                    let of_group = group.iter().map(|row| table.rows[*row][*of].clone());
                    rows.extend(of_group.map(|cell| vec![value[0].clone(), cell]));
                }
                let item = ("item".to_owned(), table.kind(*of));
                let columns = vec![table.columns[*key].clone(), item];
                Plain { columns, rows }
            }
            Step::Explode(of) => exploded(table, *of),
            Step::Sort(by) => sorted(table, by),
            Step::First(by, rows) => {
                let mut first = sorted(table, by);
                first.rows.truncate(*rows as usize);
                first
            }
            Step::SetIndex(place) => sorted(table, &[(*place, false, false)]),
            Step::Distinct(places, keep) => distinct(table, places, *keep),
            Step::Merge(how, key) => met(table, other, *how, *key),
            Step::Concat => {
                let theirs = other.meeting(table.kind(0)).unwrap();
                let mut rows = table.rows.clone();
                for row in &other.rows {
                    let mut new = vec![Cell::Null; table.columns.len()];
                    new[0] = row[theirs].clone();
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
            Step::Shape(shape) => shape.on_rows(table, other),
        }
    }
}

/// The table with a column that takes the place of one with its name.
fn with_column(table: &Plain, name: &str, kind: Kind, cells: Vec<Cell>) -> Plain {
    let mut new = table.clone();
    let place = table.columns.iter().position(|(known, _)| known == name);
    match place {
        Some(place) => new.columns[place].1 = kind,
        None => new.columns.push((name.to_owned(), kind)),
    }
    for (row, cell) in new.rows.iter_mut().zip(cells) {
        match place {
            Some(place) => row[place] = cell,
            None => row.push(cell),
        }
    }
    new
}

/// The sum of numbers; nothing where there are none.
fn sum(kind: Kind, cells: &[&Cell]) -> Cell {
    match (kind, cells.is_empty()) {
        (_, true) => Cell::Null,
        (Kind::Int, _) => Cell::Int(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Int(value) => *value,
                    other => unreachable!("{other:?} is no whole number"),
                })
                .sum(),
        ),
        // Halves of small numbers: no order changes their sum.
        _ => Cell::Float(cells.iter().filter_map(|cell| cell.number()).sum()),
    }
}

fn with_sum(table: &Plain, a: usize, b: usize) -> Plain {
    let kind = match (table.kind(a), table.kind(b)) {
        (Kind::Int, Kind::Int) => Kind::Int,
        _ => Kind::Float,
    };
    let cells = table.rows.iter().map(|row| match (&row[a], &row[b]) {
        (Cell::Null, _) | (_, Cell::Null) => Cell::Null,
        (a, b) => sum(kind, &[a, b]),
    });
    with_column(table, "w", kind, cells.collect())
}

fn windowed(table: &Plain, window: Window, of: usize, key: Option<usize>) -> Plain {
    let kind = match window {
        Window::Number => Kind::Int,
        _ => table.kind(of),
    };
    let mut cells = vec![Cell::Null; table.rows.len()];
    let keys: Vec<usize> = key.into_iter().collect();
    for (_, rows) in table.groups(&keys) {
        let value = |idx: usize| &table.rows[rows[idx]][of];
        for (idx, row) in rows.iter().enumerate() {
            cells[*row] = match window {
                Window::Number => Cell::Int(idx as i64 + 1),
                Window::Shift(by) => match usize::try_from(idx as i64 - by) {
                    Ok(from) if from < rows.len() => value(from).clone(),
                    _ => Cell::Null,
                },
                Window::Sum if value(idx).is_null() => Cell::Null,
                Window::Sum => {
                    let so_far = (0..=idx).map(value).filter(|cell| !cell.is_null());
                    sum(kind, &so_far.collect::<Vec<_>>())
                }
                Window::Next => {
                    let next = (idx..rows.len()).map(value).find(|cell| !cell.is_null());
                    next.cloned().unwrap_or(Cell::Null)
                }
            };
        }
    }
    with_column(table, "win", kind, cells)
}

fn grouped(table: &Plain, keys: &[usize], of: usize) -> Plain {
    let kind = table.kind(of);
    let mut columns: Vec<(String, Kind)> =
        keys.iter().map(|key| table.columns[*key].clone()).collect();
    let made = made_of(kind);
    columns.extend(made.iter().map(|(name, kind)| ((*name).to_owned(), *kind)));
    let mut rows = Vec::new();
    for (mut row, group) in table.groups(keys) {
        let values = group.iter().map(|row| &table.rows[*row][of]);
        let values: Vec<&Cell> = values.filter(|cell| !cell.is_null()).collect();
        let by_value = |a: &&&Cell, b: &&&Cell| a.against(b);
        let one = |cell: Option<&&Cell>| cell.map_or(Cell::Null, |cell| (*cell).clone());
        row.extend(made.iter().map(|(name, _)| match *name {
            "first" => one(values.first()),
            "last" => one(values.last()),
            "rows" => Cell::Int(group.len() as i64),
            "min" => one(values.iter().min_by(by_value)),
            "max" => one(values.iter().max_by(by_value)),
            "kinds" => {
                let mut kinds: Vec<&Cell> = Vec::new();
                for value in &values {
                    if !kinds.iter().any(|known| known.is(value)) {
                        kinds.push(value);
                    }
                }
                Cell::Int(kinds.len() as i64)
            }
            "sum" => sum(kind, &values),
            _ => middle(&values),
        }));
        rows.push(row);
    }
    Plain { columns, rows }
}

/// The median: between the two values in the middle where they are even in number.
fn middle(values: &[&Cell]) -> Cell {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.against(b));
    let at = |place: usize| sorted[place].number().unwrap();
    match sorted.len() {
        0 => Cell::Null,
        n if n % 2 == 1 => Cell::Float(at(n / 2)),
        n => Cell::Float(at(n / 2 - 1) * 0.5 + at(n / 2) * 0.5),
    }
}

fn exploded(table: &Plain, of: usize) -> Plain {
    let mut rows = Vec::new();
    for row in &table.rows {
        let items = match &row[of] {
            Cell::List(items) if !items.is_empty() => items.clone(),
            _ => vec![Cell::Null],
        };
        rows.extend(items.into_iter().map(|item| {
            let mut new = row.clone();
            new[of] = item;
            new
        }));
    }
    let mut new = table.with_rows(rows);
    new.columns[of].1 = Kind::Int;
    new
}

pub fn sorted(table: &Plain, by: &[(usize, bool, bool)]) -> Plain {
    let mut rows = table.rows.clone();
    rows.sort_by(|a, b| {
        let columns = by
            .iter()
            .map(|(place, descending, first)| order(&a[*place], &b[*place], *descending, *first));
        columns.fold(Ordering::Equal, Ordering::then)
    });
    table.with_rows(rows)
}

fn distinct(table: &Plain, places: &[usize], keep: Keep) -> Plain {
    let mut stay: Vec<usize> = Vec::new();
    for (_, rows) in table.groups(places) {
        stay.extend(match keep {
            Keep::First => rows.first(),
            Keep::Last => rows.last(),
            Keep::None => rows.first().filter(|_| rows.len() == 1),
        });
    }
    stay.sort_unstable();
    table.with_rows(stay.iter().map(|row| table.rows[*row].clone()).collect())
}

pub fn met(table: &Plain, other: &Plain, how: MergeHow, key: usize) -> Plain {
    let theirs = other.meeting(table.kind(key)).unwrap();
    let equal = |left: usize, right: usize| {
        let (left, right) = (&table.rows[left][key], &other.rows[right][theirs]);
        !left.is_null() && left.is(right)
    };
    let pairs = merged(how, table.rows.len(), other.rows.len(), &equal);
    let left_only = matches!(how, MergeHow::Semi | MergeHow::Anti);
    let rows = pairs.into_iter().map(|(left, right)| {
        let nulls = |side: &Plain| vec![Cell::Null; side.columns.len()];
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
