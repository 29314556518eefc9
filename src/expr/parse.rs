//! The text of an expression, read.
//!
//! In:  SQL's expression syntax.
//! Out: an [`Expr`], or an error that says where and what was expected.
//!
//! Operators are climbed by how tightly they bind. A word is a name unless it
//! stands where its other meaning makes sense: `case = 1` and `date > 'x'`
//! compare columns, `case when …` and `date '2024-01-01'` do not. So the keys of
//! logs (user, date, end, order, timestamp, group …) need no quotes.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::ast::{BinaryOp, Expr, MAX_DEPTH};
use super::display::binding;
use super::functions;
use super::names::nearest;
use super::scalar::Scalar;
use super::time;
use super::token::{describe, error_at, tokens};
use super::types::{self, TypeArg};
use crate::error::Result;

impl Expr {
    /// Reads an expression from text: `status >= 500 and path like '/api/%'`.
    ///
    /// The syntax is SQL's. Names may be quoted (`"user-agent"`) and must be
    /// where they hold other characters than letters, digits, `_`, `$` and
    /// `@`; dots reach into nested fields. Texts stand in single quotes.
    /// [`functions()`](super::functions()) lists the functions.
    ///
    /// ```
    /// use windrow::expr::Expr;
    ///
    /// let expr = Expr::parse("status >= 500 and net.src.ip like '10.%'")?;
    /// assert_eq!(expr.columns().into_iter().collect::<Vec<_>>(), ["net.src.ip", "status"]);
    ///
    /// let error = Expr::parse("status >=").unwrap_err();
    /// assert!(error.to_string().contains("column 10: expected a value after `>=`"));
    /// # Ok::<(), windrow::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) with the place, what was expected, and names near an
    /// unknown function or type.
    pub fn parse(text: &str) -> Result<Expr> {
        let mut parser = Parser {
            text,
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
        };
        let expr = parser.aliased()?;
        match parser.peek() {
            Token::EOF => {}
            Token::SemiColon => return Err(parser.error("one expression is wanted, without `;`")),
            Token::Ampersand | Token::Overlap => return Err(parser.error("write `and` here")),
            Token::Pipe => return Err(parser.error("write `or` here")),
            _ => return Err(parser.expected("an operator or the end")),
        }
        Ok(expr)
    }
}

