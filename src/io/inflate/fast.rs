//! Symbols of a block, away from the ends of input and room.
//!
//! In:  data with [`INPUT_MARGIN`] bytes behind it, room with [`ROOM_MARGIN`] bytes behind it.
//! Out: text, as the careful way gives it.
//!
//! The bit buffer is filled eight bytes at a time; matches are copied in
//! pieces that may run over their end. Nothing is checked for each byte: the
//! margins are what a round can use at most.

use super::bits::Bits;
use super::buffers::{Buffers, copy_back};
use super::codes::{Codes, Entry};

/// Input that a round may read: three fills, of which the last reads eight bytes.
const INPUT_MARGIN: usize = 3 * 8;

/// Room that a round may use: two literals, a match of 258 bytes, and what
/// copying it in pieces runs over.
const ROOM_MARGIN: usize = 2 + 258 + 2 * PIECE;

/// Bytes copied at a time.
const PIECE: usize = 32;

/// Why no more is done here.
pub(super) enum Left {
    /// The margins are reached.
    Room,
    /// The block is over.
    End,
    /// This is no deflate data.
    Invalid,
}

/// Takes symbols until the margins are reached or the block ends; nothing if
/// they are reached already.
pub(super) fn run(
    codes: &Codes,
    bits: &mut Bits,
    buffers: &mut Buffers<'_>,
    window: &[u8],
) -> Option<Left> {
    if buffers.input_left() < INPUT_MARGIN || buffers.room() < ROOM_MARGIN {
        return None;
    }
    #[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has what the function is compiled for.
        return Some(unsafe { run_bmi2(codes, bits, buffers, window) });
    }
    Some(run_anywhere(codes, bits, buffers, window))
}

/// [`run_anywhere`] with shifts that need no fixed register: a tenth faster.
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
#[target_feature(enable = "bmi1,bmi2,avx")]
fn run_bmi2(codes: &Codes, bits: &mut Bits, buffers: &mut Buffers<'_>, window: &[u8]) -> Left {
    run_anywhere(codes, bits, buffers, window)
}

/// Bits at hand and where the next ones are read.
struct Reader {
    bits: u64,
    /// How many of them are known; the lowest six bits count.
    len: u32,
    at: *const u8,
}

impl Reader {
    /// Makes it at least 56 bits.
    ///
    /// # Safety
    ///
    /// Eight bytes can be read at `at`.
    #[inline(always)]
    unsafe fn fill(&mut self) {
        // SAFETY: by the caller.
        let word = unsafe { self.at.cast::<u64>().read_unaligned() };
        self.bits |= u64::from_le(word) << (self.len & 63);
        let bytes = (63 - (self.len & 63)) >> 3;
        // SAFETY: at most seven of the eight bytes.
        self.at = unsafe { self.at.add(bytes as usize) };
        self.len |= 56;
    }

    #[inline(always)]
    fn take(&mut self, entry: Entry) {
        self.bits >>= entry.bits();
        self.len -= entry.bits();
    }
}

