//! Functions of texts by regular expression.
//!
//! In:  texts, and a pattern that was compiled when the call was bound.
//! Out: whether it matches, what it matches, the text with something in its place.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, StringArray};
use regex::Regex;

use super::Kind;
use super::text::{Places, Texts};
use crate::error::Result;
use crate::expr::convert::Value;

pub(super) fn run(kind: Kind, args: &[Value], regex: &Regex, rows: usize) -> Result<ArrayRef> {
    let texts = Texts::of(&args[0])?;
    Ok(match kind {
        Kind::RegexpExtract => {
            let group = args.get(2).map(Places::of).transpose()?;
            let found = (0..rows).map(|row| {
                let group = match &group {
                    Some(group) => usize::try_from(group.get(row)?).ok()?,
                    None => first_group(regex),
                };
                let found = regex.captures(texts.get(row)?)?;
                found.get(group).map(|part| part.as_str())
            });
            Arc::new(found.collect::<StringArray>())
        }
        Kind::RegexpReplace => {
            let new = Texts::of(&args[2])?;
            let replaced =
                (0..rows).map(|row| Some(regex.replace_all(texts.get(row)?, new.get(row)?)));
            Arc::new(replaced.collect::<StringArray>())
        }
        _ => {
            let matches = (0..rows).map(|row| texts.get(row).map(|text| regex.is_match(text)));
            Arc::new(matches.collect::<BooleanArray>())
        }
    })
}

/// What is meant where no group is named: the first, or all that matches.
fn first_group(regex: &Regex) -> usize {
    usize::from(regex.captures_len() > 1)
}
