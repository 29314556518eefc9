//! What is in the columns of a frame, in a few rows.
//!
//! In:  batches, or others like it that saw other rows, in input order.
//! Out: one row a statistic, one column for each that is described.
//!
//! ```text
//! statistic  bytes (Float64)  user (Utf8)
//! count                 1200         1100
//! nulls                    0          100
//! mean std               …            –
//! min 25% 50% 75% max    …        min, max
//! unique top freq        –            …
//! ```

use std::cmp::Reverse;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};

use super::Aggregate;
use crate::error::Result;
use crate::expr::{AggExpr, BoundAggregate, Expr, col, count, output_names};

/// The statistics, in the order of their rows.
const STATISTICS: [&str; 12] = [
    "count", "nulls", "mean", "std", "min", "25%", "50%", "75%", "max", "unique", "top", "freq",
];

/// What kind of statistics a column has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Number,
    /// Values are counted one by one.
    Text,
    /// Values with an order: times, conditions.
    Ordered,
    /// Objects and lists: only counts.
    Other,
}

/// Describes columns. Quantiles of numbers are within 0.4 % of themselves;
/// everything else is exact. Numbers come out as `Float64`, all else as text.
/// Blocking; holds one count for each distinct text, which whoever drives it can take away.
pub struct Describe {
    columns: Vec<(String, Kind)>,
    statistics: Aggregate,
    /// Rows by text, for each column of text.
    texts: Vec<Aggregate>,
}

impl Describe {
    /// Describes some columns of batches of a schema; nested fields may be named too.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with names near it, and for
    /// one that is named twice.
    pub fn try_new(schema: &Schema, columns: &[String]) -> Result<Self> {
        let mut kinds = Vec::with_capacity(columns.len());
        let mut statistics = vec![("rows".to_owned(), count().bind(schema)?)];
        let mut texts = Vec::new();
        for name in columns {
            let bound = col(name).bind(schema)?;
            let kind = kind(bound.data_type(), name, schema);
            kinds.push((name.clone(), kind));
            for (statistic, aggregate) in aggregates(kind) {
                let bound: BoundAggregate = aggregate(col(name)).bind(schema)?;
                statistics.push((format!("{statistic} {name}"), bound));
            }
            if kind == Kind::Text {
                let taken = std::slice::from_ref(name);
                let rows = output_names(&[count()], taken).remove(0);
                let rows = (rows, count().bind(schema)?);
                texts.push(Aggregate::try_new(vec![(name.clone(), bound)], vec![rows])?);
            }
        }
        Ok(Describe {
            columns: kinds,
            statistics: Aggregate::try_new(vec![], statistics)?,
            texts,
        })
    }

    /// The columns of the table.
    pub fn schema(&self) -> Schema {
        let described = self.columns.iter().map(|(name, kind)| {
            let of = match kind {
                Kind::Number => DataType::Float64,
                _ => DataType::Utf8,
            };
            Field::new(name, of, true)
        });
        let statistic = Field::new("statistic", DataType::Utf8, true);
        Schema::new(
            std::iter::once(statistic)
                .chain(described)
                .collect::<Vec<_>>(),
        )
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(Aggregate::bytes).sum();
        self.statistics.bytes() + texts
    }

    /// The same, for chunks and partials that come in any order.
    #[must_use]
    pub fn with_places(self) -> Self {
        let texts = self.texts.into_iter();
        Describe {
            texts: texts.map(Aggregate::with_places).collect(),
            ..self
        }
    }

