//! One line of log from its number.
//!
//! In:  a seed, how many rows there are, and the number of a row.
//! Out: one JSON object, about 480 bytes, ending in a newline.
//!
//! The columns are chosen for what they make hard:
//!
//! ```text
//! ts            ascending, milliseconds        path        nearly unique
//! id            nearly sorted, unique          user        131,071 by Zipf's law
//! referer       missing in 20 % of the lines   user_agent  42
//! session       missing in 12 %                msg         escapes, UTF-8, free text
//! error         in 1.5 %, a third of them null geo         nested
//! retry_after   an integer, 1 in 500 a float   tags        a list of 0 to 3
//! trace_id      first seen after 90 % of the rows
//! ```
//!
//! Status 504 stands in one line of 1,000: what a narrow filter keeps.

use std::ops::Range;

use super::random::{Random, Seed};
use super::words::{
    BROWSERS, DOINGS, ERRORS, FIRST, LAST, PLACES, RESOURCES, SERVICES, SYSTEMS, TAGS,
};

/// Bytes of an average line with its newline, measured over a million rows.
pub const MEAN_LINE_BYTES: u64 = 480;

/// Milliseconds between two lines, on average: 2.2 million rows are one day.
const STEP_MS: u64 = 39;
/// 2025-03-03T00:00:00Z, a Monday.
const START_MS: u64 = 1_740_960_000_000;
/// The first request number.
const FIRST_ID: u64 = 480_000_000;
/// Requests finish a little out of order: how the lines of each eight change places.
const DISORDER: [u64; 8] = [1, 0, 2, 5, 3, 4, 7, 6];

/// The order of `ts` and `id` over the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Both ascend.
    Sorted,
    /// `ts` ascends, `id` changes places within each eight rows, as in a real log.
    #[default]
    Nearly,
    /// Neither: every part of the set spans the whole day.
    Shuffled,
}

/// A log of so many rows.
#[derive(Debug, Clone)]
pub struct Logs {
    seed: Seed,
    rows: u64,
    order: Order,
    agents: Vec<String>,
    /// Step of the walk over all rows for [`Order::Shuffled`]; shares no factor with `rows`.
    stride: u64,
}

impl Logs {
    /// A log of `rows` rows in the order of a real one.
    pub fn new(seed: Seed, rows: u64) -> Self {
        let mut agents: Vec<String> = Vec::with_capacity(SYSTEMS.len() * BROWSERS.len());
        for browser in BROWSERS {
            for system in SYSTEMS {
                agents.push(format!("({system}) {browser}"));
            }
        }
        // The browsers of one system must not lie side by side: ranks are by use.
        Random::new(Seed(17)).shuffle(&mut agents);
        Logs {
            seed,
            rows,
            order: Order::default(),
            agents,
            stride: stride_of(rows),
        }
    }

    /// Another order of `ts` and `id`.
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The first row that has a `trace_id`: nine tenths of the way through.
    pub fn first_traced_row(&self) -> u64 {
        self.rows - self.rows / 10
    }

    /// All rows.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity((self.rows * (MEAN_LINE_BYTES + 16)) as usize);
        self.write(0..self.rows, &mut out);
        out
    }

    /// Appends the lines of `rows` to `out`.
    pub fn write(&self, rows: Range<u64>, out: &mut Vec<u8>) {
        for row in rows {
            self.line(row, out);
        }
    }

    /// Where row `row` stands in time, and which request it is.
    fn place(&self, row: u64) -> (u64, u64) {
        match self.order {
            Order::Sorted => (row, row),
            Order::Nearly => (row, (row & !7) + DISORDER[(row & 7) as usize]),
            Order::Shuffled => {
                let walked = u128::from(row) * u128::from(self.stride) % u128::from(self.rows);
                (walked as u64, walked as u64)
            }
        }
    }

    fn line(&self, row: u64, out: &mut Vec<u8>) {
        let mut random = Random::stream(self.seed, row);
        let r = &mut random;
        let (moment, request) = self.place(row);
        let status = status(r);
        let level = match status {
            500.. => "ERROR",
            400.. => "WARN",
            _ if r.chance(1, 6) => "DEBUG",
            _ => "INFO",
        };

        out.extend_from_slice(b"{\"ts\":\"");
        timestamp(START_MS + moment * STEP_MS + r.below(STEP_MS), out);
        out.extend_from_slice(b"\",\"id\":");
        digits(FIRST_ID + request, out);
        text_field("level", level, out);
        let method = ["GET", "GET", "GET", "POST", "GET", "PUT", "GET", "DELETE"];
        text_field("method", r.pick(&method), out);
        out.extend_from_slice(b",\"host\":\"web-");
        padded(r.zipf(6), 2, out);
        out.extend_from_slice(b"\",\"path\":\"");
        path(r, out);
        out.extend_from_slice(b"\",\"status\":");
        digits(status, out);
        out.extend_from_slice(b",\"bytes\":");
        digits(r.zipf(21) + 180, out);
        out.extend_from_slice(b",\"latency_ms\":");
        let micros = r.zipf(23) + 90;
        decimal((micros / 1000) as i64, micros % 1000, 3, false, out);
        out.extend_from_slice(b",\"ok\":");
        out.extend_from_slice(if status < 400 { b"true" } else { b"false" });
        out.extend_from_slice(b",\"user\":\"");
        user(r.zipf(17), out);
        out.push(b'"');
        let agent = (r.zipf(6) as usize) % self.agents.len();
        text_field("user_agent", &self.agents[agent], out);
        if !r.chance(20, 100) {
            out.extend_from_slice(b",\"referer\":\"/");
            out.extend_from_slice(r.pick(&RESOURCES).as_bytes());
            out.push(b'"');
        }
        if !r.chance(12, 100) {
            out.extend_from_slice(b",\"session\":\"");
            hex(r.bits(), 8, out);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"msg\":\"");
        message(r, out);
        out.extend_from_slice(b"\",\"geo\":{");
        geo(r, out);
        out.extend_from_slice(b"},\"tags\":[");
        tags(r, out);
        out.extend_from_slice(b"],\"retry_after\":");
        retry_after(r, out);
        if r.chance(15, 1000) {
            if r.chance(1, 3) {
                out.extend_from_slice(b",\"error\":null");
            } else {
                text_field("error", r.pick(&ERRORS), out);
            }
        }
        if row >= self.first_traced_row() {
            out.extend_from_slice(b",\"trace_id\":\"");
            hex(r.bits(), 16, out);
            hex(r.bits(), 16, out);
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
    }
}

