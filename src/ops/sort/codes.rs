//! Codes of rows, and the order that they give.
//!
//! In:  one code for each row.
//! Out: places of rows in order; equal ones as they stood.
//!
//! Each code has a number, which decides most comparisons: numbers and places
//! are packed into 64 bits and sorted, and only rows whose numbers are alike
//! are compared as a whole.

use std::cmp::Ordering;

use arrow_row::Rows;

/// One code for each row; codes compare as rows do.
#[derive(Debug)]
pub enum Codes {
    /// Numbers, of which the low 66 bits are used.
    Fixed(Vec<u128>),
    /// Such numbers, and codes of the columns behind for those that are equal.
    Led(Vec<u128>, Box<Codes>),
    /// Bytes.
    Rows(Rows),
}

/// The code of one row, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    numbers: Vec<u128>,
    bytes: Box<[u8]>,
}

/// Rows up to which they are compared one by one.
const FEW_ROWS: usize = 16;

impl Codes {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Codes::Fixed(codes) | Codes::Led(codes, _) => codes.len(),
            Codes::Rows(rows) => rows.num_rows(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the rows in order; equal ones as they stood. Of at most 2^32 rows.
    pub fn order(&self) -> Vec<u32> {
        let mut places: Vec<u32> = (0..self.len() as u32).collect();
        self.sort(&mut places);
        places
    }

    /// Brings places of rows into order; equal ones as they stand.
    fn sort(&self, places: &mut [u32]) {
        if places.len() <= FEW_ROWS {
            places.sort_by(|&a, &b| self.cmp_to(a as usize, self, b as usize));
            return;
        }
        match self {
            Codes::Fixed(codes) => {
                let number = |place: u32| codes[place as usize];
                sort_by_number(places, number, |alike, exact| match exact {
                    true => {}
                    false => self.sort(alike),
                });
            }
            Codes::Led(codes, behind) => {
                let number = |place: u32| codes[place as usize];
                sort_by_number(places, number, |alike, exact| match exact {
                    true => behind.sort(alike),
                    false => self.sort(alike),
                });
            }
            Codes::Rows(rows) => {
                let shared = shared_prefix(rows, places);
                let number =
                    |place| u128::from(bytes_from(rows.row(place as usize).data(), shared));
                sort_by_number(places, number, |alike, _| {
                    alike.sort_by(|&a, &b| rows.row(a as usize).cmp(&rows.row(b as usize)));
                });
            }
        }
    }

    /// How row `one` stands to row `other` of codes made by the same keys.
    pub fn cmp_to(&self, one: usize, others: &Codes, other: usize) -> Ordering {
        match (self, others) {
            (Codes::Fixed(codes), Codes::Fixed(others)) => codes[one].cmp(&others[other]),
            (Codes::Led(codes, behind), Codes::Led(others, behind_others)) => codes[one]
                .cmp(&others[other])
                .then_with(|| behind.cmp_to(one, behind_others, other)),
            (Codes::Rows(rows), Codes::Rows(others)) => {
                rows.row(one).data().cmp(others.row(other).data())
            }
            // The same keys make the same kind of codes.
            (Codes::Fixed(_), _) | (Codes::Led(..), Codes::Rows(_)) => Ordering::Less,
            (Codes::Led(..), Codes::Fixed(_)) | (Codes::Rows(_), _) => Ordering::Greater,
        }
    }

    /// Whether rows stand in order as they are.
    pub fn are_sorted(&self) -> bool {
        match self {
            Codes::Fixed(codes) => codes.is_sorted(),
            _ => (1..self.len()).all(|row| self.cmp_to(row - 1, self, row).is_le()),
        }
    }

    /// The code of one row.
    pub(super) fn code(&self, row: usize) -> Code {
        match self {
            Codes::Fixed(codes) => Code {
                numbers: vec![codes[row]],
                bytes: Box::default(),
            },
            Codes::Led(codes, behind) => {
                let mut code = behind.code(row);
                code.numbers.insert(0, codes[row]);
                code
            }
            Codes::Rows(rows) => Code {
                numbers: Vec::new(),
                bytes: rows.row(row).data().into(),
            },
        }
    }

    /// How a row stands to a code that was made by the same keys.
    pub(super) fn cmp_code(&self, row: usize, code: &Code) -> Ordering {
        self.cmp_parts(row, &code.numbers, &code.bytes)
    }

    fn cmp_parts(&self, row: usize, numbers: &[u128], bytes: &[u8]) -> Ordering {
        match (self, numbers) {
            (Codes::Fixed(codes), [number, ..]) => codes[row].cmp(number),
            (Codes::Led(codes, behind), [number, rest @ ..]) => codes[row]
                .cmp(number)
                .then_with(|| behind.cmp_parts(row, rest, bytes)),
            (Codes::Rows(rows), _) => rows.row(row).data().cmp(bytes),
            // The same keys make as many numbers.
            (Codes::Fixed(_) | Codes::Led(..), []) => Ordering::Greater,
        }
    }
}

impl Code {
    /// The number that decides first; of bytes, those at `shared`.
    pub fn number(&self, shared: usize) -> u128 {
        match self.numbers.first() {
            Some(number) => *number,
            None => bytes_from(&self.bytes, shared).into(),
        }
    }

