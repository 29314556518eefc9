//! Calls of functions, checked.
//!
//! In:  a function's name and its arguments.
//! Out: a node that has what the call needs: a compiled pattern, a unit of
//! time, how to compare. What must be constant is checked here.

use std::sync::Arc;

use arrow_schema::DataType;
use chrono::format::{Item, StrftimeItems};
use regex::Regex;

use super::decimals::beside_decimals;
use super::{Binder, Operand, common, fold, literal, short, side};
use crate::error::{Error, Result};
use crate::expr::aggregate;
use crate::expr::ast::Expr;
use crate::expr::compare::{Mode, Side};
use crate::expr::convert::Class;
use crate::expr::eval::{Kind, Node};
use crate::expr::functions::{self, Prepared, Takes};
use crate::expr::names::nearest;
use crate::expr::scalar::{Scalar, UTC};
use crate::expr::time::{self, Unit};
use crate::expr::window::parse_span;
use crate::expr::zone::Zone;

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
        if matches!(
            function.kind,
            functions::Kind::Coalesce | functions::Kind::List
        ) {
            beside_decimals(&mut operands, false);
        }
        let prepared = self.prepare(whole, function, &operands)?;
        let fails = operands.iter().any(|operand| operand.node.fails)
            || matches!(
                function.kind,
                functions::Kind::Abs | functions::Kind::Round | functions::Kind::DateRange
            );
        let is_coalesce = function.kind == functions::Kind::Coalesce;
        let data_type = match function.kind {
            functions::Kind::Coalesce => common(whole, &operands)?,
            functions::Kind::List => DataType::new_list(items_type(whole, &operands)?, true),
            kind => {
                let types = operands.iter().map(|operand| &operand.node.data_type);
                functions::result_type(kind, &types.collect::<Vec<_>>(), &prepared)
            }
        };
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
            Takes::Object => {
                let is_object = matches!(operand.node.data_type, DataType::Struct(_));
                (!is_object && !matches!(class, Class::Text | Class::Null)).then_some("an object")
            }
            Takes::Time => {
                let named = match &operand.node.data_type {
                    DataType::Timestamp(_, Some(zone)) => Zone::parse(zone).is_none(),
                    _ => false,
                };
                if named {
                    hint = "; cast it to timestamptz, which is UTC";
                    Some("a time in a zone that is known")
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
        let is_list = item_of(&args[0]).is_some();
        Ok(match function.kind {
            functions::Kind::RegexpLike | functions::Kind::RegexpReplace => {
                Prepared::Regex(Arc::new(regex(text(1).unwrap_or(""))?))
            }
            functions::Kind::RegexpExtract => {
                let regex = regex(text(1).unwrap_or(""))?;
                check_group(whole, &regex, args.get(2))?;
                Prepared::Regex(Arc::new(regex))
            }
            functions::Kind::DateTrunc
            | functions::Kind::DateCeil
            | functions::Kind::DateRound
            | functions::Kind::DateRange => Prepared::Unit(unit(whole, text(0).unwrap_or(""))?),
            functions::Kind::ToTimestamp => {
                counts_time(whole, &args[0])?;
                Prepared::Nanos(nanos_of(whole, text(1).unwrap_or("s"))?)
            }
            functions::Kind::TzConvert => Prepared::Zone(zone(whole, text(1).unwrap_or(""))?),
            functions::Kind::TzLocalize => {
                if let DataType::Timestamp(_, Some(_)) = args[0].node.data_type {
                    return Err(Error::plan(format!(
                        "{} has a zone already in {}; tz_convert changes it",
                        args[0].described(),
                        short(whole)
                    )));
                }
                Prepared::Zone(zone(whole, text(1).unwrap_or(""))?)
            }
            functions::Kind::Strftime => Prepared::Format(format(whole, text(1).unwrap_or(""))?),
            functions::Kind::Strptime => Prepared::Written(
                format(whole, text(1).unwrap_or(""))?,
                zone(whole, text(2).unwrap_or(UTC))?,
            ),
            functions::Kind::Field => Prepared::Member(member(&args[0], text(1).unwrap_or(""))?),
            functions::Kind::Nullif => Prepared::Mode(self.mode(&args[0], &args[1], whole)?),
            functions::Kind::Length if is_list => Prepared::Mode(Mode::Text),
            functions::Kind::Contains => contains(whole, args)?,
            _ => Prepared::Nothing,
        })
    }
}

