//! The steps of a plan, with names and types checked.
//!
//! In:  a scan and steps that name columns as each of them sees them.
//! Out: operators over batches as the source makes them, which columns the
//!      source must build, and the shape of what comes out.
//!
//! What nobody looks at is not computed, and not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef, SchemaRef};

use super::sequence::Ordered;
use super::steps::{ExplodeStep, InOrder, RowStep};
use crate::error::{Error, Result};
use crate::expr::{BoundExpr, Expr, Origin, Projection, Shape, roots};
use crate::ops::Seen;
use crate::ops::window::WindowColumn;
use crate::plan::{self, NamedWindow, Physical, Step};

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

/// An expression, with the columns that it sees.
struct Expression {
    expr: Expr,
    schema: SchemaRef,
    shape: Shape,
}

impl Expression {
    fn origins(&self) -> impl Iterator<Item = Origin> {
        let roots = roots(&self.expr, &self.schema).into_iter();
        roots.filter_map(|name| self.shape.origin(&name))
    }
}

/// A step whose columns are not counted yet.
enum Draft {
    Filter(Expression),
    /// Columns by their place among all that a plan computes.
    Compute(Vec<usize>),
    /// Lists, by the place of their items among all that a plan computes.
    Explode(Vec<usize>),
    /// Windows by their place among all that a plan computes.
    Window(Vec<usize>),
    Limit(u64),
    /// The column that rows are sorted by.
    CheckSorted(String, Expression),
    Sample {
        seed: u64,
        from: f64,
        to: f64,
    },
}

/// The steps of a plan before it is known what nobody looks at.
struct Drafts {
    /// What rows must be to be read, by the names of the source.
    filter: Vec<Expr>,
    steps: Vec<Draft>,
    /// The place in `steps` from which on they need input order.
    first_ordered: usize,
    computed: Vec<Expression>,
    shape: Shape,
}

impl Drafts {
    fn of(physical: &Physical) -> Result<Self> {
        let scan = &physical.scan;
        let mut schema = scan.output()?;
        // The projections so far, with what each of them is given.
        let mut passed: Vec<(&Projection, SchemaRef)> = Vec::new();
        let mut drafts = Drafts {
            filter: scan.predicate.iter().cloned().collect(),
            steps: Vec::new(),
            first_ordered: usize::MAX,
            computed: Vec::new(),
            shape: match &scan.columns {
                Some(columns) => Shape::only(columns),
                None => Shape::all(),
            },
        };
        // Rows are not those that were read any more.
        let mut exploded = false;
        for (place, step) in physical.steps.iter().chain(&physical.ordered).enumerate() {
            if place == physical.steps.len() {
                drafts.first_ordered = drafts.steps.len();
            }
            match step {
                Step::Limit(rows) => drafts.steps.push(Draft::Limit(*rows)),
                Step::Filter(predicate) => {
                    let mut left = Vec::new();
                    for term in predicate.clone().conjuncts() {
                        match before_all(&passed, &term) {
                            Some(term) if place < physical.steps.len() && !exploded => {
                                drafts.filter.push(term);
                            }
                            _ => left.push(term),
                        }
                    }
                    if let Some(expr) = left.into_iter().reduce(Expr::and) {
                        drafts.steps.push(Draft::Filter(Expression {
                            expr,
                            schema: Arc::clone(&schema),
                            shape: drafts.shape.clone(),
                        }));
                    }
                }
                Step::CheckSorted(name) => {
                    let key = Expression {
                        expr: Expr::Column(name.clone()),
                        schema: Arc::clone(&schema),
                        shape: drafts.shape.clone(),
                    };
                    drafts.steps.push(Draft::CheckSorted(name.clone(), key));
                }
                Step::Sample { seed, from, to } => drafts.steps.push(Draft::Sample {
                    seed: *seed,
                    from: *from,
                    to: *to,
                }),
                Step::Window(windows) => {
                    drafts.window(windows, &schema);
                    schema = plan::windowed(&schema, windows)?;
                }
                Step::Explode(columns) => {
                    drafts.explode(columns, &schema)?;
                    schema = plan::exploded(&schema, columns)?;
                    exploded = true;
                }
                Step::Project(projection) => {
                    let before = drafts.shape.clone();
                    let first = drafts.computed.len();
                    let computed = &mut drafts.computed;
                    let shape = before.then(projection, &schema, &mut |expr| {
                        computed.push(Expression {
                            expr: expr.clone(),
                            schema: Arc::clone(&schema),
                            shape: before.clone(),
                        });
                        computed.len() - 1
                    });
                    let columns = (first..drafts.computed.len()).collect();
                    drafts.steps.push(Draft::Compute(columns));
                    drafts.shape = shape;
                    let after = projection.schema(&schema)?;
                    passed.push((projection, std::mem::replace(&mut schema, after)));
                }
            }
        }
        Ok(drafts)
    }

