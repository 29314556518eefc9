//! An expression as text.
//!
//! In:  an [`Expr`].
//! Out: text that parses to the same `Expr`, with no more brackets than that takes.

use std::fmt::{self, Display, Formatter};

use arrow_schema::DataType;

use super::ast::{BinaryOp, Expr, MAX_DEPTH};
use super::scalar::Scalar;
use super::types;

/// How tightly an expression holds together, from loose to tight. The parser uses the same steps.
pub(super) mod binding {
    pub const ALIAS: u8 = 0;
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const COMPARE: u8 = 4;
    pub const CONCAT: u8 = 5;
    pub const ADD: u8 = 6;
    pub const MULTIPLY: u8 = 7;
    pub const NEGATE: u8 = 8;
    pub const CAST: u8 = 9;
    pub const VALUE: u8 = 10;
}

/// Words that mean something of their own where a value is expected, so that
/// as names they are quoted.
pub(super) const RESERVED: [&str; 19] = [
    "and", "as", "between", "case", "cast", "else", "end", "false", "ilike", "in", "is", "like",
    "not", "null", "or", "then", "true", "try_cast", "when",
];

impl BinaryOp {
    pub(super) fn binding(self) -> u8 {
        match self {
            BinaryOp::Concat => binding::CONCAT,
            BinaryOp::Plus | BinaryOp::Minus => binding::ADD,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => binding::MULTIPLY,
            _ => binding::COMPARE,
        }
    }
}

impl Expr {
    fn binding(&self) -> u8 {
        match self {
            Expr::Alias { .. } => binding::ALIAS,
            Expr::And(terms) | Expr::Or(terms) if terms.is_empty() => binding::VALUE,
            Expr::And(terms) | Expr::Or(terms) if terms.len() == 1 => terms[0].binding(),
            Expr::Or(_) => binding::OR,
            Expr::And(_) => binding::AND,
            Expr::Not(_) => binding::NOT,
            Expr::Binary { op, .. } => op.binding(),
            Expr::IsNull { .. }
            | Expr::IsBool { .. }
            | Expr::InList { .. }
            | Expr::AmongKeys { .. }
            | Expr::Like { .. } => binding::COMPARE,
            Expr::Negate(_) => binding::NEGATE,
            _ => binding::VALUE,
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_at(f, self, binding::ALIAS, MAX_DEPTH)
    }
}

/// Writes an expression in a place that needs at least `least` binding.
fn write_at(f: &mut Formatter<'_>, expr: &Expr, least: u8, depth: usize) -> fmt::Result {
    if depth == 0 {
        return f.write_str("…"); // Deeper than any expression that binds.
    }
    if expr.binding() < least {
        f.write_str("(")?;
        write_expr(f, expr, depth - 1)?;
        f.write_str(")")
    } else {
        write_expr(f, expr, depth - 1)
    }
}

fn write_expr(f: &mut Formatter<'_>, expr: &Expr, depth: usize) -> fmt::Result {
    let operand = |f: &mut Formatter<'_>, expr: &Expr| write_at(f, expr, binding::COMPARE, depth);
    match expr {
        Expr::Column(name) => write_name(f, name),
        Expr::Literal(scalar) => write!(f, "{scalar}"),
        Expr::Binary { left, op, right } => {
            write_at(f, left, op.binding(), depth)?;
            write!(f, " {} ", op.symbol())?;
            write_at(f, right, op.binding() + 1, depth)
        }
        Expr::And(terms) if terms.is_empty() => f.write_str("true"),
        Expr::Or(terms) if terms.is_empty() => f.write_str("false"),
        Expr::And(terms) => write_list(f, terms, " and ", binding::NOT, depth),
        Expr::Or(terms) => write_list(f, terms, " or ", binding::AND, depth),
        Expr::Not(inner) => {
            f.write_str("not ")?;
            write_at(f, inner, binding::NOT, depth)
        }
        Expr::Negate(inner) => write_negated(f, inner, depth),
        Expr::IsNull { expr, negated } => {
            operand(f, expr)?;
            f.write_str(if *negated { " is not null" } else { " is null" })
        }
        Expr::IsBool {
            expr,
            value,
            negated,
        } => {
            operand(f, expr)?;
            write!(f, " is {}{value}", if *negated { "not " } else { "" })
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            operand(f, expr)?;
            write_members(f, list, *negated, depth)
        }
        Expr::Like {
            expr,
            pattern,
            case_insensitive,
            negated,
        } => {
            operand(f, expr)?;
            f.write_str(if *negated { " not " } else { " " })?;
            f.write_str(if *case_insensitive { "ilike " } else { "like " })?;
            write_at(f, pattern, binding::CONCAT, depth)
        }
        Expr::AmongKeys { expr, keys } => {
            operand(f, expr)?;
            write!(f, " in (the keys of {} rows)", keys.n_rows())
        }
        Expr::Cast { expr, to, lenient } => write_cast(f, expr, to, *lenient, depth),
        Expr::Function { name, args } => write_call(f, name, args, depth),
        Expr::Case {
            operand,
            branches,
            otherwise,
        } => write_case(f, operand.as_deref(), branches, otherwise.as_deref(), depth),
        Expr::Alias { expr, name } => {
            write_at(f, expr, binding::OR, depth)?;
            f.write_str(" as ")?;
            write_word(f, name, |_| true)
        }
        Expr::Window(window) => write!(f, "{window}"),
    }
}

fn write_members(f: &mut Formatter<'_>, list: &[Expr], negated: bool, depth: usize) -> fmt::Result {
    f.write_str(if negated { " not in (" } else { " in (" })?;
    write_list(f, list, ", ", binding::OR, depth)?;
    f.write_str(")")
}

fn write_cast(
    f: &mut Formatter<'_>,
    expr: &Expr,
    to: &DataType,
    lenient: bool,
    depth: usize,
) -> fmt::Result {
    f.write_str(if lenient { "try_cast(" } else { "cast(" })?;
    write_at(f, expr, binding::OR, depth)?;
    write!(f, " as {})", types::name(to))
}

/// A minus before a number is part of the number, and two begin a comment.
fn write_negated(f: &mut Formatter<'_>, inner: &Expr, depth: usize) -> fmt::Result {
    let is_apart = match inner {
        Expr::Negate(_) => true,
        Expr::Literal(scalar) => scalar.is_number(),
        _ => begins_with_number(inner),
    };
    if is_apart {
        return write_bracketed(f, "-", inner, depth);
    }
    f.write_str("-")?;
    write_at(f, inner, binding::NEGATE, depth)
}

/// Whether the text of a value begins with a number that has no bracket before it.
fn begins_with_number(mut expr: &Expr) -> bool {
    while let Expr::Function { name, args } = expr {
        match part(name, args) {
            Some(Part::Item { list, .. }) => expr = list,
            Some(Part::Field { object, .. }) => expr = object,
            None => return false,
        }
    }
    matches!(expr, Expr::Literal(scalar) if scalar.is_number())
}

/// A call that has a shorter text.
enum Part<'a> {
    /// `list[at]`
    Item { list: &'a Expr, at: &'a Expr },
    /// `object.name`
    Field { object: &'a Expr, name: &'a str },
}