/// A step that visits each of `rows` rows once, about 0.62 of the way round each time.
fn stride_of(rows: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let mut stride = (rows / 1000 * 618).max(1);
    while gcd(stride, rows.max(1)) != 1 {
        stride += 1;
    }
    stride
}

fn status(r: &mut Random) -> u64 {
    match r.below(1000) {
        0 => 504,
        1..=6 => 500,
        7..=12 => 503,
        13..=27 => 429,
        28..=67 => 404,
        68..=87 => 401,
        88..=187 => 304,
        188..=237 => 302,
        238..=317 => 201,
        318..=337 => 204,
        _ => 200,
    }
}

fn path(r: &mut Random, out: &mut Vec<u8>) {
    let resource = r.pick(&RESOURCES);
    match r.below(8) {
        0 => {
            out.extend_from_slice(b"/static/");
            hex(r.below(4096), 8, out);
            out.extend_from_slice(b"/app.js");
        }
        1 => {
            out.extend_from_slice(b"/search?q=");
            out.extend_from_slice(r.pick(&TAGS).as_bytes());
            out.push(b'+');
            out.extend_from_slice(resource.as_bytes());
            out.extend_from_slice(b"&page=");
            digits(r.zipf(8) + 1, out);
        }
        _ => {
            out.extend_from_slice(b"/v2/");
            out.extend_from_slice(resource.as_bytes());
            out.push(b'/');
            hex(r.bits(), 8, out);
            if r.chance(1, 4) {
                out.push(b'/');
                out.extend_from_slice(r.pick(&RESOURCES).as_bytes());
                out.extend_from_slice(b"?limit=");
                digits((r.below(8) + 1) * 25, out);
            }
        }
    }
}

/// User number `rank`; the first is the most active.
fn user(rank: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(FIRST[(rank % 32) as usize].as_bytes());
    out.push(b'.');
    out.extend_from_slice(LAST[(rank / 32 % 32) as usize].as_bytes());
    if rank >= 1024 {
        digits(rank / 1024 + 1, out);
    }
}

