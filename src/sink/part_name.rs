//! What part files are called.
//!
//! In:  a template with one place for the number: `part-{i:06}`.
//! Out: the name of each part, and the number in a name; what the name ends in is
//!      the format's: `part-000042.parquet`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The name of the option, in errors.
const OPTION: &str = "name-template";

/// Most bytes of a template: the longest name of a file has 255.
const MOST_BYTES: usize = 200;

/// Most digits that a number is filled up to.
const MOST_DIGITS: usize = 18;

/// What data files end in.
const DATA: [&str; 10] = [
    ".parquet",
    ".json",
    ".json.gz",
    ".json.zst",
    ".jsonl",
    ".arrow",
    ".feather",
    ".csv",
    ".csv.gz",
    ".csv.zst",
];

/// How part files are named: text with one place for their number, as `{i}`, or
/// `{i:06}` for at least six digits, so that names sort as numbers do.
///
/// ```
/// use windrow::PartName;
///
/// let name: PartName = "events-{i:04}-eu".parse()?;
/// assert_eq!(name.to_string(), "events-{i:04}-eu");
/// assert!("events".parse::<PartName>().is_err());
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartName {
    before: String,
    digits: usize,
    behind: String,
}

impl Default for PartName {
    /// `part-{i:06}`.
    fn default() -> Self {
        PartName {
            before: "part-".to_owned(),
            digits: 6,
            behind: String::new(),
        }
    }
}

impl PartName {
    /// The name of a part, with what it ends in behind a dot.
    pub(crate) fn of(&self, number: u64, extension: &str) -> String {
        let (before, behind, digits) = (&self.before, &self.behind, self.digits);
        format!("{before}{number:0digits$}{behind}.{extension}")
    }

    /// The number in a name of this form.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&self.before)?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let behind = rest[end..].strip_prefix(&self.behind)?;
        match behind.starts_with('.') {
            true => rest[..end].parse().ok(),
            false => None,
        }
    }

    /// Whether a name is that of a data file of this form.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.number(name).is_some() && DATA.iter().any(|ending| name.ends_with(ending))
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.digits {
            0 => String::new(),
            digits => format!(":0{digits}"),
        };
        write!(f, "{}{{i{digits}}}{}", self.before, self.behind)
    }
}

impl FromStr for PartName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Err(Error::config(OPTION, format!("{text:?} {reason}")));
        let (Some(open), Some(close)) = (text.find('{'), text.find('}')) else {
            return wrong("has no place for the number; write {i}, or {i:06} for six digits");
        };
        let place = text.get(open + 1..close).unwrap_or_default();
        let digits = match place.strip_prefix('i') {
            Some("") => Some(0),
            Some(digits) => digits.strip_prefix(":0").and_then(|n| n.parse().ok()),
            None => None,
        };
        let Some(digits) = digits.filter(|digits| *digits <= MOST_DIGITS) else {
            return wrong("has a place that is none; write {i}, or {i:06} for six digits");
        };
        let (before, behind) = (&text[..open], &text[close + 1..]);
        let is_digit = |c: char| c.is_ascii_digit();
        if before.contains(['{', '}']) || behind.contains(['{', '}']) {
            return wrong("must have one place for the number, and no other braces");
        }
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return wrong("is the name of a file, without separators and control characters");
        }
        if before.starts_with(['.', '_']) {
            return wrong("would be a hidden file, which readers pass over");
        }
        if before.ends_with(is_digit) || behind.starts_with(is_digit) {
            return wrong("has a digit beside the number, which could not be told from it");
        }
        if text.len() > MOST_BYTES {
            return wrong("is too long for the name of a file");
        }
        Ok(PartName {
            before: before.to_owned(),
            digits,
            behind: behind.to_owned(),
        })
    }
}

/// Whether a name is that of a part file, of windrow or of its peers.
pub(super) fn is_part_name(name: &str) -> bool {
    let number = name
        .strip_prefix("part-")
        .or_else(|| name.strip_prefix("part."));
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        && DATA.iter().any(|ending| name.ends_with(ending))
}

/// The number in the name of such a file.
pub(super) fn part_number(name: &str) -> Option<u64> {
    let number = name
        .strip_prefix("part-")
        .or_else(|| name.strip_prefix("part."))?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_number_and_only_one_of_its_form_does() {
        let default = PartName::default();
        assert_eq!("part-{i:06}".parse::<PartName>().unwrap(), default);
        assert_eq!(default.of(42, "parquet"), "part-000042.parquet");
        for (template, of_7) in [
            ("part-{i:06}", "part-000007.csv.gz"),
            ("{i}", "7.csv.gz"),
            ("a.{i:03}.b", "a.007.b.csv.gz"),
            ("été {i:01}", "été 7.csv.gz"),
        ] {
            let name: PartName = template.parse().unwrap();
            assert_eq!(name.to_string(), template);
            assert_eq!(name.of(7, "csv.gz"), of_7);
            for number in [0, 7, 999_999, 1_000_000, u64::MAX] {
                let text = name.of(number, "json");
                assert_eq!(name.number(&text), Some(number), "{text}");
                assert!(name.is_of(&text) && !name.is_of(&format!("x{text}")));
                assert!(!name.is_of(&format!("{text}.tmp")), "{text}");
            }
            let odd = [
                "",
                "part",
                "part-",
                "a.7",
                "part-000007",
                "7b.csv",
                "..json",
            ];
            assert!(odd.iter().all(|odd| !name.is_of(odd)), "{template}");
        }
    }

    #[test]
    fn a_template_that_names_no_file_or_no_number_is_refused() {
        for (template, reason) in [
            ("part", "no place for the number"),
            ("", "no place for the number"),
            ("part-{n}", "a place that is none"),
            ("part-{i:6}", "a place that is none"),
            ("part-{i:099}", "a place that is none"),
            ("}{i}", "a place that is none"),
            ("{i}-{i}", "one place"),
            ("a/{i}", "without separators"),
            ("..\\{i}", "without separators"),
            ("a\n{i}", "without separators"),
            (".{i}", "hidden"),
            ("_part-{i}", "hidden"),
            ("part-1{i}", "a digit beside"),
            ("{i}0", "a digit beside"),
        ] {
            let error = template.parse::<PartName>().unwrap_err().to_string();
            assert!(
                error.starts_with("name-template: ") && error.contains(reason),
                "{error}"
            );
        }
        assert!(
            format!("{{i}}{}", "x".repeat(200))
                .parse::<PartName>()
                .is_err()
        );
    }
}
