//! What a footer's statistics say of a row group's columns.
//!
//! In:  the footer, a row group, a column's path.
//! Out: bounds and nulls, as far as they can be believed.
//!
//! Statistics are believed only where the order they were made with is known:
//! early writers compared text and unsigned numbers as signed bytes, and nobody
//! agreed on the order of 96-bit time stamps. Bounds may be cut short; they
//! bound all the same. No statistics say nothing.

use std::iter::once;

use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::{ColumnOrder, SortOrder, Type};
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::ColumnDescriptor;

use super::late::RowFilter;
use crate::expr::{Facts, Known};

/// The statistics of one row group.
pub(super) struct GroupStatistics<'a> {
    pub metadata: &'a ArrowReaderMetadata,
    /// Knows what is given of columns that the file does not hold.
    pub filter: &'a RowFilter,
    pub idx: usize,
}

/// A column without lists above it: at most one value per row.
pub(super) struct Leaf<'a> {
    /// Its place among the stored columns.
    pub place: usize,
    pub field: &'a Field,
}

/// Where the stored column of a path stands; none if there is none, or
/// several, or one that lies in lists.
pub(super) fn leaf<'a>(
    metadata: &'a ArrowReaderMetadata,
    root: &str,
    steps: &[String],
) -> Option<Leaf<'a>> {
    let mut field = metadata.schema().fields().find(root)?.1;
    for step in steps {
        let DataType::Struct(inner) = field.data_type() else {
            return None;
        };
        field = inner.find(step)?.1;
    }
    let is_it = |column: &ColumnDescriptor| {
        column.max_rep_level() == 0
            && column.path().parts().len() == 1 + steps.len()
            && once(root).chain(steps.iter().map(String::as_str)).eq(column
                .path()
                .parts()
                .iter()
                .map(String::as_str))
    };
    let columns = metadata.parquet_schema().columns().iter().enumerate();
    let mut found = columns.filter(|(_, column)| is_it(column));
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Some(Leaf { place, field }),
        _ => None,
    }
}

impl Known for GroupStatistics<'_> {
    fn facts(&self, root: &str, steps: &[String]) -> Facts {
        if let Some(given) = self.filter.given(root, steps) {
            return given;
        }
        // What this file lacks is null; so is what has no type.
        match self.metadata.schema().fields().find(root) {
            None => return Facts::all_null(),
            Some((_, field)) if *field.data_type() == DataType::Null => return Facts::all_null(),
            Some(_) => {}
        }
        let group = self.metadata.metadata().row_group(self.idx);
        let known = leaf(self.metadata, root, steps)
            .and_then(|leaf| of_chunk(self.metadata, group, &leaf, steps.is_empty()));
        known.unwrap_or_else(Facts::unknown)
    }
}

fn of_chunk(
    metadata: &ArrowReaderMetadata,
    group: &RowGroupMetaData,
    leaf: &Leaf<'_>,
    top_level: bool,
) -> Option<Facts> {
    let chunk = group.column(leaf.place);
    let statistics = chunk.statistics()?;
    let n_nulls = statistics.null_count_opt();
    if n_nulls.is_some_and(|nulls| i64::try_from(nulls).is_ok_and(|n| n >= group.num_rows())) {
        return Some(Facts::all_null());
    }
    let mut facts = Facts::unknown();
    if is_ordered(metadata, leaf.place, statistics.is_min_max_deprecated()) {
        let stored = metadata.parquet_schema();
        let converter = StatisticsConverter::from_column_index(leaf.place, leaf.field, stored);
        // A type that statistics cannot be had in says nothing.
        if let Ok(converter) = converter
            && let Ok(lower) = converter.row_group_mins(once(group))
            && let Ok(upper) = converter.row_group_maxes(once(group))
        {
            facts = Facts::within(lower, upper);
        }
    }
    // Writers differ in whether a missing parent is a null of its fields.
    if top_level && (chunk.column_descr().max_def_level() == 0 || n_nulls == Some(0)) {
        facts = facts.without_nulls();
    }
    Some(facts)
}