#[inline(always)]
fn run_anywhere(codes: &Codes, bits: &mut Bits, buffers: &mut Buffers<'_>, window: &[u8]) -> Left {
    let Codes {
        literals,
        distances,
    } = codes;
    let input = buffers.input;
    let last_input = input[input.len() - INPUT_MARGIN..].as_ptr();
    let room = buffers.out.len();
    let start = buffers.out.as_mut_ptr();
    // SAFETY: the caller has seen that the margin is there; `given` lies before it.
    let (last_room, mut to) = unsafe { (start.add(room - ROOM_MARGIN), start.add(buffers.given)) };
    let mut reader = Reader {
        bits: bits.ahead(),
        len: bits.len(),
        at: input[buffers.taken..].as_ptr(),
    };
    // SAFETY: INPUT_MARGIN bytes can be read.
    unsafe { reader.fill() };
    let mut entry = literals.first(reader.bits);
    let left = loop {
        // Here at least 56 bits are known, and `entry` is what they begin with.
        if reader.at > last_input || to > last_room {
            break Left::Room;
        }
        if entry.is_literal() {
            reader.take(entry);
            // SAFETY: ROOM_MARGIN bytes can be written.
            unsafe { to.write(entry.byte()) };
            entry = literals.first(reader.bits);
            if entry.is_literal() {
                reader.take(entry);
                // SAFETY: as before.
                unsafe { to.add(1).write(entry.byte()) };
                entry = literals.first(reader.bits);
                // SAFETY: the literals were written; the second fill of the round.
                unsafe {
                    to = to.add(2);
                    reader.fill();
                }
                if entry.is_literal() {
                    reader.take(entry);
                    // SAFETY: as before.
                    unsafe {
                        to.write(entry.byte());
                        to = to.add(1);
                    }
                    entry = literals.first(reader.bits);
                    // SAFETY: the third fill of the round.
                    unsafe { reader.fill() };
                    continue;
                }
            } else {
                // SAFETY: as before.
                unsafe {
                    to = to.add(1);
                    reader.fill();
                }
            }
        }
        if entry.is_exceptional() {
            if entry.is_second() {
                entry = literals.second(entry, reader.bits);
            }
            if entry.is_literal() {
                reader.take(entry);
                // SAFETY: as before, and at most the third fill of the round.
                unsafe {
                    to.write(entry.byte());
                    to = to.add(1);
                    reader.fill();
                }
                entry = literals.first(reader.bits);
                continue;
            }
            if entry.is_exceptional() {
                if entry.is_end() {
                    reader.take(entry);
                    break Left::End;
                }
                break Left::Invalid;
            }
        }
        let length = entry.value(reader.bits);
        reader.take(entry);
        let mut behind = distances.first(reader.bits);
        if behind.is_second() {
            behind = distances.second(behind, reader.bits);
        }
        if behind.is_exceptional() {
            break Left::Invalid;
        }
        let distance = behind.value(reader.bits);
        reader.take(behind);
        // SAFETY: the third fill of the round.
        unsafe { reader.fill() };
        // Looked up while the match is copied.
        entry = literals.first(reader.bits);
        // SAFETY: both point into `out`.
        let so_far = unsafe { to.offset_from(start) } as usize;
        if distance > so_far {
            if distance > so_far + window.len() {
                break Left::Invalid;
            }
            // SAFETY: all of `out`, which nothing else refers to here.
            let out = unsafe { std::slice::from_raw_parts_mut(start, room) };
            copy_back(window, out, so_far, length, distance);
        } else {
            // SAFETY: the distance lies within `out`, and there is room for 258 bytes and two pieces.
            unsafe { copy_match(to, distance, length) };
        }
        // SAFETY: the room of a match.
        to = unsafe { to.add(length) };
    };
    let len = reader.len & 63;
    bits.set(reader.bits, len);
    // SAFETY: both are in `input`, both are in `out`.
    unsafe {
        buffers.taken = reader.at.offset_from(input.as_ptr()) as usize;
        buffers.given = to.offset_from(start) as usize;
    }
    left
}

/// Writes at `to` the bytes that lie `distance` before it.
///
/// # Safety
///
/// `distance` bytes before `to` can be read, and `length` and two pieces from it on be written.
#[inline(always)]
unsafe fn copy_match(to: *mut u8, distance: usize, length: usize) {
    // SAFETY: within what the caller promises: pieces begin inside the match.
    unsafe {
        let from = to.sub(distance);
        if distance >= PIECE {
            copy_piece::<PIECE>(from, to);
            let mut done = PIECE;
            while done < length {
                copy_piece::<PIECE>(from.add(done), to.add(done));
                done += PIECE;
            }
        } else if distance >= 16 {
            let mut done = 0;
            while done < length {
                copy_piece::<16>(from.add(done), to.add(done));
                done += 16;
            }
        } else if distance >= 8 {
            let mut done = 0;
            while done < length {
                copy_piece::<8>(from.add(done), to.add(done));
                done += 8;
            }
        } else if distance == 1 {
            to.write_bytes(from.read(), length);
        } else {
            for place in 0..length {
                to.add(place).write(from.add(place).read());
            }
        }
    }
}

/// Copies `N` bytes that do not overlap.
///
/// # Safety
///
/// They can be read and written, and lie `N` bytes apart.
#[inline(always)]
unsafe fn copy_piece<const N: usize>(from: *const u8, to: *mut u8) {
    // SAFETY: by the caller.
    unsafe {
        to.cast::<[u8; N]>()
            .write_unaligned(from.cast::<[u8; N]>().read_unaligned())
    };
}
