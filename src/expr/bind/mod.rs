//! Names and types, checked once.
//!
//! In:  an [`Expr`] and a schema.
//! Out: a [`BoundExpr`], or an error that names the part that does not fit.
//!
//! Everything that a value's type decides is decided here, from the schema:
//! how a pair is compared, what a number becomes. A batch may type its columns
//! otherwise and still gets the same answers.

mod call;
mod constant;
mod decimals;
mod operand;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Schema};

use self::constant::fold;
use self::decimals::{beside_decimals, may_overflow};
use self::operand::{Operand, literal, short, side, type_beside};
use crate::error::{Error, Result};
use crate::expr::arith;
use crate::expr::ast::{BinaryOp, Expr, MAX_DEPTH};
use crate::expr::cast::can_cast;
use crate::expr::compare::Mode;
use crate::expr::convert::Class;
use crate::expr::decimal::is_decimal;
use crate::expr::eval::{BoundExpr, Kind, Node, Pattern, When};
use crate::expr::members::Members;
use crate::expr::names::resolve;
use crate::expr::scalar::Scalar;
use crate::expr::types;
use crate::expr::unify::common_type;
use crate::expr::window::Misplaced;

impl Expr {
    /// Checks names and types against a schema.
    ///
    /// A column that has the whole name wins; otherwise dots reach into nested
    /// fields. Literals take the type of the column they are compared with
    /// where they can. What is constant is computed here, once.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown name, with names near it; for types that
    /// do not meet, with the part of the expression and both types; for a
    /// constant that cannot be computed; for nesting beyond [`MAX_DEPTH`].
    pub fn bind(&self, schema: &Schema) -> Result<BoundExpr> {
        let depth = self.depth();
        if depth > MAX_DEPTH {
            return Err(Error::plan(format!(
                "the expression nests {depth} levels deep; {MAX_DEPTH} are allowed"
            )));
        }
        let mut binder = Binder {
            schema,
            roots: BTreeSet::new(),
        };
        let node = binder.node(self)?;
        Ok(BoundExpr {
            node: Arc::new(node),
            root_columns: binder.roots.into_iter().collect(),
            text: self.to_string().into(),
        })
    }
}

struct Binder<'a> {
    schema: &'a Schema,
    roots: BTreeSet<String>,
}

