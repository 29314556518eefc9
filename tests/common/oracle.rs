//! A slow, plain reader of JSON.
//!
//! In:  one record, as text.
//! Out: its value, numbers as they are written; nothing where it is not JSON.
//!
//! serde_json says what is JSON and what a string holds. Numbers are kept as
//! text, since serde_json's own floats may be off by their last bit.

use std::io::Read;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// A key that stands twice is here once, with its last value.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The member of an object; nothing where it is missing.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether JSON text says what a record said: members that are null are as
    /// missing ones, their order means nothing, 1.50 is 1.5, and scalars that
    /// stood among strings became strings.
    pub fn same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Text(text), Json::Number(_) | Json::Bool(_)) => {
                parse(text.as_bytes()).is_some_and(|scalar| scalar != *self && scalar.same(other))
            }
            (Json::Number(one), Json::Number(two)) => same_number(one, two),
            (Json::List(one), Json::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
            }
            (Json::Object(one), Json::Object(two)) => {
                let null = &Json::Null;
                one.iter()
                    .all(|(key, found)| found.same(other.get(key).unwrap_or(null)))
                    && two
                        .iter()
                        .all(|(key, wanted)| self.get(key).unwrap_or(null).same(wanted))
            }
            _ => self == other,
        }
    }
}

/// Whether two number literals mean the same: as integers where both are, else
/// as doubles; literals past every double only where they are spelt the same.
pub fn same_number(one: &str, two: &str) -> bool {
    match (one.parse::<i128>(), two.parse::<i128>()) {
        (Ok(one), Ok(two)) => one == two,
        _ if one == two => true,
        _ => {
            let (one, two): (f64, f64) = (one.parse().unwrap(), two.parse().unwrap());
            one.is_finite() && one.to_bits() == two.to_bits()
        }
    }
}

/// The records of a text, blank lines left out. Panics on what is not JSON.
pub fn records(text: &[u8]) -> Vec<Json> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| {
            parse(line).unwrap_or_else(|| panic!("not JSON: {}", String::from_utf8_lossy(line)))
        })
        .collect()
}

/// The text of a sound file, plain or gzipped.
pub fn text_of(file: &[u8]) -> Vec<u8> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return file.to_vec();
    }
    // Zero padding after the last member means nothing.
    let end = file
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let mut text = Vec::new();
    // A trailer may itself end in zeros, and the data before it.
    for end in end..=(end + 16).min(file.len()) {
        text.clear();
        if flate2::read::MultiGzDecoder::new(&file[..end])
            .read_to_end(&mut text)
            .is_ok()
        {
            return text;
        }
    }
    panic!("a damaged gzip file");
}

/// The value of one record; nothing where it is not JSON.
pub fn parse(line: &[u8]) -> Option<Json> {
    let line = std::str::from_utf8(line).ok()?.trim_ascii();
    // Numbers past every double are JSON, but not to serde_json.
    let checked = line.replace("1e400", "1");
    serde_json::from_str::<serde_json::Value>(&checked).ok()?;
    let mut rest = line;
    Some(value(&mut rest))
}

/// The value at the front of text that is known to be JSON.
fn value(rest: &mut &str) -> Json {
    *rest = rest.trim_ascii_start();
    match rest.as_bytes()[0] {
        b'{' => {
            let mut members: Vec<(String, Json)> = Vec::new();
            while !closed(rest, '}') {
                let key = string(rest);
                *rest = rest.trim_ascii_start().strip_prefix(':').unwrap();
                let value = value(rest);
                members.retain(|(name, _)| *name != key);
                members.push((key, value));
            }
            Json::Object(members)
        }
        b'[' => {
            let mut items = Vec::new();
            while !closed(rest, ']') {
                items.push(value(rest));
            }
            Json::List(items)
        }
        b'"' => Json::Text(string(rest)),
        _ => {
            let end = rest
                .find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c))
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            *rest = after;
            match word {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => Json::Number(number.to_owned()),
            }
        }
    }
}

/// Steps over an opening bracket or a comma; true where the closing one was stepped over.
fn closed(rest: &mut &str, close: char) -> bool {
    *rest = rest.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(close) {
        *rest = after;
        return true;
    }
    *rest = rest[1..].trim_ascii_start();
    // An opening bracket may be followed by the closing one.
    if let Some(after) = rest.strip_prefix(close) {
        *rest = after;
        return true;
    }
    false
}

fn string(rest: &mut &str) -> String {
    *rest = rest.trim_ascii_start();
    let bytes = rest.as_bytes();
    let mut end = 1;
    while bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let (literal, after) = rest.split_at(end + 1);
    *rest = after;
    serde_json::from_str(literal).unwrap()
}
