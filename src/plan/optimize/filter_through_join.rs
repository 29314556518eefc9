//! Puts the terms of a filter below a join, each on the side that it looks at.
//!
//! A term moves where every row that it drops there would have been dropped
//! behind the join, and where it cannot fail: a row without partner never
//! reaches a filter behind the join. What it says of a key holds for the key of
//! the other side as well, which is filtered alike.
//!
//! Of several ways to pass, each may ask something of the smaller side: rows of
//! it that no way lets pass are left out, and the term stays behind the join.
//!
//! ```text
//! (part = 'a' and n < 10) or (part = 'b' and n < 20)  ─▶  part = 'a' or part = 'b'
//! ```

use super::Logical;
use super::filter_into_scan::{all_of, filtered, sink as sink_into};
use crate::expr::{Expr, roots};
use crate::plan::{ColumnOf, Join, MergeHow, Side};
use arrow_schema::Schema;

pub(super) fn sink(left: Logical, right: Logical, join: Join, predicate: Expr) -> Logical {
    let schemas = left
        .schema()
        .and_then(|of_left| Ok((of_left, right.schema()?)));
    let Ok((of_left, of_right)) = schemas else {
        let (left, right) = (Box::new(left), Box::new(right));
        return filtered(Logical::Join { left, right, join }, predicate);
    };
    let beside = Beside {
        join: &join,
        left: &of_left,
        right: &of_right,
    };
    let (mut on_left, mut on_right, mut above) = (Vec::new(), Vec::new(), Vec::new());
    for term in predicate.conjuncts() {
        match beside.place(&term) {
            Some((of_left, of_right)) => {
                on_left.extend(of_left);
                on_right.extend(of_right);
            }
            None => {
                let fewer = match left.estimate().rows < right.estimate().rows {
                    true => Side::Left,
                    false => Side::Right,
                };
                if let Some((of_left, of_right)) = beside.implied(&term, fewer) {
                    on_left.extend(of_left);
                    on_right.extend(of_right);
                }
                above.push(term);
            }
        }
    }
    let side = |side: Logical, terms: Vec<Expr>| match all_of(terms) {
        Some(terms) => Box::new(sink_into(side, terms)),
        None => Box::new(side),
    };
    let joined = Logical::Join {
        left: side(left, on_left),
        right: side(right, on_right),
        join,
    };
    match all_of(above) {
        Some(above) => filtered(joined, above),
        None => joined,
    }
}

/// A join between the columns of two frames.
struct Beside<'a> {
    join: &'a Join,
    left: &'a Schema,
    right: &'a Schema,
}

