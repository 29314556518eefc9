//! Columns made of the rows around each row.
//!
//! In:  expressions with windows, and what pandas calls them.
//! Out: a frame with windows before the projection that looks at them.
//!
//! Rows keep their places. A window over rows so far costs no more than reading
//! them; one that looks at rows behind holds them all, past the budget on disk.

use super::aggregate::GroupBy;
use super::columns::free_name;
use super::dataframe::DataFrame;
use crate::error::Result;
use crate::expr::{Expr, IntoExpr, Named, Projection, Rest, WindowExpr, col};
use crate::plan::{Logical, NamedWindow, windowed};

impl DataFrame {
    /// One projection more, and before it the windows that it looks at.
    pub(super) fn with_windows(&self, mut projection: Projection) -> Result<DataFrame> {
        let mut frame = self.clone();
        let mut added = Vec::new();
        loop {
            let mut found = Found::new(&frame, &projection);
            let exprs = projection.columns.iter_mut().map(|column| &mut column.expr);
            exprs.for_each(|expr| found.take_innermost(expr));
            if found.windows.is_empty() {
                break;
            }
            added.extend(found.names());
            frame = found.put_before(&frame)?;
        }
        if let Some(rest) = &mut projection.rest {
            rest.without.append(&mut added);
        }
        frame.project(projection)
    }

    fn replaced<I>(&self, columns: I, made: impl Fn(Expr) -> Expr) -> Result<DataFrame>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let named = columns.into_iter().map(|name| {
            let name = name.into();
            let expr = made(col(&name));
            Named { name, expr }
        });
        self.project(Projection::with(named.collect()))
    }
}

/// Windows that stand in expressions, and what they look at.
struct Found {
    /// Names that columns have, or will have.
    taken: Vec<String>,
    /// What windows look at and is no column.
    inputs: Vec<Named>,
    windows: Vec<NamedWindow>,
}

