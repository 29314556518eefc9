//! The text of a window, read.
//!
//! In:  `lag(x, 1) over (partition by user)`, `row_number() over ()`,
//!      `sum(x) over (rows between 2 preceding and current row)`,
//!      `mean(x) over (rows within '1h' of ts)`.
//! Out: the expression, or an error that says where and what was expected.
//!
//! It is the part of SQL's windows that needs no order of its own: rows stand in
//! the order of the frame. What SQL takes to be ordered is refused, not guessed.

use sqlparser::tokenizer::Token;

use super::Parser;
use super::token::error_at;
use crate::error::Result;
use crate::expr::aggregate;
use crate::expr::ast::Expr;
use crate::expr::display::binding;
use crate::expr::scalar::Scalar;
use crate::expr::window::{Frame, WindowExpr, Windowed, parse_span};

/// Functions that only windows have.
pub(super) const ONLY_WINDOWS: [&str; 3] = ["lag", "lead", "row_number"];

impl Parser<'_> {
    /// The window of a function whose name was taken; none if it has none.
    pub(super) fn window(&mut self, name: &str) -> Result<Option<Expr>> {
        let at = self.tokens[self.next - 1].span.start;
        let lower = name.to_lowercase();
        let what = if ONLY_WINDOWS.contains(&lower.as_str()) {
            self.expect(&Token::LParen, "`(`")?;
            self.shift_or_number(&lower)?
        } else if aggregate::find(&lower).is_some() {
            let behind_name = self.next;
            self.next -= 1;
            let of = self.aggregate()?;
            if !self.is_word("over") {
                // That is what is wrong with it.
                self.next = behind_name;
                return Ok(None);
            }
            Windowed::Aggregate(of)
        } else {
            return Ok(None);
        };
        if !self.is_word("over") {
            let what = format!("{lower} looks at other rows: `over (…)` must follow");
            return Err(error_at(self.text, at, &what, Vec::new()));
        }
        self.next += 1;
        self.expect(&Token::LParen, "`(`")?;
        let by = self.partition()?;
        if self.is_word("order") {
            return Err(self.error(
                "rows of a window stand in the order of the frame; sort it first (sort_values)",
            ));
        }
        let frame = self.frame()?;
        if frame != Frame::ALL && !matches!(what, Windowed::Aggregate(_)) {
            let what = format!("{lower} looks at one row and takes no frame");
            return Err(error_at(self.text, at, &what, Vec::new()));
        }
        self.expect(&Token::RParen, "`rows` or `)`")?;
        let window = WindowExpr { what, by, frame };
        Ok(Some(Expr::Window(Box::new(window))))
    }

    fn shift_or_number(&mut self, name: &str) -> Result<Windowed> {
        if name == "row_number" {
            self.expect(&Token::RParen, "`)`")?;
            return Ok(Windowed::RowNumber);
        }
        let expr = self.expr(binding::OR)?;
        let mut rows = 1;
        if self.accept(&Token::Comma) {
            rows = match self.peek().clone() {
                Token::Number(digits, _) => match digits.parse::<i64>() {
                    Ok(rows) => rows,
                    Err(_) => return Err(self.expected("a number of rows")),
                },
                _ => return Err(self.expected("a number of rows")),
            };
            self.next += 1;
        }
        self.expect(&Token::RParen, "`)`")?;
        Ok(Windowed::Shift {
            expr,
            rows: if name == "lead" { -rows } else { rows },
        })
    }

    /// `partition by a, b`, if it stands here.
    fn partition(&mut self) -> Result<Vec<Expr>> {
        let mut by = Vec::new();
        if !self.accept_word("partition") {
            return Ok(by);
        }
        self.expect_word("by")?;
        loop {
            by.push(self.expr(binding::OR)?);
            if !self.accept(&Token::Comma) {
                return Ok(by);
            }
        }
    }

    /// `rows …`, or all rows where nothing stands here.
    fn frame(&mut self) -> Result<Frame> {
        if self.is_word("range") || self.is_word("groups") {
            return Err(self.error("write `rows between …`, or `rows within '1h' of ts` for times"));
        }
        if !self.accept_word("rows") {
            return Ok(Frame::ALL);
        }
        if self.accept_word("within") {
            return self.within();
        }
        let between = self.accept_word("between");
        let start = self.bound()?;
        let end = match between {
            true => {
                self.expect_word("and")?;
                self.bound()?
            }
            false => Bound::Offset(0),
        };
        let start = match start {
            Bound::Offset(offset) => Some(offset),
            Bound::First => None,
            Bound::Last => return Err(self.error("rows begin before they end")),
        };
        let end = match end {
            Bound::Offset(offset) => Some(offset),
            Bound::Last => None,
            Bound::First => return Err(self.error("rows end behind where they begin")),
        };
        Ok(Frame::Rows { start, end })
    }

    fn within(&mut self) -> Result<Frame> {
        let width = match self.peek() {
            Token::SingleQuotedString(text) => parse_span(text),
            _ => None,
        };
        let Some(width) = width else {
            return Err(self.expected("a length of time such as '1h' or '90s'"));
        };
        self.next += 1;
        self.expect_word("of")?;
        let of = self.expr(binding::OR)?;
        Ok(Frame::Within { width, of })
    }

    fn bound(&mut self) -> Result<Bound> {
        if self.accept_word("current") {
            self.expect_word("row")?;
            return Ok(Bound::Offset(0));
        }
        if self.accept_word("unbounded") {
            return match self.accept_word("preceding") {
                true => Ok(Bound::First),
                false => {
                    self.expect_word("following")?;
                    Ok(Bound::Last)
                }
            };
        }
        let offset = match self.prefix()? {
            Expr::Literal(Scalar::Int64(offset @ 0..)) => offset,
            _ => return Err(self.error("a number of rows, `unbounded` or `current row` is wanted")),
        };
        match self.accept_word("preceding") {
            true => Ok(Bound::Offset(-offset)),
            false => {
                self.expect_word("following")?;
                Ok(Bound::Offset(offset))
            }
        }
    }
}

