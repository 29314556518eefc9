//! The steps of a plan, with names and types checked.
//!
//! In:  a scan and steps that name columns as each of them sees them.
//! Out: operators over batches as the source makes them, which columns the
//!      source must build, and the shape of what comes out.
//!
//! What nobody looks at is not computed, and not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef};

use super::draft::{Draft, Drafts, Expression};
use super::passing::Ordered;
use super::steps::{ExplodeStep, InOrder, RowStep};
use crate::error::{Error, Result};
use crate::expr::{BoundExpr, Expr, Origin, Shape, roots};
use crate::ops::Seen;
use crate::ops::window::WindowColumn;
use crate::plan::{self, Physical};

/// A plan's steps, bound.
pub(super) struct Steps {
    /// Columns that are computed, in the order in which they are.
    pub computed: Vec<FieldRef>,
    /// The columns that come out.
    pub shape: Shape,
    /// What concerns reading.
    pub read: ReadSteps,
    /// What needs input order.
    pub ordered: Vec<Ordered>,
    /// Whether fewer rows may come out than are read, or more.
    pub changes_rows: bool,
    /// Whether a step in input order may have to name the place of a row.
    pub asks_places: bool,
}

/// What any thread does to a chunk.
pub(super) struct ReadSteps {
    /// Columns that must be built: those that come out, and those that steps
    /// look at. `None`: all.
    pub columns: Option<Vec<String>>,
    /// What must be built of each, where fewer fields of a struct will do: its
    /// name, then those of fields inside.
    pub paths: Vec<Vec<String>>,
    /// Columns that are named by what comes out, whether others pass or not.
    pub named: Vec<String>,
    /// Columns that no step looks at, and of which only which values are equal
    /// matters to whoever takes the rows.
    pub coded: Vec<String>,
    /// All filters that need no order and nothing that is computed, those of the
    /// scan first. Together, so that it makes no difference which of them a rule has moved where.
    pub filter: Option<BoundExpr>,
    /// What is done to rows that were read.
    pub steps: Vec<RowStep>,
}

impl ReadSteps {
    /// Whether a row may be met that a step has no answer for.
    pub fn may_fail(&self) -> bool {
        let steps = self.steps.iter().flat_map(RowStep::expressions);
        let mut bound = self.filter.iter().chain(steps.map(Seen::bound));
        bound.any(BoundExpr::may_fail)
    }

    /// Every step, for sources that decode nothing.
    pub fn all_steps(self) -> Vec<RowStep> {
        let filter = self.filter.map(Seen::as_named).map(RowStep::Filter);
        filter.into_iter().chain(self.steps).collect()
    }
}

impl Steps {
    pub fn bind(physical: &Physical, decodes: bool) -> Result<Self> {
        let scan = &physical.scan;
        let drafts = Drafts::of(physical)?;
        let mut binding = Binding::of(&drafts);
        let (mut steps, mut ordered) = (Vec::new(), Vec::new());
        for (place, draft) in drafts.steps.iter().enumerate() {
            match binding.step(place, draft)? {
                Some(InOrder::Row(step)) if place < drafts.first_ordered => steps.push(step),
                step => ordered.extend(step),
            }
        }
        let filter = drafts.filter.iter().cloned().reduce(Expr::and);
        let filter = filter.map(|filter| filter.bind(&scan.schema));
        let mut shape = drafts.shape.renumbered(|idx| binding.number(idx))?;
        if !decodes {
            let fields = scan.schema.fields().iter();
            shape = shape.settled(&fields.map(|field| &**field.name()).collect::<Vec<_>>())?;
        }
        let read = ReadSteps::of(
            steps,
            filter.transpose()?,
            &ordered,
            &shape,
            physical,
            decodes,
        );
        Ok(Steps {
            asks_places: ordered.iter().any(InOrder::names_rows),
            changes_rows: read.filter.is_some()
                || read.steps.iter().any(RowStep::changes_rows)
                || ordered.iter().any(InOrder::changes_rows),
            read,
            computed: binding.computed,
            shape,
            ordered: ordered
                .into_iter()
                .map(Ordered::try_new)
                .collect::<Result<_>>()?,
        })
    }
}

