//! A report on partitions as a table that fits its terminal.
//!
//! In:  a [`Skew`] and the terminal's width.
//! Out: lines no wider than that: totals, spreads, bars, hot keys, verdict, cure.
//!
//! Up to 24 partitions are all listed, in order; of more, the ten largest and
//! the five smallest are.

use std::fmt::Write;

use crate::partition::PartitionSize;
use crate::size::ByteSize;

use super::skew::{Skew, Spread};
use super::text::{bar, count, key_text, left, printable, right, shortened, width};

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Terminal columns; at least 60 are used. Default 100.
    pub width: usize,
    /// Bars of `#`, for terminals without UTF-8. Default false.
    pub ascii: bool,
    /// List every partition, however many there are. Default false.
    pub all: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            width: 100,
            ascii: false,
            all: false,
        }
    }
}

/// Most partitions that are listed one by one.
const LISTED: usize = 24;
/// Of more than that, so many of the largest and of the smallest.
const LARGEST: usize = 10;
const SMALLEST: usize = 5;

/// The report as text, with a newline at its end.
pub fn table(skew: &Skew, options: &RenderOptions) -> String {
    let columns = options.width.max(60);
    let mut out = String::new();
    for line in wrapped(&totals(skew), columns) {
        push_line(&mut out, &line);
    }
    if !skew.partitions.is_empty() {
        out.push('\n');
        if skew.partitions.len() > 1 {
            spreads(&mut out, skew);
            out.push('\n');
        }
        partitions(&mut out, skew, columns, options);
    }
    if let Some(hot) = &skew.hot {
        out.push('\n');
        hot_keys(&mut out, hot, columns, options.ascii);
    }
    out.push('\n');
    for line in wrapped(&skew.verdict, columns - 9) {
        let title = if out.ends_with("\n\n") {
            "verdict  "
        } else {
            "         "
        };
        push_line(&mut out, &format!("{title}{line}"));
    }
    if let Some(cure) = skew.cure_command() {
        // Not wrapped: it is there to be copied.
        push_line(&mut out, &format!("cure     {}", printable(&cure)));
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

fn totals(skew: &Skew) -> String {
    let n = skew.partitions.len() as u64;
    let files = if skew.files == n {
        String::new()
    } else {
        format!(" of {}", plural(skew.files, "file", "files"))
    };
    format!(
        "{}{files}, {}, {}{} in memory, {} stored, {} empty",
        plural(n, "partition", "partitions"),
        plural(skew.rows.total, "row", "rows"),
        if skew.bytes_estimated { "about " } else { "" },
        ByteSize::new(skew.bytes.total),
        ByteSize::new(skew.stored_bytes.total),
        count(skew.empty),
    )
}

fn spreads(out: &mut String, skew: &Skew) {
    let bytes = |n: u64| ByteSize::new(n).to_string();
    let mut rows =
        vec![["", "min", "p50", "p95", "max", "mean", "balance", "gini"].map(str::to_owned)];
    for (name, spread, show) in [
        ("rows", &skew.rows, &count as &dyn Fn(u64) -> String),
        ("memory", &skew.bytes, &bytes),
        ("stored", &skew.stored_bytes, &bytes),
    ] {
        let Spread {
            min,
            p50,
            p95,
            max,
            mean,
            balance,
            gini,
            ..
        } = *spread;
        rows.push([
            name.to_owned(),
            show(min),
            show(p50),
            show(p95),
            show(max),
            show(mean.round() as u64),
            format!("{balance:.2}"),
            format!("{gini:.2}"),
        ]);
    }
    let widths: [usize; 8] =
        std::array::from_fn(|idx| rows.iter().map(|row| width(&row[idx])).max().unwrap_or(0));
    for row in &rows {
        let mut line = left(&row[0], widths[0]);
        for (cell, columns) in row.iter().zip(widths).skip(1) {
            line.push_str("  ");
            line.push_str(&right(cell, columns));
        }
        push_line(out, &line);
    }
}

/// Which partitions are listed, and what is said where some are left out.
enum Row<'a> {
    Partition(&'a PartitionSize),
    Gap(String),
}

fn chosen<'a>(skew: &'a Skew, all: bool) -> Vec<Row<'a>> {
    let n = skew.partitions.len();
    if all || n <= LISTED {
        return skew.partitions.iter().map(Row::Partition).collect();
    }
    let mut order: Vec<&PartitionSize> = skew.partitions.iter().collect();
    // A stable sort: equals stay in partition order.
    order.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(b.rows.cmp(&a.rows)));
    let hidden = n - LARGEST - SMALLEST;
    let mut rows: Vec<Row> = order[..LARGEST]
        .iter()
        .copied()
        .map(Row::Partition)
        .collect();
    rows.push(Row::Gap(format!(
        "… {} between",
        plural(hidden as u64, "partition", "partitions")
    )));
    rows.extend(order[n - SMALLEST..].iter().copied().map(Row::Partition));
    rows
}