/// The unit of time that a text names, or the length that it spells.
fn unit(whole: &Expr, name: &str) -> Result<Unit> {
    let length = || match parse_span(name)?.as_nanos() {
        0 => None,
        nanos => i128::try_from(nanos).ok().map(Unit::Span),
    };
    let unit = Unit::from_name(name).or_else(length);
    unit.ok_or_else(|| Error::Plan {
        reason: format!(
            "'{name}' is no unit of time, nor a length such as '15m', in {}",
            short(whole)
        ),
        near: nearest(name, Unit::NAMES),
    })
}

/// The type of the items of an argument, if it is a list.
fn item_of<'a>(list: &'a Operand<'_>) -> Option<&'a DataType> {
    match &list.node.data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// The type that all items of a list have; nothing but nulls is text.
fn items_type(whole: &Expr, items: &[Operand<'_>]) -> Result<DataType> {
    Ok(match common(whole, items)? {
        DataType::Null => DataType::Utf8,
        other => other,
    })
}

fn regex(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let error = error.to_string();
        let what = error.rsplit("error: ").next().unwrap_or("").trim();
        Error::plan(format!("'{pattern}' is no regular expression: {what}"))
    })
}

/// Refuses a group that a pattern does not have.
fn check_group(whole: &Expr, regex: &Regex, group: Option<&Operand<'_>>) -> Result<()> {
    let groups = regex.captures_len() - 1;
    match group.and_then(|group| literal(&group.node)) {
        Some(Scalar::Int64(n)) if usize::try_from(*n).map_or(true, |n| n > groups) => {
            Err(Error::plan(format!(
                "there is no group {n} in {}: the pattern has {groups}, and 0 is all of it",
                short(whole)
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses what counts no time.
fn counts_time(whole: &Expr, counted: &Operand<'_>) -> Result<()> {
    match Class::of(&counted.node.data_type) {
        Class::Bool | Class::Nested => Err(Error::plan(format!(
            "{} is neither text nor a number in {}",
            counted.described(),
            short(whole)
        ))),
        _ => Ok(()),
    }
}

/// Nanoseconds of a unit that numbers count.
fn nanos_of(whole: &Expr, unit: &str) -> Result<i128> {
    match unit {
        "s" => Ok(time::SECOND),
        "ms" => Ok(1_000_000),
        "us" => Ok(1_000),
        "ns" => Ok(1),
        other => Err(Error::plan(format!(
            "'{other}' is not 's', 'ms', 'us' or 'ns' in {}",
            short(whole)
        ))),
    }
}

fn zone(whole: &Expr, name: &str) -> Result<Zone> {
    Zone::parse(name).ok_or_else(|| {
        Error::plan(format!(
            "'{name}' is no zone in {}; write it as 'Europe/Oslo', '+02:00' or 'UTC'",
            short(whole)
        ))
    })
}

/// A format of times, checked.
fn format(whole: &Expr, format: &str) -> Result<Arc<str>> {
    if StrftimeItems::new(format).any(|item| item == Item::Error) {
        return Err(Error::plan(format!(
            "'{format}' is no format of times in {}; write it like '%Y-%m-%d %H:%M:%S'",
            short(whole)
        )));
    }
    Ok(Arc::from(format))
}

/// The name of a field, which the objects must have if their fields are known.
fn member(object: &Operand<'_>, name: &str) -> Result<Arc<str>> {
    match &object.node.data_type {
        DataType::Struct(fields) if fields.find(name).is_none() => Err(Error::Plan {
            reason: format!("{} has no field {name:?}", object.described()),
            near: nearest(name, fields.iter().map(|field| field.name().as_str())),
        }),
        _ => Ok(Arc::from(name)),
    }
}

/// How a list is searched for a constant, or a text for a part.
fn contains(whole: &Expr, args: &[Operand<'_>]) -> Result<Prepared> {
    let wanted = &args[1];
    let Some(item) = item_of(&args[0]) else {
        return match Class::of(&wanted.node.data_type) {
            Class::Nested | Class::Other => Err(Error::plan(format!(
                "{} is not text in {}",
                wanted.described(),
                short(whole)
            ))),
            _ => Ok(Prepared::Nothing),
        };
    };
    if literal(&wanted.node).is_none() {
        return Err(Error::plan(format!(
            "{} is not a constant, which a list is searched for, in {}",
            wanted.described(),
            short(whole)
        )));
    }
    let item = Side {
        data_type: item,
        literal: None,
    };
    let mode = Mode::of(&item, &side(&wanted.node)).ok_or_else(|| {
        Error::plan(format!(
            "cannot look for {} in {}",
            wanted.described(),
            args[0].described()
        ))
    })?;
    Ok(Prepared::Mode(mode))
}
