//! What has been seen at one place of the records, as facts that only grow.
//!
//! In:  facts: "a negative integer was here", "an object with these keys was here".
//! Out: [`Node`], whose join is the union of facts, and the type that follows from them.
//!
//! Types are derived, never stored, so joining is associative, commutative (but
//! for the order of keys, which is first appearance) and idempotent by
//! construction, and a type only ever moves upwards:
//!
//! ```text
//!              JSON text                any mix with an object or a list
//!            /     |     \
//!       Struct   List    Text           any mix of scalars, or numbers no type holds
//!          \       |    /    \
//!           \      |  Float   UInt64    Float only if every integer is exact in it
//!            \     |    \    /
//!             \    |     Int64   Bool
//!              \___|______|______/
//!                  Null
//! ```

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::spelling::{BoolSpellings, NumberSpellings};

/// Facts about the scalars seen at one place, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::io) struct Scalars(u32);

impl Scalars {
    pub const NONE: Scalars = Scalars(0);
    /// `true` or `false`.
    pub const BOOL: Scalars = Scalars(1);
    /// A string.
    pub const STRING: Scalars = Scalars(1 << 1);
    /// Any number.
    pub const NUMBER: Scalars = Scalars(1 << 2);
    /// An integer below zero.
    pub const NEGATIVE: Scalars = Scalars(1 << 3 | 1 << 2);
    /// An integer above the largest `i64` that a `u64` holds.
    pub const BIG: Scalars = Scalars(1 << 4 | 1 << 2);
    /// An integer that no `f64` equals.
    pub const INEXACT: Scalars = Scalars(1 << 5 | 1 << 2);
    /// A number written with a fraction or an exponent.
    pub const FLOAT: Scalars = Scalars(1 << 6 | 1 << 2);
    /// A number that neither 64-bit integers nor a finite `f64` hold.
    pub const HUGE: Scalars = Scalars(1 << 7 | 1 << 2);

    /// A field of a text without types, such as CSV: a column that turns into
    /// text must give each field back as it was written.
    pub const FIELD: Scalars = Scalars(1 << 8);
    /// A field that is no other scalar; so is whatever stands beside it.
    pub const TEXT_FIELD: Scalars = Scalars(u32::MAX);

    const ALL: Scalars = Scalars(0xFF);
    const ALL_BUT_STRING: Scalars = Scalars(Scalars::ALL.0 & !Scalars::STRING.0);

    /// The first bit for ways in which the numbers were not written, see [`super::spelling`].
    const NUMBER_SHIFT: u32 = 9;
    const ALL_NUMBER_SPELLINGS: Scalars =
        Scalars(NumberSpellings::ALL.0 << Scalars::NUMBER_SHIFT | Scalars::FLOAT.0);
    const BOOL_SHIFT: u32 = Scalars::NUMBER_SHIFT + NumberSpellings::ALL.0.count_ones();
    const ALL_BOOL_SPELLINGS: Scalars =
        Scalars(BoolSpellings::ALL.0 << Scalars::BOOL_SHIFT | Scalars::BOOL.0);

    /// The fact that a number was written in these ways only.
    pub const fn number_spelled(written: NumberSpellings) -> Scalars {
        Scalars((NumberSpellings::ALL.0 & !written.0) << Scalars::NUMBER_SHIFT)
    }

    /// The ways in which all numbers were written.
    pub const fn number_spellings(self) -> NumberSpellings {
        NumberSpellings(!(self.0 >> Scalars::NUMBER_SHIFT) & NumberSpellings::ALL.0)
    }

    /// The fact that a boolean was written in these ways only.
    pub const fn bool_spelled(written: BoolSpellings) -> Scalars {
        Scalars((BoolSpellings::ALL.0 & !written.0) << Scalars::BOOL_SHIFT)
    }

    /// The ways in which all booleans were written.
    pub const fn bool_spellings(self) -> BoolSpellings {
        BoolSpellings(!(self.0 >> Scalars::BOOL_SHIFT) & BoolSpellings::ALL.0)
    }

    pub const fn has(self, other: Scalars) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether strings stand beside other scalars, so that text alone no longer tells which was which.
    pub const fn is_mixed_with_strings(self) -> bool {
        self.has(Scalars::STRING) && self.0 != Scalars::STRING.0
    }

    /// Union without closing, for collecting facts before one [`Scalars::join`].
    pub const fn with(self, other: Scalars) -> Scalars {
        Scalars(self.0 | other.0)
    }

