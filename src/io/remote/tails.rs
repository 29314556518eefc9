//! The ends of objects, fetched ahead.
//!
//! In:  files in order.
//! Out: the same files, where the end of each object is here or on its way
//!      when the file comes: its footer is read next.

use std::collections::VecDeque;

use super::object::Fetched;
use crate::error::Result;
use crate::io::store::{Place, SourceFile};

/// Ends on their way: with 50 ms for an answer, 300 footers a second.
const MOST_AHEAD: usize = 16;

/// Files whose ends are fetched ahead.
pub(crate) struct Tails<I> {
    files: I,
    ahead: VecDeque<(Result<SourceFile>, Option<Fetched>)>,
}

impl<I: Iterator<Item = Result<SourceFile>>> Tails<I> {
    pub(crate) fn new(files: I) -> Self {
        Tails {
            files,
            ahead: VecDeque::new(),
        }
    }

    /// Whether more files are to be listed: none behind a file of this machine.
    fn wants_more(&self) -> bool {
        match self.ahead.back() {
            None => true,
            Some((_, fetched)) => fetched.is_some() && self.ahead.len() < MOST_AHEAD,
        }
    }
}

impl<I: Iterator<Item = Result<SourceFile>>> Iterator for Tails<I> {
    type Item = Result<SourceFile>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.wants_more() {
            let Some(file) = self.files.next() else {
                break;
            };
            let fetched = match file.as_ref().map(SourceFile::place) {
                // What goes wrong here is met again when the footer is read.
                Ok(Place::Remote(object)) => object.fetch_tail().ok(),
                _ => None,
            };
            self.ahead.push_back((file, fetched));
        }
        let (file, fetched) = self.ahead.pop_front()?;
        if let Some(fetched) = fetched {
            let _ = fetched.wait();
        }
        Some(file)
    }
}
