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

use std::cmp::Ordering;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};

use super::ast::BinaryOp;
use super::compare::{Members, Mode};
use super::convert::{Class, Value};
use super::decimal::{self, Decimals, Digits};
use super::eval::{BoundExpr, Kind, Node, Pattern};
use super::json_text::is_json;
use super::names::ColumnPath;
use super::number::Num;
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

/// What a condition may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truth {
    yes: bool,
    no: bool,
    unknown: bool,
    fails: bool,
}

impl Truth {
    const NONE: Truth = Truth {
        yes: false,
        no: false,
        unknown: false,
        fails: false,
    };

    fn any(fails: bool) -> Self {
        Truth {
            yes: true,
            no: true,
            unknown: true,
            fails,
        }
    }

    fn not(self) -> Self {
        Truth {
            yes: self.no,
            no: self.yes,
            ..self
        }
    }

    /// Both, of which the second is only reached where the first is not false.
    fn and(self, other: Truth) -> Self {
        Truth {
            yes: self.yes && other.yes,
            no: self.no || other.no,
            unknown: (self.unknown && (other.yes || other.unknown)) || (self.yes && other.unknown),
            fails: self.fails || ((self.yes || self.unknown) && other.fails),
        }
    }
}

/// A value in the order of the kind it is compared as.
#[derive(Debug, Clone)]
enum Point {
    Number(Num),
    /// With so many digits behind the point.
    Decimal(i128, u8),
    Time(i128),
    Text(String),
    Bool(bool),
}

