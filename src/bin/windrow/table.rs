//! Rows and cells as a table that fits its terminal.
//!
//! In:  titles, and cells as text from anywhere.
//! Out: a table; of columns that do not fit, the leftmost are shown and the others named.

use comfy_table::{CellAlignment, Table, presets};
use windrow::inspect::text::{printable, shortened, width};

/// Widest cell that is shown whole.
const MAX_CELL: usize = 48;

/// A column: its title, its cells, and whether they are numbers.
pub struct Column {
    /// The title.
    pub title: String,
    /// The cells, top to bottom.
    pub cells: Vec<String>,
    /// Numbers stand to the right.
    pub numeric: bool,
}

/// Lays columns out in `limit` terminal columns; `None` sets no limit, and cells are whole then.
pub fn layout(columns: Vec<Column>, limit: Option<usize>) -> String {
    let cut = |text: &str| match limit {
        Some(limit) => shortened(
            &printable(text),
            MAX_CELL.min(limit.saturating_sub(4)).max(1),
        ),
        None => printable(text),
    };
    let titles: Vec<String> = columns
        .iter()
        .map(|column| printable(&column.title))
        .collect();
    let columns: Vec<Column> = columns
        .into_iter()
        .map(|column| Column {
            title: cut(&column.title),
            cells: column.cells.iter().map(|cell| cut(cell)).collect(),
            numeric: column.numeric,
        })
        .collect();
    let fit = fitting(&columns, limit);
    let shown = &columns[..fit];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(shown.iter().map(|column| column.title.as_str()));
    let rows = shown.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        table.add_row(shown.iter().map(|column| column.cells[row].as_str()));
    }
    for (idx, column) in shown.iter().enumerate() {
        if let (true, Some(laid)) = (column.numeric, table.column_mut(idx)) {
            laid.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text: String = table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if fit < titles.len() {
        text.push_str(&format!("not shown: {}\n", titles[fit..].join(", ")));
    }
    text
}

/// How many columns fit from the left; at least one.
fn fitting(columns: &[Column], limit: Option<usize>) -> usize {
    let Some(limit) = limit else {
        return columns.len();
    };
    let mut used = 0;
    let fit = columns
        .iter()
        .take_while(|column| {
            let widest = column
                .cells
                .iter()
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0);
            // A space on either side.
            used += widest.max(width(&column.title)) + 2;
            used <= limit
        })
        .count();
    fit.max(1).min(columns.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &str, cells: &[&str], numeric: bool) -> Column {
        Column {
            title: title.into(),
            cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
            numeric,
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let columns = || {
            vec![
                column("id", &["1", "22"], true),
                column("city", &["Tromsø", "a\tb"], false),
                column("text", &["long ".repeat(30).as_str(), ""], false),
            ]
        };
        let narrow = layout(columns(), Some(30));
        assert!(narrow.ends_with("not shown: text\n"), "{narrow}");
        for line in narrow.lines() {
            assert!(width(line) <= 30, "{line}");
        }
        assert!(
            narrow.contains("Tromsø") && narrow.contains(r"a\tb"),
            "{narrow}"
        );
        let whole = layout(columns(), None);
        assert!(whole.contains(&"long ".repeat(29)), "{whole}");
        assert!(layout(columns(), Some(1)).contains("not shown: city, text"));
        assert!(layout(Vec::new(), Some(80)).len() < 3);
    }
}