fn partitions(out: &mut String, skew: &Skew, columns: usize, options: &RenderOptions) {
    let rows = chosen(skew, options.all);
    let numbers = |partition: &PartitionSize| {
        [
            count(partition.rows),
            ByteSize::new(partition.bytes).to_string(),
            ByteSize::new(partition.stored_bytes).to_string(),
        ]
    };
    let titles = ["rows", "memory", "stored"];
    let mut widths = titles.map(str::len);
    let mut widest = "partition".len();
    for row in &rows {
        if let Row::Partition(partition) = row {
            widest = widest.max(width(&printable(&partition.path)));
            for (columns, cell) in widths.iter_mut().zip(numbers(partition)) {
                *columns = (*columns).max(width(&cell));
            }
        }
    }
    // Bars take what names leave, but names leave at least 10 columns.
    let taken: usize = widths.iter().map(|columns| columns + 2).sum::<usize>() + 2;
    let names = widest.min(columns.saturating_sub(taken + 10).max("partition".len()));
    let bars = columns.saturating_sub(taken + names).min(40);
    let line = |name: &str, cells: [String; 3]| {
        let mut line = left(name, names);
        for (cell, columns) in cells.iter().zip(widths) {
            line.push_str("  ");
            line.push_str(&right(cell, columns));
        }
        line
    };
    push_line(out, &line("partition", titles.map(str::to_owned)));
    for row in &rows {
        match row {
            Row::Gap(text) => push_line(out, text),
            Row::Partition(partition) => {
                let share = partition.bytes as f64 / skew.bytes.max.max(1) as f64;
                let name = shortened(&printable(&partition.path), names);
                let bar = bar(share, bars, options.ascii);
                push_line(out, &format!("{}  {bar}", line(&name, numbers(partition))));
            }
        }
    }
}

fn hot_keys(out: &mut String, hot: &super::hot::HotReport, columns: usize, ascii: bool) {
    let how = match (hot.exact, hot.distinct) {
        (true, Some(distinct)) => format!(
            "{}, exact",
            plural(distinct, "distinct key", "distinct keys")
        ),
        _ => format!(
            "at least; no key above {} is missing",
            plural(hot.error, "row", "rows")
        ),
    };
    push_line(
        out,
        &format!("hottest keys of {} ({how})", printable(&hot.column)),
    );
    let names = hot
        .keys
        .iter()
        .map(|key| width(&key_text(key.key.as_deref(), 40)))
        .max()
        .unwrap_or(0);
    let bars = columns.saturating_sub(names + 14 + 9 + 2).min(40);
    let most = hot.keys.first().map_or(1, |key| key.rows.max(1));
    for key in &hot.keys {
        let share = key.rows as f64 * 100.0 / hot.rows.max(1) as f64;
        push_line(
            out,
            &format!(
                "{}{}{:>7.1} %  {}",
                left(&key_text(key.key.as_deref(), 40), names),
                right(&count(key.rows), 14),
                share,
                bar(key.rows as f64 / most as f64, bars, ascii)
            ),
        );
    }
}

