//! Records that did not decode: which of them may be left out.
//!
//! In:  bad records, in input order.
//! Out: what the rejects file keeps of them, or the error of the first that may not
//!      be left out.

use super::chunk_place::ChunkPlace;
use super::rejects::Rejects;
use super::worker::Bad;
use crate::error::{Error, Position, Result};
use crate::plan::{MaxRejects, OnBadRecord};

/// What is done with bad records.
pub(crate) struct BadPolicy {
    pub on_bad: OnBadRecord,
    pub rejects: Option<Rejects>,
    pub max: Option<MaxRejects>,
}

/// The bad records of a run so far.
pub(super) struct BadRecords {
    policy: BadPolicy,
    left_out: u64,
    first: Option<Error>,
}

impl BadRecords {
    pub fn new(policy: BadPolicy) -> Self {
        BadRecords {
            policy,
            left_out: 0,
            first: None,
        }
    }

    /// Leaves out bad records, or gives the error of the first that must not be.
    pub fn leave_out(&mut self, chunk: &ChunkPlace<'_>, bad: &[Bad]) -> Result<Option<Error>> {
        for bad in bad {
            if let Some(error) = self.reject(chunk.position(bad.byte, bad.line), bad)? {
                return Ok(Some(error));
            }
        }
        Ok(None)
    }

    fn reject(&mut self, at: Position, bad: &Bad) -> Result<Option<Error>> {
        let error = || Error::Decode {
            at: at.clone(),
            column: bad.column.clone(),
            reason: bad.reason.clone(),
        };
        match self.policy.on_bad {
            OnBadRecord::Fail => return Ok(Some(error())),
            OnBadRecord::Skip => {}
            OnBadRecord::Reject => {
                if let Some(rejects) = &mut self.policy.rejects {
                    rejects.write(&at, bad)?;
                }
            }
        }
        self.left_out += 1;
        self.first.get_or_insert_with(error);
        if let Some(MaxRejects::Count(max)) = self.policy.max
            && self.left_out > max
        {
            let which = format!("bad record {}", self.left_out);
            return Ok(Some(too_many(error(), &which, &max.to_string())));
        }
        Ok(None)
    }

    /// Whether not too large a share of all lines was left out, once all came.
    pub fn check_share(&self, lines: u64) -> Result<()> {
        let Some(MaxRejects::Percent(max)) = self.policy.max else {
            return Ok(());
        };
        match &self.first {
            Some(first) if self.left_out as f64 > lines as f64 * max / 100.0 => {
                let which = format!("the first of {} bad among {lines} lines", self.left_out);
                Err(too_many(first.clone(), &which, &format!("{max}%")))
            }
            _ => Ok(()),
        }
    }

    /// The rejects file, to be published with the output.
    pub fn take_rejects(&mut self) -> Option<Rejects> {
        self.policy.rejects.take()
    }
}

/// The error of a bad record that may not be left out, where others were.
fn too_many(bad: Error, which: &str, max: &str) -> Error {
    match bad {
        Error::Decode { at, column, reason } => Error::Decode {
            at,
            column,
            reason: format!("{reason}; this is {which}, and --max-rejects is {max}"),
        },
        other => other,
    }
}
