//! Flags that say how part files are compressed, and the options they become.
//!
//! In:  words of a command line.
//! Out: one codec for all columns, and those of single columns.

use std::str::FromStr;

use windrow::{Codec, Error, Result, WriteOptions};

/// A codec of all columns, or with `COLUMN=` before it of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecArg {
    column: Option<String>,
    codec: Codec,
}

impl FromStr for CodecArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // No codec has an equals sign; the name of a column may.
        let (column, codec) = match text.rsplit_once('=') {
            Some((column, codec)) => (Some(column.to_owned()), codec),
            None => (None, text),
        };
        Ok(CodecArg {
            column,
            codec: codec.parse()?,
        })
    }
}

/// Options with these codecs.
///
/// # Errors
///
/// [`Error::Config`] if two of them are for all columns.
pub fn with_codecs(mut options: WriteOptions, args: &[CodecArg]) -> Result<WriteOptions> {
    for CodecArg { column, codec } in args {
        match column {
            Some(column) => options.column_codecs.push((column.clone(), *codec)),
            None => {
                if let Some(first) = options.codec.replace(*codec) {
                    return Err(Error::config(
                        "compression",
                        format!(
                            "{first} and {codec} are both for all columns; name a column, as in zstd:3,body=zstd:9"
                        ),
                    ));
                }
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_of_columns_stand_behind_their_names() {
        let args: Vec<CodecArg> = ["zstd:3", "body=zstd:9", "a=b=none"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let options = with_codecs(WriteOptions::default(), &args).unwrap();
        assert_eq!(options.codec, Some(Codec::Zstd(3)));
        let named = [("body", Codec::Zstd(9)), ("a=b", Codec::None)];
        let named = named.map(|(name, codec)| (name.to_owned(), codec));
        assert_eq!(options.column_codecs, named);
        let twice = [args[0].clone(), "lz4".parse().unwrap()];
        let error = with_codecs(WriteOptions::default(), &twice).unwrap_err();
        assert!(error.to_string().contains("zstd:3 and lz4"), "{error}");
        assert!("body=zip".parse::<CodecArg>().is_err());
    }
}
