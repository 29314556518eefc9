//! Which columns come out of a step, and what they are computed from.
//!
//! In:  the columns of some rows; for text, more may follow later.
//! Out: columns by name: passed on, left out, renamed, computed.
//!
//! All expressions see the columns that go in, never each other. A column that
//! is only passed on keeps its place, and its type may go on widening while
//! text is read; a computed one has the type that it was bound to.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::ast::Expr;
use super::names::{resolve, unknown_column};
use super::shape::{Shape, Slot};
use crate::error::{Error, Result};

/// What becomes of columns that are not given anew.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rest {
    /// Columns that do not come out.
    pub without: Vec<String>,
    /// Columns that come out under another name: from, to.
    pub renamed: Vec<(String, String)>,
}

/// A column that is given anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its values.
    pub expr: Expr,
}

/// The columns of one step: `select`, `with_columns`, `drop`, `rename`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// How the other columns pass, also those that are not known yet. `None`:
    /// they do not; `columns` are all there is, in their order.
    pub rest: Option<Rest>,
    /// Columns given anew. One of the name of a column that passes takes its
    /// place; the others follow at the end.
    pub columns: Vec<Named>,
}

impl Projection {
    /// These columns and no others, in this order.
    pub fn only(columns: Vec<Named>) -> Self {
        Projection {
            rest: None,
            columns,
        }
    }

    /// All columns, and these.
    pub fn with(columns: Vec<Named>) -> Self {
        Projection {
            rest: Some(Rest::default()),
            columns,
        }
    }

    /// All columns but these.
    pub fn without(names: Vec<String>) -> Self {
        Projection {
            rest: Some(Rest {
                without: names,
                renamed: Vec::new(),
            }),
            columns: Vec::new(),
        }
    }

    /// All columns, some under another name: from, to.
    pub fn renamed(names: Vec<(String, String)>) -> Self {
        Projection {
            rest: Some(Rest {
                without: Vec::new(),
                renamed: names,
            }),
            columns: Vec::new(),
        }
    }

