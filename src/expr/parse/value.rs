//! Values in the text of an expression: literals, names, calls, brackets.
//!
//! In:  tokens from where a value is expected.
//! Out: the value. A word is a name unless what follows gives it its other meaning.

use arrow_schema::DataType;
use sqlparser::tokenizer::Token;

use super::Parser;
use super::standard;
use super::token::error_at;
use super::window::ONLY_WINDOWS;
use crate::error::Result;
use crate::expr::aggregate;
use crate::expr::ast::Expr;
use crate::expr::display::binding;
use crate::expr::functions;
use crate::expr::names::nearest;
use crate::expr::number::not_finite;
use crate::expr::scalar::Scalar;
use crate::expr::time;
use crate::expr::types::{self, TypeArg};

impl Parser<'_> {
    /// A value, or an operator before one.
    pub(super) fn prefix(&mut self) -> Result<Expr> {
        match self.peek().clone() {
            Token::LParen => {
                self.next += 1;
                let inner = self.aliased()?;
                self.expect(&Token::RParen, "`)`")?;
                Ok(inner)
            }
            Token::Minus => {
                self.next += 1;
                if let Token::Number(digits, _) = self.peek().clone() {
                    let number = self.number(&format!("-{digits}"))?;
                    self.next += 1;
                    return Ok(number);
                }
                Ok(Expr::Negate(Box::new(self.expr(binding::NEGATE)?)))
            }
            Token::Plus => {
                self.next += 1;
                self.expr(binding::NEGATE)
            }
            Token::ExclamationMark => {
                self.next += 1;
                Ok(self.expr(binding::NEGATE)?.not())
            }
            Token::Number(digits, _) => {
                let number = self.number(&digits)?;
                self.next += 1;
                Ok(number)
            }
            Token::SingleQuotedString(text) => {
                self.next += 1;
                Ok(Expr::Literal(Scalar::Utf8(text)))
            }
            Token::Word(word) if word.quote_style.is_some() => {
                self.next += 1;
                if self.peek() == &Token::LParen {
                    return self.function(word.value);
                }
                self.column(word.value)
            }
            Token::Word(word) => self.word(&word.value),
            _ => Err(self.expected("a value")),
        }
    }

    /// The part of a value that `[` or `.` begins: an item of a list, a field of an object.
    pub(super) fn part(&mut self, whole: Expr) -> Result<Expr> {
        if self.accept(&Token::LBracket) {
            let at = self.expr(binding::OR)?;
            if at == Expr::Literal(Scalar::Int64(0)) {
                self.next -= 1;
                return Err(self.error("items are counted from 1, and from -1 at the end"));
            }
            self.expect(&Token::RBracket, "`]`")?;
            return Ok(whole.get(at));
        }
        self.next += 1;
        match self.peek().clone() {
            Token::Word(word) => {
                self.next += 1;
                Ok(whole.field(word.value))
            }
            _ => Err(self.expected("the name of a nested field")),
        }
    }

    /// A number literal; the place of an error is the token that stands here.
    fn number(&self, digits: &str) -> Result<Expr> {
        if !digits.contains(['.', 'e', 'E']) {
            if let Ok(value) = digits.parse::<i64>() {
                return Ok(Expr::Literal(Scalar::Int64(value)));
            }
            return match digits.parse::<u64>() {
                Ok(value) => Ok(Expr::Literal(Scalar::UInt64(value))),
                Err(_) => Err(self.error(
                    "whole numbers have 64 bits; write it as a fraction, or as text in quotes",
                )),
            };
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Expr::Literal(Scalar::Float64(value))),
            _ => Err(self.error("this number is out of range")),
        }
    }

    /// An unquoted word where a value is expected.
    fn word(&mut self, written: &str) -> Result<Expr> {
        let word = written.to_lowercase();
        let calls = self.peek_nth(1) == &Token::LParen;
        match word.as_str() {
            "true" | "false" | "null" => {
                self.next += 1;
                return Ok(Expr::Literal(match word.as_str() {
                    "true" => Scalar::Boolean(true),
                    "false" => Scalar::Boolean(false),
                    _ => Scalar::Null,
                }));
            }
            "not" if self.starts_value(1) => {
                self.next += 1;
                return Ok(self.expr(binding::NOT)?.not());
            }
            // `else case end` ends an outer case.
            "case"
                if self.starts_value(1)
                    && !matches!(self.word_nth(1).as_deref(), Some("then" | "else" | "end")) =>
            {
                return self.case();
            }
            "cast" | "try_cast" if calls => return self.cast(word == "try_cast"),
            called if calls && standard::has_words(called) => return self.call_with_words(called),
            "date" | "timestamp" | "timestamptz" => {
                if let Token::SingleQuotedString(text) = self.peek_nth(1).clone() {
                    self.next += 1;
                    return self.time(&word, &text);
                }
            }
            "and" | "or" | "is" | "in" | "like" | "ilike" | "between" | "as" => {
                let what = format!("a value (the name {written} needs double quotes)");
                return Err(self.expected(&what));
            }
            _ => {}
        }
        self.next += 1;
        if calls {
            return self.function(word);
        }
        self.column(written.to_owned())
    }

    /// Whether the nth token begins a value, so that the word before it is
    /// not itself the name of a column.
    pub(super) fn starts_value(&self, n: usize) -> bool {
        match self.peek_nth(n) {
            Token::Word(word) if word.quote_style.is_none() => !matches!(
                word.value.to_lowercase().as_str(),
                "is" | "in" | "like" | "ilike" | "between" | "and" | "or" | "as"
            ),
            Token::Word(_)
            | Token::LParen
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Minus
            | Token::ExclamationMark => true,
            _ => false,
        }
    }

    /// The rest of a column's name after its first part.
    fn column(&mut self, mut name: String) -> Result<Expr> {
        while self.accept(&Token::Period) {
            match self.peek().clone() {
                Token::Word(word) => {
                    self.next += 1;
                    name.push('.');
                    name.push_str(&word.value);
                }
                _ => return Err(self.expected("the name of a nested field")),
            }
        }
        Ok(Expr::Column(name))
    }

    /// The arguments of a function whose name was taken.
    fn function(&mut self, name: String) -> Result<Expr> {
        if functions::find(&name).is_none() {
            if let Some(window) = self.window(&name)? {
                return Ok(window);
            }
            let at = self.tokens[self.next - 1].span.start;
            if aggregate::find(&name).is_some() {
                let what = aggregate::misplaced(&name);
                return Err(error_at(self.text, at, &what, Vec::new()));
            }
            let near = nearest(&name, functions::names().chain(ONLY_WINDOWS));
            let what = format!("there is no function {name}");
            return Err(error_at(self.text, at, &what, near));
        }
        self.expect(&Token::LParen, "`(`")?;
        let args = self.list()?;
        Ok(Expr::Function { name, args })
    }

    fn case(&mut self) -> Result<Expr> {
        self.next += 1;
        let operand = if self.is_word("when") && self.starts_value(1) {
            None
        } else {
            Some(Box::new(self.expr(binding::OR)?))
        };
        let mut branches = Vec::new();
        while self.accept_word("when") {
            let when = self.expr(binding::OR)?;
            self.expect_word("then")?;
            branches.push((when, self.expr(binding::OR)?));
        }
        if branches.is_empty() {
            return Err(self.expected("`when`"));
        }
        let otherwise = if self.accept_word("else") {
            Some(Box::new(self.expr(binding::OR)?))
        } else {
            None
        };
        if !self.accept_word("end") {
            return Err(self.expected("`when`, `else` or `end`"));
        }
        Ok(Expr::Case {
            operand,
            branches,
            otherwise,
        })
    }

    fn cast(&mut self, lenient: bool) -> Result<Expr> {
        self.next += 2; // The word and its bracket, which `word` saw.
        let expr = Box::new(self.expr(binding::OR)?);
        self.expect_word("as")?;
        let to = self.type_name()?;
        self.expect(&Token::RParen, "`)`")?;
        if let Expr::Literal(Scalar::Utf8(text)) = &*expr
            && let Some(value) = not_finite(text).filter(|_| to == DataType::Float64 && !lenient)
        {
            return Ok(Expr::Literal(Scalar::Float64(value)));
        }
        Ok(Expr::Cast { expr, to, lenient })
    }

    pub(super) fn type_name(&mut self) -> Result<DataType> {
        let at = self.location();
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.expected("a type"));
        };
        if !types::is_type(&word.value) {
            let near = nearest(&word.value, types::names());
            let what = format!("there is no type {}", word.value);
            return Err(error_at(self.text, at, &what, near));
        }
        self.next += 1;
        let mut args = Vec::new();
        if self.accept(&Token::LParen) {
            loop {
                args.push(match self.advance() {
                    Token::Number(digits, _) => TypeArg::Number(digits.parse().unwrap_or(-1)),
                    Token::SingleQuotedString(text) => TypeArg::Text(text),
                    _ => {
                        self.next -= 1;
                        return Err(self.expected("a number or a zone"));
                    }
                });
                if self.accept(&Token::RParen) {
                    break;
                }
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
        }
        types::parse(&word.value, &args).ok_or_else(|| {
            let what = format!("the type {} does not take these arguments", word.value);
            error_at(self.text, at, &what, Vec::new())
        })
    }

    /// `date '…'` or `timestamp '…'`, standing at the text.
    fn time(&mut self, word: &str, text: &str) -> Result<Expr> {
        let Some(instant) = time::parse(text) else {
            return Err(self.error(&format!(
                "'{text}' is not a {word}; write it as '2024-01-31{}'",
                if word == "date" { "" } else { " 09:30:00" }
            )));
        };
        if word == "date" && instant.timed {
            return Err(self.error("a date has no time; write timestamp instead"));
        }
        self.next += 1;
        Ok(Expr::Literal(if word == "date" {
            let days = instant.nanos / time::DAY;
            Scalar::Date(i32::try_from(days).unwrap_or(0)) // Years 0 to 9999 fit.
        } else {
            Scalar::Timestamp {
                nanos: instant.nanos,
                utc: instant.utc || word == "timestamptz",
            }
        }))
    }
}
