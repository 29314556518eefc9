//! Runs and packed bits: how levels and dictionary keys are written.
//!
//! In:  small numbers, and how many bits each may take.
//! Out: the format's RLE/bit-packed hybrid.
//!
//! ```text
//! values   3 1 2 1 3 3 0 1   7 7 7 7 7 7 7 7 7 7 7 7   2 1
//! written  [ packed, 1 × 8 ] [ run of 12            ]  [ packed, padded to 8 ]
//! ```
//!
//! Packed values come in eights, so a run is looked for only where one may begin.

/// Values are packed in groups of this many.
const GROUP: usize = 8;

/// Appends an unsigned number, seven bits a byte, the least significant first.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bits that numbers up to `greatest` take.
pub(super) fn bit_width(greatest: u64) -> u32 {
    u64::BITS - greatest.leading_zeros()
}

/// Appends numbers of `width` bits each, the least significant bit first; the
/// last byte is filled up with zeros. No number may have more bits.
pub(super) fn pack(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut word, mut used) = (0u64, 0u32);
    for number in numbers {
        word |= number << used;
        used += width;
        if used >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            used -= u64::BITS;
            word = number.checked_shr(width - used).unwrap_or(0);
        }
    }
    let bytes = used.div_ceil(8) as usize;
    out.extend_from_slice(&word.to_le_bytes()[..bytes]);
}

/// Appends numbers of `width` bits each as runs and packed groups.
pub(super) fn encode<T>(values: &[T], width: u32, out: &mut Vec<u8>)
where
    T: Copy + PartialEq + Into<u64>,
{
    // A shorter run takes more bytes than packing it, with the headers around it.
    let least_run = (40 / width.max(1)).clamp(8, 40) as usize;
    let (mut packed, mut at) = (0, 0);
    while at < values.len() {
        let rest = &values[at..];
        let run = run_length(rest);
        let ends_here = run == rest.len() && packed == at;
        if run < least_run && !ends_here {
            at += GROUP.min(rest.len());
            continue;
        }
        encode_packed(&values[packed..at], width, out);
        encode_run(run, rest[0].into(), width, out);
        at += run;
        packed = at;
    }
    encode_packed(&values[packed..], width, out);
}

/// Appends one number, `count` times.
pub(super) fn encode_run(count: usize, number: u64, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn encode_packed<T: Copy + Into<u64>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    pack(values.iter().map(|value| (*value).into()), width, out);
    out.resize(end, 0);
}

/// How many values at the start are the same.
fn run_length<T: Copy + PartialEq>(values: &[T]) -> usize {
    let first = values[0];
    if let Some(group) = values.first_chunk::<GROUP>() {
        // No early end: eight comparisons at once cost less than a wrong guess.
        let same = group
            .iter()
            .fold(true, |same, value| same & (*value == first));
        if !same {
            return group.iter().take_while(|value| **value == first).count();
        }
    }
    values.iter().take_while(|value| **value == first).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the format's description says of reading, word for word.
    fn decode(mut bytes: &[u8], width: u32, count: usize) -> Vec<u64> {
        let mut values = Vec::new();
        while values.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = width.div_ceil(8) as usize;
                let mut value = [0; 8];
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                let run = std::iter::repeat_n(u64::from_le_bytes(value), (header >> 1) as usize);
                values.extend(run);
                assert!(values.len() <= count);
            } else {
                let n = (header >> 1) as usize * GROUP;
                for idx in 0..n {
                    let mut value = 0;
                    for bit in 0..width as usize {
                        let place = idx * width as usize + bit;
                        value |= u64::from(bytes[place / 8] >> (place % 8) & 1) << bit;
                    }
                    values.push(value);
                }
                bytes = &bytes[n * width as usize / 8..];
            }
        }
        assert!(bytes.is_empty());
        assert!(values[count..].iter().all(|padding| *padding == 0));
        values.truncate(count);
        values
    }

    #[test]
    fn what_is_written_reads_back_at_every_width() {
        for width in 0..=32u32 {
            for len in [0usize, 1, 7, 8, 9, 63, 64, 65, 1000] {
                for period in [1usize, 3, 10, 40, 300] {
                    let mask = (1u64 << width) - 1;
                    let values: Vec<u64> = (0..len)
                        .map(|n| {
                            ((n / period) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7 & mask
                        })
                        .collect();
                    let mut bytes = Vec::new();
                    encode(&values, width, &mut bytes);
                    assert_eq!(
                        decode(&bytes, width, len),
                        values,
                        "{width} bits, {len}, {period}"
                    );
                }
            }
        }
    }

    #[test]
    fn wide_numbers_are_packed_whole() {
        for width in 1..=64u32 {
            let numbers: Vec<u64> = (0..37u64)
                .map(|n| n.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (64 - width))
                .collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            assert_eq!(bytes.len(), (37 * width as usize).div_ceil(8));
            for (idx, number) in numbers.iter().enumerate() {
                for bit in 0..width as usize {
                    let place = idx * width as usize + bit;
                    let found = bytes[place / 8] >> (place % 8) & 1;
                    assert_eq!(u64::from(found), number >> bit & 1, "{width} bits");
                }
            }
        }
    }

    #[test]
    fn one_value_throughout_is_one_run() {
        let mut bytes = Vec::new();
        encode(&[5u64; 100_000], 3, &mut bytes);
        assert_eq!(bytes.len(), 4);
    }
}
