//! Exact sums of numbers and of their products, in fixed point.
//!
//! In:  one or two columns of `f64`, with the group of each row.
//! Out: for each group the sums of both and of products of pairs, exact however
//!      rows are ordered and cut.
//!
//! ```text
//! x = X · 2^base, X a whole number of up to 90 bits = high · 2^45 + low
//!
//! Σ X·Y = Σ high·high · 2^90 + Σ (high·low + low·high) · 2^45 + Σ low·low
//! ```
//!
//! `base` follows the first rows, and small whole numbers stay what they are; as
//! long as 64 bits hold all sums of those, they have no more. A
//! row with a number outside of the window is added to expansions of floats,
//! which hold anything; where such rows are many, the window moves.

use arrow_buffer::{NullBuffer, i256};
use hashbrown::HashMap;

use super::exact::Expansion;
use super::fixed::{HALF, Window, fixed, product, small, small_row};
use super::narrow::NarrowSums;
use super::state::Groups;

/// What products of small numbers stay below.
const SMALL_PRODUCT: u128 = 1 << 122;
/// Rows until sums of 91 bits each might not fit 127 any more.
const MOST_ROWS: u64 = 1 << 34;
/// Sums that are shifted must stay below so many bits: no more than 2^10 rows make.
const SHIFTED_SUM_BITS: u32 = 100;
const SHIFTED_PRODUCT_BITS: u32 = 190;
const SHIFTED_ROWS: u64 = 1 << 10;
/// A window that more than one row in so many misses, and not just a few, is
/// moved; not for ever.
const MISS_SHARE: u64 = 16;
const FEW_MISSES: u64 = 64;
const MOST_MOVES: u32 = 4;

/// The sums of `C` columns and of `P` products of two of them, one of each per group.
#[derive(Debug)]
pub(super) struct WindowSums<const C: usize, const P: usize> {
    /// Which columns are multiplied.
    pairs: [(usize, usize); P],
    windows: Option<[Window; C]>,
    moves: u32,
    /// Rows since the windows last moved, and those that missed them.
    tried: u64,
    missed: u64,
    /// Rows that one group may have at most, of those in sums.
    rows: u64,
    n_groups: usize,
    /// Sums so far, as long as 64 bits hold them; none from then on.
    narrow: Option<NarrowSums<C, P>>,
    /// None as long as there are narrow ones, and the same below.
    sums: Vec<[i128; C]>,
    /// Products of low halves.
    low: Vec<[i128; P]>,
    /// Products with one high half, and with two; none as long as numbers are small.
    high: Vec<[[i128; 2]; P]>,
    /// What the windows do not hold: first the sums, then the products.
    rest: HashMap<u32, Vec<Expansion>>,
    rest_bytes: usize,
}

impl<const C: usize, const P: usize> WindowSums<C, P> {
    pub fn new(pairs: [(usize, usize); P]) -> Self {
        WindowSums {
            pairs,
            windows: None,
            moves: 0,
            tried: 0,
            missed: 0,
            rows: 0,
            n_groups: 0,
            narrow: Some(NarrowSums::new(pairs)),
            sums: Vec::new(),
            low: Vec::new(),
            high: Vec::new(),
            rest: HashMap::new(),
            rest_bytes: 0,
        }
    }