/// Steps being bound, one after the other.
struct Binding<'a> {
    drafts: &'a Drafts,
    /// Which of the columns that are computed somebody looks at.
    live: Vec<bool>,
    /// Those of them that earlier steps compute.
    computed: Vec<FieldRef>,
}

impl<'a> Binding<'a> {
    fn of(drafts: &'a Drafts) -> Self {
        Binding {
            live: drafts.live(),
            drafts,
            computed: Vec::new(),
        }
    }

    /// The place of a computed column among those that are looked at.
    fn number(&self, idx: usize) -> Option<usize> {
        self.live[idx].then(|| self.live[..idx].iter().filter(|live| **live).count())
    }

    /// Those of some computed columns that are looked at.
    fn living(&self, columns: &[usize]) -> Vec<usize> {
        let mut living = columns.to_vec();
        living.retain(|idx| self.live[*idx]);
        living
    }

    /// A step, bound; none if nobody looks at what it computes.
    fn step(&mut self, place: usize, draft: &Draft) -> Result<Option<InOrder>> {
        Ok(Some(match draft {
            Draft::Limit(rows) => InOrder::Limit(*rows),
            Draft::Sample { seed, from, to } => InOrder::Sample {
                seed: *seed,
                from: *from,
                to: *to,
            },
            Draft::CheckSorted(name, key) => {
                InOrder::CheckSorted(name.clone(), self.seen(key, self.computed.len())?)
            }
            Draft::Filter(filter) => {
                InOrder::Row(RowStep::Filter(self.seen(filter, self.computed.len())?))
            }
            Draft::Window(windows) => return self.windows(windows),
            Draft::Compute(columns) => return self.columns(columns),
            Draft::Explode(items) => InOrder::Row(RowStep::Explode(self.items(items, place)?)),
        }))
    }

    fn windows(&mut self, windows: &[usize]) -> Result<Option<InOrder>> {
        let before = self.computed.len();
        let mut added = Vec::new();
        for idx in self.living(windows) {
            let column = self.window(&self.drafts.computed[idx], before)?;
            self.computed.push(Arc::clone(&column.field));
            added.push(column);
        }
        Ok((!added.is_empty()).then_some(InOrder::Window(added)))
    }

    fn columns(&mut self, columns: &[usize]) -> Result<Option<InOrder>> {
        let before = self.computed.len();
        let mut added = Vec::new();
        for idx in self.living(columns) {
            let seen = self.seen(&self.drafts.computed[idx], before)?;
            let field = Field::new(self.name(), seen.bound().column_type(), true);
            added.push((self.compute(field), seen));
        }
        Ok((!added.is_empty()).then_some(InOrder::Row(RowStep::Compute(added))))
    }

    fn items(&mut self, items: &[usize], place: usize) -> Result<ExplodeStep> {
        let before = self.computed.len();
        let mut lists = Vec::new();
        for idx in items {
            let list = &self.drafts.computed[*idx];
            let seen = self.seen(list, before)?;
            let field = items_field(list, self.name())?;
            lists.push((self.compute(field), seen));
        }
        let unseen = self.drafts.unseen(items, place, &self.live).into_iter();
        let renumbered = |origin| match origin {
            Origin::Computed(idx) => self.number(idx).map(Origin::Computed),
            source => Some(source),
        };
        Ok(ExplodeStep {
            lists,
            unseen: unseen.filter_map(renumbered).collect(),
            computed: before,
        })
    }

    /// One computed column more.
    fn compute(&mut self, field: Field) -> FieldRef {
        let field = Arc::new(field);
        self.computed.push(Arc::clone(&field));
        field
    }

