//! The text of an expression as tokens with places.
//!
//! In:  text.
//! Out: tokens without blanks and comments, each with its line and column;
//! errors that say where in the text.
//!
//! SQL's tokens come from `sqlparser`, under a dialect in which the keys of
//! logs are names: `@timestamp`, `_path`, `responses.2xx`.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::error::Error;

/// Names as logs have them.
#[derive(Debug)]
struct LogDialect;

impl Dialect for LogDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '@'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$' || ch == '@'
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }
}

/// Splits a text into tokens; the last is always the end.
///
/// # Errors
///
/// [`Error::Plan`] with the place of a quote that is not closed, or of a
/// character that starts no token.
pub(super) fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, Error> {
    let mut all = Tokenizer::new(&LogDialect, text)
        .tokenize_with_location()
        .map_err(|error| {
            let what = match error.message.as_str() {
                message if message.contains("nterminated") => "this quote is not closed".to_owned(),
                message if message.starts_with("Expected close delimiter") => {
                    "this quote is not closed".to_owned()
                }
                message => message.to_lowercase(),
            };
            error_at(text, error.location, &what, Vec::new())
        })?;
    all.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    let end = end_of(text);
    all.push(TokenWithSpan::at(Token::EOF, end, end));
    Ok(all)
}

fn end_of(text: &str) -> Location {
    let text = text.trim_end();
    let last_line = text.rsplit('\n').next().unwrap_or("");
    Location::new(
        text.matches('\n').count() as u64 + 1,
        last_line.chars().count() as u64 + 1,
    )
}

/// An error about a place in the text: where, what was expected, and what stands there.
pub(super) fn error_at(text: &str, at: Location, what: &str, near: Vec<String>) -> Error {
    let line = text
        .split('\n')
        .nth(at.line.saturating_sub(1) as usize)
        .unwrap_or("")
        .trim_end_matches('\r');
    let place = if text.trim_end().contains('\n') {
        format!("line {}, column {}", at.line, at.column)
    } else {
        format!("column {}", at.column)
    };
    Error::Plan {
        reason: format!(
            "cannot read {:?} at {place}: {what}",
            shorten(line, at.column)
        ),
        near,
    }
}

/// The part of a long line around a column, so that a message stays readable.
fn shorten(line: &str, column: u64) -> String {
    const BEFORE: usize = 60;
    const AFTER: usize = 40;
    let column = (column as usize).saturating_sub(1);
    let chars: Vec<char> = line.chars().collect();
    let start = column.saturating_sub(BEFORE).min(chars.len());
    let end = (column + AFTER).min(chars.len());
    let mut part = String::new();
    if start > 0 {
        part.push('…');
    }
    part.extend(&chars[start..end]);
    if end < chars.len() {
        part.push('…');
    }
    part
}

/// A token as a message quotes it.
pub(super) fn describe(token: &Token) -> String {
    match token {
        Token::EOF => "the end".to_owned(),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let all = tokens(text).unwrap();
        all.iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn names_of_logs_are_single_tokens() {
        assert_eq!(texts("@timestamp"), ["@timestamp", "EOF"]);
        assert_eq!(texts("responses.2xx"), ["responses", ".", "2xx", "EOF"]);
        assert_eq!(texts("a._b"), ["a", ".", "_b", "EOF"]);
        assert_eq!(texts("größe > 1e5"), ["größe", ">", "1e5", "EOF"]);
        assert_eq!(
            texts("n.e.x.u.b.r.q"),
            [
                "n", ".", "e", ".", "x", ".", "u", ".", "b", ".", "r", ".", "q", "EOF"
            ]
        );
    }

    #[test]
    fn errors_say_where() {
        let fails = |text: &str| tokens(text).unwrap_err().to_string();
        assert_eq!(
            fails("a = 'x"),
            "cannot read \"a = 'x\" at column 5: this quote is not closed"
        );
        assert_eq!(
            fails("a = 1\n  and \"b > 2"),
            "cannot read \"  and \\\"b > 2\" at line 2, column 7: this quote is not closed"
        );
    }

    #[test]
    fn a_long_line_is_shortened_around_the_place() {
        let text = format!("{} = 'x", "a".repeat(500));
        let message = tokens(&text).unwrap_err().to_string();
        assert!(message.contains("at column 504"), "{message}");
        assert!(message.len() < 250, "{message}");
    }
}
