//! Calls as the SQL standard writes them, with words between their arguments.
//!
//! In:  tokens from the name of such a call.
//! Out: the call as the other functions are written: `extract(day from ts)` is `day(ts)`.
//! Both ways of writing `substring` and `trim` are read, and printed with commas.

use sqlparser::tokenizer::Token;

use super::Parser;
use super::token::error_at;
use crate::error::Result;
use crate::expr::ast::Expr;
use crate::expr::display::binding;
use crate::expr::names::nearest;

/// What `extract` takes out of a time, and the function that does it.
const PARTS: [(&str, &str); 11] = [
    ("year", "year"),
    ("quarter", "quarter"),
    ("month", "month"),
    ("week", "week"),
    ("day", "day"),
    ("doy", "dayofyear"),
    ("isodow", "isodow"),
    ("hour", "hour"),
    ("minute", "minute"),
    ("second", "second"),
    ("epoch", "epoch"),
];

/// Whether calls of this function may have words between their arguments.
pub(super) fn has_words(function: &str) -> bool {
    matches!(function, "extract" | "substring" | "substr" | "trim")
}

impl Parser<'_> {
    /// A call of a function that [`has_words`], standing at its name.
    pub(super) fn call_with_words(&mut self, function: &str) -> Result<Expr> {
        self.next += 2; // The name and its bracket, which `word` saw.
        let (name, args) = match function {
            "extract" => self.extract()?,
            "trim" => self.trim()?,
            _ => (function, self.substring()?),
        };
        Ok(Expr::Function {
            name: name.to_owned(),
            args,
        })
    }

    /// `day from ts)`.
    fn extract(&mut self) -> Result<(&'static str, Vec<Expr>)> {
        let at = self.location();
        let Some(part) = self.word_nth(0) else {
            return Err(self.expected("a part of a time, such as `day`"));
        };
        let Some((_, function)) = PARTS.iter().find(|(name, _)| *name == part) else {
            let near = nearest(&part, PARTS.iter().map(|(name, _)| *name));
            let what = format!("there is no part {part} of a time");
            return Err(error_at(self.text, at, &what, near));
        };
        self.next += 1;
        self.expect_word("from")?;
        Ok((function, vec![self.last_argument()?]))
    }

    /// `text from start)`, `text from start for length)`, or both with commas.
    fn substring(&mut self) -> Result<Vec<Expr>> {
        let Some(text) = self.first_argument()? else {
            return Ok(Vec::new());
        };
        if !self.accept_word("from") {
            return self.list_after(text);
        }
        let start = self.expr(binding::OR)?;
        if self.accept_word("for") {
            return Ok(vec![text, start, self.last_argument()?]);
        }
        self.expect(&Token::RParen, "`for` or `)`")?;
        Ok(vec![text, start])
    }

    /// `[leading | trailing | both] [characters] from text)`, or with commas and without a side.
    fn trim(&mut self) -> Result<(&'static str, Vec<Expr>)> {
        let side = match self.word_nth(0).as_deref() {
            Some("both") => Some("trim"),
            Some("leading") => Some("ltrim"),
            Some("trailing") => Some("rtrim"),
            _ => None,
        };
        // A column may have such a name.
        let Some(function) = side.filter(|_| self.starts_value(1)) else {
            let Some(first) = self.first_argument()? else {
                return Ok(("trim", Vec::new()));
            };
            if self.accept_word("from") {
                return Ok(("trim", vec![self.last_argument()?, first]));
            }
            return Ok(("trim", self.list_after(first)?));
        };
        self.next += 1;
        let characters = if self.is_word("from") {
            None
        } else {
            Some(self.expr(binding::OR)?)
        };
        self.expect_word("from")?;
        let mut args = vec![self.last_argument()?];
        args.extend(characters);
        Ok((function, args))
    }

    /// The first argument, or nothing where the bracket is closed at once.
    fn first_argument(&mut self) -> Result<Option<Expr>> {
        if self.accept(&Token::RParen) {
            return Ok(None);
        }
        self.aliased().map(Some)
    }

    /// An argument and the bracket that ends the call.
    fn last_argument(&mut self) -> Result<Expr> {
        let last = self.expr(binding::OR)?;
        self.expect(&Token::RParen, "`)`")?;
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_arguments_are_read_as_commas() {
        for (written, meant) in [
            ("extract(day from ts)", "day(ts)"),
            ("EXTRACT(Year FROM net.ts) + 1", "year(net.ts) + 1"),
            (
                "extract(doy from '2024-01-31'::date)",
                "dayofyear('2024-01-31'::date)",
            ),
            ("extract(epoch from from)", "epoch(from)"),
            ("substring(a from 2)", "substring(a, 2)"),
            (
                "substring(a || b from 1 + 1 for 3)",
                "substring(a || b, 1 + 1, 3)",
            ),
            ("substr(from from 1)", "substr(from, 1)"),
            ("trim('x' from a)", "trim(a, 'x')"),
            ("trim(both 'x' from a)", "trim(a, 'x')"),
            ("trim(leading from a)", "ltrim(a)"),
            ("trim(trailing 'x' || b from a)", "rtrim(a, 'x' || b)"),
            ("trim(leading from from)", "ltrim(from)"),
        ] {
            assert_eq!(
                Expr::parse(written).unwrap(),
                Expr::parse(meant).unwrap(),
                "{written}"
            );
        }
    }

    #[test]
    fn columns_with_the_names_of_those_words_need_no_quotes() {
        for text in [
            "extract > 1",
            "trim(both)",
            "trim(leading, 'x')",
            "trim(trailing.a[1])",
            "substring(for, 1)",
            "substring(day, from, for)",
        ] {
            assert_eq!(Expr::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_in_them_is_said_with_its_place() {
        for (text, what) in [
            (
                "extract(days from ts)",
                "column 9: there is no part days of a time; did you mean \"day\"?",
            ),
            (
                "extract('day' from ts)",
                "column 9: expected a part of a time, such as `day`",
            ),
            (
                "extract(day, ts)",
                "column 12: expected `from` after `day`, found `,`",
            ),
            ("extract(day from ts", "column 20: expected `)`"),
            ("substring(a from 1, 2)", "column 19: expected `for` or `)`"),
            ("trim(leading 'x', a)", "column 17: expected `from`"),
        ] {
            let error = Expr::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