    pub fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
        match &mut self.narrow {
            Some(narrow) => narrow.grow(self.n_groups),
            None => self.grow_wide(),
        }
    }

    fn grow_wide(&mut self) {
        self.sums.resize(self.n_groups, [0; C]);
        self.low.resize(self.n_groups, [0; P]);
        if !self.is_small() {
            self.high.resize(self.n_groups, [[0; 2]; P]);
        }
    }

    /// Leaves 64 bits, where sums are in them. To be called before any are asked for.
    pub fn settle(&mut self) {
        let Some(narrow) = self.narrow.take() else {
            return;
        };
        self.grow_wide();
        for (group, (sums, products)) in narrow.totals().enumerate() {
            self.sums[group] = sums.map(i128::from);
            self.low[group] = products.map(i128::from);
        }
    }

    /// Whether all numbers in sums were small whole ones.
    fn is_small(&self) -> bool {
        self.high.is_empty() && (self.windows).is_none_or(|windows| windows == [Window::Ints; C])
    }

    /// Adds the rows of a batch that are not null.
    pub fn add(&mut self, groups: Groups<'_>, nulls: Option<&NullBuffer>, columns: [&[f64]; C]) {
        let n_rows = groups.n_rows();
        self.count_rows(n_rows as u64);
        let windows = *self
            .windows
            .get_or_insert_with(|| columns.map(|column| Window::around(column.iter().copied())));
        self.grow(groups.n_groups());
        let missed = match windows == [Window::Ints; C] {
            true => self.add_small(groups, nulls, columns),
            false => {
                self.settle();
                self.add_fixed(groups, nulls, columns, windows)
            }
        };
        self.tried += n_rows as u64;
        self.missed += missed as u64;
        if self.missed > FEW_MISSES + self.tried / MISS_SHARE && self.moves < MOST_MOVES {
            self.moves += 1;
            (self.tried, self.missed) = (0, 0);
            let to = columns.map(|column| Window::around(column.iter().copied()));
            self.move_to(to);
        }
    }

    /// Keeps sums from growing beyond their bits, which so many more rows may do.
    pub fn count_rows(&mut self, n_rows: u64) {
        self.rows = self.rows.saturating_add(n_rows);
        if self.rows >= MOST_ROWS {
            self.rows = n_rows;
            self.settle();
            (0..self.sums.len()).for_each(|group| self.drain(group));
        }
    }

    /// Adds small whole numbers. How many rows had others.
    fn add_small(
        &mut self,
        groups: Groups<'_>,
        nulls: Option<&NullBuffer>,
        columns: [&[f64]; C],
    ) -> usize {
        if let Some(missed) =
            (self.narrow.as_mut()).and_then(|narrow| narrow.add(groups, nulls, columns))
        {
            return self.add_missed(&missed, columns);
        }
        self.settle();
        let (pairs, mut missed) = (self.pairs, Vec::new());
        let (all_sums, all_low) = (&mut self.sums, &mut self.low);
        groups.for_valid(nulls, |row, group| {
            let Some(numbers) = small_row(columns, row) else {
                return missed.push((row, group));
            };
            for (sum, number) in all_sums[group].iter_mut().zip(numbers) {
                *sum += i128::from(number);
            }
            for (sum, (a, b)) in all_low[group].iter_mut().zip(pairs) {
                *sum += product(numbers[a], numbers[b]);
            }
        });
        self.add_missed(&missed, columns)
    }

    /// Adds numbers of any kind. How many rows had some outside of the windows.
    fn add_fixed(
        &mut self,
        groups: Groups<'_>,
        nulls: Option<&NullBuffer>,
        columns: [&[f64]; C],
        windows: [Window; C],
    ) -> usize {
        let (pairs, mut missed) = (self.pairs, Vec::new());
        let (all_sums, all_low, all_high) = (&mut self.sums, &mut self.low, &mut self.high);
        groups.for_valid(nulls, |row, group| {
            let mut numbers = [0_i128; C];
            for ((number, column), window) in numbers.iter_mut().zip(columns).zip(windows) {
                let whole = match window {
                    Window::Ints => small(column[row]).map(i128::from),
                    Window::From(base) => fixed(column[row], base),
                };
                match whole {
                    Some(whole) => *number = whole,
                    None => return missed.push((row, group)),
                }
            }
            let mut halves = [(0_i64, 0_i64); C];
            for (half, number) in halves.iter_mut().zip(numbers) {
                let low = number as i64 & ((1 << HALF) - 1);
                *half = ((number >> HALF) as i64, low);
            }
            for (sum, number) in all_sums[group].iter_mut().zip(numbers) {
                *sum += number;
            }
            let sums = all_low[group].iter_mut().zip(&mut all_high[group]);
            for ((low, [mixed, high]), (a, b)) in sums.zip(pairs) {
                let ((a_high, a_low), (b_high, b_low)) = (halves[a], halves[b]);
                *low += product(a_low, b_low);
                *mixed += product(a_high, b_low) + product(a_low, b_high);
                *high += product(a_high, b_high);
            }
        });
        self.add_missed(&missed, columns)
    }

    #[cold]
    fn add_missed(&mut self, missed: &[(usize, usize)], columns: [&[f64]; C]) -> usize {
        let pairs = self.pairs;
        for &(row, group) in missed {
            let numbers = columns.map(|column| column[row]);
            self.change_rest(group, |rest| {
                let (sums, products) = rest.split_at_mut(C);
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    sum.add(number);
                }
                for (sum, (a, b)) in products.iter_mut().zip(pairs) {
                    sum.add_product(numbers[a], numbers[b]);
                }
            });
        }
        missed.len()
    }

    /// Changes what the windows do not hold of a group.
    pub fn change_rest(&mut self, group: usize, change: impl FnOnce(&mut [Expansion])) {
        let bytes = |rest: &[Expansion]| rest.iter().map(Expansion::bytes).sum::<usize>();
        let rest = self.rest.entry(group as u32).or_default();
        let before = bytes(rest);
        rest.resize(C + P, Expansion::default());
        change(rest);
        self.rest_bytes = (self.rest_bytes + bytes(rest)).saturating_sub(before);
    }

    /// The product sum of a group, in units of both windows.
    pub fn product(&self, group: usize, idx: usize) -> i256 {
        let low = i256::from_i128(self.low[group][idx]);
        match self.high.get(group) {
            None => low,
            Some(high) => {
                let [mixed, high] = high[idx].map(i256::from_i128);
                let mixed = mixed << HALF as u8;
                low.wrapping_add(mixed)
                    .wrapping_add(high << (2 * HALF) as u8)
            }
        }
    }

    fn set_product(&mut self, group: usize, idx: usize, product: i256) {
        let high = product >> (2 * HALF) as u8;
        let low = product.wrapping_sub(high << (2 * HALF) as u8);
        self.low[group][idx] = low.as_i128();
        self.high[group][idx] = [0, high.as_i128()];
    }

    /// Moves what the windows hold of a group to its rest.
    fn drain(&mut self, group: usize) {
        let sums = self.sums[group].map(i256::from_i128);
        let products: [i256; P] = std::array::from_fn(|idx| self.product(group, idx));
        if sums.iter().chain(&products).all(|sum| *sum == i256::ZERO) {
            return;
        }
        let bases = self
            .windows
            .map_or([0; C], |windows| windows.map(Window::base));
        self.add_scaled(group, bases, sums, products);
        self.sums[group] = [0; C];
        self.low[group] = [0; P];
        if let Some(high) = self.high.get_mut(group) {
            *high = [[0; 2]; P];
        }
    }

    /// Adds sums in units of `bases` to the rest of a group.
    fn add_scaled(&mut self, group: usize, bases: [i32; C], sums: [i256; C], products: [i256; P]) {
        let pairs = self.pairs;
        self.change_rest(group, |rest| {
            let (own_sums, own_products) = rest.split_at_mut(C);
            for ((own, sum), base) in own_sums.iter_mut().zip(sums).zip(bases) {
                own.add_wide(sum, base);
            }
            for ((own, sum), (a, b)) in own_products.iter_mut().zip(products).zip(pairs) {
                own.add_wide(sum, bases[a] + bases[b]);
            }
        });
    }

    /// Lets numbers be held in other units from here on.
    fn move_to(&mut self, to: [Window; C]) {
        let Some(from) = self.windows else {
            self.windows = Some(to);
            return;
        };
        if from == to {
            return;
        }
        self.settle();
        let was_small = self.is_small();
        if to.map(Window::base) != from.map(Window::base) {
            self.high.resize(self.sums.len(), [[0; 2]; P]);
            for group in 0..self.sums.len() {
                let sums = self.sums[group];
                let products: [i256; P] = std::array::from_fn(|idx| self.product(group, idx));
                match self.shifted(from.map(Window::base), to.map(Window::base), sums, products) {
                    Some((sums, products)) => {
                        self.sums[group] = sums;
                        for (idx, product) in products.into_iter().enumerate() {
                            self.set_product(group, idx, product);
                        }
                    }
                    None => self.drain(group),
                }
            }
            self.count_rows(SHIFTED_ROWS);
        }
        self.windows = Some(to);
        if was_small && !self.is_small() {
            self.high.resize(self.sums.len(), [[0; 2]; P]);
        }
    }

    /// Sums in other units; none if those are too large, or too small by far.
    fn shifted(
        &self,
        from: [i32; C],
        to: [i32; C],
        sums: [i128; C],
        products: [i256; P],
    ) -> Option<([i128; C], [i256; P])> {
        let mut new_sums = sums;
        for ((sum, from), to) in new_sums.iter_mut().zip(from).zip(to) {
            let by = u32::try_from(from - to).ok()?;
            let bits = i128::BITS - sum.unsigned_abs().leading_zeros();
            if *sum != 0 && bits + by > SHIFTED_SUM_BITS {
                return None;
            }
            *sum = if *sum == 0 { 0 } else { *sum << by };
        }
        let mut new_products = products;
        for (product, (a, b)) in new_products.iter_mut().zip(self.pairs) {
            let by = u32::try_from(from[a] + from[b] - to[a] - to[b]).ok()?;
            let bits = 256 - product.wrapping_abs().leading_zeros();
            if *product != i256::ZERO {
                if bits + by > SHIFTED_PRODUCT_BITS {
                    return None;
                }
                *product = *product << by as u8;
            }
        }
        Some((new_sums, new_products))
    }

    /// The units of sums, for a partial.
    pub fn bases(&self) -> [i32; C] {
        self.windows
            .map_or([0; C], |windows| windows.map(Window::base))
    }

    /// The sum of a column, in units of its window.
    pub fn sum(&self, group: usize, column: usize) -> i128 {
        self.sums[group][column]
    }

    /// What the windows do not hold of a group, if anything.
    pub fn rest(&self, group: usize) -> Option<&[Expansion]> {
        self.rest.get(&(group as u32)).map(Vec::as_slice)
    }

    pub fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Gets ready for sums in units of `bases`, which are of so many rows: own ones are brought down to those units, if they lie near.
    pub fn meet(&mut self, bases: [i32; C], rows: u64) {
        self.settle();
        self.count_rows(rows.saturating_add(SHIFTED_ROWS));
        let Some(windows) = self.windows else {
            let window = |base: i32| {
                if base == 0 {
                    Window::Ints
                } else {
                    Window::From(base)
                }
            };
            self.windows = Some(bases.map(window));
            return;
        };
        let to: [Window; C] = std::array::from_fn(|at| match windows[at].base() > bases[at] {
            true => Window::From(bases[at]),
            false => windows[at],
        });
        self.move_to(to);
    }

    /// Adds sums of another state in units of `bases`.
    pub fn merge(&mut self, group: usize, bases: [i32; C], sums: [i128; C], products: [i256; P]) {
        let fits = match bases == self.bases() {
            true => Some((sums, products)),
            false => self.shifted(bases, self.bases(), sums, products),
        };
        let Some((sums, products)) = fits else {
            return self.add_scaled(group, bases, sums.map(i256::from_i128), products);
        };
        for (own, sum) in self.sums[group].iter_mut().zip(sums) {
            *own += sum;
        }
        for (idx, product) in products.into_iter().enumerate() {
            if self.high.is_empty() {
                match product.to_i128() {
                    Some(product) if product.unsigned_abs() < SMALL_PRODUCT => {
                        self.low[group][idx] += product;
                        continue;
                    }
                    _ => self.high.resize(self.sums.len(), [[0; 2]; P]),
                }
            }
            let whole = self.product(group, idx).wrapping_add(product);
            self.set_product(group, idx, whole);
        }
    }

    pub fn bytes(&self) -> usize {
        16 * (C * self.sums.capacity() + P * self.low.capacity() + 2 * P * self.high.capacity())
            + self.narrow.as_ref().map_or(0, NarrowSums::bytes)
            + self.rest_bytes
    }
}
