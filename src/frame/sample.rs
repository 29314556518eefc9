//! Shares of the rows of a frame, by chance.
//!
//! In:  a share, or several, and a seed.
//! Out: frames of rows that their places and the seed choose, and nothing else.

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::plan::Logical;

impl DataFrame {
    /// A share of the rows, from 0 to 1, chosen by their place: the same rows
    /// for the same seed, whatever the number of threads. About that share of
    /// them comes out, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a share that is not from 0 to 1.
    pub fn sample(&self, fraction: f64, seed: u64) -> Result<DataFrame> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::config(
                "fraction",
                format!("{fraction} is not a share from 0 to 1"),
            ));
        }
        Ok(self.share(seed, 0.0, fraction))
    }

    /// The rows in several frames, each row in one of them, in shares like
    /// `weights`; chosen as by [`DataFrame::sample`]. Each frame reads the input
    /// when it is computed.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for weights that are negative, or all zero.
    pub fn random_split(&self, weights: &[f64], seed: u64) -> Result<Vec<DataFrame>> {
        let total: f64 = weights.iter().sum();
        let fit = weights.iter().all(|weight| *weight >= 0.0);
        if !fit || !total.is_finite() || total <= 0.0 {
            return Err(Error::config(
                "weights",
                format!("{weights:?} are not shares of something"),
            ));
        }
        let mut so_far = 0.0;
        let mut from = 0.0;
        let last = weights.len() - 1;
        let frames = weights.iter().enumerate().map(|(idx, weight)| {
            so_far += weight;
            let to = if idx == last {
                1.0
            } else {
                (so_far / total).min(1.0)
            };
            let frame = self.share(seed, from, to);
            from = to;
            frame
        });
        Ok(frames.collect())
    }

    fn share(&self, seed: u64, from: f64, to: f64) -> DataFrame {
        self.with(Logical::Sample {
            input: self.input(),
            seed,
            from,
            to,
        })
    }
}
