//! The text of an expression, read.
//!
//! In:  SQL's expression syntax.
//! Out: an [`Expr`], or an error that says where and what was expected.
//!
//! Operators are climbed by how tightly they bind. A word is a name unless it
//! stands where its other meaning makes sense: `case = 1` and `date > 'x'`
//! compare columns, `case when …` and `date '2024-01-01'` do not. So the keys of
//! logs (user, date, end, order, timestamp, group …) need no quotes.

mod aggregate;
mod standard;
mod token;
mod value;
mod window;

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use self::token::{describe, error_at, tokens};
use crate::error::Result;
use crate::expr::ast::{BinaryOp, Expr, MAX_DEPTH};
use crate::expr::display::binding;
use crate::expr::scalar::Scalar;

impl Expr {
    /// Reads an expression from text: `status >= 500 and path like '/api/%'`.
    ///
    /// The syntax is SQL's. Names may be quoted (`"user-agent"`) and must be
    /// where they hold other characters than letters, digits, `_`, `$` and
    /// `@`; dots reach into nested fields, and `tags[1]` is the first item of a list,
    /// `tags[-1]` the last, as in SQL. Texts stand in single quotes.
    /// [`functions()`](super::functions()) lists the functions; `extract(day from ts)`,
    /// `substring(a from 2 for 3)` and `trim(leading '0' from a)` are read as well.
    ///
    /// Windows are SQL's where rows need no order but the frame's: `lag(x, 1)`, `lead(x, 1)`,
    /// `row_number()` and aggregates, each with `over ([partition by …] [rows between … and …])`,
    /// and `rows within '1h' of ts` for the rows up to each row less than an hour before it.
    ///
    /// ```
    /// use windrow::expr::Expr;
    ///
    /// let expr = Expr::parse("status >= 500 and net.src.ip like '10.%'")?;
    /// assert_eq!(expr.columns().into_iter().collect::<Vec<_>>(), ["net.src.ip", "status"]);
    ///
    /// let first = Expr::parse("hops[1].ip = '10.0.0.1'")?;
    /// assert_eq!(first, Expr::parse("field(list_get(hops, 1), 'ip') = '10.0.0.1'")?);
    ///
    /// let error = Expr::parse("status >=").unwrap_err();
    /// assert!(error.to_string().contains("column 10: expected a value after `>=`"));
    /// # Ok::<(), windrow::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) with the place, what was expected, and names near an
    /// unknown function or type; for nesting beyond [`MAX_DEPTH`]. Chains of `and` and `or` do not
    /// nest, those of other operators by a level each.
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

/// How many expressions may be open inside each other while a text is read. Each level of an
/// expression takes two at most, its own and a bracket around it, so the text of every expression
/// that binds can be read back.
const OPEN_LIMIT: usize = 2 * MAX_DEPTH;

/// How many parts may stand before `between`: more than anyone writes.
const BETWEEN_LIMIT: usize = 1_000;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    next: usize,
    /// How many expressions are open.
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

    /// Refuses what binding would refuse, while it is known where it stands: the level too many
    /// begins `at`.
    fn check_depth(&self, expr: &Expr, at: Location) -> Result<()> {
        if expr.depth() <= MAX_DEPTH {
            return Ok(());
        }
        let cure = match expr {
            Expr::Binary { .. } => {
                "; brackets make a long chain less deep, as in (a + b) + (c + d)"
            }
            _ => "",
        };
        let what = format!("the expression nests deeper than {MAX_DEPTH} levels here{cure}");
        Err(error_at(self.text, at, &what, Vec::new()))
    }

    fn aliased(&mut self) -> Result<Expr> {
        let expr = self.expr(binding::OR)?;
        let at = self.location();
        if !self.accept_word("as") {
            return Ok(expr);
        }
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.expected("a name"));
        };
        self.next += 1;
        let named = expr.alias(word.value);
        self.check_depth(&named, at)?;
        Ok(named)
    }

    /// An expression whose operators all bind at least this tightly.
    fn expr(&mut self, least: u8) -> Result<Expr> {
        let mut at = self.location();
        if self.depth == OPEN_LIMIT {
            return Err(self.error(&format!(
                "brackets and operators nest deeper than {OPEN_LIMIT} levels here"
            )));
        }
        self.depth += 1;
        let mut left = self.prefix()?;
        self.check_depth(&left, at)?;
        while matches!(self.peek(), Token::LBracket | Token::Period) {
            at = self.location();
            left = self.part(left)?;
            self.check_depth(&left, at)?;
        }
        // The terms of `and` and `or` lie beside each other, however many: one look at all of them
        // is enough, at the end.
        let mut chained = false;
        while let Some((binds, operator)) = self.operator() {
            if binds < least {
                break;
            }
            at = self.location();
            left = self.infix(left, binds, operator)?;
            match operator {
                Operator::And | Operator::Or => chained = true,
                _ => self.check_depth(&left, at)?,
            }
        }
        if chained {
            self.check_depth(&left, at)?;
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
        if self.is_word("between") {
            // It comes to stand there twice, which must not double again and again.
            if !expr.is_within(BETWEEN_LIMIT) {
                return Err(self.error("what stands before `between` is too long"));
            }
            self.next += 1;
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
        if self.accept(&Token::RParen) {
            return Ok(Vec::new());
        }
        let first = self.aliased()?;
        self.list_after(first)
    }

    /// What follows the first expression of a list, up to the bracket that ends it.
    fn list_after(&mut self, first: Expr) -> Result<Vec<Expr>> {
        let mut list = vec![first];
        while !self.accept(&Token::RParen) {
            self.expect(&Token::Comma, "`,` or `)`")?;
            list.push(self.aliased()?);
        }
        Ok(list)
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
