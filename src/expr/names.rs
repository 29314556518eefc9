//! Names: which are near an unknown one, and which column a name means.
//!
//! In:  a name as written, and the names or the schema there are.
//! Out: near names, best first; the path from a batch to a column.
//!
//! A column that has the whole name wins over a nested field: Zeek's
//! `id.orig_h` is a column with a dot in its name.

use arrow_schema::{DataType, Fields, Schema};

use crate::error::{Error, Result};

/// How many names an error offers at most.
const OFFERED: usize = 3;

/// How many columns a frame may have for an error to list them all.
const LISTED: usize = 6;

/// The names nearest to one that is unknown, best first; none that is too far.
///
/// Letters that differ only in case count for nothing; a name that contains
/// the unknown one, or is its last nested part, is near as well.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = unknown.to_lowercase().chars().take(64).collect();
    // A third of the letters may be wrong, and one always.
    let allowed = (wanted.len() / 3).max(1);
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let candidate: Vec<char> = name.to_lowercase().chars().take(64).collect();
            let distance = edit_distance(&wanted, &candidate);
            let last = name.rsplit('.').next().unwrap_or(name);
            if distance <= allowed && distance < wanted.len().max(1) {
                Some((distance, name))
            } else if last.to_lowercase().chars().eq(wanted.iter().copied()) {
                Some((allowed, name))
            } else if wanted.len() >= 3 && contains(&candidate, &wanted) {
                Some((allowed + 1, name))
            } else {
                None
            }
        })
        .collect();
    scored.sort();
    scored.dedup();
    // Beside a name that is very near, others are noise.
    if let Some((best, _)) = scored.first().copied() {
        scored.retain(|(distance, _)| *distance <= best + 1);
    }
    scored
        .into_iter()
        .take(OFFERED)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn contains(whole: &[char], part: &[char]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Letters to insert, remove, change or swap with their neighbour
/// (Damerau and Levenshtein, optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut cost = (above[j] + usize::from(from != to))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// From a batch to a column: the name of a top-level column, then of fields inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnPath {
    /// The top-level column.
    pub root: String,
    /// Fields inside, outermost first.
    pub steps: Vec<String>,
}

/// Finds the column that a name means.
///
/// # Errors
///
/// [`Error::Plan`] with near names if there is none.
pub(crate) fn resolve(name: &str, schema: &Schema) -> Result<(ColumnPath, DataType)> {
    let mut names = Vec::new();
    if let Some(data_type) = descend(name, schema.fields(), &mut names) {
        let root = names.remove(0);
        let path = ColumnPath { root, steps: names };
        return Ok((path, data_type));
    }
    Err(unknown_column(name, schema))
}

/// The error for a name that no column has, with the names near it.
pub(crate) fn unknown_column(name: &str, schema: &Schema) -> Error {
    let mut known = Vec::new();
    collect_names(schema.fields(), "", &mut known);
    let mut near = nearest(name, known.iter().map(String::as_str));
    if near.is_empty()
        && let Some((parent, _)) = name.rsplit_once('.')
        && !parent.is_empty()
    {
        // Nothing sounds like it, but there are other fields beside it.
        let beside = format!("{parent}.");
        near = known
            .into_iter()
            .filter(|name| name.starts_with(&beside))
            .collect();
        near.truncate(OFFERED);
    }
    // A name whose beginning is a column without fields deserves the reason.
    let mut reason = format!("there is no column {name:?}");
    for (at, _) in name.match_indices('.') {
        if let Some(field) = schema.fields().find(&name[..at]).map(|(_, field)| field)
            && !matches!(field.data_type(), DataType::Struct(_))
        {
            reason = format!(
                "there is no column {name:?}: {:?} is {} and has no fields",
                &name[..at],
                field.data_type()
            );
        }
    }
    if near.is_empty() {
        reason.push_str(&all_columns(schema));
    }
    Error::Plan { reason, near }
}

/// The columns there are, where they are few.
fn all_columns(schema: &Schema) -> String {
    let names = schema
        .fields()
        .iter()
        .map(|field| format!("{:?}", field.name()));
    match schema.fields().len() {
        0 => ": there are none".to_owned(),
        1 => format!(", only {}", names.collect::<String>()),
        2..=LISTED => format!("; there are {}", names.collect::<Vec<_>>().join(", ")),
        _ => String::new(),
    }
}

