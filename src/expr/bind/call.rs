//! Calls of functions, checked.
//!
//! In:  a function's name and its arguments.
//! Out: a node that has what the call needs: a compiled pattern, a unit of
//! time, how to compare. What must be constant is checked here.

use std::sync::Arc;

use arrow_schema::DataType;
use regex::Regex;

use super::{Binder, Operand, common, fold, literal, short, side};
use crate::error::{Error, Result};
use crate::expr::aggregate;
use crate::expr::ast::Expr;
use crate::expr::compare::{Mode, Side};
use crate::expr::convert::Class;
use crate::expr::eval::{Kind, Node};
use crate::expr::functions::{self, Prepared, Takes};
use crate::expr::names::nearest;
use crate::expr::scalar::Scalar;
use crate::expr::time::{self, Unit};

impl Binder<'_> {
    pub(super) fn call(&mut self, whole: &Expr, name: &str, args: &[Expr]) -> Result<Node> {
        let function = functions::find(name).ok_or_else(|| match aggregate::find(name) {
            Some(_) => Error::plan(aggregate::misplaced(name)),
            None => Error::Plan {
                reason: format!("there is no function {name}"),
                near: nearest(name, functions::names()),
            },
        })?;
        if !function.accepts(args.len()) {
            return Err(Error::plan(format!(
                "{} has {} arguments; it is called as {}",
                short(whole),
                args.len(),
                function.usage
            )));
        }
        let mut operands = Vec::with_capacity(args.len());
        for (idx, arg) in args.iter().enumerate() {
            operands.push(self.argument(whole, function, idx, arg)?);
        }
        let prepared = self.prepare(whole, function, &operands)?;
        let fails = operands.iter().any(|operand| operand.node.fails)
            || matches!(function.kind, functions::Kind::Abs | functions::Kind::Round);
        let mut data_type = {
            let types: Vec<&DataType> = operands
                .iter()
                .map(|operand| &operand.node.data_type)
                .collect();
            functions::result_type(function.kind, &types)
        };
        let is_coalesce = function.kind == functions::Kind::Coalesce;
        if is_coalesce {
            data_type = common(whole, &operands)?;
        }
        let nodes = operands.into_iter().map(|operand| operand.node).collect();
        let node = Node {
            data_type,
            fails,
            kind: if is_coalesce {
                Kind::Coalesce(nodes)
            } else {
                Kind::Call(function.kind, nodes, prepared, short(whole))
            },
        };
        fold(whole, node)
    }

    fn argument<'e>(
        &mut self,
        whole: &Expr,
        function: &functions::Function,
        idx: usize,
        arg: &'e Expr,
    ) -> Result<Operand<'e>> {
        let takes = function.takes(idx);
        if takes == Takes::Number {
            return self.number(whole, arg);
        }
        let operand = self.operand(arg)?;
        let class = Class::of(&operand.node.data_type);
        let mut hint = "";
        let wanted = match takes {
            Takes::Any | Takes::Number => None,
            Takes::Literal => (!matches!(literal(&operand.node), Some(Scalar::Utf8(_))))
                .then_some("a text in single quotes"),
            Takes::Text => matches!(class, Class::Nested | Class::Other).then_some("text"),
            Takes::TextOrList => {
                let is_list = matches!(
                    operand.node.data_type,
                    DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
                );
                (!is_list && matches!(class, Class::Nested | Class::Other))
                    .then_some("text or a list")
            }
            Takes::Time => {
                let named = match &operand.node.data_type {
                    DataType::Timestamp(_, Some(zone)) => time::zone_offset(zone).is_none(),
                    _ => false,
                };
                if named {
                    hint = "; cast it to timestamptz, which is UTC";
                    Some("a time in UTC or of a fixed offset")
                } else {
                    if class == Class::Number {
                        hint = "; to_timestamp makes times of numbers";
                    }
                    (!matches!(class, Class::Time | Class::Text | Class::Null)).then_some("a time")
                }
            }
        };
        match wanted {
            None => Ok(operand),
            Some(wanted) => Err(Error::plan(format!(
                "{} is not {wanted} in {}{hint}",
                operand.described(),
                short(whole)
            ))),
        }
    }

    /// What the call needs beside its arguments.
    fn prepare(
        &self,
        whole: &Expr,
        function: &functions::Function,
        args: &[Operand<'_>],
    ) -> Result<Prepared> {
        let text = |idx: usize| match args.get(idx).and_then(|arg| literal(&arg.node)) {
            Some(Scalar::Utf8(text)) => Some(text.as_str()),
            _ => None,
        };
        let list = match &args[0].node.data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                Some(item.data_type().clone())
            }
            _ => None,
        };
        Ok(match function.kind {
            functions::Kind::RegexpLike => {
                let pattern = text(1).unwrap_or("");
                let regex = Regex::new(pattern).map_err(|error| {
                    let error = error.to_string();
                    let what = error.rsplit("error: ").next().unwrap_or("").trim();
                    Error::plan(format!("'{pattern}' is no regular expression: {what}"))
                })?;
                Prepared::Regex(Arc::new(regex))
            }
            functions::Kind::DateTrunc => {
                let name = text(0).unwrap_or("");
                Prepared::Unit(Unit::from_name(name).ok_or_else(|| Error::Plan {
                    reason: format!("'{name}' is no unit of time in {}", short(whole)),
                    near: nearest(name, Unit::NAMES),
                })?)
            }
            functions::Kind::ToTimestamp => {
                if Class::of(&args[0].node.data_type) == Class::Bool
                    || Class::of(&args[0].node.data_type) == Class::Nested
                {
                    return Err(Error::plan(format!(
                        "{} is neither text nor a number in {}",
                        args[0].described(),
                        short(whole)
                    )));
                }
                Prepared::Nanos(match text(1).unwrap_or("s") {
                    "s" => time::SECOND,
                    "ms" => 1_000_000,
                    "us" => 1_000,
                    "ns" => 1,
                    other => {
                        return Err(Error::plan(format!(
                            "'{other}' is not 's', 'ms', 'us' or 'ns' in {}",
                            short(whole)
                        )));
                    }
                })
            }
            functions::Kind::Nullif => Prepared::Mode(self.mode(&args[0], &args[1], whole)?),
            functions::Kind::Length if list.is_some() => Prepared::Mode(Mode::Text),
            functions::Kind::Contains => match list {
                Some(item) => {
                    if literal(&args[1].node).is_none() {
                        return Err(Error::plan(format!(
                            "{} is not a constant, which a list is searched for, in {}",
                            args[1].described(),
                            short(whole)
                        )));
                    }
                    let item = Side {
                        data_type: &item,
                        literal: None,
                    };
                    let mode = Mode::of(&item, &side(&args[1].node)).ok_or_else(|| {
                        Error::plan(format!(
                            "cannot look for {} in {}",
                            args[1].described(),
                            args[0].described()
                        ))
                    })?;
                    Prepared::Mode(mode)
                }
                None if matches!(
                    Class::of(&args[1].node.data_type),
                    Class::Nested | Class::Other
                ) =>
                {
                    return Err(Error::plan(format!(
                        "{} is not text in {}",
                        args[1].described(),
                        short(whole)
                    )));
                }
                None => Prepared::Nothing,
            },
            _ => Prepared::Nothing,
        })
    }
}
