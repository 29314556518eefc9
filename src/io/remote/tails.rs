//! The ends of objects, fetched ahead.
//!
//! In:  files in order.
//! Out: the same files, where the end of each object is here or on its way
//!      when the file comes: its footer is read next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::object::Fetched;
use crate::error::Result;
use crate::io::known::KnownFiles;
use crate::io::store::{Place, SourceFile};

/// Ends on their way: with 50 ms for an answer, 300 footers a second.
const MOST_AHEAD: usize = 16;

/// Files whose ends are fetched ahead.
pub(crate) struct Tails<I> {
    files: I,
    /// Files whose footers need not be read.
    known: Arc<KnownFiles>,
    ahead: VecDeque<(Result<SourceFile>, Option<Fetched>)>,
}

impl<I: Iterator<Item = Result<SourceFile>>> Tails<I> {
    pub(crate) fn new(files: I, known: Arc<KnownFiles>) -> Self {
        Tails {
            files,
            known,
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
            let unknown = file.as_ref().ok().filter(|file| !self.known.has(file));
            let fetched = match unknown.map(SourceFile::place) {
                // What goes wrong here is met again when the footer is read.
                Some(Place::Remote(object)) => object.fetch_tail().ok(),
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
