//! Units of the probe side, joined with a table that holds the whole build side.
//!
//! In:  units of rows.
//! Out: as many units, of joined rows, in the same order; behind them, where
//!      it is asked for, one of the build rows that nobody met.

use std::sync::Arc;

use super::PATH;
use crate::error::{Error, Result};
use crate::exec::source::{Chunk, ChunkReader, Open, Passed, Unit, Units, batches_reader};
use crate::ops::join::{JoinTable, Matches};

/// The joined rows of each unit.
pub(super) fn joined_units(probe: Units, table: &Arc<JoinTable>) -> Units {
    let path: Arc<str> = Arc::from(PATH);
    let unmet = table.kind().keeps_build().then(|| {
        let mut unmet = table.unmet();
        let open: Open = Box::new(move || {
            Ok(batches_reader(Box::new(std::iter::from_fn(move || {
                unmet.next().transpose()
            }))))
        });
        Ok(Unit {
            path: Arc::clone(&path),
            file: 0,
            ends_file: true,
            after_all: true,
            open,
        })
    });
    let table = Arc::clone(table);
    let joined = probe.map(move |unit| {
        let Unit { open, .. } = unit?;
        let table = Arc::clone(&table);
        let open: Open = Box::new(move || {
            Ok(Box::new(JoinReader {
                probe: open()?,
                table,
                matches: None,
            }))
        });
        Ok(Unit {
            path: Arc::clone(&path),
            file: 0,
            ends_file: false,
            after_all: false,
            open,
        })
    });
    Box::new(joined.chain(unmet))
}

/// Joins the rows that another reader gives.
struct JoinReader {
    probe: Box<dyn ChunkReader>,
    table: Arc<JoinTable>,
    /// Of the batch at hand.
    matches: Option<Matches>,
}

impl ChunkReader for JoinReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        loop {
            if let Some(matches) = &mut self.matches {
                match matches.next()? {
                    Some(rows) if rows.num_rows() > 0 => {
                        return Ok(Some(Chunk::Batch(rows, Passed::default())));
                    }
                    Some(_) => continue,
                    None => self.matches = None,
                }
            }
            match self.probe.next(Vec::new())? {
                Some(Chunk::Batch(batch, _)) => self.matches = Some(self.table.probe(batch)?),
                Some(Chunk::Work(make)) => self.matches = Some(self.table.probe(make()?)?),
                Some(Chunk::Text(_) | Chunk::Csv(..)) => {
                    return Err(Error::internal("text came in place of rows"));
                }
                None => return Ok(None),
            }
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.probe.stored_bytes_read()
    }
}