/// Free text as a JSON string's inside, so with its escapes.
fn message(r: &mut Random, out: &mut Vec<u8>) {
    let service = r.pick(&SERVICES);
    let other = r.pick(&SERVICES);
    let doing = r.pick(&DOINGS);
    let n = r.zipf(14);
    let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
    match r.below(12) {
        0 => {
            say("upstream \\\"");
            say(service);
            say("\\\" answered after ");
            digits(n, out);
            out.extend_from_slice(b" ms\\nnext try in 2 s");
        }
        1 => {
            say("rule ");
            say(doing);
            say(": match C:\\\\inetpub\\\\");
            say(service);
            say("\\\\");
            say(other);
            say(".config line ");
            digits(n, out);
        }
        2 => {
            say("caf\\u00e9 order ");
            say(doing);
            say(" by ");
            say(service);
            say(", table ");
            digits(n % 40, out);
        }
        3 => {
            say("Größe geändert: ");
            digits(n, out);
            out.extend_from_slice("×".as_bytes());
            digits(r.zipf(11) + 1, out);
            out.extend_from_slice(b" px, thumbnail ");
            out.extend_from_slice(doing.as_bytes());
        }
        4 => {
            say("deploy of ");
            say(service);
            say(" ");
            say(doing);
            say(" \\ud83d\\ude80 build ");
            digits(n, out);
        }
        5 => {
            say("キャッシュ ");
            say(doing);
            say(" (");
            say(service);
            say(" → ");
            say(other);
            say(") key=");
            hex(n, 4, out);
        }
        6 => {
            say("worker finished:\\n\\tservice=");
            say(service);
            say("\\n\\trows=");
            digits(n, out);
            out.extend_from_slice(b"\\n\\tstate=");
            out.extend_from_slice(doing.as_bytes());
        }
        7 => {
            say("GET https:\\/\\/");
            say(service);
            say(".internal\\/health ");
            say(doing);
            say(" in ");
            digits(n, out);
            out.extend_from_slice("\u{b5}s".as_bytes());
        }
        kind => {
            say(service);
            say(" ");
            say(doing);
            say(if kind < 10 {
                " a request of "
            } else {
                " a reply to "
            });
            say(other);
            say(" after ");
            digits(n, out);
            out.extend_from_slice(b" ms");
        }
    }
}

fn geo(r: &mut Random, out: &mut Vec<u8>) {
    let (country, city, lat, lon) = PLACES[(r.zipf(6) % 32) as usize];
    out.extend_from_slice(b"\"country\":\"");
    out.extend_from_slice(country.as_bytes());
    out.extend_from_slice(b"\",\"city\":\"");
    out.extend_from_slice(city.as_bytes());
    out.extend_from_slice(b"\",\"lat\":");
    degrees(lat + r.below(32) as i64, out);
    out.extend_from_slice(b",\"lon\":");
    degrees(lon + r.below(32) as i64, out);
}

/// Degrees from their ten-thousandths.
fn degrees(value: i64, out: &mut Vec<u8>) {
    let size = value.unsigned_abs();
    decimal((size / 10_000) as i64, size % 10_000, 4, value < 0, out);
}

fn tags(r: &mut Random, out: &mut Vec<u8>) {
    let first = r.below(TAGS.len() as u64);
    for n in 0..r.below(4) {
        if n > 0 {
            out.push(b',');
        }
        out.push(b'"');
        // 7 and 20 share no factor: the tags of a line differ.
        out.extend_from_slice(TAGS[((first + n * 7) % TAGS.len() as u64) as usize].as_bytes());
        out.push(b'"');
    }
}

/// Seconds: an integer, but once in 500 lines a float, as a library's update brings it.
fn retry_after(r: &mut Random, out: &mut Vec<u8>) {
    let seconds = if r.chance(4, 5) { 0 } else { r.zipf(10) + 1 };
    if r.chance(1, 500) {
        decimal(seconds as i64, 25 * r.below(4), 2, false, out);
    } else {
        digits(seconds, out);
    }
}

fn text_field(name: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// `n` in decimal.
fn digits(n: u64, out: &mut Vec<u8>) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    let mut rest = n;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// `n` in at least `width` digits.
fn padded(n: u64, width: u32, out: &mut Vec<u8>) {
    let mut scale = 10u64.pow(width - 1);
    while scale > 1 && n < scale {
        out.push(b'0');
        scale /= 10;
    }
    digits(n, out);
}

/// `whole.fraction`, the fraction given in `places` digits and printed without its last zeros.
fn decimal(whole: i64, fraction: u64, places: u32, negative: bool, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    digits(whole.unsigned_abs(), out);
    out.push(b'.');
    let (mut fraction, mut places) = (fraction, places);
    while places > 1 && fraction % 10 == 0 {
        fraction /= 10;
        places -= 1;
    }
    padded(fraction, places, out);
}

/// The last `width` hexadecimal digits of `n`.
fn hex(n: u64, width: u32, out: &mut Vec<u8>) {
    for shift in (0..width).rev() {
        out.push(b"0123456789abcdef"[(n >> (shift * 4) & 15) as usize]);
    }
}

/// Milliseconds since 1970 as `2025-03-03T07:15:22.123Z`.
fn timestamp(ms: u64, out: &mut Vec<u8>) {
    let (day, in_day) = (ms / 86_400_000, ms % 86_400_000);
    // Days to a date by eras of 400 years that start in March, so that a leap day comes last.
    let from_march = day + 719_468;
    let (era, day) = (from_march / 146_097, from_march % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (era * 400 + year, month + 3)
    } else {
        (era * 400 + year + 1, month - 9)
    };
    for (value, width, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (in_day / 3_600_000, 2, b':'),
        (in_day / 60_000 % 60, 2, b':'),
        (in_day / 1000 % 60, 2, b'.'),
        (in_day % 1000, 3, b'Z'),
    ] {
        padded(value, width, out);
        out.push(after);
    }
}