    /// The union of facts. Once only text can hold the values, finer facts can
    /// no longer matter and are all set, so that what is stored does not depend
    /// on who looked closely.
    pub const fn join(self, other: Scalars) -> Scalars {
        let union = Scalars(self.0 | other.0);
        if !union.is_text() || union.0 == Scalars::STRING.0 {
            union
        } else if union.has(Scalars::FIELD) {
            Scalars::TEXT_FIELD
        } else if union.has(Scalars::STRING) {
            Scalars::ALL
        } else {
            Scalars::ALL_BUT_STRING
        }
    }

    pub const fn is_text(self) -> bool {
        self.has(Scalars::STRING)
            || self.has(Scalars::HUGE)
            || self.has(Scalars(Scalars::BOOL.0 | Scalars::NUMBER.0))
            || self.has(Scalars(Scalars::NEGATIVE.0 | Scalars::BIG.0))
            || self.has(Scalars(Scalars::FLOAT.0 | Scalars::INEXACT.0))
            || self.has(Scalars::ALL_NUMBER_SPELLINGS)
            || self.has(Scalars::ALL_BOOL_SPELLINGS)
    }

    pub const fn scalar_type(self) -> ScalarType {
        if self.is_none() {
            ScalarType::Null
        } else if self.is_text() {
            ScalarType::Text
        } else if self.has(Scalars::BOOL) {
            ScalarType::Bool
        } else if self.has(Scalars::FLOAT) {
            ScalarType::Float
        } else if self.has(Scalars::BIG) {
            ScalarType::UInt
        } else {
            ScalarType::Int
        }
    }
}

/// The type that holds a set of scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) enum ScalarType {
    Null,
    Bool,
    Int,
    UInt,
    Float,
    Text,
}

/// Everything seen at one place, or what a user's schema says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::io) struct Node {
    pub scalars: Scalars,
    pub object: Option<Arc<Fields>>,
    pub list: Option<Arc<Item>>,
    /// Set where a user's schema decides: no value moves the type then.
    pub fixed: Option<Fixed>,
}

/// How far a user's schema decides a node.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::io) enum Fixed {
    /// Exactly this scalar type.
    Leaf(Arc<DataType>),
    /// An object; keys outside it follow the schema mode.
    Struct,
    /// A list.
    List,
}

/// The items of a list.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::io) struct Item {
    /// What Arrow calls the item; `item` unless the user's schema differs.
    pub name: Arc<str>,
    pub node: Node,
}

impl Default for Item {
    fn default() -> Self {
        Item {
            name: Arc::from("item"),
            node: Node::default(),
        }
    }
}