    /// Puts columns of items in the places of columns of lists.
    fn explode(&mut self, columns: &[String], schema: &SchemaRef) -> Result<()> {
        let before = self.shape.clone();
        let first = self.computed.len();
        for name in columns {
            self.computed.push(Expression {
                expr: Expr::Column(name.clone()),
                schema: Arc::clone(schema),
                shape: before.clone(),
            });
        }
        let mut items = first..;
        self.shape = before.with_computed(columns, &mut items);
        let items = (first..self.computed.len()).collect();
        self.steps.push(Draft::Explode(items));
        Ok(())
    }

    /// Puts columns of windows behind all others.
    fn window(&mut self, windows: &[NamedWindow], schema: &SchemaRef) {
        let before = self.shape.clone();
        let first = self.computed.len();
        for (_, window) in windows {
            self.computed.push(Expression {
                expr: Expr::Window(Box::new(window.clone())),
                schema: Arc::clone(schema),
                shape: before.clone(),
            });
        }
        let names: Vec<String> = windows.iter().map(|(name, _)| name.clone()).collect();
        self.shape = before.with_computed(&names, &mut (first..));
        let windows = (first..self.computed.len()).collect();
        self.steps.push(Draft::Window(windows));
    }

    /// Which of the columns that lists are in nobody looks at after their step.
    fn unseen(&self, lists: &[usize], place: usize, live: &[bool]) -> Vec<Origin> {
        let mut seen: Vec<Origin> = Vec::new();
        for step in &self.steps[place + 1..] {
            match step {
                Draft::Filter(looks) | Draft::CheckSorted(_, looks) => {
                    seen.extend(looks.origins());
                }
                Draft::Compute(columns) | Draft::Explode(columns) | Draft::Window(columns) => {
                    let columns = columns.iter().filter(|idx| live[**idx]);
                    seen.extend(columns.flat_map(|idx| self.computed[*idx].origins()));
                }
                Draft::Limit(_) | Draft::Sample { .. } => {}
            }
        }
        let of = |idx: &usize| self.computed[*idx].origins().collect::<Vec<_>>();
        let mut unseen: Vec<Origin> = lists.iter().flat_map(of).collect();
        unseen.retain(|origin| !seen.contains(origin) && !self.shape.shows(origin));
        unseen
    }

    /// Which computed columns are looked at by a filter, or come out, or are
    /// needed for one that is.
    fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.computed.len()];
        let mut found: Vec<Origin> = self.shape.named().cloned().collect();
        for step in &self.steps {
            match step {
                Draft::Filter(looks) | Draft::CheckSorted(_, looks) => {
                    found.extend(looks.origins());
                }
                // How many items there are says how many rows, whoever looks at them.
                Draft::Explode(items) => found.extend(items.iter().copied().map(Origin::Computed)),
                Draft::Compute(_) | Draft::Window(_) | Draft::Limit(_) | Draft::Sample { .. } => {}
            }
        }
        while let Some(origin) = found.pop() {
            if let Origin::Computed(idx) = origin
                && !std::mem::replace(&mut live[idx], true)
            {
                found.extend(self.computed[idx].origins());
            }
        }
        live
    }
}

