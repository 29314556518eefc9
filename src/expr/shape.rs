//! Which column that comes out is which of those that were read or computed.
//!
//! In:  projections, one after the other.
//! Out: for each column that comes out, where its values are.
//!
//! A batch on its way holds the columns of its source and, behind them, what
//! was computed; nothing is renamed, left out or put in order before rows come
//! out. So columns of text go on widening under whatever name they will have:
//!
//! ```text
//! batch     [ columns of the source, later ones too | computed 0, 1, ... ]
//! shape     out name ─▶ Source("bytes") or Computed(1)
//! ```

use std::collections::{BTreeSet, HashMap};

use arrow_schema::Schema;

use super::ast::Expr;
use super::names::unknown_column;
use super::projection::{Projection, Rest, passed};
use crate::error::{Error, Result};

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The source's column of this name.
    Source(String),
    /// The column that was computed as the nth.
    Computed(usize),
}

/// A place in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Among the columns of the source.
    Source(usize),
    /// Among those computed.
    Computed(usize),
}

/// The columns that come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// How columns of the source pass, by their names there. `None`: only if named below.
    rest: Option<Rest>,
    /// Columns given anew, which hide others of their names.
    columns: Vec<(String, Origin)>,
}

impl Shape {
    /// All columns of the source.
    pub fn all() -> Self {
        Shape {
            rest: Some(Rest::default()),
            columns: Vec::new(),
        }
    }

    /// These columns of the source, in this order.
    pub fn only(names: &[String]) -> Self {
        let column = |name: &String| (name.clone(), Origin::Source(name.clone()));
        Shape {
            rest: None,
            columns: names.iter().map(column).collect(),
        }
    }

    /// Whether columns come out as they are, all of them.
    pub fn is_all(&self) -> bool {
        self.columns.is_empty()
            && self
                .rest
                .as_ref()
                .is_some_and(|rest| *rest == Rest::default())
    }

    /// Whether no column comes out.
    pub fn is_nothing(&self) -> bool {
        self.rest.is_none() && self.columns.is_empty()
    }

    /// Whether columns pass that nobody has named.
    pub fn passes_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Where the columns that are named come from.
    pub fn named(&self) -> impl Iterator<Item = &Origin> {
        self.columns.iter().map(|(_, origin)| origin)
    }

    /// Whether a column of the source or a computed one comes out, under any name.
    pub fn shows(&self, origin: &Origin) -> bool {
        let passes = match (origin, &self.rest) {
            (Origin::Source(source), Some(rest)) => rest
                .name_of(source)
                .is_some_and(|name| self.columns.iter().all(|(out, _)| out != name)),
            _ => false,
        };
        passes || self.named().any(|named| named == origin)
    }

