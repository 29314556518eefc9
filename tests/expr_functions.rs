//! What each function, cast and operator gives, by example, and what happens
//! to values that it cannot handle.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray, StringViewArray, StructArray, TimestampMillisecondArray, TimestampSecondArray,
    UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema};
use windrow::expr::{BoundExpr, Expr, RowError, col, functions};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

fn bind(text: &str, batch: &RecordBatch) -> BoundExpr {
    let expr = Expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    expr.bind(&batch.schema())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The values as texts between bars, `-` for null; the type in front.
fn run(text: &str, batch: &RecordBatch) -> String {
    let bound = bind(text, batch);
    let array = bound
        .evaluate(batch)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(array.len(), batch.num_rows(), "{text}");
    assert_eq!(array.data_type(), bound.data_type(), "{text}");
    let shown = show(&array);
    let shown = shown.as_any().downcast_ref::<StringArray>().unwrap();
    let nulls = array.logical_nulls();
    let cells: Vec<&str> = (0..array.len())
        .map(|row| match &nulls {
            Some(nulls) if nulls.is_null(row) => "-",
            _ => shown.value(row),
        })
        .collect();
    format!("{} {}", array.data_type(), cells.join("|"))
}

fn show(array: &ArrayRef) -> ArrayRef {
    // Arrow has no text for times in a zone of a name, and `UTC` is one.
    if let DataType::Timestamp(..) = array.data_type() {
        let column = batch(vec![("time", Arc::clone(array))]);
        return bind("cast(time as text)", &column)
            .evaluate(&column)
            .unwrap();
    }
    arrow_cast::cast(array, &DataType::Utf8).unwrap()
}

fn fails(text: &str, batch: &RecordBatch) -> (String, usize) {
    let error = bind(text, batch).evaluate(batch).unwrap_err();
    let row = RowError::of(&error).expect("a value is to blame").row;
    (error.to_string(), row)
}

fn one() -> RecordBatch {
    batch(vec![("x", Arc::new(Int64Array::from(vec![1])))])
}

/// Constants are computed when bound; a column in the way has them computed per row.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(run(text, &one()), *expected, "{text}");
        // The same with every text literal hidden behind a column of that text.
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("x".into(), Arc::new(Int64Array::from(vec![1])))];
        let hidden = hide(Expr::parse(text).unwrap(), &mut columns);
        let columns = columns
            .iter()
            .map(|(name, column)| (name.as_str(), Arc::clone(column)));
        let batch = batch(columns.collect());
        let Ok(bound) = hidden.bind(&batch.schema()) else {
            continue; // A pattern or unit must stay constant.
        };
        let array = bound.evaluate(&batch).unwrap();
        let constant = bind(text, &one()).evaluate(&one()).unwrap();
        assert_eq!(&show(&array), &show(&constant), "{hidden}");
    }
}

fn hide(expr: Expr, columns: &mut Vec<(String, ArrayRef)>) -> Expr {
    use windrow::expr::{Scalar, col};
    match expr {
        Expr::Literal(Scalar::Utf8(text)) => {
            let name = format!("c{}", columns.len());
            columns.push((name.clone(), Arc::new(StringArray::from(vec![text]))));
            col(name)
        }
        Expr::Function { name, args } => Expr::Function {
            name,
            args: args.into_iter().map(|arg| hide(arg, columns)).collect(),
        },
        Expr::Cast { expr, to, lenient } => Expr::Cast {
            expr: Box::new(hide(*expr, columns)),
            to,
            lenient,
        },
        Expr::Binary { left, op, right } if !op.is_comparison() => Expr::Binary {
            left: Box::new(hide(*left, columns)),
            op,
            right: Box::new(hide(*right, columns)),
        },
        other => other,
    }
}

#[test]
fn functions_of_texts() {
    check(&[
        ("lower('GRÖSSE')", "Utf8 grösse"),
        ("upper('straße')", "Utf8 STRASSE"),
        ("length('größe')", "Int64 5"),
        ("length(12345)", "Int64 5"),
        ("length(null)", "Int64 -"),
        ("trim(' \t a b \n')", "Utf8 a b"),
        ("ltrim('xxaxx', 'x')", "Utf8 axx"),
        ("rtrim('xyaxy', 'yx')", "Utf8 xya"),
        ("trim('a', null)", "Utf8 -"),
        ("starts_with('/api/v1', '/api')", "Boolean true"),
        ("ends_with('a.gz', '.gz')", "Boolean true"),
        ("contains('a%b', '%')", "Boolean true"),
        ("contains('abc', 'd')", "Boolean false"),
        ("substring('größe', 2, 3)", "Utf8 röß"),
        ("substr('größe', -2)", "Utf8 ße"),
        ("substring('abc', 1, null)", "Utf8 -"),
        ("replace('a.b.c', '.', '')", "Utf8 abc"),
        ("replace('abc', '', 'x')", "Utf8 abc"),
        ("split_part('a/b/c', '/', 2)", "Utf8 b"),
        ("split_part('a/b/c', '/', -1)", "Utf8 c"),
        ("concat('a', null, 1, true, 0.5)", "Utf8 a1true0.5"),
        ("'a' || 1 || 2.0", "Utf8 a12"),
        ("'a' || null", "Utf8 -"),
        (
            "regexp_like('10.0.0.7', '^10\\.(\\d+\\.){2}\\d+$')",
            "Boolean true",
        ),
        ("regexp_like('x', 'y')", "Boolean false"),
        ("regexp_like(null, 'y')", "Boolean -"),
        ("coalesce(null, 'a', 'b')", "Utf8 a"),
        ("coalesce(null, null)", "Null -"),
        ("nullif('a', 'a')", "Utf8 -"),
        ("nullif('a', 'b')", "Utf8 a"),
    ]);
}