impl Steps {
    pub fn bind(physical: &Physical, decodes: bool) -> Result<Self> {
        let scan = &physical.scan;
        let drafts = Drafts::of(physical)?;
        let live = drafts.live();
        let number = |idx: usize| live[idx].then(|| live[..idx].iter().filter(|l| **l).count());
        let mut computed: Vec<FieldRef> = Vec::new();
        let (mut steps, mut ordered) = (Vec::new(), Vec::new());
        for (place, draft) in drafts.steps.iter().enumerate() {
            let step = match draft {
                Draft::Limit(rows) => {
                    ordered.push(InOrder::Limit(*rows));
                    continue;
                }
                Draft::Sample { seed, from, to } => {
                    let (seed, from, to) = (*seed, *from, *to);
                    ordered.push(InOrder::Sample { seed, from, to });
                    continue;
                }
                Draft::CheckSorted(name, key) => {
                    let key = seen(key, number, computed.len())?;
                    ordered.push(InOrder::CheckSorted(name.clone(), key));
                    continue;
                }
                Draft::Window(windows) => {
                    let before = computed.len();
                    let mut added = Vec::new();
                    for idx in windows.iter().filter(|idx| live[**idx]) {
                        let name = computed_name(computed.len());
                        let column = window_column(&drafts.computed[*idx], name, number, before)?;
                        computed.push(Arc::clone(&column.field));
                        added.push(column);
                    }
                    if !added.is_empty() {
                        ordered.push(InOrder::Window(added));
                    }
                    continue;
                }
                Draft::Filter(filter) => RowStep::Filter(seen(filter, number, computed.len())?),
                Draft::Compute(columns) => {
                    let before = computed.len();
                    let mut added = Vec::new();
                    for idx in columns.iter().filter(|idx| live[**idx]) {
                        let seen = seen(&drafts.computed[*idx], number, before)?;
                        let name = computed_name(computed.len());
                        let field = Field::new(name, seen.bound().column_type(), true);
                        computed.push(Arc::new(field));
                        added.push((Arc::clone(&computed[computed.len() - 1]), seen));
                    }
                    if added.is_empty() {
                        continue;
                    }
                    RowStep::Compute(added)
                }
                Draft::Explode(items) => {
                    let before = computed.len();
                    let mut lists = Vec::new();
                    for idx in items {
                        let list = &drafts.computed[*idx];
                        let seen = seen(list, number, before)?;
                        let name = computed_name(computed.len());
                        computed.push(Arc::new(items_field(list, name)?));
                        lists.push((Arc::clone(&computed[computed.len() - 1]), seen));
                    }
                    let unseen = drafts.unseen(items, place, &live).into_iter();
                    let renumbered = |origin| match origin {
                        Origin::Computed(idx) => number(idx).map(Origin::Computed),
                        source => Some(source),
                    };
                    RowStep::Explode(ExplodeStep {
                        lists,
                        unseen: unseen.filter_map(renumbered).collect(),
                        computed: before,
                    })
                }
            };
            if place < drafts.first_ordered {
                steps.push(step);
            } else {
                ordered.push(InOrder::Row(step));
            }
        }
        let filter = match drafts.filter.iter().cloned().reduce(Expr::and) {
            Some(filter) => Some(filter.bind(&scan.schema)?),
            None => None,
        };
        let mut shape = drafts.shape.renumbered(number)?;
        if !decodes {
            let fields = scan.schema.fields().iter();
            shape = shape.settled(&fields.map(|field| &**field.name()).collect::<Vec<_>>())?;
        }
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
        Ok(Steps {
            asks_places: ordered.iter().any(InOrder::names_rows),
            changes_rows: filter.is_some()
                || steps.iter().any(RowStep::changes_rows)
                || ordered.iter().any(InOrder::changes_rows),
            read: ReadSteps {
                columns: built(&shape, &named, looked_at),
                paths,
                named,
                coded,
                filter,
                steps,
            },
            computed,
            shape,
            ordered: ordered
                .into_iter()
                .map(Ordered::try_new)
                .collect::<Result<_>>()?,
        })
    }
}

/// The same condition by the names of the source; none if it looks at what is computed.
fn before_all(passed: &[(&Projection, SchemaRef)], condition: &Expr) -> Option<Expr> {
    passed
        .iter()
        .rev()
        .try_fold(condition.clone(), |condition, (projection, input)| {
            projection.before(&condition, input)
        })
}

fn seen(
    expression: &Expression,
    number: impl Fn(usize) -> Option<usize>,
    computed: usize,
) -> Result<Seen> {
    let wanted: BTreeSet<String> = roots(&expression.expr, &expression.schema);
    let shape = expression.shape.narrowed(&wanted).renumbered(number)?;
    Seen::bind(&expression.expr, &expression.schema, &shape, computed)
}

/// A window, bound, with what it looks at.
fn window_column(
    expression: &Expression,
    name: String,
    number: impl Fn(usize) -> Option<usize> + Copy,
    computed: usize,
) -> Result<WindowColumn> {
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
        seen(&input, number, computed)
    };
    Ok(WindowColumn {
        field: Arc::new(Field::new(name, bound.data_type().clone(), true)),
        value: window.value().map(of).transpose()?,
        by: window.by.iter().map(of).collect::<Result<_>>()?,
        time: window.time().map(of).transpose()?,
        bound,
    })
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

/// A name that no column of a source has: it cannot be written in one, and is never shown.
fn computed_name(idx: usize) -> String {
    format!("\u{1}computed {idx}")
}
