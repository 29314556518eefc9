//! Codes of rows, and the order that they give.
//!
//! In:  one code for each row.
//! Out: places of rows in order; equal ones as they stood.

use arrow_row::Rows;

/// One code for each row; codes compare as rows do.
#[derive(Debug)]
pub enum Codes {
    /// Numbers, of which the low 66 bits are used.
    Fixed(Vec<u128>),
    /// Bytes.
    Rows(Rows),
}

/// Bits that the place of a row takes beside its code.
const PLACE_BITS: u32 = 32;

impl Codes {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Codes::Fixed(codes) => codes.len(),
            Codes::Rows(rows) => rows.num_rows(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the rows in order; equal ones as they stood. Of at most 2^32 rows.
    ///
    /// A code and the place of its row make one number, so that numbers alone are
    /// compared and equal codes keep their order. Of bytes, the eight behind those
    /// that all rows share decide most comparisons.
    pub fn order(&self) -> Vec<u32> {
        match self {
            Codes::Fixed(codes) => {
                let places = codes.iter().zip(0_u32..);
                let mut placed: Vec<u128> = places
                    .map(|(code, place)| code << PLACE_BITS | u128::from(place))
                    .collect();
                placed.sort_unstable();
                placed.into_iter().map(|placed| placed as u32).collect()
            }
            Codes::Rows(rows) => {
                let shared = shared_prefix(rows);
                let places = 0..rows.num_rows() as u32;
                let mut placed: Vec<(u64, u32)> = places
                    .map(|place| (bytes_from(rows, place, shared), place))
                    .collect();
                placed.sort_unstable_by(|a, b| {
                    a.0.cmp(&b.0)
                        .then_with(|| rows.row(a.1 as usize).cmp(&rows.row(b.1 as usize)))
                        .then(a.1.cmp(&b.1))
                });
                placed.into_iter().map(|(_, place)| place).collect()
            }
        }
    }

    /// How row `one` stands to row `other` of codes made by the same keys.
    pub fn cmp_to(&self, one: usize, others: &Codes, other: usize) -> std::cmp::Ordering {
        match (self, others) {
            (Codes::Fixed(codes), Codes::Fixed(others)) => codes[one].cmp(&others[other]),
            (Codes::Rows(rows), Codes::Rows(others)) => {
                rows.row(one).data().cmp(others.row(other).data())
            }
            // The same keys make the same kind of codes.
            (Codes::Fixed(_), Codes::Rows(_)) => std::cmp::Ordering::Less,
            (Codes::Rows(_), Codes::Fixed(_)) => std::cmp::Ordering::Greater,
        }
    }

    /// Whether rows stand in order as they are.
    pub fn are_sorted(&self) -> bool {
        match self {
            Codes::Fixed(codes) => codes.is_sorted(),
            Codes::Rows(rows) => (1..rows.num_rows()).all(|row| rows.row(row - 1) <= rows.row(row)),
        }
    }
}

/// How many bytes all rows begin with alike.
fn shared_prefix(rows: &Rows) -> usize {
    let mut all = rows.iter();
    let Some(first) = all.next() else {
        return 0;
    };
    let first = first.data();
    all.fold(first.len(), |shared, row| {
        let pairs = first[..shared].iter().zip(row.data());
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// Eight bytes of a row, as a number that compares as they do.
fn bytes_from(rows: &Rows, row: u32, from: usize) -> u64 {
    let row = rows.row(row as usize);
    let rest = row.data().get(from..).unwrap_or_default();
    let mut bytes = [0; 8];
    let len = rest.len().min(8);
    bytes[..len].copy_from_slice(&rest[..len]);
    u64::from_be_bytes(bytes)
}