#[test]
fn functions_of_patterns_and_parts() {
    check(&[
        ("regexp_extract('10.0.0.7', '\\.(\\d+)$')", "Utf8 7"),
        (
            "regexp_extract('GET /a?b', '(\\w+) (\\S+)', 2)",
            "Utf8 /a?b",
        ),
        (
            "regexp_extract('GET /a', '(\\w+) (\\S+)', 0)",
            "Utf8 GET /a",
        ),
        ("regexp_extract('abc', 'b')", "Utf8 b"),
        ("regexp_extract('abc', 'x')", "Utf8 -"),
        ("regexp_extract('abc', '(x)?b')", "Utf8 -"),
        ("regexp_extract(null, 'b')", "Utf8 -"),
        ("regexp_replace('a1b22', '\\d+', '#')", "Utf8 a#b#"),
        (
            "regexp_replace('j doe', '(\\w) (\\w+)', '$2 $1')",
            "Utf8 doe j",
        ),
        ("regexp_replace('größe', 'ö|ß', null)", "Utf8 -"),
        ("position('größe', 'ße')", "Int64 4"),
        ("position('abc', 'x')", "Int64 0"),
        ("position('abc', '')", "Int64 1"),
        ("lpad('7', 3, '0')", "Utf8 007"),
        ("lpad(12345, 3)", "Utf8 123"),
        ("rpad('ö', 4, 'ab')", "Utf8 öaba"),
        ("rpad('ab', -1, 'x')", "Utf8 "),
        ("rpad('ab', 5, '')", "Utf8 ab"),
        ("lpad('x', 99999999999)", "Utf8 -"),
        ("length(split('a/b//c', '/'))", "Int64 4"),
        ("length(split('', '/'))", "Int64 1"),
        ("length(split('abc', ''))", "Int64 1"),
        ("length(split(null, '/'))", "Int64 -"),
        ("list_get(split('a/b//c', '/'), 2)", "Utf8 b"),
        ("list_get(split('a/b//c', '/'), -1)", "Utf8 c"),
        ("list_get(split('a/b//c', '/'), 5)", "Utf8 -"),
        ("list_get(split('a/b//c', '/'), 0)", "Utf8 -"),
        ("list_get(list(1, 2.5, null), 1)", "Float64 1.0"),
        ("list_get(list(1, null, 3), -2)", "Int64 -"),
        ("length(list(null, null))", "Int64 2"),
        ("contains(list('a', 'b'), 'b')", "Boolean true"),
        ("field('{\"a\":{\"b\":7}}', 'a')", "Utf8 {\"b\":7}"),
        ("field(field('{\"a\":{\"b\":7}}', 'a'), 'b')", "Utf8 7"),
        ("field('no object', 'a')", "Utf8 -"),
        ("field(null, 'a')", "Null -"),
    ]);
}

#[test]
fn functions_of_lists_and_objects_follow_rows() {
    let inner = Arc::new(Field::new("b", DataType::Int64, true));
    let object = StructArray::new(
        vec![inner].into(),
        vec![Arc::new(Int64Array::from(vec![
            Some(1),
            None,
            Some(3),
            Some(4),
        ]))],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), Some(2), None]),
        None,
        Some(vec![]),
        Some(vec![Some(9)]),
    ]);
    let batch = batch(vec![
        ("o", Arc::new(object)),
        ("l", Arc::new(lists)),
        (
            "n",
            Arc::new(Int64Array::from(vec![Some(2), Some(1), Some(1), None])),
        ),
    ]);
    for (text, expected) in [
        ("field(o, 'b')", "Int64 1|-|-|4"),
        ("o.b", "Int64 1|-|-|4"),
        ("list_get(l, 1)", "Int32 1|-|-|9"),
        ("list_get(l, n)", "Int32 2|-|-|-"),
        ("list_get(l, -1)", "Int32 -|-|-|9"),
        ("list_get(list(n, o.b), 2)", "Int64 1|-|-|4"),
        ("length(list(n, 7))", "Int64 2|2|2|2"),
    ] {
        assert_eq!(run(text, &batch), expected, "{text}");
        // A slice has its own first row, and rows elsewhere say nothing of it.
        let sliced = batch.slice(3, 1);
        let last = expected.rsplit_once(['|']).unwrap().1;
        assert!(run(text, &sliced).ends_with(&format!(" {last}")), "{text}");
    }
    let refused = |text: &str| {
        let expr = Expr::parse(text).unwrap();
        expr.bind(&batch.schema()).unwrap_err().to_string()
    };
    assert!(refused("field(o, 'bb')").contains("did you mean \"b\"?"));
    assert!(refused("field(n, 'b')").contains("not an object"));
    assert!(refused("list_get(o, 1)").contains("not text or a list"));
    assert!(refused("regexp_extract('a', '(a)', 2)").contains("there is no group 2"));
    assert!(refused("regexp_replace('a', '(', '')").contains("no regular expression"));
}

