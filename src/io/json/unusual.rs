//! Reading a value that is not what its column mostly holds.
//!
//! In:  a value that the hot path did not take.
//! Out: the value appended all the same where the column's type has a form for
//!      it, or the verdict: widen the schema, or refuse the record.

use super::column::{Column, Values};
use super::fixed::Scalar;
use super::grammar::{Fault, Parser, SchemaMode, Stop, What};
use super::lattice::{ScalarType, Scalars};
use super::learn::is_float64;
use super::number::{Number, write_number};

impl Parser<'_> {
    /// Reads the value at `pos`, within `depth` open containers, whatever it is.
    #[inline(never)]
    pub fn read_unusual(
        &mut self,
        column: &mut Column,
        pos: usize,
        depth: usize,
    ) -> Result<usize, Stop> {
        let first = self.at(pos);
        if first == b'n' {
            let end = self.skip_word(pos)?;
            column.push_nulls(1);
            return Ok(end);
        }
        let end = if let Values::Json(text, known) = &mut column.values {
            let end = self.write_canonical(pos, depth, Some(known), &mut text.bytes)?;
            text.end();
            end
        } else {
            match first {
                b'"' => self.unusual_string(column, pos)?,
                b'{' | b'[' => self.unusual_container(column, pos, depth)?,
                b'-' | b'0'..=b'9' => self.unusual_number(column, pos)?,
                _ => self.unusual_bool(column, pos)?,
            }
        };
        column.appended();
        Ok(end)
    }

    fn unusual_string(&mut self, column: &mut Column, pos: usize) -> Result<usize, Stop> {
        match &mut column.values {
            Values::Text(_) => self.admit(column, Scalars::STRING, pos)?,
            Values::Fixed(fixed) => {
                let mut string = std::mem::take(&mut self.scratch);
                string.clear();
                let end = self.copy_string(pos + 1, &mut string);
                let fits = end.is_err() || fixed.push(Scalar::String(&string));
                self.scratch = string;
                return if fits {
                    end
                } else {
                    Err(self.clash(column, pos))
                };
            }
            _ => return Err(self.clash(column, pos)),
        }
        let Values::Text(text) = &mut column.values else {
            return Err(self.clash(column, pos));
        };
        let end = self.copy_string(pos + 1, &mut text.bytes)?;
        text.end();
        Ok(end)
    }

    /// A user's text column takes objects and lists as JSON text.
    fn unusual_container(
        &mut self,
        column: &mut Column,
        pos: usize,
        depth: usize,
    ) -> Result<usize, Stop> {
        match &mut column.values {
            Values::Text(text) if column.fixed.is_some() => {
                let end = self.write_canonical(pos, depth, None, &mut text.bytes)?;
                text.end();
                Ok(end)
            }
            _ => Err(self.clash(column, pos)),
        }
    }

    fn unusual_bool(&mut self, column: &mut Column, pos: usize) -> Result<usize, Stop> {
        let end = self.skip_word(pos)?;
        if !matches!(column.values, Values::Text(_)) {
            return Err(self.clash(column, pos));
        }
        self.admit(column, Scalars::BOOL, pos)?;
        if let Values::Text(text) = &mut column.values {
            text.bytes.extend_from_slice(self.text.between(pos, end));
            text.end();
        }
        Ok(end)
    }

    fn unusual_number(&mut self, column: &mut Column, pos: usize) -> Result<usize, Stop> {
        let (number, end) = self.number(pos)?;
        let is_fixed = column.fixed.is_some();
        match (&mut column.values, number) {
            // Numbers too long for the hot path.
            (Values::Int(values), Number::Int(value)) => values.push(value),
            (Values::Float(values), Number::Float(value)) => values.push(value),
            (Values::UInt(values), Number::Int(value @ 0..)) => values.push(value as u64),
            (Values::UInt(values), Number::UInt(value)) => values.push(value),
            (Values::Float(_), Number::Int(_) | Number::UInt(_)) => {
                if is_fixed && !is_float64(number) {
                    return Err(self.clash(column, pos));
                }
                self.admit(column, number.facts(), pos)?;
                if let Values::Float(values) = &mut column.values {
                    values.push(match number {
                        Number::Int(value) => value as f64,
                        Number::UInt(value) => value as f64,
                        Number::Float(value) => value,
                        Number::Huge => f64::INFINITY,
                    });
                }
            }
            (Values::Text(_), _) => {
                self.admit(column, number.facts(), pos)?;
                if let Values::Text(text) = &mut column.values {
                    write_number(number, self.text.between(pos, end), &mut text.bytes);
                    text.end();
                }
            }
            (Values::Fixed(fixed), _) => {
                if !fixed.push(Scalar::Number(number, self.text.between(pos, end))) {
                    return Err(self.clash(column, pos));
                }
            }
            _ => return Err(self.clash(column, pos)),
        }
        Ok(end)
    }

    /// Lets a scalar with these facts into a column if that leaves the column's
    /// type as it is.
    fn admit(&mut self, column: &mut Column, facts: Scalars, pos: usize) -> Result<(), Stop> {
        if column.fixed.is_some() || column.facts.has(facts) {
            return Ok(());
        }
        let joined = column.facts.join(facts);
        let stays = joined.scalar_type() == column.facts.scalar_type();
        if self.mode == SchemaMode::Widen {
            if !stays {
                return Err(Stop::Widen);
            }
            column.add_facts(facts, self.record);
            return Ok(());
        }
        // Text takes anything, but a schema that may not move says what it was text for.
        if stays && joined.scalar_type() != ScalarType::Text {
            return Ok(());
        }
        Err(self.clash(column, pos))
    }

    /// A value that the column's type has no form for.
    #[cold]
    fn clash(&mut self, column: &Column, pos: usize) -> Stop {
        if self.mode == SchemaMode::Widen && column.fixed.is_none() {
            return Stop::Widen;
        }
        self.misfit(pos, column.type_name())
    }

    /// Notes that the value at `pos` is not of the type `wanted`.
    #[cold]
    pub fn misfit(&mut self, pos: usize, wanted: String) -> Stop {
        self.fault = Fault {
            at: pos,
            what: What::Misfit(wanted),
            path: Vec::new(),
        };
        Stop::Misfit
    }

    /// Names the column a misfit is in, on the way out.
    #[cold]
    pub fn within(&mut self, name: &str, stop: Stop) -> Stop {
        if stop == Stop::Misfit {
            self.fault.path.push(name.to_string());
        }
        stop
    }
}
