//! A merge by looking at every pair of rows.

use windrow::MergeHow;

/// The rows that come out, as rows of the left and of the right side: nothing
/// where a side has none. `equal` tells whether the keys of two rows meet.
pub fn merged(
    how: MergeHow,
    n_left: usize,
    n_right: usize,
    equal: &dyn Fn(usize, usize) -> bool,
) -> Vec<(Option<usize>, Option<usize>)> {
    let partners = |left: usize| -> Vec<usize> {
        let meets = |right: &usize| how == MergeHow::Cross || equal(left, *right);
        (0..n_right).filter(meets).collect()
    };
    let mut rows = Vec::new();
    if how == MergeHow::Right {
        let mirrored = merged(MergeHow::Left, n_right, n_left, &|right, left| {
            equal(left, right)
        });
        return mirrored
            .into_iter()
            .map(|(right, left)| (left, right))
            .collect();
    }
    for left in 0..n_left {
        let found = partners(left);
        match how {
            MergeHow::Semi if found.is_empty() => {}
            MergeHow::Semi => rows.push((Some(left), None)),
            MergeHow::Anti if found.is_empty() => rows.push((Some(left), None)),
            MergeHow::Anti => {}
            MergeHow::Left | MergeHow::Outer if found.is_empty() => rows.push((Some(left), None)),
            _ => rows.extend(found.into_iter().map(|right| (Some(left), Some(right)))),
        }
    }
    if how == MergeHow::Outer {
        let alone = |right: &usize| !(0..n_left).any(|left| equal(left, *right));
        rows.extend((0..n_right).filter(alone).map(|right| (None, Some(right))));
    }
    rows
}