fn part<'a>(name: &str, args: &'a [Expr]) -> Option<Part<'a>> {
    match (name, args) {
        // There is no such item, and its text is refused.
        ("list_get", [_, Expr::Literal(Scalar::Int64(0))]) => None,
        ("list_get", [list, at]) => Some(Part::Item { list, at }),
        // Behind a column it would be part of the column's name.
        ("field", [Expr::Column(_), _]) => None,
        // A point with `_` behind it is read as the beginning of a number.
        ("field", [object, Expr::Literal(Scalar::Utf8(name))])
            if is_plain(name) && !name.starts_with('_') =>
        {
            Some(Part::Field { object, name })
        }
        _ => None,
    }
}

fn write_call(f: &mut Formatter<'_>, name: &str, args: &[Expr], depth: usize) -> fmt::Result {
    match part(name, args) {
        Some(Part::Item { list, at }) => {
            write_at(f, list, binding::VALUE, depth)?;
            f.write_str("[")?;
            write_at(f, at, binding::OR, depth)?;
            f.write_str("]")
        }
        Some(Part::Field { object, name }) => {
            // A number would take the point for its own.
            match begins_with_number(object) && !matches!(object, Expr::Function { .. }) {
                true => write_bracketed(f, "", object, depth)?,
                false => write_at(f, object, binding::VALUE, depth)?,
            }
            write!(f, ".{name}")
        }
        None => {
            write_word(f, name, |word| {
                !word.contains(|c: char| c.is_ascii_uppercase())
            })?;
            f.write_str("(")?;
            write_list(f, args, ", ", binding::OR, depth)?;
            f.write_str(")")
        }
    }
}

fn write_case(
    f: &mut Formatter<'_>,
    operand: Option<&Expr>,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
    depth: usize,
) -> fmt::Result {
    f.write_str("case")?;
    if let Some(operand) = operand {
        f.write_str(" ")?;
        write_at(f, operand, binding::OR, depth)?;
    }
    let mut write = |word: &str, expr: &Expr| {
        f.write_str(word)?;
        write_at(f, expr, binding::OR, depth)
    };
    for (when, then) in branches {
        write(" when ", when)?;
        write(" then ", then)?;
    }
    if let Some(otherwise) = otherwise {
        write(" else ", otherwise)?;
    }
    f.write_str(" end")
}

fn write_bracketed(f: &mut Formatter<'_>, sign: &str, expr: &Expr, depth: usize) -> fmt::Result {
    write!(f, "{sign}(")?;
    write_at(f, expr, binding::ALIAS, depth)?;
    f.write_str(")")
}

fn write_list(
    f: &mut Formatter<'_>,
    exprs: &[Expr],
    between: &str,
    least: u8,
    depth: usize,
) -> fmt::Result {
    for (idx, expr) in exprs.iter().enumerate() {
        if idx > 0 {
            f.write_str(between)?;
        }
        write_at(f, expr, least, depth)?;
    }
    Ok(())
}

/// A column's name: its parts as they are where each is a plain word, else all of it quoted.
fn write_name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if name.split('.').all(is_plain) {
        f.write_str(name)
    } else {
        write_quoted(f, name)
    }
}

pub(super) fn write_word(
    f: &mut Formatter<'_>,
    word: &str,
    also: impl Fn(&str) -> bool,
) -> fmt::Result {
    if is_plain(word) && also(word) {
        f.write_str(word)
    } else {
        write_quoted(f, word)
    }
}

fn write_quoted(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    write!(f, "\"{}\"", name.replace('"', "\"\""))
}

/// Whether a name stands for itself without quotes, wherever it is.
fn is_plain(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !RESERVED
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
}