#[test]
fn times_stand_on_the_clocks_of_their_zone() {
    check(&[
        (
            "tz_convert('2024-07-01T12:00:00Z', 'Europe/Oslo')",
            "Timestamp(µs, \"Europe/Oslo\") 2024-07-01T12:00:00Z",
        ),
        (
            "hour(tz_convert('2024-07-01T12:00:00Z', 'Europe/Oslo'))",
            "Int64 14",
        ),
        (
            "day(tz_convert('2024-07-01T23:00:00Z', 'Asia/Tokyo'))",
            "Int64 2",
        ),
        (
            "hour(tz_convert(tz_convert('2024-07-01T12:00:00Z', 'Asia/Tokyo'), 'UTC'))",
            "Int64 12",
        ),
        (
            "date_trunc('day', tz_convert('2024-07-01T23:30:00Z', 'Europe/Oslo'))",
            "Timestamp(µs, \"Europe/Oslo\") 2024-07-01T22:00:00Z",
        ),
        (
            "date_trunc('week', timestamp '2024-01-31 09:30:00')",
            "Timestamp(µs) 2024-01-29T00:00:00",
        ),
        (
            "date_trunc('quarter', date '2024-08-15')",
            "Timestamp(µs) 2024-07-01T00:00:00",
        ),
        (
            "tz_localize('2024-01-31 09:30:00', 'America/New_York')",
            "Timestamp(µs, \"America/New_York\") 2024-01-31T14:30:00Z",
        ),
        (
            "tz_localize('2024-01-31T09:30:00Z', 'America/New_York')",
            "Timestamp(µs, \"America/New_York\") 2024-01-31T09:30:00Z",
        ),
        (
            "tz_localize(date '2024-07-01', 'Europe/Oslo')",
            "Timestamp(µs, \"Europe/Oslo\") 2024-06-30T22:00:00Z",
        ),
        (
            "tz_localize(null, 'Europe/Oslo')",
            "Timestamp(µs, \"Europe/Oslo\") -",
        ),
        (
            "strftime('2024-01-31T09:05:07.5Z', '%Y/%m/%d %H:%M:%S%.3f')",
            "Utf8 2024/01/31 09:05:07.500",
        ),
        (
            "strftime(tz_convert('2024-07-01T12:00:00Z', 'Europe/Oslo'), '%H:%M %z')",
            "Utf8 14:00 +0200",
        ),
        (
            "strftime(date '2024-01-31', '%A %j %V')",
            "Utf8 Wednesday 031 05",
        ),
        ("strftime(null, '%Y')", "Utf8 -"),
        (
            "strptime('31/Jan/2024:09:05:07 +0100', '%d/%b/%Y:%H:%M:%S %z')",
            "Timestamp(µs, \"UTC\") 2024-01-31T08:05:07Z",
        ),
        (
            "strptime('31.01.2024 09:05', '%d.%m.%Y %H:%M')",
            "Timestamp(µs, \"UTC\") 2024-01-31T09:05:00Z",
        ),
        (
            "strptime('31.01.2024 09:05', '%d.%m.%Y %H:%M', 'Europe/Oslo')",
            "Timestamp(µs, \"UTC\") 2024-01-31T08:05:00Z",
        ),
        (
            "strptime('2024-01-31', '%Y-%m-%d')",
            "Timestamp(µs, \"UTC\") 2024-01-31T00:00:00Z",
        ),
        (
            "strptime('1706691907', '%s')",
            "Timestamp(µs, \"UTC\") 2024-01-31T09:05:07Z",
        ),
        (
            "strptime('not a time', '%Y-%m-%d')",
            "Timestamp(µs, \"UTC\") -",
        ),
        (
            "strptime('2024-02-30', '%Y-%m-%d')",
            "Timestamp(µs, \"UTC\") -",
        ),
        ("week(date '2021-01-03')", "Int64 53"),
        ("week(date '2024-12-30')", "Int64 1"),
        ("dayofyear(date '2024-12-31')", "Int64 366"),
    ]);
    let fails = |text: &str| {
        Expr::parse(text)
            .unwrap()
            .bind(&one().schema())
            .unwrap_err()
            .to_string()
    };
    assert!(fails("tz_convert(date '2024-01-31', 'Mars/Olympus')").contains("is no zone"));
    assert!(fails("strftime(date '2024-01-31', '%Q')").contains("no format of times"));
    let twice = "tz_localize(tz_convert(date '2024-01-31', 'UTC'), 'UTC')";
    assert!(fails(twice).contains("has a zone already"));
}

#[test]
fn like_matches_shapes() {
    check(&[
        ("'abc' like 'a%'", "Boolean true"),
        ("'abc' like 'b%'", "Boolean false"),
        ("'abc' like 'a_c'", "Boolean true"),
        ("'a\nc' like 'a_c'", "Boolean true"),
        ("'a\nb\nc' like 'a%c'", "Boolean true"),
        ("'aöc' like 'a_c'", "Boolean true"),
        ("'a%c' like 'a\\%c'", "Boolean true"),
        ("'abc' like 'a\\%c'", "Boolean false"),
        ("'100%' like '100!%' escape '!'", "Boolean true"),
        ("'a.c' like 'a.c'", "Boolean true"),
        ("'abc' like 'a.c'", "Boolean false"),
        ("'ABC' ilike 'a%C'", "Boolean true"),
        ("'ÄB' ilike 'äb'", "Boolean true"),
        ("'abc' not like 'a%'", "Boolean false"),
        ("null like 'a'", "Boolean -"),
        ("'a' like null", "Boolean -"),
        ("500 like '5%'", "Boolean true"),
        ("'' like '%'", "Boolean true"),
        ("'' like ''", "Boolean true"),
        ("'ab' like '%b%b'", "Boolean false"),
    ]);
}

#[test]
fn arithmetic_is_exact_or_a_fraction() {
    check(
        &[
            ("7 / 2", "Float64 3.5"),
            ("7 % 4", "Int64 3"),
            ("-7 % 4", "Int64 -3"),
            ("7.5 % 2", "Float64 1.5"),
            ("1 / 0", "Float64 -"),
            ("1 % 0", "Int64 -"),
            ("1.5 % 0", "Float64 -"),
            ("1 + 2 * 3", "Int64 7"),
            ("1 + 0.5", "Float64 1.5"),
            ("-(3) - -4", "Int64 1"),
            ("18446744073709551615 - 1", "Int64 -"),
            ("null + 1", "Int64 -"),
        ][..10],
    );
    check(&[
        ("null + 1", "Int64 -"),
        ("18446744073709551614 + 1", "UInt64 18446744073709551615"),
        (
            "18446744073709551615 - 9223372036854775808",
            "Int64 9223372036854775807",
        ),
        ("abs(-5)", "Int64 5"),
        ("abs(-0.5)", "Float64 0.5"),
        ("round(2.5)", "Float64 3.0"),
        ("round(-2.345, 2)", "Float64 -2.35"),
        ("round(1250, -2)", "Int64 1300"),
        ("floor(-1.5)", "Float64 -2.0"),
        ("ceil(-0.5)", "Float64 0.0"),
        ("ceil(3)", "Int64 3"),
    ]);
}

