//! The plan of a frame: there, or made when it is asked for.
//!
//! In:  a plan; or partitions that a function makes, and the place of one of them.
//! Out: the plan.
//!
//! A million handles on partitions share what makes them, and have a plan of
//! their own only once they are used.

use std::sync::{Arc, OnceLock};

use arrow_schema::SchemaRef;

use crate::partition::Partitioning;
use crate::plan::{Estimate, Local, Logical, Make, Scan, Source};

/// A plan.
#[derive(Clone)]
pub(super) struct Planned {
    plan: OnceLock<Arc<Logical>>,
    /// What the plan is made of, where it was not there from the start.
    one: Option<(Arc<Made>, usize)>,
}

/// Partitions that a function makes.
pub(super) struct Made {
    pub make: Local<Make>,
    pub schema: SchemaRef,
    pub lies: Partitioning,
}

impl Planned {
    pub fn new(plan: Logical) -> Self {
        Planned {
            plan: OnceLock::from(Arc::new(plan)),
            one: None,
        }
    }

    /// The plan that gives partition `idx` of `made` alone.
    pub fn one_of(made: &Arc<Made>, idx: usize) -> Self {
        Planned {
            plan: OnceLock::new(),
            one: Some((Arc::clone(made), idx)),
        }
    }

    #[cfg(test)]
    pub fn is_made(&self) -> bool {
        self.plan.get().is_some()
    }

    pub fn get(&self) -> &Logical {
        self.plan.get_or_init(|| {
            let (made, idx) = self
                .one
                .as_ref()
                .expect("a plan is there, or what it is made of");
            Arc::new(made.one(*idx))
        })
    }
}

impl Made {
    fn one(&self, idx: usize) -> Logical {
        Logical::Scan(Box::new(Scan {
            source: Source::Made {
                make: self.make.one(idx, &self.schema),
                n_partitions: 1,
            },
            schema: SchemaRef::clone(&self.schema),
            columns: None,
            predicate: None,
            estimate: Estimate::default(),
            lies: self.lies.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, Schema};

    use crate::frame::{DataFrame, Session};

    #[test]
    fn handles_on_partitions_are_small_and_have_a_plan_once_they_are_used() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let frame = Session::default().from_map(schema.into(), 1_000, |_| Ok(Vec::new()));
        let handles = frame.partitions().unwrap();
        assert_eq!(handles.len(), 1_000);
        assert!(handles.iter().all(|handle| !handle.is_planned()));
        assert_eq!(handles[7].count().unwrap(), 0);
        let planned = handles.iter().filter(|handle| handle.is_planned());
        assert_eq!(planned.count(), 1);
        assert!(size_of::<DataFrame>() <= 64);
    }
}
