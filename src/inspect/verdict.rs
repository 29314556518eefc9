//! What the figures mean, in words, and the call that cures it.
//!
//! In:  a measured [`Skew`].
//! Out: one sentence, and a [`Cure`] where something is wrong.
//!
//! Rules look at bytes, since memory and time follow them; rows are named
//! where they tell another story. The cure asks for a number of partitions
//! that puts about 128 MiB into each, which is large enough to amortise a
//! task and small enough for many at once.

use std::fmt;

use crate::size::ByteSize;

use super::skew::Skew;
use super::text::{count, key_text, printable};

/// What an even partition should hold.
const TARGET: ByteSize = ByteSize::mib(128);
/// Partitions below this cost more to schedule than to run.
const SMALL: ByteSize = ByteSize::mib(1);
/// Partitions above this no longer fit beside each other in memory.
const LARGE: ByteSize = ByteSize::gib(1);
/// Largest / mean above this leaves a third of the threads idle at the end.
pub const SKEWED: f64 = 1.5;
/// A key with this share of the rows makes one hot partition of any shuffle by it.
const HOT_SHARE: f64 = 0.2;

/// The call that makes partitions even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// So many partitions of equal rows.
    Count(u64),
    /// Partitions of so many Arrow bytes, for rows of unlike size.
    Bytes(ByteSize),
}

impl Cure {
    /// The command to run, with inputs quoted for a shell where they need it.
    pub fn command(&self, inputs: &[String]) -> String {
        let mut text = String::from("windrow repartition ");
        if inputs.is_empty() {
            text.push_str("INPUT... ");
        }
        for input in inputs {
            text.push_str(&shell_quoted(input));
            text.push(' ');
        }
        match self {
            Cure::Count(n) => text.push_str(&format!("--to OUT --npartitions {n}")),
            Cure::Bytes(size) => {
                let size = size.to_string().replace(' ', "");
                text.push_str(&format!("--to OUT --partition-size {size}"));
            }
        }
        text
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cure::Count(n) => write!(f, "repartition(By::Count({n}))"),
            Cure::Bytes(size) => {
                write!(f, "repartition(By::Bytes({:?}.parse()?))", size.to_string())
            }
        }
    }
}

/// Text as one word of a POSIX shell.
pub fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The sentence and the cure.
pub(super) fn judge(skew: &Skew) -> (String, Option<Cure>) {
    let n = skew.partitions.len() as u64;
    if n == 0 {
        return ("nothing to judge: no partitions".into(), None);
    }
    if skew.rows.total == 0 {
        return (format!("no rows in {}", partitions(n)), None);
    }
    let (empty, skewed) = (without_rows(skew), skewed(skew));
    let (small, large) = (small(skew), large(skew));
    let ills = [&empty, &skewed, &small, &large];
    let cure = ills.iter().any(|ill| ill.is_some()).then(|| cure_of(skew));
    let uneven = skewed.or_else(|| rows_unlike(skew));
    let findings = [empty, uneven, small, large, hot_key(skew)];
    let findings: Vec<String> = findings.into_iter().flatten().collect();
    let verdict = match (findings.is_empty(), n) {
        (true, 1) => "fine: one partition".into(),
        (true, _) => format!(
            "even: the largest of {} is {:.2} x the mean",
            partitions(n),
            skew.bytes.balance
        ),
        (false, _) => findings.join("; "),
    };
    (verdict, cure)
}

fn without_rows(skew: &Skew) -> Option<String> {
    let all = partitions(skew.partitions.len() as u64);
    (skew.empty > 0).then(|| format!("{} of {all} without rows", count(skew.empty)))
}

fn skewed(skew: &Skew) -> Option<String> {
    if skew.bytes.balance <= SKEWED {
        return None;
    }
    // Ties go to the first in partition order.
    let backwards = skew.partitions.iter().rev();
    let largest = backwards.max_by_key(|partition| partition.bytes)?;
    Some(format!(
        "skewed: {} holds {:.1} % of the bytes, {:.1} x the mean",
        printable(&largest.path),
        percent(skew.bytes.max, skew.bytes.total),
        skew.bytes.balance
    ))
}

fn rows_unlike(skew: &Skew) -> Option<String> {
    (skew.rows.balance > SKEWED).then(|| {
        format!(
            "even in bytes, though rows differ ({:.1} x the mean in the largest): rows are of unlike size",
            skew.rows.balance
        )
    })
}