    /// The name of the next computed column. No column of a source has it: it
    /// cannot be written in one, and is never shown.
    fn name(&self) -> String {
        format!("\u{1}computed {}", self.computed.len())
    }

    /// An expression, bound, behind the first `computed` columns that are computed.
    fn seen(&self, expression: &Expression, computed: usize) -> Result<Seen> {
        let wanted: BTreeSet<String> = roots(&expression.expr, &expression.schema);
        let shape = expression.shape.narrowed(&wanted);
        let shape = shape.renumbered(|idx| self.number(idx))?;
        Seen::bind(&expression.expr, &expression.schema, &shape, computed)
    }

    /// A window, bound, with what it looks at.
    fn window(&self, expression: &Expression, computed: usize) -> Result<WindowColumn> {
        let Expr::Window(window) = &expression.expr else {
            return Err(Error::internal("only windows are windows"));
        };
        let bound = window.bind(&expression.schema)?;
        let of = |expr: &Expr| {
            let input = Expression {
                expr: expr.clone(),
                schema: Arc::clone(&expression.schema),
                shape: expression.shape.clone(),
            };
            self.seen(&input, computed)
        };
        Ok(WindowColumn {
            field: Arc::new(Field::new(self.name(), bound.data_type().clone(), true)),
            value: window.value().map(of).transpose()?,
            by: window.by.iter().map(of).collect::<Result<_>>()?,
            time: window.time().map(of).transpose()?,
            bound,
        })
    }
}

impl ReadSteps {
    /// What is read for these steps, and for those `ordered` behind them.
    fn of(
        steps: Vec<RowStep>,
        filter: Option<BoundExpr>,
        ordered: &[InOrder],
        shape: &Shape,
        physical: &Physical,
        decodes: bool,
    ) -> Self {
        let mut paths: Vec<Vec<String>> = steps
            .iter()
            .flat_map(RowStep::expressions)
            .chain(ordered.iter().flat_map(InOrder::expressions))
            .flat_map(Seen::source_paths)
            .collect();
        // Where nothing is decoded, nobody else reads what the filter looks at.
        if let (Some(filter), false) = (&filter, decodes) {
            paths.extend(Seen::as_named(filter.clone()).source_paths());
        }
        let looked_at: BTreeSet<String> = paths.iter().map(|path| path[0].clone()).collect();
        let named = shape.named().filter_map(|origin| match origin {
            Origin::Source(name) => Some(name.clone()),
            Origin::Computed(_) => None,
        });
        let named: Vec<String> = named.collect();
        let coded = physical.coded.iter().filter_map(|name| {
            let origin = shape.origin(name)?;
            match origin {
                Origin::Source(source) if !looked_at.contains(&source) => Some(source),
                Origin::Source(_) | Origin::Computed(_) => None,
            }
        });
        let coded = coded.collect();
        // What comes out comes whole.
        paths.extend(named.iter().map(|name| vec![name.clone()]));
        ReadSteps {
            columns: built(shape, &named, looked_at),
            paths,
            named,
            coded,
            filter,
            steps,
        }
    }
}

/// The column of the items of a column of lists.
fn items_field(list: &Expression, name: String) -> Result<Field> {
    let Expr::Column(column) = &list.expr else {
        return Err(Error::internal("only columns are exploded"));
    };
    let exploded = plan::exploded(&list.schema, std::slice::from_ref(column))?;
    let (_, item) = exploded
        .column_with_name(column)
        .ok_or_else(|| Error::internal("an exploded column is gone"))?;
    Ok(item.clone().with_name(name))
}

/// The columns that the source builds. `None`: all, and those that come late.
fn built(shape: &Shape, named: &[String], looked_at: BTreeSet<String>) -> Option<Vec<String>> {
    if shape.passes_rest() {
        return None;
    }
    let mut built = named.to_vec();
    built.extend(looked_at);
    let mut once = BTreeSet::new();
    built.retain(|name| once.insert(name.clone()));
    Some(built)
}