/// How deep texts may nest: brackets and the operators inside them are a level
/// each, so every expression that binds can be read back from its text.
const DEPTH_LIMIT: usize = 2 * MAX_DEPTH;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.peek_nth(0)
    }

    fn peek_nth(&self, n: usize) -> &Token {
        self.tokens
            .get(self.next + n)
            .map_or(&Token::EOF, |token| &token.token)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<()> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    /// The unquoted word that comes nth, in lower case.
    fn word_nth(&self, n: usize) -> Option<String> {
        match self.peek_nth(n) {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
            _ => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.word_nth(0).as_deref() == Some(word)
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.accept_word(word) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{word}`")))
        }
    }

    fn location(&self) -> Location {
        let last = self.tokens.len() - 1; // `tokens` always ends with the end.
        self.tokens[self.next.min(last)].span.start
    }

    fn error(&self, what: &str) -> crate::Error {
        error_at(self.text, self.location(), what, Vec::new())
    }

    /// An error naming what was wanted here and what stands here instead.
    fn expected(&self, what: &str) -> crate::Error {
        let after = match self
            .next
            .checked_sub(1)
            .and_then(|idx| self.tokens.get(idx))
        {
            Some(before) => format!(" after {}", describe(&before.token)),
            None => String::new(),
        };
        self.error(&format!(
            "expected {what}{after}, found {}",
            describe(self.peek())
        ))
    }

    fn too_deep(&self) -> crate::Error {
        self.error(&format!(
            "the expression nests deeper than {DEPTH_LIMIT} levels"
        ))
    }

    fn aliased(&mut self) -> Result<Expr> {
        let expr = self.expr(binding::OR)?;
        if !self.accept_word("as") {
            return Ok(expr);
        }
        match self.peek().clone() {
            Token::Word(word) => {
                self.next += 1;
                Ok(expr.alias(word.value))
            }
            _ => Err(self.expected("a name")),
        }
    }

    /// An expression whose operators all bind at least this tightly.
    fn expr(&mut self, least: u8) -> Result<Expr> {
        if self.depth == DEPTH_LIMIT {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let mut left = self.prefix()?;
        // `a + b + c` nests as deep as `(a + b) + c`.
        let mut nested = self.depth;
        while let Some((binds, operator)) = self.operator() {
            if binds < least {
                break;
            }
            if !matches!(operator, Operator::And | Operator::Or) {
                nested += 1;
            }
            if nested > DEPTH_LIMIT {
                return Err(self.too_deep());
            }
            left = self.infix(left, binds, operator)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that stands here, not taken yet.
    fn operator(&self) -> Option<(u8, Operator)> {
        let op = match self.peek() {
            Token::Eq | Token::DoubleEq => BinaryOp::Eq,
            Token::Neq => BinaryOp::NotEq,
            Token::Lt => BinaryOp::Lt,
            Token::LtEq => BinaryOp::LtEq,
            Token::Gt => BinaryOp::Gt,
            Token::GtEq => BinaryOp::GtEq,
            Token::Plus => BinaryOp::Plus,
            Token::Minus => BinaryOp::Minus,
            Token::Mul => BinaryOp::Multiply,
            Token::Div => BinaryOp::Divide,
            Token::Mod => BinaryOp::Modulo,
            Token::StringConcat => BinaryOp::Concat,
            Token::DoubleColon => return Some((binding::CAST, Operator::Cast)),
            _ => {
                return Some(match self.word_nth(0)?.as_str() {
                    "or" => (binding::OR, Operator::Or),
                    "and" => (binding::AND, Operator::And),
                    "is" => (binding::COMPARE, Operator::Is),
                    "in" | "like" | "ilike" | "between" => (binding::COMPARE, Operator::Test),
                    "not" => match self.word_nth(1)?.as_str() {
                        "in" | "like" | "ilike" | "between" => (binding::COMPARE, Operator::Test),
                        _ => return None,
                    },
                    _ => return None,
                });
            }
        };
        Some((op.binding(), Operator::Binary(op)))
    }

    fn infix(&mut self, left: Expr, binds: u8, operator: Operator) -> Result<Expr> {
        match operator {
            Operator::Binary(op) => {
                self.next += 1;
                Ok(Expr::Binary {
                    left: Box::new(left),
                    op,
                    right: Box::new(self.expr(binds + 1)?),
                })
            }
            Operator::And => {
                self.next += 1;
                Ok(left.and(self.expr(binds + 1)?))
            }
            Operator::Or => {
                self.next += 1;
                Ok(left.or(self.expr(binds + 1)?))
            }
            Operator::Cast => {
                self.next += 1;
                let to = self.type_name()?;
                Ok(left.cast(to))
            }
            Operator::Is => {
                self.next += 1;
                self.is(left)
            }
            Operator::Test => {
                let negated = self.accept_word("not");
                self.test(left, negated)
            }
        }
    }

    /// What follows `is`.
    fn is(&mut self, left: Expr) -> Result<Expr> {
        let negated = self.accept_word("not");
        let expr = Box::new(left);
        if self.accept_word("null") || self.accept_word("unknown") {
            return Ok(Expr::IsNull { expr, negated });
        }
        for value in [true, false] {
            if self.accept_word(if value { "true" } else { "false" }) {
                return Ok(Expr::IsBool {
                    expr,
                    value,
                    negated,
                });
            }
        }
        Err(self.expected("`null`, `true` or `false`"))
    }

    /// `in`, `between`, `like` or `ilike`, which `operator` saw.
    fn test(&mut self, left: Expr, negated: bool) -> Result<Expr> {
        let expr = Box::new(left);
        if self.accept_word("in") {
            self.expect(&Token::LParen, "`(`")?;
            let list = self.list()?;
            return Ok(Expr::InList {
                expr,
                list,
                negated,
            });
        }
        if self.accept_word("between") {
            let low = self.expr(binding::CONCAT)?;
            self.expect_word("and")?;
            let high = self.expr(binding::CONCAT)?;
            let between = expr.between(low, high);
            return Ok(if negated { between.not() } else { between });
        }
        let case_insensitive = self.accept_word("ilike");
        if !case_insensitive {
            self.expect_word("like")?;
        }
        let mut pattern = self.expr(binding::CONCAT)?;
        if self.accept_word("escape") {
            pattern = self.escaped(pattern)?;
        }
        Ok(Expr::Like {
            expr,
            pattern: Box::new(pattern),
            case_insensitive,
            negated,
        })
    }

    /// A pattern with an escape character of its own, rewritten to use `\`.
    fn escaped(&mut self, pattern: Expr) -> Result<Expr> {
        let at = self.location();
        let fail = |what: &str| Err(error_at(self.text, at, what, Vec::new()));
        let escape = match self.peek() {
            Token::SingleQuotedString(text) if text.chars().count() == 1 => {
                text.chars().next().unwrap_or('\\')
            }
            _ => return fail("`escape` takes one character in single quotes"),
        };
        let Expr::Literal(Scalar::Utf8(text)) = pattern else {
            return fail("`escape` needs a pattern in single quotes");
        };
        let mut rewritten = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(ch) = chars.next() {
            if ch == escape {
                match chars.next() {
                    Some(escaped) => rewritten.extend(['\\', escaped]),
                    None => return fail("the pattern ends with its escape character"),
                }
            } else if ch == '\\' {
                rewritten.push_str("\\\\");
            } else {
                rewritten.push(ch);
            }
        }
        self.next += 1;
        Ok(Expr::Literal(Scalar::Utf8(rewritten)))
    }

    /// Expressions between commas, and the bracket that ends them.
    fn list(&mut self) -> Result<Vec<Expr>> {
        let mut list = Vec::new();
        if self.accept(&Token::RParen) {
            return Ok(list);
        }
        loop {
            list.push(self.aliased()?);
            if self.accept(&Token::RParen) {
                return Ok(list);
            }
            self.expect(&Token::Comma, "`,` or `)`")?;
        }
    }

    /// A value, or an operator before one.
    fn prefix(&mut self) -> Result<Expr> {
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
    fn starts_value(&self, n: usize) -> bool {
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
        if self.peek() == &Token::LBracket {
            return Err(self.error("items of a list cannot be picked by number"));
        }
        Ok(Expr::Column(name))
    }

    /// The arguments of a function whose name was taken.
    fn function(&mut self, name: String) -> Result<Expr> {
        if functions::find(&name).is_none() {
            let at = self.tokens[self.next - 1].span.start;
            let near = nearest(&name, functions::names());
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
        Ok(Expr::Cast { expr, to, lenient })
    }

    fn type_name(&mut self) -> Result<arrow_schema::DataType> {
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

/// What stands between two operands, or after one.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Binary(BinaryOp),
    And,
    Or,
    Is,
    /// `[not] in`, `between`, `like`, `ilike`.
    Test,
    Cast,
}