    /// Where a column that comes out has its values from.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        if let Some((_, origin)) = self.columns.iter().find(|(out, _)| out == name) {
            return Some(origin.clone());
        }
        self.rest.as_ref()?.source_of(name).map(Origin::Source)
    }

    /// The shape after one more step on rows that have the columns `input` by
    /// now. `compute` is given each expression and says as the how many-th it is computed.
    #[must_use]
    pub fn then(
        &self,
        projection: &Projection,
        input: &Schema,
        compute: &mut dyn FnMut(&Expr) -> usize,
    ) -> Shape {
        let given: Vec<(String, Origin)> = projection
            .columns
            .iter()
            .map(|column| {
                let kept = passed(&column.expr, input).and_then(|name| self.origin(name));
                let origin = kept.unwrap_or_else(|| Origin::Computed(compute(&column.expr)));
                (column.name.clone(), origin)
            })
            .collect();
        let Some(change) = &projection.rest else {
            return Shape {
                rest: None,
                columns: given,
            };
        };
        let mut shape = self.changed(change);
        for (name, origin) in given {
            match shape.columns.iter_mut().find(|(out, _)| *out == name) {
                Some((_, old)) => *old = origin,
                None => shape.columns.push((name, origin)),
            }
        }
        shape
    }

    /// The shape after these columns were given anew, as computed ones.
    #[must_use]
    pub fn with_computed(
        &self,
        names: &[String],
        computed: &mut dyn Iterator<Item = usize>,
    ) -> Shape {
        let mut shape = self.clone();
        for (name, idx) in names.iter().zip(computed) {
            let origin = Origin::Computed(idx);
            match shape.columns.iter_mut().find(|(out, _)| out == name) {
                Some((_, old)) => *old = origin,
                None => shape.columns.push((name.clone(), origin)),
            }
        }
        shape
    }

    /// Leaves out and renames columns, all at once.
    fn changed(&self, change: &Rest) -> Shape {
        let columns = self
            .columns
            .iter()
            .filter_map(|(name, origin)| Some((change.name_of(name)?.to_owned(), origin.clone())))
            .collect();
        let rest = self.rest.as_ref().map(|old| {
            let mut rest = old.clone();
            for name in &change.without {
                rest.take_away(old.source_of(name));
            }
            for (from, to) in &change.renamed {
                // Also one that a given column hides: that keeps its place, and it stays hidden.
                if let Some(source) = old.source_of(from) {
                    rest.take_away(Some(source.clone()));
                    rest.without.retain(|name| *name != source);
                    rest.renamed.push((source, to.clone()));
                }
            }
            rest
        });
        Shape { rest, columns }
    }

    /// The columns that come out, in order, of a source with the columns `sources`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a column that was named does not exist, or one that
    /// the source brings has a name that another was given.
    pub fn outputs(&self, sources: &[&str]) -> Result<Vec<(String, Slot)>> {
        let place: HashMap<&str, usize> = sources
            .iter()
            .enumerate()
            .map(|(idx, name)| (*name, idx))
            .collect();
        let mut outputs: Vec<(String, Slot)> = Vec::new();
        let mut taken: HashMap<String, usize> = HashMap::new();
        if let Some(rest) = &self.rest {
            for (idx, source) in sources.iter().enumerate() {
                let Some(name) = rest.name_of(source) else {
                    continue;
                };
                if taken.contains_key(name) {
                    if self.columns.iter().any(|(out, _)| out == name) {
                        continue;
                    }
                    let n_there = sources.iter().filter(|other| **other == name).count();
                    return Err(Error::plan(match n_there > 1 {
                        true => {
                            format!("the data has two columns {name:?}: each needs its own name")
                        }
                        false => format!(
                            "the data has a column {name:?} of its own, beside the one that was \
                             renamed to {name:?}; choose another name"
                        ),
                    }));
                }
                taken.insert(name.to_owned(), outputs.len());
                outputs.push((name.to_owned(), Slot::Source(idx)));
            }
        }
        for (name, origin) in &self.columns {
            let slot = match origin {
                Origin::Computed(idx) => Slot::Computed(*idx),
                Origin::Source(source) => match place.get(source.as_str()) {
                    Some(idx) => Slot::Source(*idx),
                    None => {
                        let known = sources.iter().map(|name| {
                            arrow_schema::Field::new(*name, arrow_schema::DataType::Null, true)
                        });
                        return Err(unknown_column(
                            source,
                            &Schema::new(known.collect::<Vec<_>>()),
                        ));
                    }
                },
            };
            match taken.get(name) {
                Some(idx) => outputs[*idx].1 = slot,
                None => outputs.push((name.clone(), slot)),
            }
        }
        Ok(outputs)
    }

    /// The same shape for a source that has these columns and no others: every
    /// column that comes out is named.
    ///
    /// # Errors
    ///
    /// As [`Shape::outputs`].
    pub fn settled(&self, sources: &[&str]) -> Result<Shape> {
        let columns = self.outputs(sources)?.into_iter().map(|(name, slot)| {
            let origin = match slot {
                Slot::Source(idx) => Origin::Source(sources[idx].to_owned()),
                Slot::Computed(idx) => Origin::Computed(idx),
            };
            (name, origin)
        });
        Ok(Shape {
            rest: None,
            columns: columns.collect(),
        })
    }

    /// Enough of the shape to find these columns.
    #[must_use]
    pub fn narrowed(&self, names: &BTreeSet<String>) -> Shape {
        let wanted = self.columns.iter().filter(|(name, _)| names.contains(name));
        Shape {
            rest: self.rest.clone(),
            columns: wanted.cloned().collect(),
        }
    }

    /// The same shape with computed columns counted otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if `number` does not know one of them.
    pub fn renumbered(&self, number: impl Fn(usize) -> Option<usize>) -> Result<Shape> {
        let columns = self.columns.iter().map(|(name, origin)| {
            let origin =
                match origin {
                    Origin::Source(source) => Origin::Source(source.clone()),
                    Origin::Computed(idx) => Origin::Computed(number(*idx).ok_or_else(|| {
                        Error::internal(format!("column {name:?} is not computed"))
                    })?),
                };
            Ok((name.clone(), origin))
        });
        Ok(Shape {
            rest: self.rest.clone(),
            columns: columns.collect::<Result<_>>()?,
        })
    }
}

