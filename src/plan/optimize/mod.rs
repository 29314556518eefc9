//! Rules that make a plan cheaper and never change its rows or their order.
//!
//! One rule a file, one ordered table. Each rule is a function from plan to plan.

mod coalesce_sparse;
mod columns_into_scan;
mod common_parts;
mod filter_into_scan;
mod filter_through_join;
mod merge_selects;
mod partners_of_partners;
mod shuffle_removal;
mod top_rows;

use super::logical::Logical;

/// A rule: its name in `explain`, and what it does.
pub type Rule = (&'static str, fn(Logical) -> Logical);

/// All rules, in the order in which they are applied.
pub const RULES: [Rule; 8] = [
    ("shuffle_removal", shuffle_removal::apply),
    ("partners_of_partners", partners_of_partners::apply),
    ("common_parts", common_parts::apply),
    ("filter_into_scan", filter_into_scan::apply),
    ("merge_selects", merge_selects::apply),
    ("top_rows", top_rows::apply),
    ("columns_into_scan", columns_into_scan::apply),
    ("coalesce_sparse", coalesce_sparse::apply),
];

/// The plan after every rule.
#[must_use]
pub fn optimize(plan: Logical) -> Logical {
    optimize_without(plan, &[])
}

/// The plan after every rule but those named: the answer must be the same.
#[must_use]
pub fn optimize_without(plan: Logical, off: &[&str]) -> Logical {
    let all = |plan: Logical, but: &[&str]| {
        let rules = RULES.iter();
        rules
            .filter(|(name, _)| !off.contains(name) && !but.contains(name))
            .fold(plan, |plan, (_, rule)| rule(plan))
    };
    // Where partitions of a part end, others count on. What is in a part was looked
    // at where it stood.
    const DONE: [&str; 3] = ["partners_of_partners", "common_parts", "coalesce_sparse"];
    let of_parts = |part| all(part, &DONE);
    common_parts::settled(all(plan, &[]), &of_parts)
}
