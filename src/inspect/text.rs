//! Numbers and names as people read them, measured in terminal columns.
//!
//! In:  counts, paths and keys from anywhere, hostile ones too.
//! Out: text that holds no control characters and has the width it claims.

use unicode_width::UnicodeWidthChar;

/// A count with thousands separated: 2,200,000.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Text whose control characters are escaped, so that a file's name or a key
/// cannot move the cursor, recolour the terminal or turn the reading order.
pub fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(hidden) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            if hidden(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// A key as it is shown: null, or its text, cut to `width` columns.
pub fn key_text(key: Option<&str>, width: usize) -> String {
    match key {
        None => "null".into(),
        Some("") => "\"\"".into(),
        Some("null") => "\"null\"".into(),
        Some(key) => shortened(&printable(key), width),
    }
}

/// Terminal columns a character takes; none for one that joins the one before it.
fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Terminal columns of a text without control characters.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Text of at most `limit` columns; what is cut from its middle becomes "…",
/// since paths differ at both ends.
pub fn shortened(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let keep = limit.saturating_sub(1);
    let tail_limit = keep - keep / 3;
    let head = taken(text.chars(), keep / 3);
    let tail: String = taken(text.chars().rev(), tail_limit)
        .chars()
        .rev()
        .collect();
    let short = format!("{head}…{tail}");
    if limit == 0 { String::new() } else { short }
}

fn taken(chars: impl Iterator<Item = char>, limit: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|&c| {
            used += char_width(c);
            used <= limit
        })
        .collect()
}

/// Text filled up with spaces on the right.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Text filled up with spaces on the left.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A bar of `share` (0 to 1) of `columns` columns, in eighths; anything above zero shows.
pub fn bar(share: f64, columns: usize, ascii: bool) -> String {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    if ascii {
        let full = (share * columns as f64).round() as usize;
        return "#".repeat(if share > 0.0 { full.max(1) } else { 0 });
    }
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * columns as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_separated_in_thousands() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc"), r"a\u{1b}[31mb\nc");
        assert_eq!(printable("日本/é.gz"), "日本/é.gz");
        assert_eq!(printable("evil\u{202e}gz.txt"), r"evil\u{202e}gz.txt");
    }

    #[test]
    fn shortened_text_fits_at_every_width() {
        for text in [
            "",
            "a",
            "logs/2024/access-07.json.gz",
            "日本語のログ/アクセス.gz",
        ] {
            for limit in 0..40 {
                let short = shortened(text, limit);
                assert!(width(&short) <= limit, "{text} at {limit}: {short}");
                assert!(width(text) > limit || short == text);
            }
        }
        assert_eq!(
            shortened("logs/2024/access-07.json.gz", 16),
            "logs/…07.json.gz"
        );
    }

    #[test]
    fn bars_grow_with_their_share_and_never_hide_a_little() {
        assert_eq!(bar(0.0, 10, false), "");
        assert_eq!(bar(1e-9, 10, false), "▏");
        assert_eq!(bar(0.5, 3, false), "█▌");
        assert_eq!(bar(1.0, 10, true), "##########");
        assert_eq!(bar(1e-9, 10, true), "#");
        assert_eq!(bar(f64::NAN, 10, false), "");
        let mut last = 0;
        for step in 0..=100 {
            let wide = bar(f64::from(step) / 100.0, 20, false).chars().count();
            assert!(wide >= last && wide <= 20);
            last = wide;
        }
    }
}