impl Rest {
    /// The column that passes under a name; none if none can.
    fn source_of(&self, out: &str) -> Option<String> {
        if let Some((from, _)) = self.renamed.iter().find(|(_, to)| to == out) {
            return Some(from.clone());
        }
        (self.name_of(out) == Some(out)).then(|| out.to_owned())
    }

    /// Lets a column pass no longer.
    fn take_away(&mut self, source: Option<String>) {
        if let Some(source) = source {
            self.renamed.retain(|(from, _)| *from != source);
            self.without.push(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::expr::projection::Named;
    use crate::expr::{col, lit};

    /// Applies steps to a source of `known` columns and shows what comes out
    /// once the source has `later` columns, computed ones by their number.
    fn outputs(known: &str, later: &str, steps: &[Projection]) -> Result<String> {
        let fields = known
            .split(' ')
            .map(|name| Field::new(name, DataType::Int64, true));
        let mut schema = std::sync::Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut shape = Shape::all();
        let mut computed = 0;
        for step in steps {
            shape = shape.then(step, &schema, &mut |_| {
                computed += 1;
                computed - 1
            });
            schema = step.schema(&schema)?;
        }
        let sources: Vec<&str> = later.split(' ').collect();
        let outputs = shape
            .outputs(&sources)?
            .into_iter()
            .map(|(name, slot)| match slot {
                Slot::Source(idx) if sources[idx] == name => name,
                Slot::Source(idx) => format!("{name}={}", sources[idx]),
                Slot::Computed(idx) => format!("{name}#{idx}"),
            });
        Ok(outputs.collect::<Vec<_>>().join(" "))
    }

    fn with(name: &str, expr: Expr) -> Projection {
        Projection::with(vec![Named {
            name: name.into(),
            expr,
        }])
    }

    fn rename(pairs: &[(&str, &str)]) -> Projection {
        let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Projection::renamed(pairs.iter().map(pair).collect())
    }

    fn drop(name: &str) -> Projection {
        Projection::without(vec![name.to_owned()])
    }

    #[test]
    fn columns_that_come_late_pass_every_step_but_a_selection() {
        let one = [with("x", lit(1)), rename(&[("a", "z")]), drop("b")];
        assert_eq!(outputs("a b", "a b late", &one).unwrap(), "z=a late x#0");
        let only = Projection::only(vec![Named {
            name: "a".into(),
            expr: col("a"),
        }]);
        assert_eq!(outputs("a b", "a b late", &[only]).unwrap(), "a");
    }

    #[test]
    fn a_name_that_was_given_hides_a_late_column_and_one_that_was_renamed_refuses_it() {
        assert_eq!(outputs("a", "a x", &[with("x", lit(1))]).unwrap(), "a x#0");
        assert_eq!(
            outputs("a", "a x", &[with("x", lit(1)), drop("x")]).unwrap(),
            "a"
        );
        let moved = [with("x", lit(1)), rename(&[("x", "y")])];
        assert_eq!(outputs("a", "a x", &moved).unwrap(), "a y#0");
        let error = outputs("a", "a x", &[rename(&[("a", "x")])]).unwrap_err();
        assert!(error.to_string().contains("\"x\" of its own"), "{error}");
        let error = Shape::all().outputs(&["a", "a"]).unwrap_err();
        assert!(error.to_string().contains("two columns \"a\""), "{error}");
    }

    #[test]
    fn renames_are_done_at_once_and_follow_each_other() {
        let swap = rename(&[("a", "b"), ("b", "a")]);
        assert_eq!(
            outputs("a b", "a b", std::slice::from_ref(&swap)).unwrap(),
            "b=a a=b"
        );
        assert_eq!(outputs("a b", "a b", &[swap.clone(), swap]).unwrap(), "a b");
        let chain = [rename(&[("a", "x")]), rename(&[("x", "y")]), drop("y")];
        assert_eq!(outputs("a b", "a b", &chain).unwrap(), "b");
        let again = [rename(&[("a", "x")]), with("a", lit(1)), drop("x")];
        assert_eq!(outputs("a b", "a b", &again).unwrap(), "b a#0");
        let replaced = [with("a", lit(1)), rename(&[("a", "x")])];
        assert_eq!(outputs("a b", "a b x", &replaced).unwrap(), "x#0 b");
        let copied = [with("c", col("a")), with("a", lit(1)), with("c", col("c"))];
        assert_eq!(outputs("a b", "a b", &copied).unwrap(), "a#0 b c=a");
    }
}
