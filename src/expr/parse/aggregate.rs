//! The text of an aggregate, read.
//!
//! In:  `sum(x)`, `count(*)`, `count(distinct user) as users`, `quantile(ms, 0.99)`.
//! Out: an [`AggExpr`], or an error that says where and what was expected.

use sqlparser::tokenizer::Token;

use super::Parser;
use super::token::{error_at, tokens};
use crate::error::Result;
use crate::expr::aggregate::{self, AggExpr, Aggregate};
use crate::expr::ast::Expr;
use crate::expr::names::nearest;
use crate::expr::scalar::Scalar;

impl AggExpr {
    /// Reads an aggregate from text: `sum(bytes)`, `count(*)`, `count(distinct user)`,
    /// `quantile(ms, 0.99) as p99`. What it aggregates may be any expression.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) with the place, what was expected, and names near an
    /// unknown one.
    pub fn parse(text: &str) -> Result<AggExpr> {
        let mut parser = Parser {
            text,
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
        };
        let read = parser.aggregate()?;
        let named = if parser.accept_word("as") {
            match parser.advance() {
                Token::Word(word) => read.alias(word.value),
                _ => {
                    parser.next -= 1;
                    return Err(parser.expected("a name"));
                }
            }
        } else {
            read
        };
        match parser.peek() {
            Token::EOF => Ok(named),
            _ => Err(parser.expected("`as` or the end")),
        }
    }
}

impl Parser<'_> {
    pub(super) fn aggregate(&mut self) -> Result<AggExpr> {
        let at = self.location();
        let fail = |what: &str, near| Err(error_at(self.text, at, what, near));
        let Some(name) = self.word_nth(0) else {
            return Err(self.expected("an aggregate such as sum(x)"));
        };
        let Some(what) = aggregate::find(&name) else {
            let near = nearest(&name, aggregate::names());
            return fail(&format!("there is no aggregate {name}"), near);
        };
        self.next += 1;
        self.expect(&Token::LParen, "`(`")?;
        if what == Aggregate::Count && self.accept(&Token::Mul) {
            self.expect(&Token::RParen, "`)`")?;
            return Ok(AggExpr::new(Aggregate::Size, []));
        }
        // A column may be named distinct; beside a value the word is none.
        let distinct = what == Aggregate::Count && self.is_word("distinct") && self.starts_value(1);
        if distinct {
            self.next += 1;
        }
        let mut args = self.list()?;
        let what = match what {
            _ if distinct => Aggregate::NUnique,
            Aggregate::Count if args.is_empty() => Aggregate::Size,
            other => match with_parameter(other, &name, &mut args) {
                Ok(what) => what,
                Err(what) => return Err(error_at(self.text, at, &what, Vec::new())),
            },
        };
        if args.len() != what.n_args() {
            let wanted = what.n_args();
            let what = format!("{name} looks at {wanted} columns, not {}", args.len());
            return Err(error_at(self.text, at, &what, Vec::new()));
        }
        Ok(AggExpr::new(what, args))
    }
}

/// The aggregate with the constant that follows its columns, where it takes one.
fn with_parameter(what: Aggregate, name: &str, args: &mut Vec<Expr>) -> Result<Aggregate, String> {
    let constant = match args.as_slice() {
        [.., Expr::Literal(scalar)] if args.len() == what.n_args() + 1 => Some(scalar.clone()),
        _ => None,
    };
    let whole = |least: i64| match constant {
        Some(Scalar::Int64(value)) if value >= least => Ok(value),
        _ => Err(format!("{name} takes a whole number after the column")),
    };
    let share = || match constant {
        Some(Scalar::Float64(q)) if (0.0..=1.0).contains(&q) => Ok(q),
        Some(Scalar::Int64(q @ 0..=1)) => Ok(q as f64),
        _ => Err(format!(
            "{name} takes a number from 0 to 1 after the column"
        )),
    };
    let ddof = || {
        let value = whole(0)?;
        u8::try_from(value).map_err(|_| format!("{name} takes at most 255 after the column"))
    };
    let read = match what {
        Aggregate::Variance { .. } if constant.is_some() => Aggregate::Variance { ddof: ddof()? },
        Aggregate::StdDev { .. } if constant.is_some() => Aggregate::StdDev { ddof: ddof()? },
        Aggregate::Covariance { .. } if constant.is_some() => {
            Aggregate::Covariance { ddof: ddof()? }
        }
        Aggregate::Quantile(_) if name != "median" => Aggregate::Quantile(share()?),
        Aggregate::ApproxQuantile(_) => Aggregate::ApproxQuantile(share()?),
        Aggregate::Largest(_) => Aggregate::Largest(whole(1)? as usize),
        Aggregate::Smallest(_) => Aggregate::Smallest(whole(1)? as usize),
        other => return Ok(other),
    };
    args.pop();
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{col, corr, count};

    #[test]
    fn an_aggregate_prints_the_text_that_parses_to_it() {
        for (built, text) in [
            (count(), "count(*)"),
            (col("x").count(), "count(x)"),
            (col("x").nunique(), "count(distinct x)"),
            (col("x").sum().alias("end"), "sum(x) as \"end\""),
            ((col("a") + col("b")).mean(), "mean(a + b)"),
            (col("x").var(), "var(x)"),
            (col("x").var_with(0), "var_pop(x)"),
            (col("x").std_with(2), "std(x, 2)"),
            (col("x").median(), "median(x)"),
            (col("x").quantile(0.99), "quantile(x, 0.99)"),
            (col("x").approx_quantile(0.5), "approx_quantile(x, 0.5)"),
            (col("x").largest(3), "largest(x, 3)"),
            (corr(col("x"), col("y")), "corr(x, y)"),
            (col("distinct").count(), "count(distinct)"),
        ] {
            assert_eq!(built.to_string(), text);
            assert_eq!(AggExpr::parse(text).unwrap(), built, "{text}");
        }
        assert_eq!(AggExpr::parse("COUNT()").unwrap(), count());
        assert_eq!(AggExpr::parse("avg(x)").unwrap(), col("x").mean());
    }

    #[test]
    fn what_is_no_aggregate_is_refused_with_the_reason() {
        for (text, wanted) in [
            ("summ(x)", "there is no aggregate summ"),
            ("x", "there is no aggregate x"),
            ("sum x", "expected `(` after `sum`"),
            ("sum(x, y)", "sum looks at 1 columns, not 2"),
            ("quantile(x, 2)", "a number from 0 to 1"),
            ("largest(x)", "a whole number after the column"),
            ("sum(x) + 1", "expected `as` or the end"),
            ("sum(sum(x))", "makes one value of many rows"),
            ("sum(x) as 1", "expected a name"),
        ] {
            let error = AggExpr::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let error = Expr::parse("sum(x) > 5").unwrap_err().to_string();
        assert!(error.contains("makes one value of many rows"), "{error}");
    }
}
