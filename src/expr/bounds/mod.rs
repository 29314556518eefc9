//! What a condition can be on rows of which only bounds are known.
//!
//! In:  a bound condition, and for each column of a group of rows its bounds and nulls.
//! Out: whether any row of the group can pass; no only where none can.
//!
//! Every part of a condition gets the set of what it may be: true, false,
//! unknown, failing. Sets are never too small, whatever is not understood is
//! everything, and each column of a part is taken for itself, so an answer of
//! "no" is a proof. A part that can fail on a value is never passed over: the
//! error that a reader of all rows would meet is met.
//!
//! ```text
//! status in 200..299    status >= 500 and user = 'x'    {false} and …  ─▶ {false}: passed over
//! status in 200..503    status >= 500 or user is null   {true, false} … ─▶ read
//! ```

mod group;
mod span;
mod truth;

use arrow_array::ArrayRef;
use arrow_schema::Schema;

use self::group::Group;
use super::eval::{BoundExpr, Kind};
use crate::error::Result;

/// What is known of a column's values in a group of rows.
#[derive(Debug, Clone)]
pub struct Facts {
    /// One row that no value is below; a null one says nothing. Values need not reach it.
    lower: Option<ArrayRef>,
    /// One row that no value but NaN is above; a null one says nothing.
    upper: Option<ArrayRef>,
    /// Whether there may be nulls.
    nulls: bool,
    /// Whether there may be values.
    values: bool,
}

impl Facts {
    /// Of a column that may hold anything.
    pub fn unknown() -> Self {
        Facts {
            lower: None,
            upper: None,
            nulls: true,
            values: true,
        }
    }

    /// Of a column that is null in every row.
    pub fn all_null() -> Self {
        Facts {
            values: false,
            ..Facts::unknown()
        }
    }

    /// Of a column whose values lie within bounds: one row each, in the
    /// column's type, null where there is no bound.
    pub fn within(lower: ArrayRef, upper: ArrayRef) -> Self {
        Facts {
            lower: Some(lower),
            upper: Some(upper),
            ..Facts::unknown()
        }
    }

    /// The same, of a column without nulls.
    #[must_use]
    pub fn without_nulls(self) -> Self {
        Facts {
            nulls: false,
            ..self
        }
    }
}

/// Where a column is: the name of a top-level one, then of fields inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRef<'a> {
    /// The top-level column.
    pub root: &'a str,
    /// Fields inside, outermost first.
    pub steps: &'a [String],
}

/// A value that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought<'a> {
    /// A whole number.
    Integer(i128),
    /// A text.
    Text(&'a str),
}

/// What is known of a group of rows.
pub trait Known {
    /// Of a column: the name of a top-level one, then of fields inside it.
    fn facts(&self, root: &str, steps: &[String]) -> Facts;

    /// Whether a column may hold a value, given that its bounds leave room for it.
    fn may_hold(&self, _root: &str, _steps: &[String], _value: Sought<'_>) -> bool {
        true
    }
}

impl BoundExpr {
    /// Whether any row of a group may make this condition true, or fail.
    /// `schema` is that of the batches it would be evaluated on.
    ///
    /// # Errors
    ///
    /// [`crate::Error::External`] if a bound is of a type that cannot be read,
    /// which statistics of the column's own type rule out.
    pub fn may_match(&self, schema: &Schema, known: &dyn Known) -> Result<bool> {
        let truth = Group { schema, known }.truth(&self.node)?;
        Ok(truth.yes || truth.fails)
    }

