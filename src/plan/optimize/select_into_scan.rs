//! Moves a selection into the scan, where other columns are skipped, not built.
//!
//! The scan's own predicate reads its columns whether they are selected or
//! not. A selection above a filter that could not sink stays where it is.

use super::Logical;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Select { input, columns } => match *input {
            Logical::Scan(mut scan) => {
                scan.columns = Some(columns);
                Logical::Scan(scan)
            }
            other => Logical::Select {
                input: Box::new(other),
                columns,
            },
        },
        other => other,
    })
}