    /// The rows by text of each column of text.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut Aggregate> {
        self.texts.iter_mut()
    }

    /// The names of these columns.
    pub(crate) fn text_columns(&self) -> Vec<String> {
        let texts = self.columns.iter().filter(|(_, kind)| *kind == Kind::Text);
        texts.map(|(name, _)| name.clone()).collect()
    }

    /// Takes in a batch whose rows come behind all rows so far.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for a column whose type in this batch does not meet
    /// the one before.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.push_chunk(batch, 0)
    }

    /// As [`push`](Self::push), of chunk `chunk` of the input: with places,
    /// chunks come in any order.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn push_chunk(&mut self, batch: &RecordBatch, chunk: u64) -> Result<()> {
        self.statistics.push_chunk(batch, chunk)?;
        for text in &mut self.texts {
            text.push_chunk(batch, chunk)?;
        }
        Ok(())
    }

    /// All there is, as one batch for the statistics and one for each column
    /// of text. The operator is empty after it and can go on.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if texts are too large for one array.
    pub fn partial(&mut self) -> Result<Vec<RecordBatch>> {
        let mut partials = vec![self.statistics.partial()?];
        for text in &mut self.texts {
            partials.push(text.partial()?);
        }
        Ok(partials)
    }

    /// Takes in a partial of an operator for the same columns, whose rows come
    /// behind all rows so far.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for a column whose type does not meet the one here.
    pub fn merge(&mut self, partial: &[RecordBatch]) -> Result<()> {
        for (own, partial) in std::iter::once(&mut self.statistics)
            .chain(&mut self.texts)
            .zip(partial)
        {
            own.merge(partial)?;
        }
        Ok(())
    }

    /// The table. The operator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if texts are too large for one array.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let mut texts = Vec::new();
        for text in &mut self.texts {
            let (counted, places) = text.finish_placed()?;
            texts.push(Frequent::of(&counted, &places)?);
        }
        self.finish_with(texts)
    }

    /// The table, with what was found out of each column of text elsewhere.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish).
    pub(crate) fn finish_with(&mut self, texts: Vec<Frequent>) -> Result<RecordBatch> {
        let found = self.statistics.finish()?;
        let mut texts = texts.into_iter();
        let names: ArrayRef = Arc::new(StringArray::from(STATISTICS.to_vec()));
        let mut columns = vec![("statistic".to_owned(), names)];
        for (name, kind) in &self.columns {
            let text = match kind {
                Kind::Text => texts.next(),
                _ => None,
            };
            columns.push((name.clone(), described(&found, name, *kind, text)?));
        }
        Ok(RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )?)
    }
}

fn kind(of: &DataType, name: &str, schema: &Schema) -> Kind {
    match of {
        of if of.is_numeric() => Kind::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, values) => kind(values, name, schema),
        _ if col(name).min().bind(schema).is_ok() => Kind::Ordered,
        _ => Kind::Other,
    }
}

/// Makes an aggregate of a column.
type Make = fn(Expr) -> AggExpr;

/// The statistics that are aggregates, for a kind of column.
fn aggregates(kind: Kind) -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = vec![("count", Expr::count)];
    if kind != Kind::Other {
        all.extend([("min", Expr::min as Make), ("max", Expr::max)]);
    }
    if kind == Kind::Number {
        all.extend([
            ("mean", Expr::mean as Make),
            ("std", Expr::std),
            ("25%", |column| column.approx_quantile(0.25)),
            ("50%", |column| column.approx_quantile(0.5)),
            ("75%", |column| column.approx_quantile(0.75)),
        ]);
    }
    all
}

/// Which text is the most frequent one, of those that were counted.
#[derive(Debug, Default)]
pub(crate) struct Frequent {
    /// How many different ones there are.
    unique: i64,
    first: Option<First>,
}

/// The most frequent text; of several, the one that comes first.
#[derive(Debug)]
struct First {
    text: String,
    rows: i64,
    place: (u64, u32),
}

impl Frequent {
    /// Of texts and how many rows have them, in the order in which they first
    /// appear, and where that is, if it is known.
    ///
    /// # Errors
    ///
    /// What Arrow says of a text that it cannot read.
    pub fn of(counted: &RecordBatch, places: &[ArrayRef]) -> Result<Self> {
        let texts = counted.column(0);
        let rows = counted.column(1).as_primitive::<Int64Type>();
        let nulls = texts.logical_nulls();
        let is_text = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
        let mut most: Option<usize> = None;
        for row in (0..texts.len()).filter(is_text) {
            if most.is_none_or(|most| rows.value(row) > rows.value(most)) {
                most = Some(row);
            }
        }
        let n_nulls = nulls.as_ref().map_or(0, NullBuffer::null_count);
        let first = |row: usize| -> Result<First> {
            let text = cast(&texts.slice(row, 1), &DataType::Utf8)?;
            Ok(First {
                text: text.as_string::<i32>().value(0).to_owned(),
                rows: rows.value(row),
                place: match places {
                    [chunks, in_chunk] => (
                        chunks.as_primitive::<UInt64Type>().value(row),
                        in_chunk.as_primitive::<UInt32Type>().value(row),
                    ),
                    _ => (0, 0),
                },
            })
        };
        Ok(Frequent {
            unique: (texts.len() - n_nulls) as i64,
            first: most.map(first).transpose()?,
        })
    }

