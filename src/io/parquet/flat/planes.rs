//! Numbers of which each byte lies in a plane of its own.
//!
//! In:  a stretch of the plane of the first bytes, of that of the second, and so on.
//! Out: the numbers.
//!
//! ```text
//! bytes a a a a   two and two of them     ab ab ab ab   again   abcd abcd abcd abcd
//!       b b b b   are put beside each     cd cd cd cd
//!       c c c c   other, many at once
//!       d d d d
//! ```

/// Numbers that are put together at once: all steps between stay in a core's first cache.
pub(super) const BLOCK: usize = 64;

/// One byte of each number of a block.
pub(super) type Plane = [u8; BLOCK];

fn two(planes: [&Plane; 2]) -> [u16; BLOCK] {
    std::array::from_fn(|idx| u16::from(planes[0][idx]) | u16::from(planes[1][idx]) << 8)
}

/// Numbers of four bytes, the lowest first.
pub(super) fn four(planes: [&Plane; 4]) -> [u32; BLOCK] {
    let [a, b, c, d] = planes;
    let (low, high) = (two([a, b]), two([c, d]));
    std::array::from_fn(|idx| u32::from(low[idx]) | u32::from(high[idx]) << 16)
}

/// Numbers of eight bytes, the lowest first.
pub(super) fn eight(planes: [&Plane; 8]) -> [u64; BLOCK] {
    let [a, b, c, d, e, f, g, h] = planes;
    let (low, high) = (four([a, b, c, d]), four([e, f, g, h]));
    std::array::from_fn(|idx| u64::from(low[idx]) | u64::from(high[idx]) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_the_bytes_that_lie_at_its_place() {
        let planes: [Plane; 8] =
            std::array::from_fn(|plane| std::array::from_fn(|idx| (plane * 37 + idx * 5) as u8));
        let eights = eight(planes.each_ref());
        let fours = four(std::array::from_fn(|plane| &planes[plane]));
        for idx in 0..BLOCK {
            let bytes: [u8; 8] = std::array::from_fn(|plane| planes[plane][idx]);
            assert_eq!(eights[idx], u64::from_le_bytes(bytes));
            assert_eq!(fours[idx], u64::from_le_bytes(bytes) as u32);
        }
    }
}
