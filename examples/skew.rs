//! Skew, seen and cured: which files are too large, which keys are hot, and what
//! the same rows look like in even parts.
//!
//! ```text
//! cargo run --release --example skew
//! ```

use std::path::Path;

use windrow::inspect::Skew;
use windrow::prelude::*;
use windrow::{Existing, InspectOptions};

fn main() -> windrow::Result<()> {
    let (before, after) = cure("data/skewed/*.json.gz", Path::new("out/example-even"))?;
    println!("{before}\n{after}");
    Ok(())
}

/// Measures files, writes their rows in even parts, and measures those.
pub fn cure(inputs: &str, out: &Path) -> windrow::Result<(Skew, Skew)> {
    let session = Session::default_session()?;
    let by_user = InspectOptions {
        by: Some("user".into()),
        top: 3,
        ..InspectOptions::default()
    };
    let before = session.inspect(inputs, &by_user)?;

    let rows = session.read_json(inputs, ReadOptions::default())?;
    rows.repartition(By::Count(4))?.write(&WriteOptions {
        existing: Existing::Overwrite,
        ..WriteOptions::new(out)
    })?;
    let after = session.inspect(out, &InspectOptions::default())?;
    Ok((before, after))
}