#[test]
fn powers_roots_and_logarithms_are_null_where_there_are_none() {
    check(&[
        ("pow(2, 10)", "Float64 1024.0"),
        ("pow(2, -1)", "Float64 0.5"),
        ("pow(-2, 3)", "Float64 -8.0"),
        ("pow(-8, 0.5)", "Float64 -"),
        ("pow(0, 0)", "Float64 1.0"),
        ("pow(0, -1)", "Float64 -"),
        ("pow(null, 2)", "Float64 -"),
        ("pow(cast('1.5' as decimal(5, 2)), 2)", "Float64 2.25"),
        ("sqrt(9)", "Float64 3.0"),
        ("sqrt(2)", "Float64 1.4142135623730951"),
        ("sqrt(-1)", "Float64 -"),
        ("sqrt(-0.0)", "Float64 0.0"),
        ("sqrt(exp(1000) - exp(1000))", "Float64 NaN"),
        ("exp(0)", "Float64 1.0"),
        ("exp(1)", "Float64 2.718281828459045"),
        ("exp(1000)", "Float64 inf"),
        ("ln(1)", "Float64 0.0"),
        ("ln(10)", "Float64 2.302585092994046"),
        ("ln(0)", "Float64 -"),
        ("ln(-1)", "Float64 -"),
        ("log10(1000)", "Float64 3.0"),
        ("log10(0)", "Float64 -"),
        ("is_nan(cast('NaN' as float64))", "Boolean true"),
        ("is_nan(cast(' nan ' as float64))", "Boolean true"),
        ("cast('-inf' as float64)", "Float64 -inf"),
        ("cast('Infinity' as float32)", "Float32 inf"),
        ("try_cast('infinite' as float64)", "Float64 -"),
        ("try_cast('NaN' as int64)", "Int64 -"),
        ("is_nan(1)", "Boolean false"),
        ("is_nan(1e308 * 10)", "Boolean false"),
        ("is_nan(null)", "Boolean -"),
        (
            "nullif(cast('NaN' as float64), cast('NaN' as float64))",
            "Float64 -",
        ),
    ]);
}