fn small(skew: &Skew) -> Option<String> {
    let filled = skew.partitions.len() as u64 - skew.empty;
    let mean = skew.bytes.total / filled.max(1);
    (filled > 1 && mean < SMALL.bytes())
        .then(|| format!("partitions are small: {} on average", ByteSize::new(mean)))
}

fn large(skew: &Skew) -> Option<String> {
    let most = ByteSize::new(skew.bytes.max);
    (most > LARGE).then(|| format!("the largest partition takes {most} of memory"))
}

fn hot_key(skew: &Skew) -> Option<String> {
    let report = skew.hot.as_ref()?;
    let key = report.keys.first()?;
    let share = key.rows as f64 / report.rows.max(1) as f64;
    (share >= HOT_SHARE).then(|| {
        format!(
            "hot key: {} = {} holds {:.1} % of the rows, so a shuffle by it cannot be even",
            printable(&report.column),
            key_text(key.key.as_deref(), 40),
            share * 100.0
        )
    })
}

fn cure_of(skew: &Skew) -> Cure {
    let wanted = skew.bytes.total.div_ceil(TARGET.bytes()).max(1);
    let rows_alike = skew.rows.balance >= SKEWED || skew.bytes.balance < SKEWED;
    if wanted == 1 || rows_alike {
        Cure::Count(wanted)
    } else {
        Cure::Bytes(TARGET)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn partitions(n: u64) -> String {
    if n == 1 {
        "1 partition".into()
    } else {
        format!("{} partitions", count(n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::skew::Skew;
    use super::super::skew::tests::sized;
    use super::*;
    use crate::partition::PartitionSize;

    const MIB: u64 = 1024; // rows of `sized` that make one MiB

    #[test]
    fn verdicts_read_as_sentences() {
        for (rows, verdict, cure) in [
            (vec![], "nothing to judge: no partitions", None),
            (vec![0, 0], "no rows in 2 partitions", None),
            (vec![5], "fine: one partition", None),
            (
                vec![100 * MIB, 110 * MIB],
                "even: the largest of 2 partitions is 1.05 x the mean",
                None,
            ),
            (
                vec![100 * MIB, 0, 110 * MIB],
                "1 of 3 partitions without rows; skewed: p2 holds 52.4 % of the bytes, 1.6 x the mean",
                Some(Cure::Count(2)),
            ),
            (
                vec![900 * MIB, 10 * MIB, 10 * MIB],
                "skewed: p0 holds 97.8 % of the bytes, 2.9 x the mean",
                Some(Cure::Count(8)),
            ),
            (
                vec![3, 3, 3, 3],
                "partitions are small: 3 KiB on average",
                Some(Cure::Count(1)),
            ),
            (
                vec![2048 * MIB],
                "the largest partition takes 2 GiB of memory",
                Some(Cure::Count(16)),
            ),
        ] {
            let skew = Skew::new(sized(&rows));
            assert_eq!(
                (skew.verdict.as_str(), skew.cure),
                (verdict, cure),
                "{rows:?}"
            );
        }
    }

    #[test]
    fn rows_of_unlike_size_are_cured_by_bytes() {
        let size = |rows, bytes| PartitionSize {
            path: "p".into(),
            rows,
            bytes,
            stored_bytes: 1,
        };
        let heavy = Skew::new(vec![
            size(100, 900 << 20),
            size(100, 1 << 20),
            size(100, 1 << 20),
        ]);
        assert_eq!(heavy.cure, Some(Cure::Bytes(TARGET)));
        let light = Skew::new(vec![
            size(1000, 9 << 20),
            size(10, 9 << 20),
            size(10, 9 << 20),
        ]);
        assert_eq!(light.cure, None);
        assert!(
            light.verdict.starts_with("even in bytes"),
            "{}",
            light.verdict
        );
    }

    #[test]
    fn a_cure_can_be_pasted_into_a_shell() {
        let inputs = ["logs/a.gz".to_string(), "it's/*.gz".to_string()];
        assert_eq!(
            Cure::Count(4).command(&inputs),
            r"windrow repartition logs/a.gz 'it'\''s/*.gz' --to OUT --npartitions 4"
        );
        assert_eq!(
            Cure::Bytes(TARGET).command(&[]),
            "windrow repartition INPUT... --to OUT --partition-size 128MiB"
        );
        assert_eq!(
            Cure::Bytes(TARGET).to_string(),
            "repartition(By::Bytes(\"128 MiB\".parse()?))"
        );
    }
}