    /// Its bytes, if it has no number.
    pub fn bytes(&self) -> &[u8] {
        match self.numbers.is_empty() {
            true => &self.bytes,
            false => &[],
        }
    }
}

/// Sorts places by the numbers of their rows, as far as 64 bits beside a place
/// tell them apart. Those that are alike are given to `again`, as they stood, with
/// whether their numbers are equal.
fn sort_by_number(
    places: &mut [u32],
    number: impl Fn(u32) -> u128,
    mut again: impl FnMut(&mut [u32], bool),
) {
    let numbers = || places.iter().map(|&place| number(place));
    let (Some(least), Some(most)) = (numbers().min(), numbers().max()) else {
        return;
    };
    let place_bits = usize::BITS - (places.len() - 1).leading_zeros();
    let span_bits = u128::BITS - (most - least).leading_zeros();
    let cut_bits = (span_bits + place_bits).saturating_sub(u64::BITS);
    let packed = numbers().zip(0_u64..).map(|(number, idx)| {
        let high = ((number - least) >> cut_bits) as u64;
        high.checked_shl(place_bits).unwrap_or(0) | idx
    });
    let mut packed: Vec<u64> = packed.collect();
    packed.sort_unstable();
    let mask = (1_u64 << place_bits) - 1;
    let before = places.to_vec();
    for (place, packed) in places.iter_mut().zip(&packed) {
        *place = before[(packed & mask) as usize];
    }
    let mut start = 0;
    for alike in packed.chunk_by(|a, b| a >> place_bits == b >> place_bits) {
        if alike.len() > 1 {
            again(&mut places[start..start + alike.len()], cut_bits == 0);
        }
        start += alike.len();
    }
}

/// How many bytes all of some rows begin with alike.
fn shared_prefix(rows: &Rows, places: &[u32]) -> usize {
    let mut all = places.iter().map(|&place| rows.row(place as usize));
    let Some(first) = all.next() else {
        return 0;
    };
    let first = first.data();
    all.fold(first.len(), |shared, row| {
        shared_bytes(&first[..shared], row.data())
    })
}

/// How many bytes two texts begin with alike.
pub(super) fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(a, b)| a == b).count()
}

/// Eight bytes of a row, as a number that compares as they do.
fn bytes_from(row: &[u8], from: usize) -> u64 {
    let rest = row.get(from..).unwrap_or_default();
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// The numbers of rows among those of codes that begin with the bytes `shared`:
/// those of rows that begin with others are the least or the most of all.
pub(super) struct Numbers<'a> {
    codes: &'a Codes,
    shared: &'a [u8],
}

impl<'a> Numbers<'a> {
    pub fn new(codes: &'a Codes, shared: &'a [u8]) -> Self {
        Numbers { codes, shared }
    }

    /// The number of a row, or which side of all numbers it stands on.
    pub fn get(&self, row: usize) -> Result<u128, Ordering> {
        match self.codes {
            Codes::Fixed(codes) | Codes::Led(codes, _) => Ok(codes[row]),
            Codes::Rows(rows) => {
                let row = rows.row(row).data();
                let n = self.shared.len();
                match row[..n.min(row.len())].cmp(self.shared) {
                    Ordering::Equal => Ok(bytes_from(row, n).into()),
                    side => Err(side),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{Field, Schema};

    use super::super::{SortBy, SortKeys};
    use super::*;

    fn codes(columns: &[ArrayRef]) -> Codes {
        let names = ["a", "b", "c"];
        let fields = names.iter().zip(columns);
        let fields =
            fields.map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
        let by: Vec<SortBy> = names[..columns.len()]
            .iter()
            .map(|n| SortBy::from(*n))
            .collect();
        let keys = SortKeys::try_new(&by, &Schema::new(fields.collect::<Vec<_>>())).unwrap();
        keys.codes_of(columns).unwrap()
    }

    fn ints(of: impl Fn(i64) -> i64, rows: i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(of)))
    }

    fn texts(of: impl Fn(i64) -> String, rows: i64) -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(of)))
    }

    #[test]
    fn rows_stand_in_order_and_equal_ones_as_they_stood() {
        let n = 700;
        let few = ints(|row| row * row % 7, n);
        let far = ints(|row| ((row * row % 41) << 56) | (row % 3), n);
        let near = ints(|row| row * 13 % 11, n);
        let extreme = ints(|row| [i64::MIN, -1, 0, i64::MAX][row as usize % 4], n);
        let text = texts(|row| format!("shared prefix {:>9}", row * row % 57), n);
        for columns in [
            vec![few.clone()],
            vec![far.clone()],
            vec![extreme.clone()],
            vec![text.clone()],
            vec![few.clone(), near.clone()],
            vec![far.clone(), few.clone()],
            vec![extreme, far.clone(), near.clone()],
            vec![few.clone(), text.clone()],
            vec![text.clone(), far],
            vec![few, near, text],
        ] {
            let codes = codes(&columns);
            let mut slow: Vec<u32> = (0..n as u32).collect();
            slow.sort_by(|&a, &b| codes.cmp_to(a as usize, &codes, b as usize));
            assert_eq!(codes.order(), slow);
            assert!(!codes.are_sorted());
            for (row, &place) in slow.iter().enumerate() {
                let code = codes.code(place as usize);
                let other = slow[row * row % slow.len()] as usize;
                let wanted = codes.cmp_to(other, &codes, place as usize);
                assert_eq!(codes.cmp_code(other, &code), wanted);
            }
        }
    }
}
