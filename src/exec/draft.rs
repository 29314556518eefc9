//! The steps of a plan, before it is known what nobody looks at.
//!
//! In:  a scan and steps that name columns as each of them sees them.
//! Out: the same steps with the columns that they see; which computed columns
//!      are looked at, or come out.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::error::Result;
use crate::expr::{Expr, Origin, Projection, Shape, roots};
use crate::plan::{self, NamedWindow, Physical, Step};

/// An expression, with the columns that it sees.
pub(super) struct Expression {
    pub expr: Expr,
    pub schema: SchemaRef,
    pub shape: Shape,
}

impl Expression {
    fn origins(&self) -> impl Iterator<Item = Origin> {
        let roots = roots(&self.expr, &self.schema).into_iter();
        roots.filter_map(|name| self.shape.origin(&name))
    }
}

/// A step whose columns are not counted yet.
pub(super) enum Draft {
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
pub(super) struct Drafts {
    /// What rows must be to be read, by the names of the source.
    pub filter: Vec<Expr>,
    pub steps: Vec<Draft>,
    /// The place in `steps` from which on they need input order.
    pub first_ordered: usize,
    pub computed: Vec<Expression>,
    pub shape: Shape,
}

/// What the steps before one have done.
struct Passed<'a> {
    /// The columns that there are.
    schema: SchemaRef,
    /// The projections so far, with what each of them is given.
    projections: Vec<(&'a Projection, SchemaRef)>,
    /// Whether rows are still those that were read, and need no order.
    reads: bool,
}

impl Passed<'_> {
    /// A condition by the names of the source; none if it looks at what is
    /// computed, or rows are not those of the source any more.
    fn before_all(&self, condition: &Expr) -> Option<Expr> {
        if !self.reads {
            return None;
        }
        self.projections
            .iter()
            .rev()
            .try_fold(condition.clone(), |condition, (projection, input)| {
                projection.before(&condition, input)
            })
    }
}

impl Drafts {
    pub fn of(physical: &Physical) -> Result<Self> {
        let scan = &physical.scan;
        let mut drafts = Drafts {
            filter: scan.predicate.iter().cloned().collect(),
            steps: Vec::new(),
            first_ordered: 0,
            computed: Vec::new(),
            shape: match &scan.columns {
                Some(columns) => Shape::only(columns),
                None => Shape::all(),
            },
        };
        let mut passed = Passed {
            schema: scan.output()?,
            projections: Vec::new(),
            reads: true,
        };
        for step in &physical.steps {
            drafts.add(step, &mut passed)?;
        }
        drafts.first_ordered = drafts.steps.len();
        passed.reads = false;
        for step in &physical.ordered {
            drafts.add(step, &mut passed)?;
        }
        Ok(drafts)
    }

    /// One step more, behind those that were passed.
    fn add<'a>(&mut self, step: &'a Step, passed: &mut Passed<'a>) -> Result<()> {
        match step {
            Step::Limit(rows) => self.steps.push(Draft::Limit(*rows)),
            Step::Filter(predicate) => self.filter(predicate, passed),
            Step::CheckSorted(name) => {
                let key = self.seeing(Expr::Column(name.clone()), &passed.schema);
                self.steps.push(Draft::CheckSorted(name.clone(), key));
            }
            Step::Sample { seed, from, to } => self.steps.push(Draft::Sample {
                seed: *seed,
                from: *from,
                to: *to,
            }),
            Step::Window(windows) => {
                self.window(windows, &passed.schema);
                passed.schema = plan::windowed(&passed.schema, windows)?;
            }
            Step::Explode(columns) => {
                self.explode(columns, &passed.schema);
                passed.schema = plan::exploded(&passed.schema, columns)?;
                passed.reads = false;
            }
            Step::Project(projection) => {
                let after = projection.schema(&passed.schema)?;
                self.project(projection, &passed.schema);
                let before = std::mem::replace(&mut passed.schema, after);
                passed.projections.push((projection, before));
            }
        }
        Ok(())
    }

    /// An expression that sees the columns there are now.
    fn seeing(&self, expr: Expr, schema: &SchemaRef) -> Expression {
        Expression {
            expr,
            schema: Arc::clone(schema),
            shape: self.shape.clone(),
        }
    }

    /// Filters rows, as early as what the terms look at is there.
    fn filter(&mut self, predicate: &Expr, passed: &Passed<'_>) {
        let mut left = Vec::new();
        for term in predicate.clone().conjuncts() {
            match passed.before_all(&term) {
                Some(term) => self.filter.push(term),
                None => left.push(term),
            }
        }
        if let Some(expr) = left.into_iter().reduce(Expr::and) {
            let filter = self.seeing(expr, &passed.schema);
            self.steps.push(Draft::Filter(filter));
        }
    }

    /// Puts columns in the places where a projection wants them.
    fn project(&mut self, projection: &Projection, schema: &SchemaRef) {
        let before = self.shape.clone();
        let first = self.computed.len();
        let computed = &mut self.computed;
        self.shape = before.then(projection, schema, &mut |expr| {
            computed.push(Expression {
                expr: expr.clone(),
                schema: Arc::clone(schema),
                shape: before.clone(),
            });
            computed.len() - 1
        });
        let columns = (first..self.computed.len()).collect();
        self.steps.push(Draft::Compute(columns));
    }

    /// Puts columns of items in the places of columns of lists.
    fn explode(&mut self, columns: &[String], schema: &SchemaRef) {
        let before = self.shape.clone();
        let first = self.computed.len();
        for name in columns {
            let list = self.seeing(Expr::Column(name.clone()), schema);
            self.computed.push(list);
        }
        let mut items = first..;
        self.shape = before.with_computed(columns, &mut items);
        let items = (first..self.computed.len()).collect();
        self.steps.push(Draft::Explode(items));
    }

    /// Puts columns of windows behind all others.
    fn window(&mut self, windows: &[NamedWindow], schema: &SchemaRef) {
        let before = self.shape.clone();
        let first = self.computed.len();
        for (_, window) in windows {
            let window = self.seeing(Expr::Window(Box::new(window.clone())), schema);
            self.computed.push(window);
        }
        let names: Vec<String> = windows.iter().map(|(name, _)| name.clone()).collect();
        self.shape = before.with_computed(&names, &mut (first..));
        let windows = (first..self.computed.len()).collect();
        self.steps.push(Draft::Window(windows));
    }

    /// Which of the columns that lists are in nobody looks at after their step.
    pub fn unseen(&self, lists: &[usize], place: usize, live: &[bool]) -> Vec<Origin> {
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
    pub fn live(&self) -> Vec<bool> {
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