impl Point {
    /// Points of two kinds never meet: a comparison has one kind.
    fn cmp(&self, other: &Point) -> Ordering {
        match (self, other) {
            (Point::Number(a), Point::Number(b)) => a.total_cmp(*b),
            (Point::Decimal(a, behind_a), Point::Decimal(b, behind_b)) => {
                decimal::compare((*a, *behind_a), (*b, *behind_b))
            }
            (Point::Time(a), Point::Time(b)) => a.cmp(b),
            (Point::Text(a), Point::Text(b)) => a.cmp(b),
            (Point::Bool(a), Point::Bool(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// The first value of an array, under a kind of comparison.
    fn of(array: &ArrayRef, mode: &Mode) -> Result<Option<Point>> {
        let value = Value::constant(ArrayRef::clone(array));
        Ok(match mode {
            Mode::Number => value.numbers()?.get(0).map(Point::Number),
            Mode::Decimal => Decimals::of(array)?
                .filter(|decimals| {
                    decimals
                        .nulls
                        .as_ref()
                        .is_none_or(|nulls| nulls.is_valid(0))
                })
                .map(|decimals| Point::Decimal(decimals.values[0], decimals.behind)),
            Mode::Time => value.times()?.get(0).map(Point::Time),
            Mode::Text => {
                let texts = value.texts()?;
                texts
                    .is_valid(0)
                    .then(|| Point::Text(texts.value(0).to_owned()))
            }
            Mode::Bool => value.bools()?.iter().next().flatten().map(Point::Bool),
            Mode::Native(_) => None,
        })
    }
}

/// Values between two points, both included. No point: no bound.
#[derive(Debug, Clone, Default)]
struct Span {
    low: Option<Point>,
    high: Option<Point>,
}

impl Span {
    fn point(at: Point) -> Self {
        Span {
            low: Some(at.clone()),
            high: Some(at),
        }
    }

    /// Whether some value here may be below some value of `other`.
    fn may_be_below(&self, other: &Span) -> bool {
        match (&self.low, &other.high) {
            (Some(low), Some(high)) => low.cmp(high).is_lt(),
            _ => true,
        }
    }

    /// Whether both may hold the same value.
    fn may_meet(&self, other: &Span) -> bool {
        let reaches = |low: &Option<Point>, high: &Option<Point>| match (low, high) {
            (Some(low), Some(high)) => low.cmp(high).is_le(),
            _ => true,
        };
        reaches(&self.low, &other.high) && reaches(&other.low, &self.high)
    }
}

/// What an operand may be under a kind of comparison.
struct Operand {
    /// Where its values are. None: it has none.
    spans: Vec<Span>,
    nulls: bool,
}

impl Operand {
    fn anything() -> Self {
        Operand {
            spans: vec![Span::default()],
            nulls: true,
        }
    }

    fn constant(point: Option<Point>) -> Self {
        Operand {
            nulls: point.is_none(),
            spans: point.into_iter().map(Span::point).collect(),
        }
    }
}

/// Which orders two operands may stand in.
#[derive(Default)]
struct Orders {
    below: bool,
    equal: bool,
    above: bool,
}

struct Group<'a> {
    schema: &'a Schema,
    known: &'a dyn Known,
}

impl Group<'_> {
    /// Recursion is as deep as the expression, which `bind` limits.
    fn truth(&self, node: &Node) -> Result<Truth> {
        Ok(match &node.kind {
            Kind::And(terms) => self.all(terms, |truth| truth)?,
            // `a or b` is `not (not a and not b)`.
            Kind::Or(terms) => self.all(terms, Truth::not)?.not(),
            Kind::Not(inner) => self.truth(inner)?.not(),
            Kind::IsNull(inner, negated) => {
                let (nulls, values) = self.nullness(inner)?;
                let is = Truth {
                    yes: nulls,
                    no: values,
                    fails: node.fails,
                    ..Truth::NONE
                };
                if *negated { is.not() } else { is }
            }
            Kind::IsBool(inner, value, negated) => {
                let inner = self.truth(inner)?;
                let (hit, miss) = match value {
                    true => (inner.yes, inner.no),
                    false => (inner.no, inner.yes),
                };
                let is = Truth {
                    yes: hit,
                    no: miss || inner.unknown,
                    unknown: false,
                    fails: inner.fails,
                };
                if *negated { is.not() } else { is }
            }
            Kind::Compare(op, mode, left, right) => self.compare(*op, mode, left, right, node)?,
            Kind::In(inner, members, items, negated) => {
                let found = self.is_in(inner, members, items, node.fails)?;
                if *negated { found.not() } else { found }
            }
            Kind::Like(text, pattern, which) => self.like(text, pattern, *which, node.fails)?,
            Kind::Column(_) | Kind::Literal(..) => self.condition(node)?,
            _ => Truth::any(node.fails),
        })
    }

    fn all(&self, terms: &[Node], turn: fn(Truth) -> Truth) -> Result<Truth> {
        let mut all = Truth {
            yes: true,
            ..Truth::NONE
        };
        for term in terms {
            all = all.and(turn(self.truth(term)?));
        }
        Ok(all)
    }

    /// A column or a constant that stands as a condition.
    fn condition(&self, node: &Node) -> Result<Truth> {
        let operand = self.operand(node, &Mode::Bool)?;
        let holds = |value: bool| {
            let value = Span::point(Point::Bool(value));
            operand.spans.iter().any(|span| span.may_meet(&value))
        };
        Ok(Truth {
            yes: holds(true),
            no: holds(false),
            unknown: operand.nulls,
            fails: node.fails,
        })
    }

    /// Whether a value may be null, and whether it may be there.
    fn nullness(&self, node: &Node) -> Result<(bool, bool)> {
        Ok(match &node.kind {
            // The JSON text `null` is no value.
            Kind::Column(path) if self.spells_json(path) => (true, true),
            Kind::Column(path) => {
                let facts = self.facts(path);
                (facts.nulls, facts.values)
            }
            Kind::Literal(array, _) => {
                let null = array.is_null(0) || *array.data_type() == DataType::Null;
                (null, !null)
            }
            _ if node.data_type == DataType::Boolean => {
                let truth = self.truth(node)?;
                (truth.unknown, truth.yes || truth.no)
            }
            _ => (true, true),
        })
    }

    fn facts(&self, path: &ColumnPath) -> Facts {
        self.known.facts(&path.root, &path.steps)
    }

    /// Whether a column's texts are JSON, which are compared by what they spell.
    fn spells_json(&self, path: &ColumnPath) -> bool {
        let mut fields = self.schema.fields();
        let mut names = std::iter::once(&path.root).chain(&path.steps).peekable();
        while let Some(name) = names.next() {
            let Some((_, field)) = fields.find(name) else {
                return false;
            };
            match field.data_type() {
                DataType::Struct(inner) if names.peek().is_some() => fields = inner,
                // A step into text is a step into JSON.
                _ => return names.peek().is_some() || is_json(field),
            }
        }
        false
    }

    fn operand(&self, node: &Node, mode: &Mode) -> Result<Operand> {
        match &node.kind {
            Kind::Literal(array, _) => {
                let point = Point::of(array, mode)?;
                Ok(match mode {
                    Mode::Native(_) => Operand::anything(),
                    _ => Operand::constant(point),
                })
            }
            Kind::Column(path) => self.column(path, mode),
            _ => Ok(Operand::anything()),
        }
    }

    fn column(&self, path: &ColumnPath, mode: &Mode) -> Result<Operand> {
        let facts = self.facts(path);
        if !facts.values {
            return Ok(Operand {
                spans: Vec::new(),
                nulls: true,
            });
        }
        let bounds = [&facts.lower, &facts.upper];
        let of_this_kind = |bound: &&Option<ArrayRef>| match bound {
            Some(bound) => is_ordered_as(bound.data_type(), mode),
            None => false,
        };
        // What is not of the kind of the comparison is converted, which keeps no order.
        if !bounds.iter().all(of_this_kind) || self.spells_json(path) {
            return Ok(Operand::anything());
        }
        let point = |bound: &Option<ArrayRef>| match bound {
            Some(bound) => Point::of(bound, mode),
            None => Ok(None),
        };
        let (mut low, mut high) = (point(&facts.lower)?, point(&facts.upper)?);
        let floats = bounds
            .iter()
            .any(|bound| matches!(bound, Some(bound) if holds_nan(bound.data_type())));
        // NaN as a bound is the mark of a writer that did not know its order.
        for bound in [&mut low, &mut high] {
            if matches!(bound, Some(Point::Number(Num::Float(value))) if value.is_nan()) {
                *bound = None;
            }
        }
        let mut spans = vec![Span { low, high }];
        if floats {
            // Bounds leave NaN out, which is above every number.
            spans.push(Span::point(Point::Number(Num::Float(f64::NAN))));
        }
        Ok(Operand {
            spans,
            nulls: facts.nulls,
        })
    }

    fn compare(
        &self,
        op: BinaryOp,
        mode: &Mode,
        left: &Node,
        right: &Node,
        node: &Node,
    ) -> Result<Truth> {
        let (a, b) = (self.operand(left, mode)?, self.operand(right, mode)?);
        let mut orders = self.orders(&a, &b);
        if orders.equal && matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
            orders.equal = match (&left.kind, &right.kind) {
                (Kind::Literal(array, _), _) => self.may_hold(right, Point::of(array, mode)?),
                (_, Kind::Literal(array, _)) => self.may_hold(left, Point::of(array, mode)?),
                _ => true,
            };
        }
        let (yes, no) = match op {
            BinaryOp::Eq => (orders.equal, orders.below || orders.above),
            BinaryOp::NotEq => (orders.below || orders.above, orders.equal),
            BinaryOp::Lt => (orders.below, orders.equal || orders.above),
            BinaryOp::LtEq => (orders.below || orders.equal, orders.above),
            BinaryOp::Gt => (orders.above, orders.equal || orders.below),
            BinaryOp::GtEq => (orders.above || orders.equal, orders.below),
            _ => (true, true),
        };
        Ok(Truth {
            yes,
            no,
            unknown: a.nulls || b.nulls,
            fails: node.fails,
        })
    }

    /// Whether a column may hold a value; so may all that is none.
    fn may_hold(&self, node: &Node, value: Option<Point>) -> bool {
        let Kind::Column(path) = &node.kind else {
            return true;
        };
        let sought = match &value {
            Some(Point::Number(Num::Int(number))) => Sought::Integer(*number),
            Some(Point::Text(text)) => Sought::Text(text),
            _ => return true,
        };
        self.spells_json(path) || self.known.may_hold(&path.root, &path.steps, sought)
    }

    fn orders(&self, a: &Operand, b: &Operand) -> Orders {
        let mut orders = Orders::default();
        for (left, right) in a
            .spans
            .iter()
            .flat_map(|left| b.spans.iter().map(move |right| (left, right)))
        {
            orders.below |= left.may_be_below(right);
            orders.above |= right.may_be_below(left);
            orders.equal |= left.may_meet(right);
        }
        orders
    }

    fn is_in(
        &self,
        inner: &Node,
        members: &Members,
        items: &[(Mode, Node)],
        fails: bool,
    ) -> Result<Truth> {
        let mut found = Truth {
            fails,
            unknown: members.has_null(),
            ..Truth::NONE
        };
        let mut surely = false;
        let kinds: [(Mode, Vec<Point>); 4] = [
            (Mode::Number, members.numbers().map(Point::Number).collect()),
            (Mode::Time, members.times().map(Point::Time).collect()),
            (
                Mode::Text,
                members.texts().map(|t| Point::Text(t.to_owned())).collect(),
            ),
            (Mode::Bool, members.bools().map(Point::Bool).collect()),
        ];
        for (mode, points) in kinds.into_iter().filter(|(_, points)| !points.is_empty()) {
            let value = self.operand(inner, &mode)?;
            found.unknown |= value.nulls;
            for point in points {
                let mut orders = self.orders(&value, &Operand::constant(Some(point.clone())));
                orders.equal = orders.equal && self.may_hold(inner, Some(point));
                found.yes |= orders.equal;
                surely |= orders.equal && !orders.below && !orders.above && !value.nulls;
            }
        }
        for (mode, item) in items {
            let (value, item) = (self.operand(inner, mode)?, self.operand(item, mode)?);
            found.yes |= self.orders(&value, &item).equal;
            found.unknown |= value.nulls || item.nulls;
        }
        let (_, values) = self.nullness(inner)?;
        found.no = values && !surely;
        Ok(found)
    }

    fn like(&self, text: &Node, pattern: &Node, which: Pattern, fails: bool) -> Result<Truth> {
        let any = Truth::any(fails);
        let Kind::Literal(array, _) = &pattern.kind else {
            return Ok(any);
        };
        let (Some(Point::Text(pattern)), false) =
            (Point::of(array, &Mode::Text)?, which.case_insensitive)
        else {
            return Ok(any);
        };
        let prefix = literal_prefix(&pattern);
        let operand = self.operand(text, &Mode::Text)?;
        let begins = Span {
            high: end_of_prefix(prefix).map(Point::Text),
            low: Some(Point::Text(prefix.to_owned())),
        };
        let is = Truth {
            yes: operand.spans.iter().any(|span| span.may_meet(&begins)),
            no: !operand.spans.is_empty(),
            unknown: operand.nulls,
            fails,
        };
        Ok(if which.negated { is.not() } else { is })
    }
}

/// Whether values of a type lie in the same order as what they are compared as.
fn is_ordered_as(data_type: &DataType, mode: &Mode) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_ordered_as(values, mode),
        // Bytes that are no UTF-8 have no text.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => *mode == Mode::Text,
        other => match Class::of(other) {
            Class::Number if *mode == Mode::Decimal => Digits::of(other).is_some(),
            Class::Number => *mode == Mode::Number,
            Class::Time => *mode == Mode::Time,
            Class::Bool => *mode == Mode::Bool,
            _ => false,
        },
    }
}

fn holds_nan(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => holds_nan(values),
        other => other.is_floating(),
    }
}

/// What every text of this shape begins with, up to the first sign that is not itself.
fn literal_prefix(pattern: &str) -> &str {
    let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    &pattern[..end]
}

/// A text above all that begin with `prefix`; none if there is none.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Scalar values have a gap where surrogates would be.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
    use arrow_array::{TimestampMicrosecondArray, UInt32Array, UInt64Array};
    use arrow_ord::sort::sort;
    use arrow_schema::Field;
    use proptest::prelude::*;

    use super::*;
    use crate::expr::Expr;

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

    #[test]
    fn nothing_begins_with_a_prefix_behind_its_end() {
        assert_eq!(end_of_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(end_of_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end_of_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(end_of_prefix("\u{10ffff}"), None);
        assert_eq!(end_of_prefix(""), None);
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
