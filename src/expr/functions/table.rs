//! Every function with its name, its arguments and what it means.
//!
//! In:  nothing.
//! Out: the table, in the order a manual would list them.

use super::{Function, Kind, Part, Takes};

use Takes::{Any, Literal, Number, Object, Text, TextOrList, Time};

const fn function(
    name: &'static str,
    usage: &'static str,
    kind: Kind,
    takes: &'static [Takes],
    meaning: &'static str,
) -> Function {
    Function {
        name,
        usage,
        meaning,
        kind,
        takes,
        optional: 0,
        repeats: false,
    }
}

impl Function {
    const fn optional(mut self, optional: usize) -> Self {
        self.optional = optional;
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }
}

pub(super) static FUNCTIONS: [Function; 59] = [
    function("lower", "lower(text)", Kind::Lower, &[Text], "The text in lower case."),
    function("upper", "upper(text)", Kind::Upper, &[Text], "The text in upper case."),
    function(
        "length",
        "length(text | list)",
        Kind::Length,
        &[TextOrList],
        "How many characters a text has, or how many items a list.",
    ),
    function(
        "trim",
        "trim(text [, characters])",
        Kind::Trim,
        &[Text, Text],
        "The text without blanks, or the characters given, at both ends.",
    )
    .optional(1),
    function(
        "ltrim",
        "ltrim(text [, characters])",
        Kind::Ltrim,
        &[Text, Text],
        "The text without blanks, or the characters given, at its start.",
    )
    .optional(1),
    function(
        "rtrim",
        "rtrim(text [, characters])",
        Kind::Rtrim,
        &[Text, Text],
        "The text without blanks, or the characters given, at its end.",
    )
    .optional(1),
    function(
        "starts_with",
        "starts_with(text, start)",
        Kind::StartsWith,
        &[Text, Text],
        "Whether the text starts with another.",
    ),
    function(
        "ends_with",
        "ends_with(text, end)",
        Kind::EndsWith,
        &[Text, Text],
        "Whether the text ends with another.",
    ),
    function(
        "contains",
        "contains(text | list, part)",
        Kind::Contains,
        &[TextOrList, Any],
        "Whether a text holds another, or a list an item equal to a constant.",
    ),
    function(
        "substring",
        "substring(text, start [, length])",
        Kind::Substring,
        &[Text, Number, Number],
        "Characters from a place on; the first is 1, and -1 is the last.",
    )
    .optional(1),
    function(
        "substr",
        "substr(text, start [, length])",
        Kind::Substring,
        &[Text, Number, Number],
        "The same as substring.",
    )
    .optional(1),
    function(
        "replace",
        "replace(text, old, new)",
        Kind::Replace,
        &[Text, Text, Text],
        "The text with every occurrence of old replaced by new.",
    ),
    function(
        "split_part",
        "split_part(text, separator, n)",
        Kind::SplitPart,
        &[Text, Text, Number],
        "The nth part between separators; -1 is the last; empty if there is none.",
    ),
    function(
        "concat",
        "concat(text, ...)",
        Kind::Concat,
        &[Text],
        "All texts joined; null counts as empty.",
    )
    .repeats(),
    function(
        "regexp_like",
        "regexp_like(text, 'pattern')",
        Kind::RegexpLike,
        &[Text, Literal],
        "Whether a regular expression matches anywhere in the text.",
    ),
    function(
        "regexp_extract",
        "regexp_extract(text, 'pattern' [, group])",
        Kind::RegexpExtract,
        &[Text, Literal, Number],
        "What the first match of a regular expression has in a group, the first one where none is named; null if nothing matches.",
    )
    .optional(1),
    function(
        "regexp_replace",
        "regexp_replace(text, 'pattern', new)",
        Kind::RegexpReplace,
        &[Text, Literal, Text],
        "The text with every match of a regular expression replaced; $1 in the new text is the first group.",
    ),
    function(
        "position",
        "position(text, part)",
        Kind::Position,
        &[Text, Text],
        "The place of the first character of a part, from 1; 0 if the text does not hold it.",
    ),
    function(
        "lpad",
        "lpad(text, length [, fill])",
        Kind::Lpad,
        &[Text, Number, Text],
        "The text filled up at its start, or cut off, to so many characters.",
    )
    .optional(1),
    function(
        "rpad",
        "rpad(text, length [, fill])",
        Kind::Rpad,
        &[Text, Number, Text],
        "The text filled up at its end, or cut off, to so many characters.",
    )
    .optional(1),
    function(
        "split",
        "split(text, separator)",
        Kind::Split,
        &[Text, Text],
        "The list of the parts between separators.",
    ),
    function("list", "list(value, ...)", Kind::List, &[Any], "A list of the values.").repeats(),
    function(
        "list_get",
        "list_get(list, n)",
        Kind::ListGet,
        &[TextOrList, Number],
        "The nth item; the first is 1, and -1 is the last; null if there is none.",
    ),
    function(
        "field",
        "field(object, 'name')",
        Kind::Field,
        &[Object, Literal],
        "A field of an object; null where there is none.",
    ),
    function(
        "coalesce",
        "coalesce(value, ...)",
        Kind::Coalesce,
        &[Any],
        "The first value that is not null.",
    )
    .repeats(),
    function(
        "nullif",
        "nullif(value, other)",
        Kind::Nullif,
        &[Any, Any],
        "The value, or null where it equals the other.",
    ),
    function("abs", "abs(number)", Kind::Abs, &[Number], "The number without its sign."),
    function(
        "round",
        "round(number [, digits])",
        Kind::Round,
        &[Number, Number],
        "The nearest number of so many digits after the point; halves go away from 0.",
    )
    .optional(1),
    function("floor", "floor(number)", Kind::Floor, &[Number], "The next whole number below."),
    function("ceil", "ceil(number)", Kind::Ceil, &[Number], "The next whole number above."),
    function(
        "floordiv",
        "floordiv(number, divisor)",
        Kind::FloorDiv,
        &[Number, Number],
        "The quotient, rounded down to a whole number; null for a divisor of 0.",
    ),
    function(
        "pow",
        "pow(number, exponent)",
        Kind::Pow,
        &[Number, Number],
        "A power, as a fraction; null where there is none: 0 to a negative one, -1 to the half.",
    ),
    function(
        "sqrt",
        "sqrt(number)",
        Kind::Sqrt,
        &[Number],
        "The square root; null of a negative number.",
    ),
    function("exp", "exp(number)", Kind::Exp, &[Number], "e to the power of a number."),
    function(
        "ln",
        "ln(number)",
        Kind::Ln,
        &[Number],
        "The natural logarithm; null of a number that is not above 0.",
    ),
    function(
        "log10",
        "log10(number)",
        Kind::Log10,
        &[Number],
        "The logarithm to base 10; null of a number that is not above 0.",
    ),
    function(
        "is_nan",
        "is_nan(number)",
        Kind::IsNan,
        &[Number],
        "Whether the number is NaN, which is a value and not null.",
    ),
    function(
        "to_timestamp",
        "to_timestamp(text | number [, 's' | 'ms' | 'us' | 'ns'])",
        Kind::ToTimestamp,
        &[Any, Literal],
        "The point in time a text spells, or a number counts from 1970, in seconds or the unit given; null if none.",
    )
    .optional(1),
    function("date", "date(time)", Kind::Date, &[Time], "The day of a point in time."),
    function(
        "date_trunc",
        "date_trunc('unit', time)",
        Kind::DateTrunc,
        &[Literal, Time],
        "The start of the year, quarter, month, week, day, hour, minute, second or millisecond, or of a length of time such as '15m'.",
    ),
    function(
        "date_ceil",
        "date_ceil('unit', time)",
        Kind::DateCeil,
        &[Literal, Time],
        "The time where a unit starts with it, as date_trunc has them, else the start of the next one.",
    ),
    function(
        "date_round",
        "date_round('unit', time)",
        Kind::DateRound,
        &[Literal, Time],
        "The nearest start of a unit, as date_trunc has them; of two the later one.",
    ),
    function(
        "date_range",
        "date_range('unit', from, to)",
        Kind::DateRange,
        &[Literal, Time, Time],
        "The starts of all units, as date_trunc has them, from that of a time to before another, as a list.",
    ),
    function(
        "tz_convert",
        "tz_convert(time, 'zone')",
        Kind::TzConvert,
        &[Time, Literal],
        "The same instant, on the clocks of a zone such as 'Europe/Oslo'; a time without a zone is UTC.",
    ),
    function(
        "tz_localize",
        "tz_localize(time, 'zone')",
        Kind::TzLocalize,
        &[Time, Literal],
        "The instant at which the clocks of a zone show a time that has no zone; of two the first.",
    ),
    function(
        "strftime",
        "strftime(time, 'format')",
        Kind::Strftime,
        &[Time, Literal],
        "The time as a text, by a format such as '%Y-%m-%d %H:%M', on the clocks of its zone.",
    ),
    function(
        "strptime",
        "strptime(text, 'format' [, 'zone'])",
        Kind::Strptime,
        &[Text, Literal, Literal],
        "The instant that a text spells in a format, on the clocks of a zone, UTC where none is named; null if it does not.",
    )
    .optional(1),
    function("year", "year(time)", Kind::Part(Part::Year), &[Time], "The year."),
    function("quarter", "quarter(time)", Kind::Part(Part::Quarter), &[Time], "The quarter, 1 to 4."),
    function("month", "month(time)", Kind::Part(Part::Month), &[Time], "The month, 1 to 12."),
    function("day", "day(time)", Kind::Part(Part::Day), &[Time], "The day of the month."),
    function("dayofyear", "dayofyear(time)", Kind::Part(Part::DayOfYear), &[Time], "The day of the year, 1 to 366."),
    function("week", "week(time)", Kind::Part(Part::Week), &[Time], "The week of the year by ISO 8601, 1 to 53."),
    function(
        "isodow",
        "isodow(time)",
        Kind::Part(Part::Weekday),
        &[Time],
        "The day of the week, 1 for Monday to 7 for Sunday.",
    ),
    function("hour", "hour(time)", Kind::Part(Part::Hour), &[Time], "The hour, 0 to 23."),
    function("minute", "minute(time)", Kind::Part(Part::Minute), &[Time], "The minute, 0 to 59."),
    function("second", "second(time)", Kind::Part(Part::Second), &[Time], "The second, 0 to 59."),
    function("epoch", "epoch(time)", Kind::Epoch, &[Time], "Seconds from 1970, with a fraction."),
    function("epoch_ms", "epoch_ms(time)", Kind::EpochMs, &[Time], "Whole milliseconds from 1970."),
];
