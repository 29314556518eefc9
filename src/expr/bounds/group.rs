//! A condition on a group of rows.
//!
//! In:  its steps, and what is known of the group's columns.
//! Out: what it may be there; whatever is not understood is everything.

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Schema};

use super::span::{Operand, Orders, Point, Span};
use super::truth::Truth;
use super::{Facts, Known, Sought};
use crate::error::Result;
use crate::expr::ast::BinaryOp;
use crate::expr::compare::Mode;
use crate::expr::convert::Class;
use crate::expr::decimal::Digits;
use crate::expr::eval::{Kind, Node, Pattern};
use crate::expr::json_text::is_json;
use crate::expr::key_set::KeySet;
use crate::expr::members::Members;
use crate::expr::names::ColumnPath;
use crate::expr::number::Num;

pub(super) struct Group<'a> {
    pub schema: &'a Schema,
    pub known: &'a dyn Known,
}

impl Group<'_> {
    /// Recursion is as deep as the expression, which `bind` limits.
    pub fn truth(&self, node: &Node) -> Result<Truth> {
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
            Kind::AmongKeys(inner, keys) => self.among_keys(inner, keys)?,
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

    fn among_keys(&self, inner: &Node, keys: &KeySet) -> Result<Truth> {
        let mode = match Class::of(&inner.data_type) {
            Class::Number => Mode::Number,
            _ => return Ok(Truth::any(inner.fails)),
        };
        let operand = self.operand(inner, &mode)?;
        let number = |point: &Option<Point>, open: i64| match point {
            Some(Point::Number(Num::Int(number))) => i64::try_from(*number).unwrap_or(open),
            _ => open,
        };
        let meets =
            |span: &Span| keys.may_meet(number(&span.low, i64::MIN), number(&span.high, i64::MAX));
        Ok(Truth {
            yes: operand.spans.iter().any(meets),
            no: true,
            unknown: operand.nulls,
            fails: inner.fails,
        })
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
    use super::*;

    #[test]
    fn nothing_begins_with_a_prefix_behind_its_end() {
        assert_eq!(end_of_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(end_of_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end_of_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(end_of_prefix("\u{10ffff}"), None);
        assert_eq!(end_of_prefix(""), None);
    }
}