#[test]
fn quotients_are_rounded_down_and_exact_where_both_sides_are() {
    // As Python's `//` has them.
    check(&[
        ("floordiv(7, 2)", "Int64 3"),
        ("floordiv(-7, 2)", "Int64 -4"),
        ("floordiv(7, -2)", "Int64 -4"),
        ("floordiv(-7, -2)", "Int64 3"),
        ("floordiv(-8, 2)", "Int64 -4"),
        ("floordiv(9007199254740993, 1)", "Int64 9007199254740993"),
        (
            "floordiv(18446744073709551615, 2)",
            "Int64 9223372036854775807",
        ),
        ("floordiv(1, 0)", "Int64 -"),
        ("floordiv(null, 2)", "Int64 -"),
        ("floordiv(7.5, 2)", "Float64 3.0"),
        ("floordiv(-0.5, 2)", "Float64 -1.0"),
        ("floordiv(0.5, -0.0)", "Float64 -"),
        // Of fractions it is 2: 0.3 / 0.1 is below 3.
        (
            "floordiv(cast('0.3' as decimal(9, 1)), cast('0.1' as decimal(9, 2)))",
            "Int64 3",
        ),
        (
            "floordiv(cast('7.6' as decimal(9, 1)), cast('-2.5' as decimal(9, 2)))",
            "Int64 -4",
        ),
        ("floordiv(cast('7.5' as decimal(9, 1)), 0)", "Int64 -"),
        ("floordiv(7, cast('0.5' as decimal(9, 2)))", "Int64 14"),
        // Beside each other these have more than 128 bits.
        (
            "floordiv(cast('99999999999999999999999999999999999999' as decimal(38, 0)), \
             cast('9999999999999999999999999999999.9999999' as decimal(38, 7)))",
            "Int64 10000000",
        ),
    ]);
    for (text, why) in [
        (
            "floordiv(n, -1)",
            "the quotient of -9223372036854775808 and -1 does not fit 64 bits",
        ),
        (
            "floordiv(cast('-99999999999999999999' as decimal(20, 0)), \
             case when n > 0 then 100 else 1 end)",
            "a quotient of decimals does not fit 64 bits",
        ),
    ] {
        let least = batch(vec![("n", Arc::new(Int64Array::from(vec![1, i64::MIN])))]);
        let (error, row) = fails(text, &least);
        assert_eq!(row, 1, "{text}");
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn casts_follow_what_a_value_spells() {
    check(&[
        ("cast('42' as int64)", "Int64 42"),
        ("cast(' 42 ' as int8)", "Int8 42"),
        ("cast('3.7' as int64)", "Int64 3"),
        ("cast(-3.7 as int64)", "Int64 -3"),
        ("cast('1e3' as float64)", "Float64 1000.0"),
        ("cast(3 as float32)", "Float32 3.0"),
        ("cast(3.0 as text)", "Utf8 3"),
        ("cast(0.1 as text)", "Utf8 0.1"),
        ("cast(1e300 as text)", "Utf8 1e300"),
        ("cast(true as text)", "Utf8 true"),
        ("cast(true as int64)", "Int64 1"),
        ("cast('TRUE' as boolean)", "Boolean true"),
        ("cast('0' as boolean)", "Boolean false"),
        ("cast(2 as boolean)", "Boolean true"),
        ("cast('2024-02-29' as date)", "Date32 2024-02-29"),
        ("cast('2024-02-29 10:30:00' as date)", "Date32 2024-02-29"),
        (
            "cast('2024-02-29T10:30:00+02:00' as timestamp)",
            "Timestamp(µs) 2024-02-29T08:30:00",
        ),
        (
            "cast(timestamp '2024-02-29 10:30:00' as text)",
            "Utf8 2024-02-29T10:30:00",
        ),
        (
            "cast(timestamp '2024-02-29 10:30:00.5Z' as text)",
            "Utf8 2024-02-29T10:30:00.5Z",
        ),
        (
            "cast('12.345' as decimal(10, 2))",
            "Decimal128(10, 2) 12.35",
        ),
        (
            "cast(18446744073709551615 as uint64)",
            "UInt64 18446744073709551615",
        ),
        ("try_cast('n/a' as int64)", "Int64 -"),
        ("try_cast(300 as int8)", "Int8 -"),
        ("try_cast(-1 as uint64)", "UInt64 -"),
        ("try_cast(1e300 as int64)", "Int64 -"),
        ("try_cast('soon' as timestamp)", "Timestamp(µs) -"),
        ("try_cast('9999-01-01' as timestamp_ns)", "Timestamp(ns) -"),
        ("try_cast('maybe' as boolean)", "Boolean -"),
        ("cast(null as int64)", "Int64 -"),
    ]);
}

#[test]
fn functions_of_time() {
    check(&[
        (
            "to_timestamp('2024-02-29 10:30:00.25')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00.25Z",
        ),
        (
            "to_timestamp(1709202600)",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00Z",
        ),
        (
            "to_timestamp('1709202600')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00Z",
        ),
        (
            "to_timestamp(1709202600.123456)",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00.123456Z",
        ),
        (
            "to_timestamp(1709202600250, 'ms')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00.25Z",
        ),
        (
            "to_timestamp(-1, 'us')",
            "Timestamp(µs, \"UTC\") 1969-12-31T23:59:59.999999Z",
        ),
        ("to_timestamp('soon')", "Timestamp(µs, \"UTC\") -"),
        ("to_timestamp(1e300)", "Timestamp(µs, \"UTC\") -"),
        ("date('2024-02-29 23:59:59')", "Date32 2024-02-29"),
        (
            "date_trunc('hour', '2024-02-29 10:30:00')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:00:00Z",
        ),
        (
            "date_trunc('week', date '2024-02-29')",
            "Timestamp(µs) 2024-02-26T00:00:00",
        ),
        (
            "date_trunc('15m', '2024-02-29 10:44:59')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:30:00Z",
        ),
        (
            "date_ceil('hour', '2024-02-29 10:30:00')",
            "Timestamp(µs, \"UTC\") 2024-02-29T11:00:00Z",
        ),
        (
            "date_ceil('hour', '2024-02-29 10:00:00')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:00:00Z",
        ),
        (
            "date_ceil('month', date '2024-02-02')",
            "Timestamp(µs) 2024-03-01T00:00:00",
        ),
        (
            "date_round('hour', '2024-02-29 10:29:59.999999')",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:00:00Z",
        ),
        (
            "date_round('hour', '2024-02-29 10:30:00')",
            "Timestamp(µs, \"UTC\") 2024-02-29T11:00:00Z",
        ),
        (
            "date_round('15m', '1969-12-31 23:40:00')",
            "Timestamp(µs, \"UTC\") 1969-12-31T23:45:00Z",
        ),
        (
            "date_range('hour', '2024-02-29 10:30:00', '2024-02-29 13:00:00')[1]",
            "Timestamp(µs, \"UTC\") 2024-02-29T10:00:00Z",
        ),
        (
            "date_range('hour', '2024-02-29 10:30:00', '2024-02-29 13:00:00')[-1]",
            "Timestamp(µs, \"UTC\") 2024-02-29T12:00:00Z",
        ),
        (
            "date_range('hour', '2024-02-29 10:30:00', '2024-02-29 13:00:00')[4]",
            "Timestamp(µs, \"UTC\") -",
        ),
        ("year('2024-02-29')", "Int64 2024"),
        ("quarter('2024-04-01')", "Int64 2"),
        ("month('2024-02-29')", "Int64 2"),
        ("day('2024-02-29')", "Int64 29"),
        ("isodow('2024-02-29')", "Int64 4"),
        ("isodow('1969-12-28')", "Int64 7"),
        ("hour('2024-02-29 10:31:32')", "Int64 10"),
        ("minute('2024-02-29 10:31:32')", "Int64 31"),
        ("second('1969-12-31 23:59:59.9')", "Int64 59"),
        ("year('n/a')", "Int64 -"),
        ("epoch('2024-02-29 10:30:00.25')", "Float64 1709202600.25"),
        ("epoch_ms('1969-12-31 23:59:59.9995')", "Int64 -1"),
        (
            "to_timestamp('2024-01-01') = '2024-01-01T01:00:00+01:00'",
            "Boolean true",
        ),
    ]);
}

#[test]
fn every_function_is_tried() {
    let tests = include_str!("expr_functions.rs");
    for function in functions() {
        assert!(
            tests.contains(&format!("{}(", function.name)),
            "{}",
            function.name
        );
    }
}

#[test]
fn three_truth_values() {
    let batch = batch(vec![
        (
            "a",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "n",
            Arc::new(Int64Array::from(vec![Some(1), Some(2), None])),
        ),
    ]);
    for (text, expected) in [
        ("a and true", "true|false|-"),
        ("a and false", "false|false|false"),
        ("a and null", "-|false|-"),
        ("a or true", "true|true|true"),
        ("a or false", "true|false|-"),
        ("a or null", "true|-|-"),
        ("not a", "false|true|-"),
        ("a is null", "false|false|true"),
        ("a is not null", "true|true|false"),
        ("a is true", "true|false|false"),
        ("a is not true", "false|true|true"),
        ("a is false", "false|true|false"),
        ("a is not false", "true|false|true"),
        ("n = null", "-|-|-"),
        ("n in (1)", "true|false|-"),
        ("n not in (1)", "false|true|-"),
        ("n in (1, null)", "true|-|-"),
        ("n not in (1, null)", "false|-|-"),
        ("n in ()", "false|false|false"),
        ("n in (n + 0, 7)", "true|true|-"),
        ("n between 1 and 1", "true|false|-"),
        ("a = (n = 1)", "true|true|-"),
        (
            "case when a then 'yes' when not a then 'no' end = 'yes'",
            "true|false|-",
        ),
    ] {
        assert_eq!(run(text, &batch), format!("Boolean {expected}"), "{text}");
    }
}

#[test]
fn a_mask_needs_a_condition() {
    let batch = one();
    assert_eq!(
        bind("x = 1", &batch).mask(&batch).unwrap(),
        BooleanArray::from(vec![true])
    );
    assert_eq!(bind("null", &batch).mask(&batch).unwrap().true_count(), 0);
    let error = bind("x + 1", &batch).mask(&batch).unwrap_err();
    assert_eq!(error.to_string(), "x + 1 is Int64, not a condition");
    assert!(error.is_usage());
}

#[test]
fn only_needed_columns_are_named_and_missing_ones_are_null() {
    let full = batch(vec![
        ("a", Arc::new(Int64Array::from(vec![1, 2]))),
        ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("c", Arc::new(Int64Array::from(vec![3, 4]))),
    ]);
    let bound = bind("b = 'x' and a < 5 or b is null", &full);
    assert_eq!(bound.root_columns(), ["a", "b"]);
    let part = batch(vec![("c", Arc::new(Int64Array::from(vec![3, 4])))]);
    assert_eq!(
        bound.mask(&part).unwrap(),
        BooleanArray::from(vec![true, true])
    );
    let bound = bind("b", &full);
    let missing = bound.evaluate(&part).unwrap();
    assert_eq!(
        (missing.data_type(), missing.null_count()),
        (&DataType::Utf8, 2)
    );
    let empty = full.slice(0, 0);
    assert_eq!(
        bind("case when a > 1 then b else 'z' end", &full)
            .evaluate(&empty)
            .unwrap()
            .len(),
        0
    );
    assert_eq!(
        bind("coalesce(a, 0) in (1, 2) and b like 'x'", &full)
            .mask(&empty)
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn nested_fields_are_reached_through_nulls_and_json() {
    let ip: ArrayRef = Arc::new(StringArray::from(vec!["10.0.0.1", "hidden", "10.0.0.3"]));
    let port: ArrayRef = Arc::new(Int64Array::from(vec![80, 81, 443]));
    let fields = vec![
        Field::new("ip", DataType::Utf8, true),
        Field::new("port", DataType::Int64, true),
    ];
    let nulls = NullBuffer::from(vec![true, false, true]);
    let src = StructArray::new(fields.into(), vec![ip, port], Some(nulls));
    let net = StructArray::from(vec![(
        Arc::new(Field::new("src", src.data_type().clone(), true)),
        Arc::new(src) as ArrayRef,
    )]);
    let typed = batch(vec![("net", Arc::new(net))]);
    let bound = bind("net.src.port", &typed);
    assert_eq!(bound.root_columns(), ["net"]);
    assert_eq!(run("net.src.port", &typed), "Int64 80|-|443");
    assert_eq!(
        run("net.src.ip is null", &typed),
        "Boolean false|true|false"
    );
    assert_eq!(
        run("net.src.port > 100 and net.src.ip like '10.%'", &typed),
        "Boolean false|-|true"
    );

    // The same rows where an object met a scalar in another record of the batch.
    let json = batch(vec![(
        "net",
        Arc::new(StringArray::from(vec![
            r#"{"src":{"ip":"10.0.0.1","port":80}}"#,
            r#"{"other":1}"#,
            r#"{"src":{"ip":"10.0.0.3","port":443}}"#,
        ])),
    )]);
    for text in [
        "net.src.port > 100",
        "net.src.ip = '10.0.0.1'",
        "net.src.ip is null",
        "net.src.port in (80, 81)",
        "net.src.port = '443'",
    ] {
        let bound = bind(text, &typed);
        assert_eq!(
            bound.mask(&json).unwrap(),
            bound.mask(&typed).unwrap(),
            "{text}"
        );
    }
}

#[test]
fn a_column_marked_as_json_is_looked_into() {
    let field = Field::new("x", DataType::Utf8, true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())].into());
    let column = StringArray::from(vec![
        Some(r#""abc""#),
        Some("5"),
        Some(r#"{"a":{"b":"c"}}"#),
        None,
        Some("null"),
    ]);
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(column)]).unwrap();
    assert_eq!(run("x = 'abc'", &batch), "Boolean true|false|false|-|-");
    assert_eq!(run("x > 4", &batch), "Boolean -|true|-|-|-");
    assert_eq!(run("x.a.b", &batch), "Utf8 -|-|c|-|-");
    assert_eq!(
        run("x is null", &batch),
        "Boolean false|false|false|true|true"
    );
    assert_eq!(run("lower(x)", &batch), r#"Utf8 abc|5|{"a":{"b":"c"}}|-|-"#);
    assert_eq!(
        run("coalesce(x, 'none')", &batch),
        r#"Utf8 abc|5|{"a":{"b":"c"}}|none|none"#
    );
}

#[test]
fn lists_are_counted_and_searched() {
    let tags = ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>(vec![
        Some(vec![Some(1), None, Some(3)]),
        Some(vec![]),
        None,
        Some(vec![Some(5)]),
    ]);
    let sliced = batch(vec![("tags", Arc::new(tags))]);
    assert_eq!(run("length(tags)", &sliced), "Int64 3|0|-|1");
    assert_eq!(
        run("contains(tags, 3)", &sliced),
        "Boolean true|false|-|false"
    );
    assert_eq!(
        run("contains(tags, '5')", &sliced),
        "Boolean false|false|-|true"
    );
    assert_eq!(
        run("contains(tags, 3)", &sliced.slice(1, 3)),
        "Boolean false|-|false"
    );
    assert_eq!(run("contains(tags, null)", &sliced), "Boolean -|-|-|-");
    assert_eq!(
        run("cast(tags as text)", &sliced),
        "Utf8 [1,null,3]|[]|-|[5]"
    );
    assert_eq!(
        run("tags is null", &sliced),
        "Boolean false|false|true|false"
    );
    let json = batch(vec![(
        "tags",
        Arc::new(StringArray::from(vec![
            Some("[1,null,3]"),
            Some("[]"),
            None,
            Some("[5]"),
        ])),
    )]);
    for text in ["length(tags)", "contains(tags, 3)", "contains(tags, '5')"] {
        let bound = bind(text, &sliced);
        let (typed, json) = (
            bound.evaluate(&sliced).unwrap(),
            bound.evaluate(&json).unwrap(),
        );
        assert_eq!(&typed, &json, "{text}");
    }
}

#[test]
fn objects_have_a_canonical_text() {
    let fields = vec![
        Field::new("b", DataType::Float64, true),
        Field::new("a\"", DataType::Utf8, true),
    ];
    let object = StructArray::new(
        fields.into(),
        vec![
            Arc::new(Float64Array::from(vec![Some(1.0), None])),
            Arc::new(StringArray::from(vec![Some("x\u{1}\n\""), None])),
        ],
        None,
    );
    let batch = batch(vec![("o", Arc::new(object))]);
    assert_eq!(
        run("cast(o as text)", &batch),
        "Utf8 {\"a\\\"\":\"x\\u0001\\n\\\"\",\"b\":1}|{}"
    );
}

#[test]
fn columns_of_every_type_are_compared_by_value() {
    let dictionary: DictionaryArray<Int32Type> =
        vec![Some("GET"), None, Some("PUT")].into_iter().collect();
    let batch = batch(vec![
        ("dict", Arc::new(dictionary)),
        (
            "large",
            Arc::new(LargeStringArray::from(vec![Some("GET"), None, Some("7")])),
        ),
        (
            "view",
            Arc::new(StringViewArray::from(vec![Some("GET"), None, Some("7")])),
        ),
        (
            "bin",
            Arc::new(BinaryArray::from(vec![
                Some(b"GET".as_slice()),
                None,
                Some(b"\xFF"),
            ])),
        ),
        (
            "tiny",
            Arc::new(Int8Array::from(vec![Some(-1), None, Some(7)])),
        ),
        (
            "single",
            Arc::new(Float32Array::from(vec![Some(0.5), None, Some(7.0)])),
        ),
        (
            "nan",
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0)])),
        ),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![Some(150), None, Some(700)])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(19_723), None, Some(0)])),
        ),
        (
            "ms",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(1_704_067_200_000), None, Some(-1)])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "rome",
            Arc::new(
                TimestampSecondArray::from(vec![Some(1_704_067_200), None, Some(-1)])
                    .with_timezone("+01:00"),
            ),
        ),
        (
            "big",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(7)])),
        ),
    ]);
    for (text, expected) in [
        ("dict = 'GET'", "Boolean true|-|false"),
        ("dict in ('PUT', 'GET')", "Boolean true|-|true"),
        ("lower(dict)", "Utf8 get|-|put"),
        ("dict is null", "Boolean false|true|false"),
        ("dict like 'P%'", "Boolean false|-|true"),
        ("large = view", "Boolean true|-|true"),
        ("large < 8", "Boolean -|-|true"),
        ("view || '!'", "Utf8 GET!|-|7!"),
        ("bin = 'GET'", "Boolean true|-|-"),
        ("tiny < 0", "Boolean true|-|false"),
        ("tiny + 1", "Int64 0|-|8"),
        ("tiny = single", "Boolean false|-|true"),
        ("single = 0.5", "Boolean true|-|false"),
        ("nan = nan", "Boolean true|-|true"),
        ("nan > 1e308", "Boolean true|-|false"),
        ("nan = 0", "Boolean false|-|true"),
        ("money = 1.5", "Boolean true|-|false"),
        ("money = '7.00'", "Boolean false|-|true"),
        ("cast(money as text)", "Utf8 1.50|-|7.00"),
        ("day = '2024-01-01'", "Boolean true|-|false"),
        (
            "day < timestamp '2000-01-01 00:00:00'",
            "Boolean false|-|true",
        ),
        ("day = ms", "Boolean true|-|false"),
        ("ms >= '2024-01-01T00:00:00Z'", "Boolean true|-|false"),
        ("ms = rome", "Boolean true|-|false"),
        (
            "ms in ('2024-01-01', '1969-12-31 23:59:59.999')",
            "Boolean true|-|true",
        ),
        ("year(ms)", "Int64 2024|-|1969"),
        ("hour(rome)", "Int64 1|-|0"),
        ("date(rome)", "Date32 2024-01-01|-|1970-01-01"),
        (
            "date_trunc('day', rome)",
            "Timestamp(s, \"+01:00\") 2023-12-31T23:00:00Z|-|1969-12-31T23:00:00Z",
        ),
        (
            "date_ceil('day', rome)",
            "Timestamp(s, \"+01:00\") 2024-01-01T23:00:00Z|-|1970-01-01T23:00:00Z",
        ),
        ("ms like '2024-01-01T%'", "Boolean true|-|false"),
        ("big > 9223372036854775807", "Boolean true|-|false"),
        ("big = 18446744073709551615.0", "Boolean false|-|false"),
        (
            "coalesce(big, tiny)",
            "Decimal128(20, 0) 18446744073709551615|-|7",
        ),
        ("coalesce(big, 0)", "UInt64 18446744073709551615|0|7"),
        (
            "coalesce(day, ms)",
            "Timestamp(µs, \"UTC\") 2024-01-01T00:00:00Z|-|1970-01-01T00:00:00Z",
        ),
        ("coalesce(tiny, 'none')", "Utf8 -1|none|7"),
        (
            "case when tiny > 0 then dict end",
            "Dictionary(Int32, Utf8) -|-|PUT",
        ),
    ] {
        assert_eq!(run(text, &batch), expected, "{text}");
    }
}

