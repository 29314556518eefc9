//! A report on partitions as one page: no script, no font, no file beside it.
//!
//! In:  a [`Skew`].
//! Out: HTML with the bars as SVG. Text from the data is escaped.
//!
//! Partitions keep their order, so a pattern over time shows. Beyond 400 bars
//! neighbours share one, as tall as the largest of them.

use std::fmt::Write;

use crate::partition::PartitionSize;
use crate::size::ByteSize;

use super::skew::{Skew, Spread};
use super::text::{count, key_text, printable};

/// Bars that are drawn at most: one a pixel column and a gap at 800 wide.
const BARS: usize = 400;
const WIDE: f64 = 800.0;
const TALL: f64 = 160.0;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}svg{width:100%;height:auto}rect{fill:#4a7f3f}\
rect.key{fill:#b8860b}line{stroke:#c33;stroke-dasharray:4 3}code{background:#eee;padding:.1rem .3rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}td,th{border-color:#444}code{background:#333}rect{fill:#7fbf6f}}";

/// The page.
pub fn page(skew: &Skew) -> String {
    let mut out = String::with_capacity(16 << 10);
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>windrow inspect</title>\n<style>");
    out.push_str(STYLE);
    out.push_str("</style></head><body>\n<h1>Partitions</h1>\n");
    add(
        &mut out,
        format_args!("<p><b>{}</b></p>\n", escaped(&skew.verdict)),
    );
    if let Some(cure) = skew.cure_command() {
        add(
            &mut out,
            format_args!("<p>Cure: <code>{}</code></p>\n", escaped(&cure)),
        );
    }
    add(
        &mut out,
        format_args!(
            "<p>{} partitions of {} files, {} rows, {}{} in memory, {} stored, {} empty.</p>\n",
            count(skew.partitions.len() as u64),
            count(skew.files),
            count(skew.rows.total),
            if skew.bytes_estimated { "about " } else { "" },
            ByteSize::new(skew.bytes.total),
            ByteSize::new(skew.stored_bytes.total),
            count(skew.empty)
        ),
    );
    spreads(&mut out, skew);
    bars(
        &mut out,
        "Rows",
        &skew.partitions,
        &skew.rows,
        |size| size.rows,
        &count,
    );
    let bytes = |n: u64| ByteSize::new(n).to_string();
    bars(
        &mut out,
        "Bytes in memory",
        &skew.partitions,
        &skew.bytes,
        |size| size.bytes,
        &bytes,
    );
    hot_keys(&mut out, skew);
    largest(&mut out, skew);
    out.push_str("</body></html>\n");
    out
}

/// Appends; writing to a String cannot fail.
fn add(out: &mut String, text: std::fmt::Arguments) {
    let _ = out.write_fmt(text);
}

/// Text that is safe as element content and in double quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn spreads(out: &mut String, skew: &Skew) {
    out.push_str("<table><tr><th></th><th>min</th><th>p50</th><th>p95</th><th>max</th><th>mean</th><th>balance</th><th>Gini</th></tr>\n");
    let bytes = |n: u64| ByteSize::new(n).to_string();
    for (name, spread, show) in [
        ("rows", &skew.rows, &count as &dyn Fn(u64) -> String),
        ("memory", &skew.bytes, &bytes),
        ("stored", &skew.stored_bytes, &bytes),
    ] {
        add(
            out,
            format_args!(
                "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{:.2}</td></tr>\n",
                show(spread.min),
                show(spread.p50),
                show(spread.p95),
                show(spread.max),
                show(spread.mean.round() as u64),
                spread.balance,
                spread.gini
            ),
        );
    }
    out.push_str("</table>\n");
}

fn bars(
    out: &mut String,
    title: &str,
    partitions: &[PartitionSize],
    spread: &Spread,
    size: fn(&PartitionSize) -> u64,
    show: &dyn Fn(u64) -> String,
) {
    if partitions.is_empty() || spread.max == 0 {
        return;
    }
    let per_bar = partitions.len().div_ceil(BARS);
    let n = partitions.len().div_ceil(per_bar);
    let step = WIDE / n as f64;
    add(
        out,
        format_args!(
            "<h2>{title}</h2>\n<svg viewBox=\"0 0 {WIDE} {TALL}\" role=\"img\" aria-label=\"{title} per partition\">\n"
        ),
    );
    for (idx, group) in partitions.chunks(per_bar).enumerate() {
        let largest = group.iter().max_by_key(|partition| size(partition));
        let Some(largest) = largest.filter(|partition| size(partition) > 0) else {
            continue;
        };
        let tall = (size(largest) as f64 / spread.max as f64 * TALL).max(0.5);
        add(
            out,
            format_args!(
                "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{tall:.2}\"><title>{}: {}</title></rect>\n",
                idx as f64 * step,
                TALL - tall,
                step * 0.85,
                escaped(&largest.path),
                show(size(largest))
            ),
        );
    }
    let mean = TALL - spread.mean / spread.max as f64 * TALL;
    add(
        out,
        format_args!(
            "<line x1=\"0\" x2=\"{WIDE}\" y1=\"{mean:.2}\" y2=\"{mean:.2}\"><title>mean</title></line>\n</svg>\n"
        ),
    );
}

fn hot_keys(out: &mut String, skew: &Skew) {
    let Some(hot) = &skew.hot else { return };
    let most = hot.keys.first().map_or(1, |key| key.rows.max(1)) as f64;
    add(
        out,
        format_args!(
            "<h2>Hottest keys of {}</h2>\n<table><tr><th>key</th><th>rows{}</th><th>share</th><th></th></tr>\n",
            escaped(&hot.column),
            if hot.exact { "" } else { ", at least" }
        ),
    );
    for key in &hot.keys {
        add(
            out,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{:.1} %</td><td><svg viewBox=\"0 0 200 10\" style=\"width:200px\"><rect class=\"key\" width=\"{:.1}\" height=\"10\"/></svg></td></tr>\n",
                escaped(&key_text(key.key.as_deref(), 80)),
                count(key.rows),
                key.rows as f64 * 100.0 / hot.rows.max(1) as f64,
                key.rows as f64 / most * 200.0
            ),
        );
    }
    out.push_str("</table>\n");
}

