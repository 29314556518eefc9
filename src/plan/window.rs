//! Columns of windows, as plain data.
//!
//! In:  columns, and windows over them.
//! Out: the same columns with those of the windows behind them.
//!
//! What windows look at are columns: whoever builds a plan computes the others
//! in a projection before the windows, on all threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use crate::error::Result;
use crate::expr::{Expr, WindowExpr, roots};

/// A window, with the name of the column that it gives.
pub type NamedWindow = (String, WindowExpr);

/// The columns with those of windows behind them; one of a known name takes its place.
///
/// # Errors
///
/// [`crate::Error::Plan`] for an unknown column, with near names, and for types
/// and rows that a window cannot hold.
pub(crate) fn windowed(input: &Schema, windows: &[NamedWindow]) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = input.fields().iter().cloned().collect();
    for (name, window) in windows {
        let bound = window.bind(input)?;
        let field = Arc::new(Field::new(name, bound.data_type().clone(), true));
        match input.column_with_name(name) {
            Some((place, _)) => fields[place] = field,
            None => fields.push(field),
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The windows of which somebody looks at the columns `wanted`, and the columns
/// of the input that are looked at then; none: all.
pub(super) fn asked(
    windows: Vec<NamedWindow>,
    wanted: Option<BTreeSet<String>>,
    input: &Schema,
) -> (Vec<NamedWindow>, Option<BTreeSet<String>>) {
    let Some(mut wanted) = wanted else {
        return (windows, None);
    };
    let mut left = windows;
    left.retain(|(name, _)| wanted.contains(name));
    for (name, _) in &left {
        wanted.remove(name);
    }
    for (_, window) in &left {
        wanted.extend(looked_at(window, input));
    }
    (left, Some(wanted))
}

/// The columns that a window looks at.
fn looked_at(window: &WindowExpr, input: &Schema) -> BTreeSet<String> {
    roots(&Expr::Window(Box::new(window.clone())), input)
}

/// Whether one of them looks at rows behind: all rows are held first.
pub(super) fn looks_ahead(windows: &[NamedWindow]) -> bool {
    windows.iter().any(|(_, window)| window.looks_ahead())
}

/// The text of windows.
pub(super) fn text(windows: &[NamedWindow]) -> String {
    let texts: Vec<String> = windows
        .iter()
        .map(|(_, window)| window.to_string())
        .collect();
    format!("windows {}", texts.join(", "))
}