#[test]
fn overflow_is_an_error_that_names_the_numbers_and_the_row() {
    let batch = batch(vec![
        ("a", Arc::new(Int64Array::from(vec![1, i64::MAX, i64::MIN]))),
        ("u", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX]))),
    ]);
    let (message, row) = fails("a + 1 > 5", &batch);
    assert_eq!(
        message,
        "evaluating a + 1: 9223372036854775807 + 1 does not fit 64 bits"
    );
    assert_eq!(row, 1);
    for (text, row) in [
        ("a * 2", 1),
        ("a - 1", 2),
        ("-a", 2),
        ("abs(a)", 2),
        ("u + 1", 2),
        ("u * u", 2),
        ("u - a", 2),
        ("u + a", 1),
        ("a + u", 1),
        ("round(a, -1)", 1),
    ] {
        assert_eq!(fails(text, &batch).1, row, "{text}");
    }
    // No wrap hides in what fits.
    assert_eq!(run("a % 2", &batch), "Int64 1|1|0");
    assert_eq!(run("a / 2 > 0", &batch), "Boolean true|true|false");
}

#[test]
fn a_strict_cast_quotes_the_value_that_does_not_fit() {
    let batch = batch(vec![(
        "s",
        Arc::new(StringArray::from(vec![
            Some("1"),
            None,
            Some("n/a"),
            Some("x"),
        ])),
    )]);
    let (message, row) = fails("s::int64 > 0", &batch);
    assert_eq!(message, "evaluating cast(s as int64): \"n/a\" is not int64");
    assert_eq!(row, 2);
    assert_eq!(run("try_cast(s as int64)", &batch), "Int64 1|-|-|-");
}