/// The type of a node.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) enum Kind<'a> {
    Scalar(ScalarType),
    /// Canonical JSON text: mixed, an object in which no key was ever seen (no
    /// file format stores a struct without fields), or one whose keys are data.
    Json,
    Struct(&'a Arc<Fields>),
    List(&'a Arc<Item>),
    Fixed(&'a Arc<DataType>),
}

/// Arrow's name for text that is JSON.
pub(in crate::io) const JSON_EXTENSION: &str = "arrow.json";

impl Node {
    pub fn kind(&self) -> Kind<'_> {
        if let Some(Fixed::Leaf(data_type)) = &self.fixed {
            return Kind::Fixed(data_type);
        }
        match (&self.object, &self.list) {
            (None, None) => Kind::Scalar(self.scalars.scalar_type()),
            (Some(fields), None) if self.scalars.is_none() && fields.is_struct() => {
                Kind::Struct(fields)
            }
            (None, Some(item)) if self.scalars.is_none() => Kind::List(item),
            _ => Kind::Json,
        }
    }

    pub fn data_type(&self) -> DataType {
        match self.kind() {
            Kind::Scalar(ScalarType::Bool) => DataType::Boolean,
            Kind::Scalar(ScalarType::Int) => DataType::Int64,
            Kind::Scalar(ScalarType::UInt) => DataType::UInt64,
            Kind::Scalar(ScalarType::Float) => DataType::Float64,
            Kind::Scalar(ScalarType::Null | ScalarType::Text) | Kind::Json => DataType::Utf8,
            Kind::Struct(fields) => DataType::Struct(fields.to_arrow().into()),
            Kind::List(item) => DataType::List(Arc::new(item.node.field(&item.name))),
            Kind::Fixed(data_type) => data_type.as_ref().clone(),
        }
    }

    /// The column or member of this name. Text that is JSON is marked as such, as
    /// Arrow's canonical extension type `arrow.json`: its strings are quoted, and
    /// a column that turns into it must not pass for the same text.
    pub fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        if !matches!(self.kind(), Kind::Json) {
            return field;
        }
        let mark = [(
            EXTENSION_TYPE_NAME_KEY.to_owned(),
            JSON_EXTENSION.to_owned(),
        )];
        field.with_metadata(mark.into())
    }

    pub fn merge(&mut self, other: &Node) {
        self.scalars = self.scalars.join(other.scalars);
        match (&mut self.object, &other.object) {
            (Some(mine), Some(theirs)) => {
                if !Arc::ptr_eq(mine, theirs) && !mine.covers(theirs) {
                    Arc::make_mut(mine).merge(theirs);
                }
            }
            (mine @ None, Some(theirs)) => *mine = Some(Arc::clone(theirs)),
            (_, None) => {}
        }
        match (&mut self.list, &other.list) {
            (Some(mine), Some(theirs)) => {
                if !Arc::ptr_eq(mine, theirs) && !mine.node.covers(&theirs.node) {
                    Arc::make_mut(mine).node.merge(&theirs.node);
                }
            }
            (mine @ None, Some(theirs)) => *mine = Some(Arc::clone(theirs)),
            (_, None) => {}
        }
        self.fixed = self.fixed.take().or_else(|| other.fixed.clone());
        self.obey_fixed();
    }

    /// Drops facts that a user's schema overrules.
    fn obey_fixed(&mut self) {
        match self.fixed {
            None => {}
            Some(Fixed::Leaf(_)) => {
                self.scalars = Scalars::NONE;
                self.object = None;
                self.list = None;
            }
            Some(Fixed::Struct) => {
                self.scalars = Scalars::NONE;
                self.list = None;
            }
            Some(Fixed::List) => {
                self.scalars = Scalars::NONE;
                self.object = None;
            }
        }
    }

    /// Whether joining `other` would change nothing.
    pub fn covers(&self, other: &Node) -> bool {
        if let Some(Fixed::Leaf(_)) = self.fixed {
            return true;
        }
        if self.fixed.is_none() && other.fixed.is_some() {
            return false;
        }
        let scalars = self.fixed.is_some() || self.scalars.has(other.scalars);
        let object = match (&self.object, &other.object) {
            (_, None) => true,
            (None, Some(_)) => matches!(self.fixed, Some(Fixed::List)),
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs) || mine.covers(theirs),
        };
        let list = match (&self.list, &other.list) {
            (_, None) => true,
            (None, Some(_)) => matches!(self.fixed, Some(Fixed::Struct)),
            (Some(mine), Some(theirs)) => {
                Arc::ptr_eq(mine, theirs) || mine.node.covers(&theirs.node)
            }
        };
        scalars && object && list
    }

    fn n_leaves(&self) -> usize {
        match self.kind() {
            Kind::Struct(fields) => fields.n_leaves(),
            Kind::List(item) => item.node.n_leaves(),
            _ => 1,
        }
    }

    /// Whether a user's schema decides anything here or below.
    pub fn any_fixed(&self) -> bool {
        self.fixed.is_some()
            || self
                .object
                .as_ref()
                .is_some_and(|fields| fields.any_fixed())
            || self.list.as_ref().is_some_and(|item| item.node.any_fixed())
    }
}

/// Different keys that an object inside a record may have. With more it is
/// taken for a map, whose keys are data: as many columns would neither fit a
/// Parquet footer nor a chunk's memory.
pub(in crate::io) const MOST_KEYS: usize = 1000;

/// The keys of an object in order of first appearance.
#[derive(Debug, Clone, Default)]
pub(in crate::io) struct Fields {
    /// Keys with their nodes; of a map, one node for the values of all keys.
    entries: Vec<(Arc<str>, Node)>,
    /// Places in `entries` by key.
    index: HashTable<u32>,
    /// Seeded per table, so that no input can be built to make keys collide.
    hasher: DefaultHashBuilder,
    is_map: bool,
    /// A record's own keys are columns and a user's keys are asked for: never a map.
    keeps_keys: bool,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        if self.is_map && other.is_map {
            // Which key came first no longer shows in anything.
            return self.covers(other) && other.covers(self);
        }
        self.is_map == other.is_map && self.entries == other.entries
    }
}

impl Fields {
    /// No keys yet, of an object that never becomes a map.
    pub fn of_record() -> Self {
        Fields {
            keeps_keys: true,
            ..Fields::default()
        }
    }

    /// Whether the keys are columns.
    pub fn is_struct(&self) -> bool {
        !self.is_map && !self.entries.is_empty()
    }

    pub fn is_map(&self) -> bool {
        self.is_map
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Node)> {
        self.entries.iter().map(|(name, node)| (name, node))
    }

    pub fn find(&self, name: &[u8]) -> Option<usize> {
        if self.is_map {
            return Some(0);
        }
        let entries = &self.entries;
        self.index
            .find(self.hasher.hash_one(name), |idx| {
                entries[*idx as usize].0.as_bytes() == name
            })
            .map(|idx| *idx as usize)
    }

    pub fn get(&self, name: &[u8]) -> Option<&Node> {
        self.find(name).map(|idx| &self.entries[idx].1)
    }

