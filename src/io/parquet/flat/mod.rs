//! Columns without lists and structs, decoded without the parquet crate.
//!
//! In:  row groups, of which the wanted columns and those of the filter are flat.
//! Out: batches of the rows that pass.
//!
//! ```text
//! window of rows ── filter's columns, as places in dictionaries ─▶ rows that pass ─▶ those of the other columns
//! ```
//!
//! Filters are evaluated once for each value of a dictionary, then each row's
//! place is looked up. Pages of other columns that hold no row that passes are
//! never decompressed. Room for pages is used again, decimals are widened once
//! for each value of a dictionary, and nobody spells out the levels of a column
//! without nulls. What is not handled here is the crate's reader's, for all
//! columns of a stretch: lists, structs, rare types and codecs, files behind URLs.

mod codec;
mod column;
mod delta;
mod fault;
mod filter;
mod header;
mod hybrid;
mod kind;
mod page;
mod pages;
mod room;
mod rows;
mod split;
#[cfg(test)]
mod tests;
mod unpack;
mod values;

pub(super) use rows::FlatRows;

use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use column::{Column, Shape, Typed};
use kind::{Booleans, Kind, Numbers, Strings};
use pages::Pages;

/// A column of a type as it is stored and as it comes; None if it is none of ours.
fn column(stored: Type, shape: Shape, pages: impl FnOnce() -> Pages) -> Option<Box<dyn Column>> {
    use DataType::{
        Binary, Boolean, Date32, Date64, Decimal128, Duration, Float32, Float64, Int8, Int16,
        Int32, Int64, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8,
    };
    fn of<K: Kind>(shape: Shape, pages: Pages) -> Option<Box<dyn Column>> {
        Some(Box::new(Typed::<K>::new(pages, shape)))
    }
    match (stored, &shape.data_type) {
        (Type::BOOLEAN, Boolean) => of::<Booleans>(shape, pages()),
        (Type::INT32, Int8 | UInt8) => of::<Numbers<i32, i8>>(shape, pages()),
        (Type::INT32, Int16 | UInt16) => of::<Numbers<i32, i16>>(shape, pages()),
        (
            Type::INT32,
            Int32 | UInt32 | Date32 | Time32(TimeUnit::Second | TimeUnit::Millisecond),
        )
        | (Type::FLOAT, Float32) => of::<Numbers<i32, i32>>(shape, pages()),
        (Type::INT32, Decimal128(..)) => of::<Numbers<i32, i128>>(shape, pages()),
        (
            Type::INT64,
            Int64
            | UInt64
            | Date64
            | Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond)
            | Duration(_)
            | Timestamp(..),
        )
        | (Type::DOUBLE, Float64) => of::<Numbers<i64, i64>>(shape, pages()),
        (Type::INT64, Decimal128(..)) => of::<Numbers<i64, i128>>(shape, pages()),
        (Type::BYTE_ARRAY, Utf8 | Binary) => of::<Strings>(shape, pages()),
        _ => None,
    }
}

/// Whether a chunk is of a flat column, with a codec and levels that are known here.
fn is_flat(chunk: &ColumnChunkMetaData) -> bool {
    #[expect(deprecated, reason = "old files have it")]
    let bit_packed = Encoding::BIT_PACKED;
    let column = chunk.column_descr();
    column.max_rep_level() == 0
        && column.max_def_level() <= 1
        && column.path().parts().len() == 1
        && codec::is_known(chunk.compression())
        && (column.max_def_level() == 0 || chunk.encodings().all(|of| of != bit_packed))
}
