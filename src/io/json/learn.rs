//! Learning a schema: every fact of a record joined into a tree.
//!
//! In:  records that the grammar has accepted.
//! Out: fields with whatever keys and types the records add.
//!
//! This pass runs when decoding met something unknown, and over first looks. It
//! learns only from records that decoding will keep: a record that a user's
//! schema refuses leaves no trace.

use std::sync::Arc;

use super::fixed::{FixedColumn, Scalar};
use super::grammar::{Parser, Stop};
use super::lattice::{Fields, Fixed, Node, Scalars};
use super::number::{Number, uint_facts};
use super::object::Wanted;
use arrow_schema::DataType;

impl Parser<'_> {
    /// Joins the facts of the object at `pos` into `fields`; of its keys only `wanted` ones.
    pub fn learn_object(
        &mut self,
        fields: &mut Fields,
        pos: usize,
        wanted: Option<&Wanted>,
    ) -> Result<usize, Stop> {
        self.each_member(pos, |parser, key, pos| {
            if wanted.is_some_and(|wanted| !wanted.contains(key)) {
                return parser.skip_value(pos, 0);
            }
            let idx = match fields.find(key) {
                Some(idx) => idx,
                None => {
                    let name = String::from_utf8_lossy(key);
                    fields.push(Arc::from(name.as_ref()), Node::default())
                }
            };
            parser.learn_value(fields.node_mut(idx), pos)
        })
    }

    fn learn_value(&mut self, node: &mut Node, pos: usize) -> Result<usize, Stop> {
        if let Some(Fixed::Leaf(_)) = node.fixed {
            return self.skip_value(pos, 0);
        }
        let facts = match self.at(pos) {
            b'{' => {
                let fields = Arc::make_mut(node.object.get_or_insert_default());
                return self.learn_object(fields, pos, None);
            }
            b'[' => {
                let item = Arc::make_mut(node.list.get_or_insert_default());
                return self.each_item(pos, |parser, pos| parser.learn_value(&mut item.node, pos));
            }
            b'"' => Scalars::STRING,
            b't' | b'f' => Scalars::BOOL,
            b'n' => Scalars::NONE,
            _ => {
                let (number, end) = self.number(pos)?;
                node.scalars = node.scalars.join(number.facts());
                return Ok(end);
            }
        };
        node.scalars = node.scalars.join(facts);
        self.skip_value(pos, 0)
    }

    /// Whether a user's schema accepts the object at `pos`: [`Stop::Misfit`]
    /// says no, and the fault says why in the words of decoding.
    pub fn check_object(&mut self, fields: &Fields, pos: usize) -> Result<usize, Stop> {
        self.each_member(pos, |parser, key, pos| match fields.get(key) {
            Some(node) if node.any_fixed() => parser
                .check_value(node, pos)
                .map_err(|stop| parser.within(&String::from_utf8_lossy(key), stop)),
            _ => parser.skip_value(pos, 0),
        })
    }

    fn check_value(&mut self, node: &Node, pos: usize) -> Result<usize, Stop> {
        match (&node.fixed, self.at(pos)) {
            (_, b'n') => self.skip_value(pos, 0),
            (Some(Fixed::Leaf(data_type)), _) => {
                if self.fits(data_type, pos)? {
                    self.skip_value(pos, 0)
                } else {
                    Err(self.misfit(pos, data_type.to_string()))
                }
            }
            (Some(Fixed::Struct) | None, b'{') => match &node.object {
                Some(fields) => self.check_object(fields, pos),
                None => self.skip_value(pos, 0),
            },
            (Some(Fixed::List) | None, b'[') => match &node.list {
                Some(item) => self.each_item(pos, |parser, pos| {
                    parser
                        .check_value(&item.node, pos)
                        .map_err(|stop| parser.within("[]", stop))
                }),
                None => self.skip_value(pos, 0),
            },
            (Some(Fixed::Struct), _) => Err(self.misfit(pos, "Struct".to_string())),
            (Some(Fixed::List), _) => Err(self.misfit(pos, "List".to_string())),
            (None, _) => self.skip_value(pos, 0),
        }
    }

    /// Whether a fixed type holds the scalar at `pos`, by the same rules as decoding.
    fn fits(&mut self, data_type: &DataType, pos: usize) -> Result<bool, Stop> {
        match (data_type, self.at(pos)) {
            (DataType::Utf8 | DataType::LargeUtf8, _) => Ok(true),
            (DataType::Boolean, first) => Ok(matches!(first, b't' | b'f')),
            (DataType::Int64, b'-' | b'0'..=b'9') => {
                Ok(matches!(self.number(pos)?.0, Number::Int(_)))
            }
            (DataType::UInt64, b'-' | b'0'..=b'9') => Ok(matches!(
                self.number(pos)?.0,
                Number::Int(0..) | Number::UInt(_)
            )),
            (DataType::Float64, b'-' | b'0'..=b'9') => Ok(is_float64(self.number(pos)?.0)),
            (DataType::Int64 | DataType::UInt64 | DataType::Float64, _) => Ok(false),
            (narrow, b'"') => {
                let mut string = Vec::new();
                self.copy_string(pos + 1, &mut string)?;
                Ok(FixedColumn::new(narrow).holds(Scalar::String(&string)))
            }
            (narrow, b'-' | b'0'..=b'9') => {
                let (number, end) = self.number(pos)?;
                let literal = self.text.between(pos, end);
                Ok(FixedColumn::new(narrow).holds(Scalar::Number(number, literal)))
            }
            _ => Ok(false),
        }
    }

    /// Calls `each` with every key, escapes undone, and where its value starts;
    /// `each` returns where the value ends.
    fn each_member(
        &mut self,
        pos: usize,
        mut each: impl FnMut(&mut Self, &[u8], usize) -> Result<usize, Stop>,
    ) -> Result<usize, Stop> {
        let mut key = Vec::new();
        let mut pos = self.space(pos + 1);
        if self.at(pos) == b'}' {
            return Ok(pos + 1);
        }
        loop {
            key.clear();
            pos = self.copy_string(pos + 1, &mut key)?;
            pos = self.skip_colon(pos)?;
            pos = each(self, &key, pos)?;
            pos = self.space(pos);
            if self.at(pos) == b'}' {
                return Ok(pos + 1);
            }
            pos = self.space(pos + 1);
        }
    }

    /// Calls `each` with where every item starts; `each` returns where it ends.
    fn each_item(
        &mut self,
        pos: usize,
        mut each: impl FnMut(&mut Self, usize) -> Result<usize, Stop>,
    ) -> Result<usize, Stop> {
        let mut pos = self.space(pos + 1);
        if self.at(pos) == b']' {
            return Ok(pos + 1);
        }
        loop {
            pos = each(self, pos)?;
            pos = self.space(pos);
            if self.at(pos) == b']' {
                return Ok(pos + 1);
            }
            pos = self.space(pos + 1);
        }
    }
}

/// Whether a fixed `Float64` takes a number: never one that it would round silently.
pub(super) fn is_float64(number: Number) -> bool {
    match number {
        Number::Float(_) => true,
        Number::Int(value) => !uint_facts(value.unsigned_abs()).has(Scalars::INEXACT),
        Number::UInt(value) => !uint_facts(value).has(Scalars::INEXACT),
        Number::Huge => false,
    }
}