fn largest(out: &mut String, skew: &Skew) {
    const LISTED: usize = 20;
    let mut order: Vec<&PartitionSize> = skew.partitions.iter().collect();
    order.sort_by_key(|partition| std::cmp::Reverse(partition.bytes));
    out.push_str("<h2>Largest</h2>\n<table><tr><th>partition</th><th>rows</th><th>memory</th><th>stored</th></tr>\n");
    for partition in order.into_iter().take(LISTED) {
        add(
            out,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(&partition.path),
                count(partition.rows),
                ByteSize::new(partition.bytes),
                ByteSize::new(partition.stored_bytes)
            ),
        );
    }
    out.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::super::skew::tests::sized;
    use super::*;

    #[test]
    fn a_page_escapes_what_comes_from_the_data() {
        let mut sizes = sized(&[900, 2]);
        sizes[0].path = "<script>alert('x')</script>&\".gz".into();
        let page = page(&Skew::new(sizes).with_inputs(&["<b>".into()]));
        assert!(
            !page.contains("<script") && !page.contains("<b>'"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;.gz"));
    }

    #[test]
    fn a_page_stays_small_however_many_partitions_there_are() {
        let rows: Vec<u64> = (0..100_000).map(|idx| idx % 97).collect();
        let page = page(&Skew::new(sized(&rows)));
        assert!(page.len() < 200 << 10, "{} bytes", page.len());
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.matches("<rect").count() > 700);
        assert_eq!(page.matches("<tr>").count(), page.matches("</tr>").count());
    }
}