impl Binder<'_> {
    /// Recursion is as deep as the expression, which was checked. Every kind
    /// has a function of its own, so that a level takes little of the stack.
    fn node(&mut self, expr: &Expr) -> Result<Node> {
        match expr {
            Expr::Column(name) => self.column(name),
            Expr::Literal(scalar) => Ok(constant(scalar)),
            Expr::Alias { expr, .. } => self.node(expr),
            Expr::Binary { left, op, right } => self.binary(expr, left, *op, right),
            Expr::And(terms) => self.chain(terms, false),
            Expr::Or(terms) => self.chain(terms, true),
            Expr::Not(inner) => self.test(expr, inner, Kind::Not),
            Expr::Negate(inner) => self.negate(expr, inner),
            Expr::IsNull {
                expr: inner,
                negated,
            } => {
                let inner = self.node(inner)?;
                fold(
                    expr,
                    boolean(inner.fails, Kind::IsNull(Box::new(inner), *negated)),
                )
            }
            Expr::IsBool {
                expr: inner,
                value,
                negated,
            } => self.test(expr, inner, |inner| Kind::IsBool(inner, *value, *negated)),
            Expr::InList {
                expr: inner,
                list,
                negated,
            } => self.in_list(expr, inner, list, *negated),
            Expr::Like {
                expr: text,
                pattern,
                case_insensitive,
                negated,
            } => {
                let which = Pattern {
                    case_insensitive: *case_insensitive,
                    negated: *negated,
                };
                self.like(expr, text, pattern, which)
            }
            Expr::AmongKeys { expr: inner, keys } => {
                let inner = self.node(inner)?;
                let fails = inner.fails;
                let kind = Kind::AmongKeys(Box::new(inner), Arc::clone(keys));
                Ok(boolean(fails, kind))
            }
            Expr::Cast {
                expr: inner,
                to,
                lenient,
            } => self.cast(expr, inner, to, *lenient),
            Expr::Function { name, args } => self.call(expr, name, args),
            Expr::Window(_) => Err(Misplaced(expr).error()),
            Expr::Case {
                operand,
                branches,
                otherwise,
            } => self.case(expr, operand.as_deref(), branches, otherwise.as_deref()),
        }
    }

    fn column(&mut self, name: &str) -> Result<Node> {
        let (path, data_type) = resolve(name, self.schema)?;
        self.roots.insert(path.root.clone());
        Ok(Node {
            kind: Kind::Column(path),
            data_type,
            fails: false,
        })
    }

    /// A test of one condition.
    fn test(
        &mut self,
        whole: &Expr,
        inner: &Expr,
        kind: impl FnOnce(Box<Node>) -> Kind,
    ) -> Result<Node> {
        let inner = self.condition(inner)?;
        fold(whole, boolean(inner.fails, kind(Box::new(inner))))
    }

    fn negate(&mut self, whole: &Expr, inner: &Expr) -> Result<Node> {
        let zero = Expr::Literal(Scalar::Int64(0));
        let zero = Operand {
            expr: &zero,
            node: constant(&Scalar::Int64(0)),
        };
        let mut sides = [zero, self.number(whole, inner)?];
        beside_decimals(&mut sides, false);
        let [zero, inner] = sides;
        fold(whole, self.arith(whole, zero, BinaryOp::Minus, inner))
    }

    fn like(&mut self, whole: &Expr, text: &Expr, pattern: &Expr, which: Pattern) -> Result<Node> {
        let text = self.text(whole, text)?;
        let pattern = self.text(whole, pattern)?;
        let fails = text.fails || pattern.fails;
        let kind = Kind::Like(Box::new(text), Box::new(pattern), which);
        fold(whole, boolean(fails, kind))
    }

    fn cast(&mut self, whole: &Expr, inner: &Expr, to: &DataType, lenient: bool) -> Result<Node> {
        let inner = self.operand(inner)?;
        if !can_cast(&inner.node.data_type, to) {
            let hint = match (Class::of(&inner.node.data_type), Class::of(to)) {
                (Class::Number, Class::Time) => "; use to_timestamp",
                (Class::Time, Class::Number) => "; use epoch",
                _ => "",
            };
            return Err(Error::plan(format!(
                "cannot cast {} to {}{hint}",
                inner.described(),
                types::name(to)
            )));
        }
        let node = Node {
            fails: inner.node.fails || !lenient,
            data_type: to.clone(),
            kind: Kind::Cast(Box::new(inner.node), lenient, short(whole)),
        };
        fold(whole, node)
    }

    fn binary(&mut self, whole: &Expr, left: &Expr, op: BinaryOp, right: &Expr) -> Result<Node> {
        if op == BinaryOp::Concat {
            let (left, right) = (self.text(whole, left)?, self.text(whole, right)?);
            let node = Node {
                fails: left.fails || right.fails,
                data_type: DataType::Utf8,
                kind: Kind::Concat(Box::new(left), Box::new(right)),
            };
            return fold(whole, node);
        }
        if !op.is_comparison() {
            let mut sides = [self.number(whole, left)?, self.number(whole, right)?];
            beside_decimals(&mut sides, false);
            let [left, right] = sides;
            return fold(whole, self.arith(whole, left, op, right));
        }
        let left = self.operand(left)?;
        let right = self
            .operand(right)
            .map_err(|error| unquoted(right, error))?;
        let mut sides = [left, right];
        beside_decimals(&mut sides, true);
        let [left, right] = sides;
        let mode = self.mode(&left, &right, whole)?;
        let fails = left.node.fails || right.node.fails;
        let kind = Kind::Compare(op, mode, Box::new(left.node), Box::new(right.node));
        fold(whole, boolean(fails, kind))
    }

    fn arith(&self, whole: &Expr, left: Operand<'_>, op: BinaryOp, right: Operand<'_>) -> Node {
        let data_type =
            arith::result_type(op, &type_beside(&left, &right), &type_beside(&right, &left));
        let overflows = data_type.is_integer() || may_overflow(&data_type);
        let fails = overflows || left.node.fails || right.node.fails;
        Node {
            data_type,
            fails,
            kind: Kind::Arith(op, Box::new(left.node), Box::new(right.node), short(whole)),
        }
    }

    /// How two operands are compared.
    fn mode(&self, left: &Operand<'_>, right: &Operand<'_>, whole: &Expr) -> Result<Mode> {
        let mode = Mode::of(&side(&left.node), &side(&right.node));
        mode.ok_or_else(|| {
            let classes = [&left.node, &right.node].map(|node| Class::of(&node.data_type));
            let hint = match classes {
                [Class::Number, Class::Time] | [Class::Time, Class::Number] => {
                    "; to_timestamp makes times of numbers"
                }
                [Class::Time, Class::Text] | [Class::Text, Class::Time] => {
                    "; write a time as '2024-01-31 09:30:00'"
                }
                [Class::Nested, _] | [_, Class::Nested] => "; compare a field or item of it",
                _ => "",
            };
            Error::plan(format!(
                "cannot compare {} with {} in {}{hint}",
                left.described(),
                right.described(),
                short(whole)
            ))
        })
    }

    /// `and` or `or`, without the terms that constants make needless.
    fn chain(&mut self, terms: &[Expr], decides: bool) -> Result<Node> {
        let mut nodes = Vec::with_capacity(terms.len());
        let mut settled = false;
        for term in terms {
            let node = self.condition(term)?;
            match literal(&node) {
                Some(Scalar::Boolean(value)) if *value == decides => settled = true,
                Some(Scalar::Boolean(_)) => {}
                // Terms after a constant that decides are checked, but never run.
                _ if !settled => nodes.push(node),
                _ => {}
            }
        }
        // A term before it that fails would have failed; those after it are not reached.
        if settled && nodes.iter().all(|node| !node.fails) {
            return Ok(constant(&Scalar::Boolean(decides)));
        }
        if settled {
            nodes.push(constant(&Scalar::Boolean(decides)));
        }
        if nodes.is_empty() {
            return Ok(constant(&Scalar::Boolean(!decides)));
        }
        let fails = nodes.iter().any(|node| node.fails);
        let kind = if decides {
            Kind::Or(nodes)
        } else {
            Kind::And(nodes)
        };
        Ok(boolean(fails, kind))
    }

    fn in_list(
        &mut self,
        whole: &Expr,
        inner: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Node> {
        let operand = self.operand(inner)?;
        let mut members = Members::default();
        let mut computed = Vec::new();
        for item in list {
            let mut item = self.operand(item)?;
            if is_decimal(&operand.node.data_type) {
                item.become_decimal(true);
            }
            let mode = self.mode(&operand, &item, whole)?;
            let known = match literal(&item.node) {
                Some(scalar) => members.insert(&mode, scalar)?,
                None => false,
            };
            if !known {
                computed.push((mode, item.node));
            }
        }
        let inner = operand.node;
        let fails = inner.fails || computed.iter().any(|(_, item)| item.fails);
        let kind = Kind::In(Box::new(inner), members, computed, negated);
        fold(whole, boolean(fails, kind))
    }

    fn case(
        &mut self,
        whole: &Expr,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<Node> {
        let operand = match operand {
            Some(operand) => Some(self.operand(operand)?),
            None => None,
        };
        let mut whens = Vec::with_capacity(branches.len());
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (when, then) in branches {
            whens.push(match &operand {
                None => When::True(self.condition(when)?),
                Some(operand) => {
                    let mut when = self.operand(when)?;
                    if is_decimal(&operand.node.data_type) {
                        when.become_decimal(true);
                    }
                    When::Equals(self.mode(operand, &when, whole)?, when.node)
                }
            });
            results.push(self.operand(then)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.operand(otherwise)?);
        }
        beside_decimals(&mut results, false);
        let data_type = common(whole, &results)?;
        let mut results: Vec<Node> = results.into_iter().map(|result| result.node).collect();
        let operand = operand.map(|operand| Box::new(operand.node));
        let fails = operand.iter().any(|node| node.fails)
            || whens.iter().any(|when| when.node().fails)
            || results.iter().any(|node| node.fails);
        let otherwise = match otherwise {
            Some(_) => results.pop().map(Box::new),
            None => None,
        };
        let node = Node {
            kind: Kind::Case(whens.into_iter().zip(results).collect(), otherwise, operand),
            data_type,
            fails,
        };
        fold(whole, node)
    }
}

/// Adds to the error about an unknown column what may have been meant: in
/// many languages, a word in double quotes is a text.
fn unquoted(expr: &Expr, error: Error) -> Error {
    match (expr, error) {
        (Expr::Column(name), Error::Plan { reason, near }) if near.is_empty() => Error::plan(
            format!("{reason}; a text stands in single quotes: '{name}'"),
        ),
        (_, error) => error,
    }
}

/// The type that all results of a choice have in common.
fn common(whole: &Expr, results: &[Operand<'_>]) -> Result<DataType> {
    let unsigned = results
        .iter()
        .find(|result| result.node.data_type == DataType::UInt64);
    let mut data_type = DataType::Null;
    for result in results {
        let own = type_beside(result, unsigned.unwrap_or(result));
        data_type = common_type(&data_type, &own).ok_or_else(|| {
            Error::plan(format!(
                "{} cannot stand beside {data_type} in {}",
                result.described(),
                short(whole)
            ))
        })?;
    }
    Ok(data_type)
}

fn boolean(fails: bool, kind: Kind) -> Node {
    Node {
        kind,
        data_type: DataType::Boolean,
        fails,
    }
}

fn constant(scalar: &Scalar) -> Node {
    Node {
        data_type: scalar.data_type(),
        kind: Kind::Literal(scalar.to_array(), Some(scalar.clone())),
        fails: false,
    }
}
