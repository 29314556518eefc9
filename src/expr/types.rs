//! The names of types in the text of a cast.
//!
//! In:  `int64`, `text`, `timestamp_ms('UTC')` …, or an Arrow type.
//! Out: the Arrow type, or its name. Every type that has a name is found by it.
//!
//! JSON knows whole numbers and fractions, 64 bits wide; so do `int` and
//! `float` here. Narrower types are asked for by their width.

use arrow_schema::{DataType, TimeUnit};

use super::scalar::UTC;

/// Names without arguments; the first of a type is the one it is printed by.
const NAMES: [(&str, DataType); 37] = [
    ("boolean", DataType::Boolean),
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("tinyint", DataType::Int8),
    ("int16", DataType::Int16),
    ("smallint", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("int", DataType::Int64),
    ("integer", DataType::Int64),
    ("bigint", DataType::Int64),
    ("long", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("utinyint", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("usmallint", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("uint", DataType::UInt64),
    ("ubigint", DataType::UInt64),
    ("float32", DataType::Float32),
    ("real", DataType::Float32),
    ("float64", DataType::Float64),
    ("float", DataType::Float64),
    ("double", DataType::Float64),
    ("text", DataType::Utf8),
    ("utf8", DataType::Utf8),
    ("string", DataType::Utf8),
    ("varchar", DataType::Utf8),
    ("char", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("utf8_view", DataType::Utf8View),
    ("binary", DataType::Binary),
    ("blob", DataType::Binary),
    ("date", DataType::Date32),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
];

const TIMESTAMPS: [(&str, TimeUnit); 5] = [
    ("timestamp", TimeUnit::Microsecond),
    ("timestamp_s", TimeUnit::Second),
    ("timestamp_ms", TimeUnit::Millisecond),
    ("timestamp_us", TimeUnit::Microsecond),
    ("timestamp_ns", TimeUnit::Nanosecond),
];

/// One argument of a type's name: the precision of a decimal, the zone of a timestamp.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypeArg {
    Number(i64),
    Text(String),
}

/// All names a cast may use, for near names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES
        .iter()
        .map(|(name, _)| *name)
        .chain(TIMESTAMPS.iter().map(|(name, _)| *name))
        .chain(["timestamptz", "decimal"])
}

/// Whether a name is a type's; its arguments may still be wrong.
pub(crate) fn is_type(name: &str) -> bool {
    names().any(|known| known.eq_ignore_ascii_case(name))
}

/// The type of a name with its arguments; `None` if they do not go together.
pub(crate) fn parse(name: &str, args: &[TypeArg]) -> Option<DataType> {
    let name = name.to_ascii_lowercase();
    if let Some((_, unit)) = TIMESTAMPS.iter().find(|(known, _)| *known == name) {
        return match args {
            [] => Some(DataType::Timestamp(*unit, None)),
            [TypeArg::Text(zone)] => Some(DataType::Timestamp(*unit, Some(zone.as_str().into()))),
            _ => None,
        };
    }
    match (name.as_str(), args) {
        ("timestamptz", []) => Some(DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))),
        ("decimal", [TypeArg::Number(precision), rest @ ..]) => {
            let scale = match rest {
                [] => 0,
                [TypeArg::Number(scale)] => *scale,
                _ => return None,
            };
            let precision = u8::try_from(*precision)
                .ok()
                .filter(|p| (1..=38).contains(p))?;
            let scale = i8::try_from(scale).ok()?;
            (0..=precision as i8)
                .contains(&scale)
                .then_some(DataType::Decimal128(precision, scale))
        }
        // The length of a varchar says nothing here: texts are as long as they are.
        ("varchar" | "char", [TypeArg::Number(_)]) => Some(DataType::Utf8),
        (_, []) => NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, data_type)| data_type.clone()),
        _ => None,
    }
}

/// The name a cast writes for a type; Arrow's own for types that have none here.
pub(crate) fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(unit, zone) => {
            let base = TIMESTAMPS
                .iter()
                .find(|(_, known)| known == unit)
                .map_or("timestamp", |(name, _)| *name);
            match zone {
                None => base.to_owned(),
                Some(zone) => format!("{base}('{}')", zone.replace('\'', "''")),
            }
        }
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        other => NAMES
            .iter()
            .find(|(_, known)| known == other)
            .map_or_else(|| other.to_string(), |(name, _)| (*name).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_the_name_it_prints() {
        for (text, data_type) in NAMES {
            assert_eq!(parse(text, &[]), Some(data_type.clone()));
            assert_eq!(parse(&name(&data_type), &[]), Some(data_type));
        }
        for (text, unit) in TIMESTAMPS {
            let data_type = DataType::Timestamp(unit, None);
            assert_eq!(parse(text, &[]), Some(data_type.clone()));
            assert_eq!(parse(&name(&data_type), &[]), Some(data_type));
        }
        let zoned = parse("TIMESTAMPTZ", &[]).unwrap();
        assert_eq!(name(&zoned), "timestamp('UTC')");
        assert_eq!(
            parse("timestamp", &[TypeArg::Text("UTC".into())]),
            Some(zoned)
        );
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused() {
        use TypeArg::{Number, Text};
        assert_eq!(
            parse("decimal", &[Number(10), Number(2)]),
            Some(DataType::Decimal128(10, 2))
        );
        assert_eq!(parse("varchar", &[Number(80)]), Some(DataType::Utf8));
        for (name, args) in [
            ("decimal", vec![]),
            ("decimal", vec![Number(39)]),
            ("decimal", vec![Number(5), Number(6)]),
            ("decimal", vec![Number(-1)]),
            ("int64", vec![Number(1)]),
            ("timestamp", vec![Number(3)]),
            ("date", vec![Text("UTC".into())]),
            ("nonsense", vec![]),
        ] {
            assert_eq!(parse(name, &args), None, "{name} {args:?}");
        }
    }
}
