//! Time stamps in the old 96-bit form, kept exactly.
//!
//! In:  a file with such columns.
//! Out: for each, the unit of a 64-bit time stamp that holds all its values.
//!
//! The 96 bits are nanoseconds of a day and a day. 64 bits of nanoseconds
//! reach from 1677 to 2262 and wrap silently beyond, so the values decide:
//! nanoseconds where all fit, else microseconds where none is cut. This reads
//! those columns once more, which only files of older writers pay for.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::Int96;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::schema::types::SchemaDescriptor;

use crate::io::pread::Pread;

const JULIAN_DAY_OF_EPOCH: i128 = 2_440_588;
const NANOS_IN_DAY: i128 = 86_400_000_000_000;

/// Whether any column is stored so.
pub(super) fn has_any(schema: &SchemaDescriptor) -> bool {
    (0..schema.num_columns()).any(|idx| schema.column(idx).physical_type() == Type::INT96)
}

/// Where the columns stored so lie in the file.
pub(super) fn chunks(metadata: &ParquetMetaData) -> Vec<Range<u64>> {
    let groups = metadata.row_groups().iter();
    groups
        .flat_map(|group| group.columns())
        .filter(|column| column.column_type() == Type::INT96)
        .map(|column| column.byte_range())
        .map(|(start, length)| start..start + length)
        .collect()
}

/// The unit of each leaf column; none where it is not stored so. The error
/// says which column fits no unit.
pub(super) fn units(file: &Pread, metadata: &ParquetMetaData) -> Result<Vec<Option<TimeUnit>>> {
    let schema = metadata.file_metadata().schema_descr();
    let file = Arc::new(file.clone());
    let properties = Arc::new(ReaderProperties::builder().build());
    let mut units = vec![None; schema.num_columns()];
    for (leaf, unit) in units.iter_mut().enumerate() {
        if schema.column(leaf).physical_type() != Type::INT96 {
            continue;
        }
        let mut fits = Fits::default();
        for group in metadata.row_groups() {
            let (file, properties) = (Arc::clone(&file), Arc::clone(&properties));
            let group = SerializedRowGroupReader::new(file, group, None, properties)?;
            if let ColumnReader::Int96ColumnReader(mut column) = group.get_column_reader(leaf)? {
                let (mut values, mut defs, mut reps) = (Vec::new(), Vec::new(), Vec::new());
                loop {
                    values.clear();
                    defs.clear();
                    reps.clear();
                    let (records, _, levels) =
                        column.read_records(8192, Some(&mut defs), Some(&mut reps), &mut values)?;
                    if records == 0 && levels == 0 {
                        break;
                    }
                    values.iter().for_each(|value| fits.see(value));
                }
            }
        }
        *unit = Some(fits.unit().ok_or_else(|| {
            ParquetError::General(format!(
                "the time stamps of column {:?} span more than 64 bits hold at their precision",
                schema.column(leaf).path().string()
            ))
        })?);
    }
    Ok(units)
}

/// Which units hold every value seen.
struct Fits {
    nanos: bool,
    micros: bool,
}

impl Default for Fits {
    fn default() -> Self {
        Fits {
            nanos: true,
            micros: true,
        }
    }
}

impl Fits {
    fn see(&mut self, value: &Int96) {
        let words = value.data();
        let day = i128::from(words[2] as i32);
        // As the decoder takes them: the upper word's sign is the sum's.
        let of_day = i128::from(((words[1] as i64) << 32).wrapping_add(words[0] as i64));
        let julian_nanos = day * NANOS_IN_DAY + of_day;
        let nanos = julian_nanos - JULIAN_DAY_OF_EPOCH * NANOS_IN_DAY;
        self.nanos &= i64::try_from(nanos).is_ok();
        // Spark moves to the Julian epoch in 64 bits of microseconds, and so
        // wraps the last 6,682 years of its range; moving back unwraps them.
        self.micros &= of_day % 1000 == 0 && i64::try_from(julian_nanos / 1000).is_ok();
    }

    fn unit(&self) -> Option<TimeUnit> {
        match (self.nanos, self.micros) {
            (true, _) => Some(TimeUnit::Nanosecond),
            (false, true) => Some(TimeUnit::Microsecond),
            (false, false) => None,
        }
    }
}

/// A schema whose time stamps have the given units. `units` holds one for each leaf, in order.
pub(super) fn with_units(schema: &Schema, units: &[Option<TimeUnit>]) -> Schema {
    let mut units = units.iter().copied();
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| retime(field, &mut units))
        .collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// As deep as the schema, which `footer` limits.
fn retime(field: &Field, units: &mut dyn Iterator<Item = Option<TimeUnit>>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| retime(field, units))
                .collect::<Fields>(),
        ),
        DataType::List(item) => DataType::List(retime(item, units)),
        DataType::LargeList(item) => DataType::LargeList(retime(item, units)),
        DataType::FixedSizeList(item, n) => DataType::FixedSizeList(retime(item, units), *n),
        DataType::Map(entries, sorted) => DataType::Map(retime(entries, units), *sorted),
        other => match units.next().flatten() {
            Some(unit) => DataType::Timestamp(unit, None),
            None => other.clone(),
        },
    };
    Arc::new(field.clone().with_data_type(data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(day: i32, of_day: i64) -> Option<TimeUnit> {
        let mut value = Int96::new();
        value.set_data(of_day as u32, (of_day >> 32) as u32, day as u32);
        let mut fits = Fits::default();
        fits.see(&value);
        fits.unit()
    }

    #[test]
    fn the_unit_holds_every_value() {
        let epoch = JULIAN_DAY_OF_EPOCH as i32;
        assert_eq!(fits(epoch, 1), Some(TimeUnit::Nanosecond));
        assert_eq!(fits(epoch + 106_751, 0), Some(TimeUnit::Nanosecond));
        assert_eq!(fits(epoch + 106_753, 0), Some(TimeUnit::Microsecond));
        assert_eq!(fits(epoch + 106_753, 1), None);
        assert_eq!(fits(i32::MAX, 0), None);
    }
}
