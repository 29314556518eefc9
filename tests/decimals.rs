//! Decimals are computed and compared exactly; what does not fit is an error at its row.
//!
//! The oracle has 256 bits and goes row by row.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::DataType;
use windrow::expr::{AggExpr, BinaryOp, Expr, col, lit};
use windrow::{By, ByteSize, Session, Settings};

/// Numbers in no order, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Of at most so many digits; most are shorter.
    fn digits(&mut self, most: u8) -> i128 {
        let digits = self.next() % u64::from(most + 1);
        let wide = i128::from(self.next()) << 64 | i128::from(self.next());
        wide % 10_i128.pow(digits as u32)
    }
}

/// A column of a type with 60 values, nulls among them.
fn column(of: &DataType, random: &mut Random) -> ArrayRef {
    let mut null = 0;
    let mut some = |value: i128| {
        null += 1;
        (null % 9 > 0).then_some(value)
    };
    let most = match of {
        DataType::Decimal128(all, _) => *all,
        DataType::Int32 => 9,
        _ => 18,
    };
    let values: Vec<Option<i128>> = (0..60).map(|_| some(random.digits(most))).collect();
    match of {
        DataType::Int32 => Arc::new(Int32Array::from_iter(
            values.iter().map(|value| value.map(|value| value as i32)),
        )),
        DataType::Int64 => Arc::new(Int64Array::from_iter(
            values.iter().map(|value| value.map(|value| value as i64)),
        )),
        DataType::UInt64 => Arc::new(UInt64Array::from_iter(
            values
                .iter()
                .map(|value| value.map(|value| value.unsigned_abs() as u64)),
        )),
        _ => Arc::new(Decimal128Array::from_iter(values).with_data_type(of.clone())),
    }
}

/// The values with their digits behind the point.
fn values(column: &ArrayRef) -> (Vec<Option<i256>>, u8) {
    let wide = |value: i128| Some(i256::from_i128(value));
    let whole = |values: Vec<Option<i128>>| {
        values
            .into_iter()
            .map(|value| value.and_then(wide))
            .collect()
    };
    match column.data_type() {
        DataType::Decimal128(_, scale) => {
            let array = column.as_primitive::<Decimal128Type>();
            (whole(array.iter().collect()), *scale as u8)
        }
        DataType::UInt64 => {
            let array = column.as_primitive::<arrow_array::types::UInt64Type>();
            (
                whole(array.iter().map(|value| value.map(i128::from)).collect()),
                0,
            )
        }
        _ => {
            let array = arrow_cast::cast(column, &DataType::Int64).unwrap();
            let array = array.as_primitive::<arrow_array::types::Int64Type>();
            (
                whole(array.iter().map(|value| value.map(i128::from)).collect()),
                0,
            )
        }
    }
}

fn power(exponent: u8) -> i256 {
    (0..exponent).fold(i256::ONE, |power, _| {
        power.wrapping_mul(i256::from_i128(10))
    })
}

/// What an operator gives, in units of `scale` digits; none for a remainder by 0.
fn oracle(op: BinaryOp, (a, of_a): (i256, u8), (b, of_b): (i256, u8), scale: u8) -> Option<i256> {
    let (wide_a, wide_b) = match op {
        BinaryOp::Multiply => (a, b),
        _ => (
            a.wrapping_mul(power(scale - of_a)),
            b.wrapping_mul(power(scale - of_b)),
        ),
    };
    match op {
        BinaryOp::Plus => Some(wide_a.wrapping_add(wide_b)),
        BinaryOp::Minus => Some(wide_a.wrapping_sub(wide_b)),
        BinaryOp::Multiply => Some(wide_a.wrapping_mul(wide_b)),
        _ if b == i256::ZERO => None,
        _ => wide_a.checked_rem(wide_b),
    }
}

const TYPES: [DataType; 8] = [
    DataType::Decimal128(15, 2),
    DataType::Decimal128(38, 0),
    DataType::Decimal128(38, 19),
    DataType::Decimal128(5, 5),
    DataType::Decimal128(18, 4),
    DataType::Int32,
    DataType::Int64,
    DataType::UInt64,
];