/// Whether bounds of a stored column follow the order of its type.
pub(super) fn is_ordered(metadata: &ArrowReaderMetadata, place: usize, deprecated: bool) -> bool {
    let column = metadata.parquet_schema().column(place);
    let file = metadata.metadata().file_metadata();
    let order = file.column_orders().and_then(|orders| orders.get(place));
    match order {
        Some(ColumnOrder::TYPE_DEFINED_ORDER(_)) if !deprecated => {
            column.physical_type() != Type::INT96 && column.sort_order() != SortOrder::UNDEFINED
        }
        Some(ColumnOrder::UNKNOWN) => false,
        // Before orders were written down, all writers agreed on signed integers only.
        _ => {
            matches!(column.physical_type(), Type::INT32 | Type::INT64)
                && column.sort_order() == SortOrder::SIGNED
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{FileMetaData, ParquetMetaData};
    use parquet::file::statistics::{Statistics, ValueStatistics};

    use super::*;
    use crate::expr::Expr;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
            ("u", Arc::new(UInt64Array::from(vec![1, 2]))),
            ("t", Arc::new(StringArray::from(vec!["a", "b"]))),
        ])
        .unwrap()
    }

    fn stored() -> ParquetMetaData {
        let mut out = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut out, batch().schema(), None).unwrap();
        writer.write(&batch()).unwrap();
        writer.close().unwrap();
        let metadata = ArrowReaderMetadata::load(&Bytes::from(out), Default::default()).unwrap();
        metadata.metadata().as_ref().clone()
    }

    fn with_orders(metadata: ParquetMetaData, orders: Option<Vec<ColumnOrder>>) -> ParquetMetaData {
        let file = metadata.file_metadata();
        let file = FileMetaData::new(
            file.version(),
            file.num_rows(),
            None,
            file.key_value_metadata().cloned(),
            file.schema_descr_ptr(),
            orders,
        );
        ParquetMetaData::new(file, metadata.row_groups().to_vec())
    }

    /// Whether each column's bounds are believed to leave out what lies above them.
    fn believed(metadata: ParquetMetaData) -> [bool; 3] {
        let metadata =
            ArrowReaderMetadata::try_new(Arc::new(metadata), Default::default()).unwrap();
        let schema = batch().schema();
        ["n > 9", "u > 9", "t > 'x'"].map(|text| {
            let bound = Expr::parse(text).unwrap().bind(&schema).unwrap();
            let filter = RowFilter::new(bound, &schema).unwrap();
            let known = GroupStatistics {
                metadata: &metadata,
                filter: &filter,
                idx: 0,
            };
            !filter.predicate().may_match(&schema, &known).unwrap()
        })
    }

    #[test]
    fn bounds_of_an_unknown_order_are_not_believed() {
        assert_eq!(believed(stored()), [true, true, true]);
        assert_eq!(believed(with_orders(stored(), None)), [true, false, false]);
        let unknown = Some(vec![ColumnOrder::UNKNOWN; 3]);
        assert_eq!(believed(with_orders(stored(), unknown)), [false; 3]);
    }

    #[test]
    fn deprecated_bounds_are_believed_of_signed_integers_only() {
        let mut builder = stored().into_builder();
        let groups = builder.take_row_groups();
        let group = groups[0].clone();
        let numbers = || ValueStatistics::new(Some(1i64), Some(2), None, Some(0), true);
        let text = |text: &str| Some(text.as_bytes().to_vec().into());
        let old = [
            Statistics::Int64(numbers()),
            Statistics::Int64(numbers()),
            Statistics::ByteArray(ValueStatistics::new(
                text("a"),
                text("b"),
                None,
                Some(0),
                true,
            )),
        ];
        let columns = group.columns().iter().zip(old).map(|(column, old)| {
            let column = column.clone().into_builder();
            column.set_statistics(old).build().unwrap()
        });
        let columns = columns.collect();
        let group = group.into_builder().set_column_metadata(columns);
        let old = builder.add_row_group(group.build().unwrap()).build();
        assert_eq!(believed(old), [true, false, false]);
    }
}