/// Where the rows of a window begin or end.
enum Bound {
    First,
    Offset(i64),
    Last,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::expr::{col, row_number};

    #[test]
    fn a_window_prints_the_text_that_parses_to_it() {
        for (built, text) in [
            (row_number(), "row_number() over ()"),
            (col("x").shift(1), "lag(x, 1) over ()"),
            (
                col("x").shift(-2).over(["a", "b c"]),
                "lead(x, 2) over (partition by a, \"b c\")",
            ),
            (col("x").sum().over(["a"]), "sum(x) over (partition by a)"),
            (
                col("x").shift(1).ffill(None).over(["a"]),
                "last(lag(x, 1) over (partition by a)) over (partition by a rows between \
                 unbounded preceding and current row)",
            ),
            (
                col("x").diff(1) / col("x").max().over::<[&str; 0]>([]),
                "(x - lag(x, 1) over ()) / max(x) over ()",
            ),
            (
                col("x").ffill(None),
                "last(x) over (rows between unbounded preceding and current row)",
            ),
            (
                col("x").bfill(Some(3)),
                "first(x) over (rows between current row and 3 following)",
            ),
            (
                col("x").cum_sum(),
                "case when x is not null then sum(x) over (rows between unbounded preceding \
                 and current row) end",
            ),
            (
                col("x")
                    .rolling_centered(4)
                    .min_periods(2)
                    .median()
                    .over(["a"]),
                "case when count(x) over (partition by a rows between 2 preceding and 1 following) \
                 >= 2 then median(x) over (partition by a rows between 2 preceding and 1 following) end",
            ),
            (
                col("x")
                    .rolling_within(Duration::from_secs(90), "ts")
                    .unwrap()
                    .count(),
                "count(x) over (rows within '1m30s' of ts)",
            ),
        ] {
            assert_eq!(built.to_string(), text);
            assert_eq!(Expr::parse(text).unwrap(), built, "{text}");
        }
        let short = Expr::parse("sum(x) over (rows 2 preceding)").unwrap();
        let long = "sum(x) over (rows between 2 preceding and current row)";
        assert_eq!(short.to_string(), long);
        assert_eq!(Expr::parse("lag(x) over ()").unwrap(), col("x").shift(1));
        let counted = Expr::parse("count(*) over (partition by lower(a))").unwrap();
        assert_eq!(counted.to_string(), "count(*) over (partition by lower(a))");
    }

    #[test]
    fn what_is_no_window_is_refused_with_the_reason() {
        for (text, wanted) in [
            ("lag(x, 1)", "`over (…)` must follow"),
            ("sum(x) + 1", "makes one value of many rows"),
            ("lag(x, 'a') over ()", "a number of rows"),
            ("row_number(x) over ()", "expected `)`"),
            ("sum(x) over (order by t)", "in the order of the frame"),
            ("sum(x) over (range 1 preceding)", "rows within '1h' of ts"),
            ("sum(x) over (rows between 1 and 2)", "expected `following`"),
            (
                "sum(x) over (rows unbounded following)",
                "begin before they end",
            ),
            ("sum(x) over (rows within '1y' of t)", "a length of time"),
            ("lag(x, 1) over (rows 1 preceding)", "takes no frame"),
            ("sum(x) over (partition a)", "expected `by`"),
        ] {
            let error = Expr::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