/// Every pair of types of which one at least is one of decimals.
fn pairs() -> Vec<RecordBatch> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut pairs = Vec::new();
    for a in &TYPES {
        for b in &TYPES {
            if a.is_integer() && b.is_integer() {
                continue;
            }
            let columns = [("a", column(a, &mut random)), ("b", column(b, &mut random))];
            let columns = columns.map(|(name, column)| (name, column, true));
            pairs.push(RecordBatch::try_from_iter_with_nullable(columns).unwrap());
        }
    }
    pairs
}

fn binary(op: BinaryOp) -> Expr {
    let (a, b) = (col("a"), col("b"));
    match op {
        BinaryOp::Plus => a + b,
        BinaryOp::Minus => a - b,
        BinaryOp::Multiply => a * b,
        _ => a % b,
    }
}

#[test]
fn sums_products_and_remainders_are_exact_or_an_error_at_their_row() {
    let mut errors = 0;
    for batch in pairs() {
        let ((a, of_a), (b, of_b)) = (values(batch.column(0)), values(batch.column(1)));
        for op in [
            BinaryOp::Plus,
            BinaryOp::Minus,
            BinaryOp::Multiply,
            BinaryOp::Modulo,
        ] {
            let what = format!("{op:?} of {:?}", batch.schema());
            let bound = binary(op).bind(&batch.schema()).unwrap();
            let DataType::Decimal128(all, scale) = *bound.data_type() else {
                panic!("{what} is {}", bound.data_type());
            };
            let end = power(all);
            let wanted: Vec<Option<i256>> = (0..60)
                .map(|row| oracle(op, (a[row]?, of_a), (b[row]?, of_b), scale as u8))
                .collect();
            let too_large = |value: &Option<i256>| {
                value.is_some_and(|value| value >= end || value <= end.wrapping_neg())
            };
            let misfit = wanted.iter().position(too_large);
            match (bound.evaluate(&batch), misfit) {
                (Ok(found), None) => {
                    assert_eq!(found.data_type(), bound.data_type(), "{what}");
                    assert_eq!(values(&found).0, wanted, "{what}");
                }
                (Err(error), Some(row)) => {
                    errors += 1;
                    assert!(bound.may_fail(), "{what}");
                    assert!(error.to_string().contains("38 digits"), "{error}");
                    let before = batch.slice(0, row);
                    let found = bound.evaluate(&before).unwrap();
                    assert_eq!(values(&found).0, wanted[..row], "{what}");
                    assert!(bound.evaluate(&batch.slice(row, 1)).is_err(), "{what}");
                }
                (found, misfit) => panic!("{what}: {found:?}, not {misfit:?}"),
            }
        }
    }
    assert!(errors > 10, "{errors}");
}

#[test]
fn comparisons_and_quotients_round_nothing_on_the_way() {
    for batch in pairs() {
        let ((a, of_a), (b, of_b)) = (values(batch.column(0)), values(batch.column(1)));
        let orders: Vec<Option<Ordering>> = (0..60)
            .map(|row| {
                let (a, b) = (a[row]?, b[row]?);
                Some(
                    a.wrapping_mul(power(of_b))
                        .cmp(&b.wrapping_mul(power(of_a))),
                )
            })
            .collect();
        type Test = fn(Ordering) -> bool;
        let tests: [(Expr, Test); 3] = [
            (col("a").lt(col("b")), Ordering::is_lt),
            (col("a").eq(col("b")), Ordering::is_eq),
            (col("a").ge(col("b")), Ordering::is_ge),
        ];
        for (expr, test) in tests {
            let wanted: BooleanArray = orders.iter().map(|order| order.map(test)).collect();
            let found = expr.bind(&batch.schema()).unwrap().mask(&batch).unwrap();
            assert_eq!(found, wanted, "{expr} of {:?}", batch.schema());
        }
        let quotient = (col("a") / col("b")).bind(&batch.schema()).unwrap();
        assert_eq!(quotient.data_type(), &DataType::Float64);
        let found = quotient.evaluate(&batch).unwrap();
        let found = found.as_primitive::<Float64Type>();
        for row in 0..60 {
            let (Some(a), Some(b)) = (a[row], b[row].filter(|b| *b != i256::ZERO)) else {
                assert!(found.is_null(row));
                continue;
            };
            let (a, b) = (a.wrapping_mul(power(of_b)), b.wrapping_mul(power(of_a)));
            let text = |value: i256| value.to_string().parse::<f64>().unwrap();
            let (wanted, found) = (text(a) / text(b), found.value(row));
            let error = (found - wanted).abs();
            assert!(
                error <= wanted.abs() * 4.5e-16,
                "{a} / {b} is {found}, not {wanted}"
            );
        }
    }
}