#[test]
fn a_strict_cast_loses_nothing_inside_lists_and_objects_and_no_bytes() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([Some(2), Some(1_000)]);
    let bytes = BinaryArray::from(vec![Some(&b"a"[..]), None, Some(&b"\xff"[..])]);
    let batch = batch(vec![
        ("l", Arc::new(lists.finish())),
        ("b", Arc::new(bytes)),
    ]);
    let narrow = DataType::new_list(DataType::Int8, true);
    let fails = |expr: Expr| {
        let bound = expr.bind(&batch.schema()).unwrap();
        let error = bound.evaluate(&batch).unwrap_err();
        (error.to_string(), RowError::of(&error).unwrap().row)
    };
    let (message, row) = fails(col("l").cast(narrow.clone()));
    assert!(message.contains("\"[2, 1000]\" is not"), "{message}");
    assert_eq!(row, 2);
    let (message, row) = fails(col("b").cast(DataType::Utf8));
    assert!(message.contains("\"ff\" is not text"), "{message}");
    assert_eq!(row, 2);
    let kept = |expr: Expr| {
        let bound = expr.bind(&batch.schema()).unwrap();
        bound.evaluate(&batch).unwrap()
    };
    let lists = kept(col("l").try_cast(narrow));
    assert_eq!(lists.as_list::<i32>().value(2).null_count(), 1);
    assert!(kept(col("b").try_cast(DataType::Utf8)).is_null(2));
    // What fits comes out, nulls and all.
    let wide = kept(col("l").cast(DataType::new_list(DataType::Float64, true)));
    assert_eq!(
        (
            wide.null_count(),
            wide.as_list::<i32>().value(0).null_count()
        ),
        (1, 1)
    );
}