    /// Of texts of which each was counted in one of the parts.
    pub fn of_all(parts: Vec<Frequent>) -> Self {
        Frequent {
            unique: parts.iter().map(|part| part.unique).sum(),
            first: parts
                .into_iter()
                .filter_map(|part| part.first)
                .min_by_key(|first| (Reverse(first.rows), first.place)),
        }
    }
}

/// The column of one that is described.
fn described(
    found: &RecordBatch,
    name: &str,
    kind: Kind,
    texts: Option<Frequent>,
) -> Result<ArrayRef> {
    let get = |statistic: &str, to: &DataType| -> Result<Option<ArrayRef>> {
        let column = found.column_by_name(&format!("{statistic} {name}"));
        Ok(match column {
            Some(column) if column.is_valid(0) => Some(cast(column, to)?),
            _ => None,
        })
    };
    let whole = |column: Option<ArrayRef>| {
        column.map_or(0, |column| column.as_primitive::<Int64Type>().value(0))
    };
    let rows = whole(found.column_by_name("rows").cloned());
    let count = whole(get("count", &DataType::Int64)?);
    if kind == Kind::Number {
        let mut values = Vec::with_capacity(STATISTICS.len());
        for statistic in STATISTICS {
            values.push(match statistic {
                "count" => Some(count as f64),
                "nulls" => Some((rows - count) as f64),
                _ => get(statistic, &DataType::Float64)?
                    .map(|value| value.as_primitive::<Float64Type>().value(0)),
            });
        }
        return Ok(Arc::new(Float64Array::from(values)));
    }
    let mut values = Vec::with_capacity(STATISTICS.len());
    for statistic in STATISTICS {
        let first = texts.as_ref().and_then(|texts| texts.first.as_ref());
        values.push(match (statistic, &texts) {
            ("count", _) => Some(count.to_string()),
            ("nulls", _) => Some((rows - count).to_string()),
            ("unique", Some(texts)) => Some(texts.unique.to_string()),
            ("top", Some(_)) => first.map(|first| first.text.clone()),
            ("freq", Some(_)) => first.map(|first| first.rows.to_string()),
            _ => get(statistic, &DataType::Utf8)?
                .map(|value| value.as_string::<i32>().value(0).to_owned()),
        });
    }
    Ok(Arc::new(StringArray::from(values)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::test_rows::{rows, shown};

    #[test]
    fn any_cut_describes_the_same() {
        let all = rows();
        let names = ["n", "word"].map(str::to_owned);
        let mut whole = Describe::try_new(&all.schema(), &names).unwrap();
        whole.push(&all).unwrap();
        assert!(whole.bytes() > 0);
        let whole = shown(&whole.finish().unwrap());
        let expected = [
            "count 11.0 9",
            "nulls 1.0 3",
            "mean 2.4545454545454546 null",
            "std 2.8412545244534626 null",
            "min -4.0 a",
            "25% 1.0 null",
            "50% 2.0 null",
            "75% 3.0 null",
            "max 7.0 c",
            "unique null 4",
            "top null b",
            "freq null 4",
        ];
        assert_eq!(whole, expected);
        let mut merged = Describe::try_new(&all.schema(), &names).unwrap();
        for row in 0..all.num_rows() {
            let mut part = Describe::try_new(&all.schema(), &names).unwrap();
            part.push(&all.slice(row, 1)).unwrap();
            merged.merge(&part.partial().unwrap()).unwrap();
        }
        assert_eq!(shown(&merged.finish().unwrap()), expected);
    }

    #[test]
    fn without_rows_there_is_nothing_but_zeros() {
        let all = rows();
        let mut none = Describe::try_new(&all.schema(), &["x".to_owned()]).unwrap();
        let lines = shown(&none.finish().unwrap());
        assert_eq!(lines[..3], ["count 0.0", "nulls 0.0", "mean null"]);
    }
}
