//! CSV records to columns.
//!
//! In:  text whose records are lines of fields, as RFC 4180 has it or near to that.
//! Out: Arrow batches under a schema that only grows, and every record accounted for.
//!
//! ```text
//! head ──▶ layout (dialect, names)        once for each file
//!
//! records ──▶ build ──▶ read ──▶ cell, column ──▶ batch
//!               └ something new ──▶ learn ──▶ schema ──▶ read again
//! ```
//!
//! What a text means is settled here:
//!
//! - **Header.** The first record of each file, behind blank lines and comments,
//!   names its columns. Files are united by these names: their order may differ,
//!   and what a file does not have is null. A column without a name, or in a
//!   file without a header, is `column_0` and so on by its place; a name that
//!   comes twice goes on as `name_2`.
//! - **Delimiter.** A comma, unless the first record has none and just one of
//!   semicolon, tab and bar.
//! - **Quotes** mean something only where a field begins; a field that begins
//!   with one ends with one, and a doubled quote inside is one. A quote within
//!   an unquoted field is a character. Where a record ends follows from its start
//!   alone, so it is looked for once, by the reader of a file, ahead of the
//!   decoders: quoted line ends are right at every blocksize.
//! - **Nulls.** An unquoted empty field is null, and so is an unquoted text that
//!   was named as null. A quoted field is never null: `""` is the empty text.
//! - **Types.** null < bool; null < int64 < uint64, float64; anything < text.
//!   Quotes say nothing of types. A column is of numbers only if each field
//!   comes back from its number as it was written: `007`, `+1` and 20 digits
//!   are text. Floats may all be written shortest (`1.5`, also among `1`), as
//!   Python does (`1.0`, `1e-07`), or with one number of decimals (`1.50`);
//!   where no one way gives all fields back, the column is text. Beside them
//!   `NaN`, `inf` and `-inf`, written so, are floats. Booleans are
//!   `true`, `True` or `TRUE` throughout. Dates and times are text unless a
//!   schema says otherwise, and a column without any value is text.
//! - **Records** with more fields than columns are bad, and so are those with
//!   fewer unless short ones are to be filled with nulls, and those whose quotes
//!   are broken: never closed, or closed in the middle of a field. Where bad
//!   records are passed over, of a broken one only the first line is bad, and
//!   its other lines are read as records: a quote too many costs its line and
//!   not the rest of the file.
//! - **Lines** end with LF or CRLF, or all with CR if the first one does. Blank
//!   lines are counted and give no row, but where there is one column only: there
//!   the line is a record of one empty field, a null, as DuckDB and R have it.
//!   Comments count as blank. The balance sheet counts records, whatever line
//!   ends their quotes hold; places in messages are physical lines. A header is
//!   no record.

mod build;
mod cell;
mod decode;
mod dialect;
mod layout;
mod read;
mod rows;
mod task;
mod typed;

pub use build::infer;
pub use decode::CsvDecoder;
pub use dialect::CsvOptions;
pub(crate) use dialect::Dialect;
pub use layout::CsvLayout;