/// Text broken at spaces into lines of at most `limit` columns, longer words apart.
fn wrapped(text: &str, limit: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= limit => {
                let _ = write!(line, " {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::super::hot::HotKeys;
    use super::super::skew::tests::sized;
    use super::*;

    #[test]
    fn a_small_set_is_listed_whole() {
        let mut hot = HotKeys::new("user");
        hot.push(&StringArray::from(vec![
            Some("ann"),
            Some("ann"),
            Some("ann"),
            None,
        ]))
        .unwrap();
        let skew = Skew::new(sized(&[1_000_000, 20_000, 0]))
            .with_inputs(&["logs/*.gz".into()])
            .with_hot_keys(hot.report(10));
        let text = table(
            &skew,
            &RenderOptions {
                width: 80,
                ..RenderOptions::default()
            },
        );
        let wanted = "\
3 partitions, 1,020,000 rows, 996.1 MiB in memory, 97.3 MiB stored, 1 empty

        min       p50        p95        max      mean  balance  gini
rows      0    20,000  1,000,000  1,000,000   340,000     2.94  0.65
memory  0 B  19.5 MiB  976.6 MiB  976.6 MiB   332 MiB     2.94  0.65
stored  0 B   1.9 MiB   95.4 MiB   95.4 MiB  32.4 MiB     2.94  0.65

partition       rows     memory    stored
p0         1,000,000  976.6 MiB  95.4 MiB  █████████████████████████████████████
p1            20,000   19.5 MiB   1.9 MiB  ▊
p2                 0        0 B       0 B

hottest keys of user (2 distinct keys, exact)
ann              3   75.0 %  ████████████████████████████████████████
null             1   25.0 %  █████████████▍

verdict  1 of 3 partitions without rows; skewed: p0 holds 98.0 % of the bytes,
         2.9 x the mean; hot key: user = ann holds 75.0 % of the rows, so a
         shuffle by it cannot be even
cure     windrow repartition 'logs/*.gz' --to OUT --npartitions 8
";
        assert_eq!(text, wanted, "\n{text}");
    }

    #[test]
    fn of_hundreds_the_ends_are_listed() {
        let rows: Vec<u64> = (0..214).map(|idx| (idx * 7919) % 214 * 4000).collect();
        let skew = Skew::new(sized(&rows));
        let text = table(&skew, &RenderOptions::default());
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with('p') && !line.starts_with("partition "))
                .count(),
            15
        );
        assert!(text.contains("… 199 partitions between"), "{text}");
        let all = table(
            &skew,
            &RenderOptions {
                all: true,
                ..RenderOptions::default()
            },
        );
        assert_eq!(
            all.lines()
                .filter(|line| line.starts_with('p') && !line.starts_with("partition "))
                .count(),
            214
        );
    }

    #[test]
    fn lines_fit_the_terminal() {
        let mut sizes = sized(&[5_000_000, 0, 77]);
        sizes[1].path = "a/very/long/path/".repeat(9) + "日本語.json.gz";
        sizes[2].path = "new\nline\x1b[31m".into();
        let mut hot = HotKeys::new("path");
        hot.push(&StringArray::from(vec!["x".repeat(500)])).unwrap();
        let skew = Skew::new(sizes).with_hot_keys(hot.report(3));
        for columns in 60..200 {
            let text = table(
                &skew,
                &RenderOptions {
                    width: columns,
                    ..RenderOptions::default()
                },
            );
            for line in text.lines() {
                let fits = width(line) <= columns.max(72) || line.starts_with("cure");
                assert!(fits, "{columns}: {line}");
                assert!(!line.contains('\x1b'));
            }
        }
    }

    #[test]
    fn nothing_at_all_is_said_plainly() {
        assert_eq!(
            Skew::new(Vec::new()).to_string(),
            "0 partitions, 0 rows, 0 B in memory, 0 B stored, 0 empty\n\nverdict  nothing to judge: no partitions\n"
        );
    }
}