#[test]
fn the_first_row_that_fails_is_reported_wherever_a_batch_is_cut() {
    let batch = batch(vec![
        (
            "s",
            Arc::new(StringArray::from(vec!["1", "2", "bad", "4", "worse"])),
        ),
        ("n", Arc::new(Int64Array::from(vec![1, i64::MAX, 3, 4, 5]))),
    ]);
    // The left side fails later than the right one.
    let bound = bind("s::int64 > 0 and n + 1 > 0", &batch);
    let whole = bound.mask(&batch).unwrap_err();
    assert_eq!(RowError::of(&whole).unwrap().row, 1);
    for cut in 1..=5 {
        let mut first = None;
        for start in (0..5).step_by(cut) {
            let piece = batch.slice(start, cut.min(5 - start));
            if let Err(error) = bound.mask(&piece) {
                first = Some((error.to_string(), RowError::of(&error).unwrap().row + start));
                break;
            }
        }
        assert_eq!(first, Some((whole.to_string(), 1)), "cut {cut}");
    }
}

#[test]
fn a_guard_guards() {
    let batch = batch(vec![
        ("kind", Arc::new(StringArray::from(vec!["n", "t", "n"]))),
        ("s", Arc::new(StringArray::from(vec!["1", "n/a", "3"]))),
    ]);
    for (text, expected) in [
        ("kind = 'n' and s::int64 > 1", "Boolean false|false|true"),
        ("kind != 'n' or s::int64 > 1", "Boolean false|true|true"),
        (
            "case when kind = 'n' then s::int64 else 0 end",
            "Int64 1|0|3",
        ),
        ("case kind when 'n' then s::int64 end", "Int64 1|-|3"),
        (
            "coalesce(case when kind = 't' then 7 end, s::int64)",
            "Int64 1|7|3",
        ),
    ] {
        assert_eq!(run(text, &batch), expected, "{text}");
    }
    // The row is one of the batch, not of the rows that passed the guard.
    let (_, row) = fails("case when kind = 'n' then 0 else s::int64 end", &batch);
    assert_eq!(row, 1);
    let (_, row) = fails("kind = 't' and (s || '')::int64 > 1", &batch);
    assert_eq!(row, 1);
}

#[test]
fn bound_expressions_cross_threads() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<BoundExpr>();
    check::<Expr>();
}
