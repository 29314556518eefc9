//! A type from its text.
//!
//! In:  a text that a person may have written.
//! Out: the type, or what was expected and what stands there instead.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::{MAX_DEPTH, PLAIN, is_word};

/// A type from its text.
pub(super) fn parse_type(text: &str) -> std::result::Result<DataType, String> {
    let mut parser = Parser { text, at: 0 };
    let data_type = parser.data_type(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("the end of the type"));
    }
    Ok(data_type)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = std::result::Result<T, String>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.rest().chars().next() {
            Some(c) => format!(
                "{c:?} at character {}",
                self.text[..self.at].chars().count() + 1
            ),
            None => "the end".into(),
        };
        format!("type {:?}: expected {what}, found {found}", self.text)
    }

    /// Takes a mark if it comes next.
    fn take(&mut self, mark: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(mark);
        if there {
            self.at += mark.len();
        }
        there
    }

    fn need(&mut self, mark: &str) -> Parsed<()> {
        if self.take(mark) {
            Ok(())
        } else {
            Err(self.expected(&format!("{mark:?}")))
        }
    }

    fn word(&mut self, what: &str) -> Parsed<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.expected(what));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// A parameter: everything up to `,` or `]`.
    fn parameter(&mut self, what: &str) -> Parsed<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find([',', ']']).unwrap_or(rest.len());
        if rest[..len].trim().is_empty() {
            return Err(self.expected(what));
        }
        self.at += len;
        Ok(rest[..len].trim())
    }

    fn number<N: std::str::FromStr>(&mut self, what: &str) -> Parsed<N> {
        let start = self.at;
        let text = self.parameter(what)?;
        text.parse().map_err(|_| {
            self.at = start;
            self.skip_space();
            self.expected(what)
        })
    }

    fn unit(&mut self) -> Parsed<TimeUnit> {
        let start = self.at;
        match self.parameter("a unit")? {
            "s" => Ok(TimeUnit::Second),
            "ms" => Ok(TimeUnit::Millisecond),
            "us" => Ok(TimeUnit::Microsecond),
            "ns" => Ok(TimeUnit::Nanosecond),
            _ => {
                self.at = start;
                Err(self.expected("s, ms, us or ns"))
            }
        }
    }

    fn only_unit(&mut self) -> Parsed<TimeUnit> {
        self.need("[")?;
        let unit = self.unit()?;
        self.need("]")?;
        Ok(unit)
    }

    fn decimal(&mut self, max_precision: u8) -> Parsed<(u8, i8)> {
        self.need("[")?;
        let start = self.at;
        let precision: u8 = self.number("a precision")?;
        let scale: i8 = if self.take(",") {
            self.number("a scale")?
        } else {
            0
        };
        if precision == 0 || precision > max_precision || i16::from(scale) > i16::from(precision) {
            self.at = start;
            return Err(self.expected(&format!(
                "a precision of 1 to {max_precision} and no larger scale"
            )));
        }
        self.need("]")?;
        Ok((precision, scale))
    }

    fn item(&mut self, name: &str, depth: usize) -> Parsed<FieldRef> {
        let data_type = self.data_type(depth + 1)?;
        let nullable = !self.not_null()?;
        Ok(Arc::new(Field::new(name, data_type, nullable)))
    }

    fn not_null(&mut self) -> Parsed<bool> {
        if !self.take("not ") {
            return Ok(false);
        }
        self.need("null")?;
        Ok(true)
    }

    fn angle_item(&mut self, depth: usize) -> Parsed<FieldRef> {
        self.need("<")?;
        let item = self.item("item", depth)?;
        self.need(">")?;
        Ok(item)
    }

    fn member_name(&mut self) -> Parsed<String> {
        self.skip_space();
        if !self.rest().starts_with('"') {
            return Ok(self.word("a member's name")?.to_owned());
        }
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        let name = match values.next() {
            Some(Ok(name)) => name,
            _ => return Err(self.expected("a quoted name")),
        };
        self.at += values.byte_offset();
        Ok(name)
    }

    fn members(&mut self, depth: usize) -> Parsed<Fields> {
        self.need("<")?;
        let mut members: Vec<FieldRef> = Vec::new();
        while !self.take(">") {
            if !members.is_empty() {
                self.need(",")?;
            }
            let name = self.member_name()?;
            if members.iter().any(|member| member.name() == &name) {
                return Err(format!(
                    "type {:?}: member {name:?} is there twice",
                    self.text
                ));
            }
            self.need(":")?;
            members.push(self.item(&name, depth)?);
        }
        Ok(members.into())
    }

    fn data_type(&mut self, depth: usize) -> Parsed<DataType> {
        if depth > MAX_DEPTH {
            return Err(format!("types nest deeper than {MAX_DEPTH}"));
        }
        self.skip_space();
        let start = self.at;
        let word = self.word("a type")?.to_ascii_lowercase();
        if let Some(data_type) = self.with_parameters(&word)? {
            return Ok(data_type);
        }
        if let Some(data_type) = self.nested(&word, depth)? {
            return Ok(data_type);
        }
        match PLAIN.iter().find(|(name, _)| *name == word) {
            Some((_, data_type)) => Ok(data_type.clone()),
            None => {
                self.at = start;
                Err(self.expected(
                    "a type such as bool, int64, uint64, float64, utf8, binary, date32, \
                     timestamp[ms, UTC], decimal128[10, 2], list<utf8> or struct<a: int64>",
                ))
            }
        }
    }

    /// The type of a word that brackets follow, with units, widths or digits.
    fn with_parameters(&mut self, word: &str) -> Parsed<Option<DataType>> {
        Ok(Some(match word {
            "timestamp" if self.take("[") => {
                let unit = self.unit()?;
                let zone = if self.take(",") {
                    Some(self.parameter("a time zone")?.into())
                } else {
                    None
                };
                self.need("]")?;
                DataType::Timestamp(unit, zone)
            }
            "time32" => match self.only_unit()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                _ => return Err(format!("type {:?}: time32 counts s or ms", self.text)),
            },
            "time64" => match self.only_unit()? {
                unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
                _ => return Err(format!("type {:?}: time64 counts us or ns", self.text)),
            },
            "duration" => DataType::Duration(self.only_unit()?),
            "fixed_binary" => {
                self.need("[")?;
                let width: u16 = self.number("a width in bytes")?;
                self.need("]")?;
                DataType::FixedSizeBinary(i32::from(width))
            }
            "decimal32" => {
                let (precision, scale) = self.decimal(9)?;
                DataType::Decimal32(precision, scale)
            }
            "decimal64" => {
                let (precision, scale) = self.decimal(18)?;
                DataType::Decimal64(precision, scale)
            }
            "decimal" | "decimal128" => {
                let (precision, scale) = self.decimal(38)?;
                DataType::Decimal128(precision, scale)
            }
            "decimal256" => {
                let (precision, scale) = self.decimal(76)?;
                DataType::Decimal256(precision, scale)
            }
            _ => return Ok(None),
        }))
    }

    /// The type of a word that types follow.
    fn nested(&mut self, word: &str, depth: usize) -> Parsed<Option<DataType>> {
        Ok(Some(match word {
            "list" => DataType::List(self.angle_item(depth)?),
            "large_list" => DataType::LargeList(self.angle_item(depth)?),
            "fixed_list" => {
                self.need("[")?;
                let len: u16 = self.number("a length")?;
                self.need("]")?;
                DataType::FixedSizeList(self.angle_item(depth)?, i32::from(len))
            }
            "struct" => DataType::Struct(self.members(depth)?),
            "map" => {
                self.need("<")?;
                let key = Field::new("key", self.data_type(depth + 1)?, false);
                self.need(",")?;
                let value = self.item("value", depth)?;
                self.need(">")?;
                let pair = DataType::Struct(vec![Arc::new(key), value].into());
                DataType::Map(Arc::new(Field::new("entries", pair, false)), false)
            }
            "dictionary" => {
                self.need("<")?;
                let key = self.data_type(depth + 1)?;
                if !key.is_dictionary_key_type() {
                    return Err(format!(
                        "type {:?}: a dictionary's key is an integer",
                        self.text
                    ));
                }
                self.need(",")?;
                let value = self.data_type(depth + 1)?;
                self.need(">")?;
                DataType::Dictionary(Box::new(key), Box::new(value))
            }
            _ => return Ok(None),
        }))
    }
}