/// Walks into fields by the longest name that fits at every level, and tries
/// shorter ones if that leads nowhere. Each step takes part of the name, and
/// types nest no deeper than their schema, so the recursion ends.
fn descend(name: &str, fields: &Fields, path: &mut Vec<String>) -> Option<DataType> {
    if let Some((_, field)) = fields.find(name) {
        path.push(name.to_owned());
        return Some(field.data_type().clone());
    }
    for (at, _) in name.rmatch_indices('.') {
        if let Some((_, field)) = fields.find(&name[..at]) {
            let rest = &name[at + 1..];
            path.push(name[..at].to_owned());
            match field.data_type() {
                DataType::Struct(inner) => {
                    if let Some(found) = descend(rest, inner, path) {
                        return Some(found);
                    }
                }
                // Only nulls so far: whatever is inside is null as well.
                DataType::Null => {
                    path.extend(rest.split('.').map(str::to_owned));
                    return Some(DataType::Null);
                }
                // What is inside JSON text is known row by row, as text.
                _ if super::json_text::is_json(field) => {
                    path.extend(rest.split('.').map(str::to_owned));
                    return Some(DataType::Utf8);
                }
                _ => {}
            }
            path.pop();
        }
    }
    None
}

/// All names there are, nested ones with their dots; enough of them for near names.
fn collect_names(fields: &Fields, prefix: &str, known: &mut Vec<String>) {
    const ENOUGH: usize = 10_000;
    let mut rest: Vec<(String, &Fields)> = vec![(prefix.to_owned(), fields)];
    while let Some((prefix, fields)) = rest.pop() {
        for field in fields {
            if known.len() == ENOUGH {
                return;
            }
            let name = format!("{prefix}{}", field.name());
            if let DataType::Struct(inner) = field.data_type() {
                rest.push((format!("{name}."), inner));
            }
            known.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::Field;

    fn distance(a: &str, b: &str) -> usize {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        edit_distance(&chars(a), &chars(b))
    }

    #[test]
    fn distances_count_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("status", "status"), 0);
        assert_eq!(distance("stauts", "status"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }

    #[test]
    fn near_names_come_best_first_and_far_ones_never() {
        let known = ["status", "state", "Stats", "user", "net.src.ip"];
        assert_eq!(nearest("STATUS", known), ["status", "Stats"]);
        assert_eq!(nearest("stat", known), ["Stats", "state", "status"]);
        assert_eq!(nearest("ip", known), ["net.src.ip"]);
        assert_eq!(nearest("nothing_like_it", known), [""; 0]);
        assert_eq!(nearest("x", ["a", "b"]), [""; 0]);
    }

    fn schema() -> Schema {
        let ip = Field::new("ip", DataType::Utf8, true);
        let dotted = Field::new("v.1", DataType::Int64, true);
        let src = Field::new("src", DataType::Struct(vec![ip, dotted].into()), true);
        Schema::new(vec![
            Field::new("net", DataType::Struct(vec![src].into()), true),
            Field::new("id.orig_h", DataType::Utf8, true),
            Field::new("net.port", DataType::Int64, true),
            Field::new("id", DataType::Int64, true),
            Field::new("empty", DataType::Null, true),
        ])
    }

    #[test]
    fn a_whole_name_wins_and_dots_reach_into_fields() {
        let schema = schema();
        let path = |name: &str| {
            let (path, data_type) = resolve(name, &schema).unwrap();
            format!("{} {:?} {data_type}", path.root, path.steps)
        };
        assert_eq!(path("id.orig_h"), "id.orig_h [] Utf8");
        assert_eq!(path("net.src.ip"), "net [\"src\", \"ip\"] Utf8");
        assert_eq!(path("net.src.v.1"), "net [\"src\", \"v.1\"] Int64");
        assert_eq!(path("net.port"), "net.port [] Int64");
        assert_eq!(path("empty.a.b"), "empty [\"a\", \"b\"] Null");
    }

    #[test]
    fn unknown_names_say_what_is_near() {
        let schema = schema();
        let fails = |name: &str| resolve(name, &schema).unwrap_err().to_string();
        assert_eq!(
            fails("net.src.pi"),
            "there is no column \"net.src.pi\"; did you mean \"net.src.ip\"?"
        );
        assert_eq!(
            fails("ID"),
            "there is no column \"ID\"; did you mean \"id\"?"
        );
        assert_eq!(
            fails("id.resp"),
            "there is no column \"id.resp\": \"id\" is Int64 and has no fields; \
             did you mean \"id.orig_h\"?"
        );
        assert_eq!(
            fails("net.src.country"),
            "there is no column \"net.src.country\"; did you mean one of \"net.src.ip\", \"net.src.v.1\"?"
        );
        assert_eq!(
            fails("wholly.other"),
            "there is no column \"wholly.other\"; there are \"net\", \"id.orig_h\", \"net.port\", \"id\", \"empty\""
        );
        let of = |n: usize| {
            let fields =
                (0..n).map(|idx| Field::new(format!("column {idx}"), DataType::Int64, true));
            let schema = Schema::new(fields.collect::<Vec<_>>());
            resolve("zz", &schema).unwrap_err().to_string()
        };
        assert_eq!(of(0), "there is no column \"zz\": there are none");
        assert_eq!(of(1), "there is no column \"zz\", only \"column 0\"");
        assert_eq!(of(7), "there is no column \"zz\"");
    }
}