    /// The columns that come out of rows with the columns `input`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; for a name that
    /// two columns would have; for types that do not meet.
    pub fn schema(&self, input: &Schema) -> Result<SchemaRef> {
        self.check(input)?;
        let mut types = Vec::new();
        let mut failed = None;
        let shape = Shape::all().then(self, input, &mut |expr| {
            match expr.bind(input) {
                Ok(bound) => types.push(bound.column_type()),
                Err(error) => {
                    failed.get_or_insert(error);
                    types.push(DataType::Null);
                }
            }
            types.len() - 1
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let names: Vec<&str> = input.fields().iter().map(|field| &**field.name()).collect();
        let fields = shape.outputs(&names)?.into_iter().map(|(name, slot)| {
            Arc::new(match slot {
                Slot::Source(idx) => input.field(idx).clone().with_name(name),
                Slot::Computed(idx) => Field::new(name, types[idx].clone(), true),
            })
        });
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// Refuses names that do not exist, and names that come twice.
    fn check(&self, input: &Schema) -> Result<()> {
        if let Some(rest) = &self.rest {
            for name in rest.taken_away() {
                if input.column_with_name(name).is_none() {
                    return Err(unknown_column(name, input));
                }
            }
            let mut froms = BTreeSet::new();
            for (from, to) in &rest.renamed {
                if !froms.insert(from) {
                    return Err(Error::plan(format!("column {from:?} is renamed twice")));
                }
                let stays = input.column_with_name(to).is_some()
                    && !rest.taken_away().any(|name| name == to);
                let twice = rest.renamed.iter().filter(|(_, name)| name == to).count() > 1;
                if stays || twice {
                    return Err(Error::plan(format!(
                        "{from:?} cannot be renamed to {to:?}: there would be two columns of that name"
                    )));
                }
            }
        }
        let mut given = BTreeSet::new();
        for column in &self.columns {
            if !given.insert(&column.name) {
                let doing = match self.rest {
                    None => "selected",
                    Some(_) => "given",
                };
                return Err(Error::plan(format!(
                    "column {:?} is {doing} twice",
                    column.name
                )));
            }
        }
        Ok(())
    }

    /// The name under which a column of the input comes out as it is; none if
    /// it does not. Of several names, the first.
    pub fn follow(&self, name: &str, input: &Schema) -> Option<String> {
        let given = self
            .columns
            .iter()
            .find(|column| passed(&column.expr, input) == Some(name));
        let passes = self.rest.as_ref().and_then(|rest| rest.name_of(name));
        passes
            .filter(|out| self.columns.iter().all(|column| column.name != *out))
            .map(str::to_owned)
            .or_else(|| given.map(|column| column.name.clone()))
    }

    /// The column of the input that comes out under a name as it is; none if it is computed.
    pub fn source<'a>(&'a self, name: &'a str, input: &Schema) -> Option<&'a str> {
        if let Some(column) = self.columns.iter().find(|column| column.name == name) {
            return passed(&column.expr, input);
        }
        let rest = self.rest.as_ref()?;
        match rest.renamed.iter().find(|(_, to)| to == name) {
            Some((from, _)) => Some(from),
            None => (!rest.taken_away().any(|taken| taken == name)).then_some(name),
        }
    }

    /// The same condition on rows before this step; none if it looks at what
    /// is computed here.
    pub fn before(&self, condition: &Expr, input: &Schema) -> Option<Expr> {
        let output = self.schema(input).ok()?;
        condition.map_columns(&mut |name| {
            let (path, _) = resolve(name, &output).ok()?;
            let root = self.source(&path.root, input)?;
            let old = match name.strip_prefix(path.root.as_str()) {
                Some(inside) => format!("{root}{inside}"),
                None => return None,
            };
            // The name must mean there what it means here.
            let (found, _) = resolve(&old, input).ok()?;
            (found.root == root && found.steps == path.steps).then_some(old)
        })
    }

    /// Whether a column looks at other rows than its own.
    pub(crate) fn has_windows(&self) -> bool {
        self.columns.iter().any(|column| column.expr.has_windows())
    }

    /// Whether every column comes out as it is.
    pub fn is_all(&self) -> bool {
        self.columns.is_empty()
            && self
                .rest
                .as_ref()
                .is_some_and(|rest| *rest == Rest::default())
    }

    /// The names, if it does nothing but choose columns by them.
    pub fn selection(&self, input: &Schema) -> Option<Vec<String>> {
        if self.rest.is_some() {
            return None;
        }
        self.columns
            .iter()
            .map(|column| {
                let name = passed(&column.expr, input)?;
                (name == column.name).then(|| name.to_owned())
            })
            .collect()
    }

    /// The same step where nobody looks at columns other than `wanted`, and the
    /// columns of the input that it needs then.
    pub fn reduced(&self, wanted: &BTreeSet<String>, input: &Schema) -> (Self, BTreeSet<String>) {
        let columns: Vec<Named> = self
            .columns
            .iter()
            .filter(|column| wanted.contains(&column.name))
            .cloned()
            .collect();
        let mut needed: BTreeSet<String> = columns
            .iter()
            .flat_map(|column| roots(&column.expr, input))
            .collect();
        let given = |name: &str| self.columns.iter().any(|column| column.name == name);
        let rest = self.rest.as_ref().map(|rest| {
            for name in wanted.iter().filter(|name| !given(name)) {
                if let Some(source) = self.source(name, input) {
                    needed.insert(source.to_owned());
                }
            }
            Rest {
                without: rest
                    .without
                    .iter()
                    .filter(|name| needed.contains(*name))
                    .cloned()
                    .collect(),
                renamed: rest
                    .renamed
                    .iter()
                    .filter(|(from, _)| needed.contains(from))
                    .cloned()
                    .collect(),
            }
        });
        (Projection { rest, columns }, needed)
    }

    /// The columns of the input that it looks at, where it names all that come
    /// out; none if others pass.
    pub fn needs(&self, input: &Schema) -> Option<BTreeSet<String>> {
        match self.rest {
            Some(_) => None,
            None => Some(
                self.columns
                    .iter()
                    .flat_map(|column| roots(&column.expr, input))
                    .collect(),
            ),
        }
    }
}

impl Rest {
    /// Names that the input has and the output does not have for them.
    fn taken_away(&self) -> impl Iterator<Item = &str> {
        let renamed = self.renamed.iter().map(|(from, _)| from.as_str());
        self.without.iter().map(String::as_str).chain(renamed)
    }

    /// The name under which a column passes; none if it does not.
    pub(super) fn name_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.without.iter().any(|without| without == name) {
            return None;
        }
        match self.renamed.iter().find(|(from, _)| from == name) {
            Some((_, to)) => Some(to),
            None => Some(name),
        }
    }
}

/// The column that an expression only passes on.
pub(super) fn passed<'a>(expr: &'a Expr, input: &Schema) -> Option<&'a str> {
    match expr {
        Expr::Alias { expr, .. } => passed(expr, input),
        Expr::Column(name) => input.column_with_name(name).map(|_| name.as_str()),
        _ => None,
    }
}