    /// The columns it looks at, nested fields by their path.
    pub fn columns(&self) -> Vec<PathRef<'_>> {
        let mut found = Vec::new();
        let mut rest = vec![&*self.node];
        while let Some(node) = rest.pop() {
            if let Kind::Column(path) = &node.kind {
                found.push(PathRef {
                    root: &path.root,
                    steps: &path.steps,
                });
            }
            rest.extend(node.children());
        }
        found
    }

    /// Whether a value can make it fail.
    pub fn may_fail(&self) -> bool {
        self.node.fails
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
    use arrow_array::{TimestampMicrosecondArray, UInt32Array, UInt64Array};
    use arrow_ord::sort::sort;
    use arrow_schema::{DataType, Field};
    use proptest::prelude::*;

    use super::*;
    use crate::expr::Expr;
    use crate::expr::json_text::is_json;

    /// The true bounds of a batch's columns.
    struct Exact<'a>(&'a RecordBatch);

    impl Known for Exact<'_> {
        fn facts(&self, root: &str, _steps: &[String]) -> Facts {
            let column = self.0.column_by_name(root).unwrap();
            if column.null_count() == column.len() {
                return Facts::all_null();
            }
            let sorted = sort(column, None).unwrap();
            // Nulls come first, NaN last, which writers leave out of bounds.
            let is_nan = |row: usize| {
                sorted
                    .as_any()
                    .downcast_ref::<Float64Array>()
                    .is_some_and(|floats| floats.value(row).is_nan())
            };
            let mut last = sorted.len() - 1;
            while last > column.null_count() && is_nan(last) {
                last -= 1;
            }
            let facts = Facts::within(sorted.slice(column.null_count(), 1), sorted.slice(last, 1));
            match column.null_count() {
                0 => facts.without_nulls(),
                _ => facts,
            }
        }
    }

    fn may_match(text: &str, batch: &RecordBatch) -> bool {
        let schema = batch.schema();
        let bound = Expr::parse(text).unwrap().bind(&schema).unwrap();
        bound.may_match(&schema, &Exact(batch)).unwrap()
    }

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from(vec![Some(200), None, Some(299)])) as ArrayRef,
            ),
            ("full", Arc::new(Int64Array::from(vec![7, 7, 7]))),
            ("none", Arc::new(Int64Array::from(vec![None, None, None]))),
            ("f", Arc::new(Float64Array::from(vec![0.5, 1.5, f64::NAN]))),
            ("big", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX]))),
            (
                "word",
                Arc::new(StringArray::from(vec!["banana", "cherry", "grape"])),
            ),
            ("flag", Arc::new(BooleanArray::from(vec![true, true, true]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![
                    0, 1_000_000, 2_000_000,
                ])),
            ),
        ])
        .unwrap()
    }

    #[test]
    fn a_group_out_of_bounds_is_passed_over() {
        let batch = batch();
        for text in [
            "n >= 300",
            "n < 200.0",
            "n = 150",
            "300 <= n",
            "n > 299 and f > 0",
            "n > 299 or word > 'grape'",
            "n in (1, 2, 300)",
            "n between 300 and 400",
            "full != 7",
            "full not in (6, 7)",
            "full is null",
            "none = 1",
            "none is not null",
            "not (full = 7)",
            "f < 0.5",
            "big < 1",
            "word < 'b'",
            "word like 'h%'",
            "word like 'z' || 'z%' and n is null",
            "not flag",
            "flag is false",
            "at >= '1970-01-01 00:00:03'",
            "full > 8 and n > full + 1",
            "(n >= 300) is true",
            "full > n",
            "n = null",
        ] {
            assert!(!may_match(text, &batch), "{text}");
        }
    }

    #[test]
    fn a_group_that_may_match_or_fail_is_read() {
        let batch = batch();
        for text in [
            "n >= 299",
            "n is null",
            "not (n < 299)",
            "n >= 300 or n is null",
            "f > 100",
            "f != 0.5",
            "word like '%z'",
            "word like 'gr%'",
            "lower(word) = 'zzz'",
            "cast(word as int64) = 3",
            "n > 1 and cast(word as int64) = 3",
            "n > full + 1 and full > 8",
            "cast(word as int64) = 3 and full = 8",
            "(n >= 300) is null",
            "n = '250'",
            "word = 3 or n = 250",
        ] {
            assert!(may_match(text, &batch), "{text}");
        }
        // What is never reached cannot fail.
        assert!(!may_match("full = 8 and cast(word as int64) = 3", &batch));
    }

    #[test]
    fn json_text_is_read_whatever_its_bounds() {
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.json".to_owned())];
        let field = Field::new("j", DataType::Utf8, true).with_metadata(metadata.into());
        assert!(is_json(&field));
        let schema = Arc::new(Schema::new(vec![field]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["\"z\"", "null"]));
        let batch = RecordBatch::try_new(schema, vec![texts]).unwrap();
        for text in ["j = 'z'", "j is null", "j like 'z%'", "j.a = 1"] {
            assert!(may_match(text, &batch), "{text}");
        }
    }

    fn column<T: Clone + std::fmt::Debug + 'static>(
        of: impl Strategy<Value = T> + Clone + 'static,
    ) -> impl Strategy<Value = Vec<Option<T>>> {
        proptest::collection::vec(proptest::option::weighted(0.8, of), 3)
    }

    fn any_batch() -> impl Strategy<Value = RecordBatch> {
        let float = prop_oneof![
            (-4i32..4).prop_map(|n| f64::from(n) / 2.0),
            Just(f64::NAN),
            Just(-0.0)
        ];
        (
            column(-3i64..4),
            column(float),
            column(prop_oneof![0u32..3, Just(u32::MAX)]),
            column("[ab]{0,2}"),
            column(any::<bool>()),
        )
            .prop_map(|(i, f, u, s, b)| {
                RecordBatch::try_from_iter([
                    ("i", Arc::new(Int64Array::from(i)) as ArrayRef),
                    ("f", Arc::new(Float64Array::from(f))),
                    ("u", Arc::new(UInt32Array::from(u))),
                    ("s", Arc::new(StringArray::from(s))),
                    ("b", Arc::new(BooleanArray::from(b))),
                ])
                .unwrap()
            })
    }

    fn any_condition() -> impl Strategy<Value = String> {
        let op = prop_oneof!["=", "!=", "<", "<=", ">", ">="];
        let number = prop_oneof![
            Just("i".to_owned()),
            Just("f".to_owned()),
            Just("u".to_owned()),
            Just("i + u".to_owned()),
            Just("null".to_owned()),
            Just("cast('nan' as float64)".to_owned()),
            (-4i64..5).prop_map(|n| n.to_string()),
            (-4i64..5).prop_map(|n| format!("{n}.5")),
        ];
        let text = prop_oneof![
            Just("s".to_owned()),
            Just("lower(s)".to_owned()),
            "[ab]{0,2}".prop_map(|text| format!("'{text}'")),
        ];
        let leaf = prop_oneof![
            (number.clone(), op.clone(), number.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (text.clone(), op, text.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (number.clone(), number.clone(), number.clone())
                .prop_map(|(a, b, c)| format!("{a} in ({b}, {c})")),
            (text.clone(), text).prop_map(|(a, b)| format!("{a} not in ({b}, 'ab')")),
            "[ab]{0,1}[%_]?[ab]?".prop_map(|pattern| format!("s like '{pattern}'")),
            "[ab]{0,1}%".prop_map(|pattern| format!("s not like '{pattern}'")),
            number.prop_map(|a| format!("({a}) is null")),
            Just("b".to_owned()),
            Just("try_cast(s as int64) is null".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) and ({b}))")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) or ({b}))")),
                inner.clone().prop_map(|a| format!("(not ({a}))")),
                inner.clone().prop_map(|a| format!("(({a}) is null)")),
                inner.clone().prop_map(|a| format!("(({a}) is not true)")),
                inner.prop_map(|a| format!("(({a}) is false)")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn no_group_is_passed_over_that_holds_a_matching_row(
            batch in any_batch(),
            text in any_condition(),
        ) {
            let schema = batch.schema();
            // Some pairs of types do not meet; such a plan is never run.
            if let Ok(bound) = Expr::parse(&text).unwrap().bind(&schema)
                && !bound.may_match(&schema, &Exact(&batch)).unwrap()
            {
                let mask = bound.mask(&batch);
                prop_assert!(mask.is_ok(), "{} fails and was passed over", text);
                prop_assert_eq!(mask.unwrap().true_count(), 0, "{} on {:?}", text, batch);
            }
        }
    }
}