impl Beside<'_> {
    /// A term as each side has it; none if it must stay behind the join.
    fn place(&self, term: &Expr) -> Option<(Option<Expr>, Option<Expr>)> {
        let joined = self.join.schema(self.left, self.right).ok()?;
        if term.bind(&joined).ok()?.may_fail() {
            return None;
        }
        let looked_at = roots(term, &joined);
        let of = |name: &String| self.join.columns.iter().find(|(shown, _)| shown == name);
        let origins: Option<Vec<_>> = looked_at.iter().map(of).collect();
        let origins = origins.filter(|origins| !origins.is_empty())?;
        let all = |side: &dyn Fn(&ColumnOf) -> bool| origins.iter().all(|(_, of)| side(of));
        let on_left = all(&|of| !matches!(of, ColumnOf::Right(_)));
        let on_right = all(&|of| !matches!(of, ColumnOf::Left(_)));
        let decided = match self.join.how {
            MergeHow::Inner | MergeHow::Cross => on_left || on_right,
            MergeHow::Left | MergeHow::Semi | MergeHow::Anti => on_left,
            MergeHow::Right => on_right,
            // Either side may give the key.
            MergeHow::Outer => {
                let keys = |side| all(&|of| self.exchanged(of, side).is_some());
                on_left && on_right && keys(Side::Left) && keys(Side::Right)
            }
        };
        if !decided {
            return None;
        }
        let left = self.on_side(term, Side::Left, &joined);
        let right = self.on_side(term, Side::Right, &joined);
        // The side that decides must have it; the other one may.
        let first = match self.join.how {
            MergeHow::Right => &right,
            MergeHow::Inner | MergeHow::Cross if !on_left => &right,
            _ => &left,
        };
        first.is_some().then_some((left, right))
    }

    /// What every way to pass a term asks of the rows of one side, as each side
    /// has it; none if there is a way that asks nothing of it.
    fn implied(&self, term: &Expr, side: Side) -> Option<(Option<Expr>, Option<Expr>)> {
        let Expr::Or(ways) = term else {
            return None;
        };
        let joined = self.join.schema(self.left, self.right).ok()?;
        if term.bind(&joined).ok()?.may_fail() {
            return None;
        }
        let asked = |way: &Expr| {
            let mut parts = way.clone().conjuncts();
            parts.retain(|part| {
                !roots(part, &joined).is_empty() && self.on_side(part, side, &joined).is_some()
            });
            all_of(parts)
        };
        let ways: Option<Vec<Expr>> = ways.iter().map(asked).collect();
        self.place(&ways?.into_iter().reduce(Expr::or)?)
    }

    /// A term by the names of one side, if that side has all it looks at.
    fn on_side(&self, term: &Expr, side: Side, joined: &Schema) -> Option<Expr> {
        let schema = match side {
            Side::Left => self.left,
            Side::Right => self.right,
        };
        let moved = term.map_columns(&mut |name| {
            let root = roots(&crate::expr::col(name), joined).into_iter().next()?;
            let (_, of) = self.join.columns.iter().find(|(shown, _)| *shown == root)?;
            let old = self.exchanged(of, side)?;
            let old = format!("{old}{}", name.strip_prefix(root.as_str())?);
            // The name must mean there what it means here.
            let there = roots(&crate::expr::col(old.as_str()), schema);
            there.contains(&self.exchanged(of, side)?).then_some(old)
        })?;
        moved.bind(schema).ok().map(|_| moved)
    }

    /// What a column that comes out is called on one side: there it stands, or
    /// a key of the same type that is equal to it.
    fn exchanged(&self, of: &ColumnOf, side: Side) -> Option<String> {
        let pair = |found: &dyn Fn(&(String, String)) -> bool| {
            let (left, right) = self.join.on.iter().find(|pair| found(pair))?;
            let (_, left_field) = self.left.column_with_name(left)?;
            let (_, right_field) = self.right.column_with_name(right)?;
            let data_type = left_field.data_type();
            // 0 and -0 are one key and yet not the same.
            let same = data_type == right_field.data_type() && !data_type.is_floating();
            same.then(|| (left.clone(), right.clone()))
        };
        let from_right = self.join.how == MergeHow::Right;
        match (of, side) {
            (ColumnOf::Left(name), Side::Left) | (ColumnOf::Right(name), Side::Right) => {
                Some(name.clone())
            }
            (ColumnOf::Both(name), Side::Left)
                if !from_right && self.join.how != MergeHow::Outer =>
            {
                Some(name.clone())
            }
            (ColumnOf::Both(name), Side::Right) if from_right => Some(name.clone()),
            (ColumnOf::Left(name), Side::Right) => {
                pair(&|(left, _)| left == name).map(|pair| pair.1)
            }
            (ColumnOf::Right(name), Side::Left) => {
                pair(&|(_, right)| right == name).map(|pair| pair.0)
            }
            (ColumnOf::Both(name), Side::Left) => {
                pair(&|(left, _)| left == name).map(|pair| pair.0)
            }
            (ColumnOf::Both(name), Side::Right) => {
                pair(&|(left, right)| left == name && right == name).map(|pair| pair.1)
            }
        }
    }
}
