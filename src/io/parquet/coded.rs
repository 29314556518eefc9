//! Columns of text that stay dictionaries.
//!
//! In:  the footer, a row group, columns of which only equality matters.
//! Out: the types to read it with: a dictionary where all rows are stored as one.
//!
//! A text that thousands of rows have is stored once, and each row as its
//! place. Whoever only asks which rows are equal need not have the texts copied
//! out for every row. A row group that fell back to plain texts on the way is
//! read as texts: its dictionary would have to be made anew for each batch.

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Schema};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::input::options;
use super::statistics::leaf;

/// The footer with dictionaries for types of those of the columns `coded` that
/// are stored as one in row group `group`; nothing where none is.
pub(super) fn with_dictionaries(
    metadata: &ArrowReaderMetadata,
    group: usize,
    coded: &[String],
) -> Option<ArrowReaderMetadata> {
    if coded.is_empty() {
        return None;
    }
    let stored = metadata.metadata().row_group(group);
    let in_dictionary = |field: &FieldRef| {
        *field.data_type() == DataType::Utf8
            && coded.contains(field.name())
            && leaf(metadata, field.name(), &[])
                .is_some_and(|leaf| is_dictionary(stored.column(leaf.place)))
    };
    let schema = metadata.schema();
    let fields: Vec<FieldRef> = (schema.fields().iter())
        .map(|field| match in_dictionary(field) {
            true => {
                let keys = Box::new(DataType::Int32);
                let data_type = DataType::Dictionary(keys, Box::new(DataType::Utf8));
                Arc::new(field.as_ref().clone().with_data_type(data_type))
            }
            false => Arc::clone(field),
        })
        .collect();
    if fields[..] == schema.fields()[..] {
        return None;
    }
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = options().with_schema(Arc::new(schema));
    // A file whose types cannot be told so is read as it is.
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).ok()
}

/// Whether every page of values is one of places in a dictionary. Writers that
/// do not count the encodings of pages list that of the dictionary itself among
/// the others, unless they are old or name both alike.
fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    let only = |of: Encoding| match column.page_encoding_stats_mask() {
        Some(mask) => mask.is_only(of),
        None => {
            let mut values = column.encodings().filter(|encoding| !is_level(*encoding));
            values.next() == Some(of) && values.next().is_none()
        }
    };
    only(Encoding::PLAIN_DICTIONARY) || only(Encoding::RLE_DICTIONARY)
}

/// Whether an encoding is one of levels, which say where nulls are.
fn is_level(encoding: Encoding) -> bool {
    #[expect(deprecated, reason = "old files have it")]
    let bit_packed = Encoding::BIT_PACKED;
    encoding == Encoding::RLE || encoding == bit_packed
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
    use arrow_cast::cast;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::io::parquet::{ParquetInput, Wanted};

    /// Row groups of few and of many texts; a dictionary may hold few of them.
    fn written(dir: &std::path::Path, texts: &StringArray) -> ParquetInput {
        let column: ArrayRef = Arc::new(texts.clone());
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("a", Arc::clone(&column), true),
            ("b", column, true),
        ]);
        let batch = batch.unwrap();
        let path = dir.join("x.parquet");
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1000))
            .set_dictionary_page_size_limit(100)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(100)
            .build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let files = crate::io::list(&[path.display().to_string()]).unwrap();
        let files: Vec<_> = files.collect::<crate::Result<_>>().unwrap();
        ParquetInput::open(&files[0]).unwrap()
    }

    #[test]
    fn row_groups_that_are_dictionaries_come_as_such_and_others_as_texts() {
        let text = |row: u32| match row {
            _ if row.is_multiple_of(7) => None,
            0..1000 => Some(format!("few {}", row % 3)),
            1000..2000 => Some(format!("many {row}")),
            _ => Some(format!("again {}", row % 2)),
        };
        let texts: StringArray = (0..3000).map(text).collect();
        let dir = tempfile::tempdir().unwrap();
        let input = written(dir.path(), &texts);
        let wanted = Wanted {
            columns: Arc::clone(input.schema()),
            batch_rows: 300,
            coded: Arc::from(["b".to_owned(), "none such".to_owned()]),
            filter: None,
        };
        let mut row = 0;
        for group in 0..3 {
            let batches = input.read(&input.whole(group), &wanted).unwrap();
            for batch in batches {
                let batch = batch.unwrap();
                let want = texts.slice(row, batch.num_rows());
                assert_eq!(batch.column(0).as_string::<i32>(), &want);
                let coded = batch.column(1);
                let is_coded = matches!(coded.data_type(), DataType::Dictionary(..));
                assert_eq!(is_coded, group != 1, "row group {group}");
                let plain = cast(coded, &DataType::Utf8).unwrap();
                assert_eq!(plain.as_string::<i32>(), &want);
                row += batch.num_rows();
            }
        }
        assert_eq!(row, 3000);
    }
}
