//! Which stored columns a scan needs.
//!
//! In:  a file's columns and the columns that are wanted, structs with no more
//!      fields than are.
//! Out: the places of the stored columns among them.
//!
//! A struct is stored as its fields, each on its own, so of a wide one only
//! the fields that somebody looks at are read. Stored columns stand in the
//! order of the schema, fields in front of what follows their struct.

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};

/// The stored columns of `field`, whose first one stands at `first`, that
/// `wanted` has too. Lists and maps come whole.
fn choose(field: &Field, wanted: &Field, first: usize, chosen: &mut Vec<usize>) {
    let (DataType::Struct(fields), DataType::Struct(wanted)) =
        (field.data_type(), wanted.data_type())
    else {
        chosen.extend(first..first + count(field));
        return;
    };
    let mut place = first;
    for field in fields {
        if let Some((_, wanted)) = wanted.find(field.name()) {
            choose(field, wanted, place, chosen);
        }
        place += count(field);
    }
}

/// How many stored columns a field has. As deep as the schema, which `footer` limits.
fn count(field: &Field) -> usize {
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().map(|field| count(field)).sum(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => count(item),
        _ => 1,
    }
}

/// For each wanted field the stored columns that it is made of; none where
/// `stored` has nothing of it.
pub(super) fn leaves(stored: &Schema, wanted: &Fields) -> Vec<Vec<usize>> {
    let mut firsts = Vec::with_capacity(stored.fields().len());
    let mut place = 0;
    for field in stored.fields() {
        firsts.push(place);
        place += count(field);
    }
    let of = |field: &FieldRef| {
        let mut chosen = Vec::new();
        if let Some((idx, found)) = stored.fields().find(field.name()) {
            choose(found, field, firsts[idx], &mut chosen);
        }
        chosen
    };
    wanted.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn of_a_struct_only_the_wanted_fields_are_chosen() {
        let int = |name: &str| Field::new(name, DataType::Int64, true);
        let of = |name: &str, fields: Vec<Field>| {
            Field::new(name, DataType::Struct(Fields::from(fields)), true)
        };
        let list = Field::new(
            "l",
            DataType::List(Arc::new(of("item", vec![int("p"), int("q")]))),
            true,
        );
        let stored = Schema::new(vec![
            int("a"),
            of(
                "s",
                vec![int("x"), of("t", vec![int("y"), int("z")]), int("w")],
            ),
            list.clone(),
            int("b"),
        ]);
        let chosen = |wanted: Vec<Field>| leaves(&stored, &Fields::from(wanted));
        assert_eq!(chosen(vec![int("b"), int("a")]), [vec![7], vec![0]]);
        assert_eq!(
            chosen(vec![of("s", vec![int("w"), of("t", vec![int("z")])])]),
            [vec![3, 4]]
        );
        assert_eq!(chosen(vec![list]), [vec![5, 6]]);
        // Nothing of it is there.
        assert_eq!(
            chosen(vec![of("s", vec![int("new")])]),
            [Vec::<usize>::new()]
        );
        assert_eq!(chosen(vec![int("new")]), [Vec::<usize>::new()]);
    }
}