/// The top-level columns that an expression looks at; unknown ones are left out.
pub(crate) fn roots(expr: &Expr, input: &Schema) -> BTreeSet<String> {
    let names = expr.columns();
    let known = names.iter().filter_map(|name| resolve(name, input).ok());
    known.map(|(path, _)| path.root).collect()
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Expr::Column(name) if *name == self.name => write!(f, "{}", self.expr),
            Expr::Alias { expr, .. } => write!(f, "{}", (**expr).clone().alias(&self.name)),
            expr if expr.output_name() == self.name => write!(f, "{expr}"),
            expr => write!(f, "{}", expr.clone().alias(&self.name)),
        }
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = || {
            let texts: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        let Some(rest) = &self.rest else {
            return write!(f, "select {}", columns());
        };
        let mut parts = Vec::new();
        if !rest.without.is_empty() {
            parts.push(format!("drop {}", rest.without.join(", ")));
        }
        if !rest.renamed.is_empty() {
            let pairs = rest
                .renamed
                .iter()
                .map(|(from, to)| format!("{from} as {to}"));
            parts.push(format!("rename {}", pairs.collect::<Vec<_>>().join(", ")));
        }
        if !self.columns.is_empty() {
            parts.push(format!("with {}", columns()));
        }
        match parts.as_slice() {
            [] => f.write_str("all columns"),
            parts => f.write_str(&parts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{col, lit};

    fn input() -> Schema {
        let fields = ["a", "b", "c"].map(|name| Field::new(name, DataType::Int64, true));
        Schema::new(fields.to_vec())
    }

    fn named(name: &str, expr: Expr) -> Named {
        Named {
            name: name.into(),
            expr,
        }
    }

    fn names(projection: &Projection) -> String {
        let schema = projection.schema(&input()).unwrap();
        let names: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| &**field.name())
            .collect();
        names.join(" ")
    }

    #[test]
    fn a_column_of_a_known_name_takes_its_place_and_others_follow() {
        let with = Projection::with(vec![named("b", col("a") + 1), named("d", lit("x"))]);
        assert_eq!(names(&with), "a b c d");
        let schema = with.schema(&input()).unwrap();
        assert_eq!(*schema.field(3).data_type(), DataType::Utf8);
        assert_eq!(with.to_string(), "with a + 1 as b, 'x' as d");
        assert_eq!(names(&Projection::without(vec!["b".into()])), "a c");
        let swapped = Projection::renamed(vec![("a".into(), "b".into()), ("b".into(), "a".into())]);
        assert_eq!(names(&swapped), "b a c");
        let only = Projection::only(vec![named("c", col("c")), named("x", col("a"))]);
        assert_eq!(names(&only), "c x");
        assert_eq!(only.to_string(), "select c, a as x");
    }

    #[test]
    fn names_that_do_not_exist_or_come_twice_are_refused() {
        let fails = |projection: Projection| projection.schema(&input()).unwrap_err().to_string();
        let twice = Projection::only(vec![named("a", col("a")), named("a", col("b"))]);
        assert_eq!(fails(twice), "column \"a\" is selected twice");
        let error = fails(Projection::without(vec!["bb".into()]));
        assert_eq!(error, "there is no column \"bb\"; did you mean \"b\"?");
        let error = fails(Projection::renamed(vec![("a".into(), "b".into())]));
        assert!(error.contains("two columns of that name"), "{error}");
        let error = fails(Projection::with(vec![named("d", col("e"))]));
        assert!(error.contains("\"e\""), "{error}");
    }

    #[test]
    fn a_condition_moves_before_renames_but_not_before_what_it_looks_at() {
        let renamed = Projection::renamed(vec![("a".into(), "x".into())]);
        let moved = renamed.before(&col("x").gt(1).and(col("b").is_null()), &input());
        assert_eq!(moved.unwrap().to_string(), "a > 1 and b is null");
        let with = Projection::with(vec![named("a", col("b") + 1), named("d", col("c"))]);
        assert!(with.before(&col("a").gt(1), &input()).is_none());
        let moved = with.before(&col("d").gt(col("b")), &input());
        assert_eq!(moved.unwrap().to_string(), "c > b");
        assert_eq!(with.follow("c", &input()).as_deref(), Some("c"));
        assert_eq!(with.follow("a", &input()), None);
        assert_eq!(renamed.follow("a", &input()).as_deref(), Some("x"));
    }

    #[test]
    fn what_nobody_looks_at_is_not_needed() {
        let with = Projection::with(vec![named("x", col("a") + 1), named("y", col("b") * 2)]);
        let wanted = BTreeSet::from(["y".to_owned(), "c".to_owned()]);
        let (reduced, needed) = with.reduced(&wanted, &input());
        assert_eq!(reduced.to_string(), "with b * 2 as y");
        assert_eq!(needed.into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }
}