impl Found {
    fn new(frame: &DataFrame, projection: &Projection) -> Self {
        let fields = frame.known().fields().iter();
        let known = fields.map(|field| field.name().clone());
        let given = projection.columns.iter().map(|column| column.name.clone());
        let renamed = projection.rest.iter().flat_map(|rest: &Rest| &rest.renamed);
        Found {
            taken: known
                .chain(given)
                .chain(renamed.map(|(_, to)| to.clone()))
                .collect(),
            inputs: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// Puts columns in the places of the windows that hold no other one.
    fn take_innermost(&mut self, expr: &mut Expr) {
        let inside = expr.children_mut();
        inside
            .into_iter()
            .for_each(|inside| self.take_innermost(inside));
        let Expr::Window(window) = expr else {
            return;
        };
        let holds_new = |inside: &&Expr| {
            let columns = inside.columns();
            self.windows.iter().any(|(name, _)| columns.contains(name))
        };
        if window.children().iter().any(holds_new) {
            return;
        }
        let mut window = (**window).clone();
        for input in window.children_mut() {
            *input = self.input(input);
        }
        *expr = self.column_of(window);
    }

    /// The column that an input of a window is.
    fn input(&mut self, expr: &Expr) -> Expr {
        if let Expr::Column(name) = expr
            && self.taken.contains(name)
        {
            return expr.clone();
        }
        if let Some(known) = self.inputs.iter().find(|known| known.expr == *expr) {
            return col(&known.name);
        }
        let name = self.free(&expr.to_string());
        self.inputs.push(Named {
            name: name.clone(),
            expr: expr.clone(),
        });
        col(name)
    }

    /// The column that a window gives.
    fn column_of(&mut self, window: WindowExpr) -> Expr {
        if let Some((name, _)) = self.windows.iter().find(|(_, known)| *known == window) {
            return col(name);
        }
        let name = self.free(&window.to_string());
        self.windows.push((name.clone(), window));
        col(name)
    }

    fn free(&mut self, wanted: &str) -> String {
        let name = free_name(wanted, |name| self.taken.iter().any(|own| own == name));
        self.taken.push(name.clone());
        name
    }

    /// The names of all columns that are added.
    fn names(&self) -> impl Iterator<Item = String> {
        let inputs = self.inputs.iter().map(|input| input.name.clone());
        let windows = self.windows.iter().map(|(name, _)| name.clone());
        inputs.chain(windows)
    }

    /// The frame with the inputs and the windows as columns.
    fn put_before(self, frame: &DataFrame) -> Result<DataFrame> {
        let frame = match self.inputs.is_empty() {
            true => frame.clone(),
            false => frame.project(Projection::with(self.inputs))?,
        };
        let schema = windowed(frame.known(), &self.windows)?;
        let plan = Logical::Window {
            input: frame.input(),
            windows: self.windows,
        };
        Ok(DataFrame::new(frame.session().clone(), plan, schema))
    }
}

/// What pandas calls columns made of rows around each row, of a frame and of groups.
macro_rules! windows {
    ($($(#[$doc:meta])* $method:ident($($arg:ident: $type:ty),*) => $made:expr),* $(,)?) => {
        impl DataFrame {
            $(
                $(#[$doc])*
                /// The columns stay where they are; see [`Expr`] for windows in other columns.
                ///
                /// # Errors
                ///
                /// [`Error::Plan`](crate::Error::Plan) for an unknown column, with near names, or
                /// values of which this cannot be made.
                pub fn $method<I>(&self, columns: I $(, $arg: $type)*) -> Result<DataFrame>
                where
                    I: IntoIterator,
                    I::Item: Into<String>,
                {
                    let made: fn(Expr $(, $type)*) -> Expr = $made;
                    self.replaced(columns, |column| made(column $(, $arg)*))
                }
            )*
        }

        impl GroupBy {
            $(
                $(#[$doc])*
                /// Within each group, in the order of the frame; all rows and columns stay.
                ///
                /// # Errors
                ///
                /// As the call of the same name of [`DataFrame`].
                pub fn $method<I>(&self, columns: I $(, $arg: $type)*) -> Result<DataFrame>
                where
                    I: IntoIterator,
                    I::Item: Into<String>,
                {
                    let made: fn(Expr $(, $type)*) -> Expr = $made;
                    let named = columns.into_iter().map(|name| {
                        let name = name.into();
                        let expr = made(col(&name) $(, $arg)*);
                        (name, expr)
                    });
                    self.with_columns(named)
                }
            )*
        }
    };
}

windows! {
    /// The values of so many rows before; behind, where it is negative. See [`Expr::shift`].
    shift(rows: i64) => Expr::shift,
    /// The values less those of so many rows before. See [`Expr::diff`].
    diff(rows: i64) => Expr::diff,
    /// Sums so far. See [`Expr::cum_sum`].
    cumsum() => Expr::cum_sum,
    /// Products so far. See [`Expr::cum_prod`].
    cumprod() => Expr::cum_prod,
    /// The smallest values so far. See [`Expr::cum_min`].
    cummin() => Expr::cum_min,
    /// The largest values so far. See [`Expr::cum_max`].
    cummax() => Expr::cum_max,
    /// The last values in place of nulls. See [`Expr::ffill`].
    ffill(limit: Option<u32>) => Expr::ffill,
    /// The next values in place of nulls. See [`Expr::bfill`].
    bfill(limit: Option<u32>) => Expr::bfill,
}

impl GroupBy {
    /// All rows in their places with columns added whose windows look at the rows
    /// of each group: name, expression. pandas: `groupby(…).transform`, `.rolling`, ….
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let user: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b", "b"]));
    /// # let ms: ArrayRef = Arc::new(Int64Array::from(vec![1, 5, 3, 8]));
    /// # let batch = RecordBatch::try_from_iter([("user", user), ("ms", ms)])?;
    /// # let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let both = frame.groupby(["user"])?.with_columns([
    ///     ("mean", col("ms").rolling(2).min_periods(1).mean()),
    ///     ("since", col("ms").diff(1)),
    /// ])?;
    /// assert_eq!(both.compute()?.to_string(), "\
    /// user  ms  mean  since
    /// ----  --  ----  -----
    /// b     1   1.0   null
    /// a     5   5.0   null
    /// b     3   2.0   2
    /// b     8   5.5   5
    /// 4 rows");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DataFrame::with_columns`].
    pub fn with_columns<N, E>(&self, columns: impl IntoIterator<Item = (N, E)>) -> Result<DataFrame>
    where
        N: Into<String>,
        E: IntoExpr,
    {
        let (frame, by) = self.rows_and_keys()?;
        let named = columns.into_iter().map(|(name, expr)| {
            let mut expr = expr.into_expr()?;
            expr.group_windows(&by);
            Ok(Named {
                name: name.into(),
                expr,
            })
        });
        frame.project(Projection::with(named.collect::<Result<_>>()?))
    }

    /// The rows that are in groups, and what tells groups apart.
    pub(super) fn rows_and_keys(&self) -> Result<(DataFrame, Vec<Expr>)> {
        let keys = self.keys.iter().map(|key| match &key.expr {
            // What a key is called is of no interest here.
            Expr::Alias { expr, .. } => (**expr).clone(),
            other => other.clone(),
        });
        let by: Vec<Expr> = keys.collect();
        let present = by.iter().cloned().map(Expr::is_not_null).reduce(Expr::and);
        let frame = match present.filter(|_| self.dropna) {
            Some(present) => self.frame.filter(present)?,
            None => self.frame.clone(),
        };
        Ok((frame, by))
    }
}