    pub fn node_mut(&mut self, idx: usize) -> &mut Node {
        &mut self.entries[idx].1
    }

    /// Appends a key that is not there yet; returns where its node is.
    pub fn push(&mut self, name: Arc<str>, node: Node) -> usize {
        if self.entries.len() >= MOST_KEYS && !self.keeps_keys {
            self.become_map();
            self.entries[0].1.merge(&node);
            return 0;
        }
        let idx = self.entries.len();
        let hash = self.hasher.hash_one(name.as_bytes());
        self.entries.push((name, node));
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index.insert_unique(hash, idx as u32, |idx| {
            hasher.hash_one(entries[*idx as usize].0.as_bytes())
        });
        idx
    }

    /// Joins the nodes of all keys into one.
    fn become_map(&mut self) {
        let mut all = Node::default();
        for (_, node) in self.entries.drain(..) {
            all.merge(&node);
        }
        self.entries.push((Arc::from("*"), all));
        self.index.clear();
        self.is_map = true;
    }

    pub fn merge(&mut self, other: &Fields) {
        if other.is_map && !self.is_map {
            if self.keeps_keys {
                return;
            }
            self.become_map();
        }
        for (name, node) in other.iter() {
            match self.find(name.as_bytes()) {
                Some(idx) => self.node_mut(idx).merge(node),
                None => {
                    self.push(Arc::clone(name), node.clone());
                }
            }
        }
    }

    pub fn covers(&self, other: &Fields) -> bool {
        if other.is_map && !self.is_map {
            return self.keeps_keys;
        }
        other.iter().all(|(name, node)| {
            self.get(name.as_bytes())
                .is_some_and(|mine| mine.covers(node))
        })
    }

    /// Columns of values: those of a struct counted one by one.
    pub fn n_leaves(&self) -> usize {
        let leaves = |(_, node): (_, &Node)| node.n_leaves();
        self.iter().map(leaves).sum()
    }

    pub fn any_fixed(&self) -> bool {
        self.iter().any(|(_, node)| node.any_fixed())
    }

    pub fn to_arrow(&self) -> Vec<Field> {
        self.iter().map(|(name, node)| node.field(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: [Scalars; 8] = [
        Scalars::BOOL,
        Scalars::STRING,
        Scalars::NUMBER,
        Scalars::NEGATIVE,
        Scalars::BIG,
        Scalars::INEXACT,
        Scalars::FLOAT,
        Scalars::HUGE,
    ];

    fn closed_sets() -> Vec<Scalars> {
        (0..=255u8)
            .map(|chosen| {
                (0..8)
                    .filter(|bit| chosen >> bit & 1 == 1)
                    .fold(Scalars::NONE, |set, bit| set.join(BITS[bit]))
            })
            .collect()
    }

    #[test]
    fn scalars_form_a_semilattice() {
        for a in closed_sets() {
            assert_eq!(a.join(a), a);
            for b in closed_sets() {
                assert_eq!(a.join(b), b.join(a));
                assert!(a.join(b).has(a));
                for c in BITS {
                    assert_eq!(a.join(b).join(c), a.join(b.join(c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn a_type_only_moves_upwards() {
        use ScalarType::*;
        let above = |from, to| match from {
            Null => true,
            Bool => matches!(to, Bool | Text),
            Int => matches!(to, Int | UInt | Float | Text),
            UInt => matches!(to, UInt | Float | Text),
            Float => matches!(to, Float | Text),
            Text => to == Text,
        };
        for a in closed_sets() {
            for b in BITS {
                let (from, to) = (a.scalar_type(), a.join(b).scalar_type());
                assert!(above(from, to), "{a:?} with {b:?}: {from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_negative_beside_a_u64_and_an_inexact_integer_beside_a_float_are_text() {
        let joined = |sets: &[Scalars]| {
            sets.iter()
                .fold(Scalars::NONE, |a, b| a.join(*b))
                .scalar_type()
        };
        assert_eq!(joined(&[Scalars::NEGATIVE, Scalars::BIG]), ScalarType::Text);
        assert_eq!(
            joined(&[Scalars::BIG, Scalars::NEGATIVE, Scalars::FLOAT]),
            ScalarType::Text
        );
        assert_eq!(
            joined(&[Scalars::INEXACT, Scalars::FLOAT]),
            ScalarType::Text
        );
        assert_eq!(joined(&[Scalars::BIG, Scalars::FLOAT]), ScalarType::Float);
        assert_eq!(joined(&[Scalars::BIG, Scalars::INEXACT]), ScalarType::UInt);
        assert_eq!(joined(&[Scalars::BOOL, Scalars::NUMBER]), ScalarType::Text);
        assert_eq!(joined(&[Scalars::HUGE]), ScalarType::Text);
    }
}