/// Prices with two digits, and how many.
fn prices() -> RecordBatch {
    let price = Decimal128Array::from(vec![Some(105), Some(110), None, Some(-250), Some(5)]);
    let price: ArrayRef = Arc::new(price.with_data_type(DataType::Decimal128(15, 2)));
    let count: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]));
    RecordBatch::try_from_iter_with_nullable([("price", price, true), ("n", count, true)]).unwrap()
}

fn shown(text: &str) -> String {
    let batch = prices();
    let expr = Expr::parse(text).unwrap();
    let bound = expr.bind(&batch.schema()).unwrap();
    let column = bound.column(&batch).unwrap();
    let cell = |row| arrow_cast::display::array_value_to_string(&column, row).unwrap();
    let cells: Vec<String> = (0..batch.num_rows()).map(cell).collect();
    format!("{} {}", column.data_type(), cells.join("|"))
}

#[test]
fn literals_beside_decimals_are_what_they_are_written_as() {
    for (text, wanted) in [
        ("price * 1.1", "Decimal128(17, 3) 1.155|1.210||-2.750|0.055"),
        (
            "price * (1 - 0.05)",
            "Decimal128(19, 4) 0.9975|1.0450||-2.3750|0.0475",
        ),
        (
            "price * (0.1 + 0.2)",
            "Decimal128(17, 3) 0.315|0.330||-0.750|0.015",
        ),
        ("1 - price", "Decimal128(16, 2) -0.05|-0.10||3.50|0.95"),
        ("-price", "Decimal128(16, 2) -1.05|-1.10||2.50|-0.05"),
        ("price * n", "Decimal128(25, 2) 1.05|2.20||-10.00|0.25"),
        ("price % 1", "Decimal128(15, 2) 0.05|0.10||-0.50|0.05"),
        ("price / 2", "Float64 0.525|0.55||-1.25|0.025"),
        ("price = 1.05", "Boolean true|false||false|false"),
        ("price = 1.1", "Boolean false|true||false|false"),
        ("price = '1.10'", "Boolean false|true||false|false"),
        ("price < 1.055", "Boolean true|false||true|true"),
        ("price >= -2.505", "Boolean true|true||true|true"),
        (
            "price in (1.05, 0.05, -2)",
            "Boolean true|false||false|true",
        ),
        (
            "price between 0.05 and 1.05",
            "Boolean true|false||false|true",
        ),
        (
            "coalesce(price, 0)",
            "Decimal128(15, 2) 1.05|1.10|0.00|-2.50|0.05",
        ),
        (
            "case when n > 3 then price else 0.125 end",
            "Decimal128(16, 3) 0.125|0.125|0.125|-2.500|0.050",
        ),
        (
            "case price when 1.1 then 'x' else 'y' end",
            "Utf8 y|x|y|y|y",
        ),
        ("abs(price)", "Decimal128(15, 2) 1.05|1.10||2.50|0.05"),
        ("round(price, 1)", "Decimal128(16, 2) 1.10|1.10||-2.50|0.10"),
        ("round(price)", "Decimal128(16, 2) 1.00|1.00||-3.00|0.00"),
        ("floor(price)", "Decimal128(16, 2) 1.00|1.00||-3.00|0.00"),
        ("ceil(price)", "Decimal128(16, 2) 2.00|2.00||-2.00|1.00"),
        // Beside fractions they are fractions, also one that is asked for.
        ("price * cast(n as float64)", "Float64 1.05|2.2||-10.0|0.25"),
        ("price * cast(2 as float64)", "Float64 2.1|2.2||-5.0|0.1"),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn decimals_beyond_fractions_are_told_apart_also_by_the_bounds_of_files() {
    // One in the last of 20 digits: no f64 tells these apart.
    let big = 10_i128.pow(19);
    let keys = Decimal128Array::from_iter_values((0..400).map(|n| big + n));
    let keys: ArrayRef = Arc::new(keys.with_data_type(DataType::Decimal128(20, 2)));
    let batch = RecordBatch::try_from_iter([("key", keys)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let session = Session::new(Settings {
        threads: 2,
        memory: ByteSize::mib(64),
        ..Settings::default()
    });
    let rows = session.from_batches(batch.schema(), [batch]).unwrap();
    let parts = rows.repartition(By::Rows(100)).unwrap();
    parts.to_parquet(dir.path().join("files")).unwrap();
    let files = session.read_parquet(dir.path().join("files")).unwrap();
    for (filter, wanted) in [
        ("key = '100000000000000001.99'", 1),
        ("key < '100000000000000001.00'", 100),
        ("key >= '100000000000000003.995'", 0),
        ("key > '100000000000000000.985'", 301),
        (
            "key in ('100000000000000000.00', '100000000000000003.99')",
            2,
        ),
    ] {
        assert_eq!(
            files.filter(filter).unwrap().count().unwrap(),
            wanted,
            "{filter}"
        );
    }
    let one = files
        .filter("key = '100000000000000001.99'")
        .unwrap()
        .compute();
    let skipped = one.unwrap().report().clone();
    assert_eq!((skipped.skipped_files, skipped.skipped_row_groups), (0, 3));
    let largest = files.nlargest(2, "key").unwrap().compute().unwrap();
    let largest = largest.into_batches();
    let found = values(largest[0].column(0)).0;
    let wanted = [399, 398].map(|n| Some(i256::from_i128(big + n)));
    assert_eq!(found, wanted);
}

#[test]
fn aggregates_of_computed_decimals_are_exact() {
    let session = Session::new(Settings::default());
    let batch = prices();
    let frame = session.from_batches(batch.schema(), [batch]).unwrap();
    let cost: AggExpr = (col("price") * (lit(1) - lit(0.25) * col("price"))).sum();
    let found = frame
        .agg([
            cost.alias("cost"),
            col("price").sum().alias("sum"),
            col("price").mean().alias("mean"),
            (col("price") * lit(2)).min().alias("min"),
            col("price").max().alias("max"),
        ])
        .unwrap()
        .compute()
        .unwrap()
        .into_batches();
    let cells: Vec<String> = (found[0].columns().iter())
        .map(|column| arrow_cast::display::array_value_to_string(column, 0).unwrap())
        .collect();
    // -0.30 less a quarter of 1.1025 + 1.21 + 6.25 + 0.0025.
    assert_eq!(cells, ["-2.441250", "-0.30", "-0.075", "-5.00", "1.10"]);
}

#[test]
fn a_product_that_does_not_fit_names_its_row() {
    let values = vec![1, 10_i128.pow(37), 2];
    let wide = Decimal128Array::from(values).with_data_type(DataType::Decimal128(38, 2));
    let batch = RecordBatch::try_from_iter([("x", Arc::new(wide) as ArrayRef)]).unwrap();
    let frame = Session::default()
        .from_batches(batch.schema(), [batch])
        .unwrap();
    let squares = frame.with_column("y", col("x") * col("x")).unwrap();
    let error = squares.compute().unwrap_err().to_string();
    assert!(
        error.contains("row 2") && error.contains("38 digits"),
        "{error}"
    );
    assert_eq!(squares.limit(1).compute().unwrap().num_rows(), 1);
}
