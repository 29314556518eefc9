//! Lengths of time as text: `1h`, `90s`, `1h30m`, `250ms`.
//!
//! In:  numbers, each followed by its unit.
//! Out: a [`Duration`], and the one text that it prints as.

use std::time::Duration;

/// Units by their nanoseconds, the longest first.
const UNITS: [(&str, u64); 8] = [
    ("w", 7 * 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The length of time that a text spells; none if it spells none.
pub(in crate::expr) fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut nanos: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let (_, of) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(count.checked_mul(*of)?)?;
        rest = behind.trim_start();
    }
    Some(Duration::from_nanos(nanos))
}

/// The text of a length of time.
pub(super) fn span_text(span: Duration) -> String {
    let mut rest = span.as_nanos();
    let mut text = String::new();
    for (unit, nanos) in UNITS {
        let count = rest / u128::from(nanos);
        rest %= u128::from(nanos);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    match text.is_empty() {
        true => "0s".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_prints_as_the_text_that_parses_to_it() {
        for (text, seconds, printed) in [
            ("1h", 3600, "1h"),
            ("90s", 90, "1m30s"),
            ("1h 30m", 5400, "1h30m"),
            ("14d", 1_209_600, "2w"),
            ("0s", 0, "0s"),
        ] {
            let span = parse_span(text).unwrap();
            assert_eq!(span, Duration::from_secs(seconds), "{text}");
            assert_eq!(span_text(span), printed);
            assert_eq!(parse_span(printed), Some(span));
        }
        assert_eq!(parse_span("250ms"), Some(Duration::from_millis(250)));
        for none in [
            "",
            "h",
            "1",
            "1 h",
            "1y",
            "1.5h",
            "-1h",
            "99999999999999999w",
        ] {
            assert_eq!(parse_span(none), None, "{none}");
        }
    }
}
