#!/usr/bin/env python3
"""What DuckDB finds in real files, stored for tests/reader_answers.rs to compare windrow with.

    WINDROW_REAL_DATA=folder python3 benches/peers/reader_answers.py

Writes tests/golden/readers/{csv,json,parquet}.txt. Each file begins with the version that gave the
answers, each answer with the file that was read and the query over it; `?` in a query stands for
the file's path. A line a column: its name, what its values are, how many are null, then

    number, flag    sum, least and greatest, as 64-bit floats
    text            characters of all values, the least and the greatest value, by their bytes
    binary          bytes of all values
    time            sum of seconds since 1970, the first and the last time in microseconds since then
    list            items of all lists
    other           nothing more

Text files are read as text, so that what is compared is what stands in the file and not how either
engine types it: a CSV column is of numbers where every value that is there can be one.
"""

import json
import os
import pathlib
import sys

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden/readers"

# Files, and what CSV files have for a null.
CSV = [
    ("nycflights13/weather.csv", "NA"),
    ("nycflights13/planes.csv", "NA"),
    ("nycflights13/airports.csv", "NA"),
    ("nycflights13/airlines.csv", ""),
    ("comic_characters/dc-wikia-data.csv", ""),
    ("foods/foods1.csv", ""),
    ("csv_spectrum/newlines.csv", ""),
    ("csv_spectrum/comma_in_quotes.csv", ""),
    ("csv_spectrum/escaped_quotes.csv", ""),
    ("csv_spectrum/utf8.csv", ""),
]
JSON = [
    "zeek_json_logs/dns.json.gz",
    "zeek_json_logs/weird.json.gz",
    "zeek_json_logs/ntp.json.gz",
    "zeek_json_logs/smtp.json.gz",
    "zeek_json_logs/known_services.json.gz",
    "zeek_json_logs/stats.json.gz",
    "nginx_status_log/nginx_status.ndjson",
    "foods/foods1.ndjson",
]
# Not int96_from_spark.parquet: DuckDB takes its year 290000 for one long past.
PARQUET = [
    "foods/foods1.parquet",
    "parquet_testing/data/alltypes_plain.parquet",
    "parquet_testing/data/alltypes_plain.snappy.parquet",
    "parquet_testing/data/alltypes_dictionary.parquet",
    "parquet_testing/data/datapage_v2.snappy.parquet",
    "parquet_testing/data/delta_byte_array.parquet",
    "parquet_testing/data/fixed_length_decimal.parquet",
    "parquet_testing/data/int32_decimal.parquet",
    "parquet_testing/data/list_columns.parquet",
    "parquet_testing/data/nested_lists.snappy.parquet",
    "parquet_testing/data/nested_maps.snappy.parquet",
    "parquet_testing/data/nulls.snappy.parquet",
    "parquet_testing/data/single_nan.parquet",
]

# What is asked of a column `c` beside its nulls, by what its values are.
ASKED = {
    "number": "sum({c}::DOUBLE), min({c}::DOUBLE), max({c}::DOUBLE)",
    "flag": "sum({c}::INT)::DOUBLE, min({c}::INT)::DOUBLE, max({c}::INT)::DOUBLE",
    "text": "sum(length({c}))::BIGINT, min({c}), max({c})",
    "binary": "sum(octet_length({c}))::BIGINT",
    "time": "sum(epoch({c}::TIMESTAMP))::DOUBLE, epoch_us(min({c}::TIMESTAMP)), epoch_us(max({c}::TIMESTAMP))",
    "list": "sum(len({c}))::BIGINT",
    "other": "",
}


def named(name):
    return '"' + name.replace('"', '""') + '"'


def answer(path, source, columns):
    """The query over `source`, in which ? is the path, and its answer as lines."""
    parts = ["count(*)"]
    for _, kind, c in columns:
        parts.append(f"count(*) FILTER ({c} IS NULL)")
        parts.extend(filter(None, [ASKED[kind].format(c=c)]))
    query = f"SELECT {', '.join(parts)} FROM {source}"
    row = list(duckdb.execute(query.replace("?", f"'{path}'")).fetchone())
    lines = [f"query {query}", f"rows {row.pop(0)}"]
    for name, kind, _ in columns:
        found = [row.pop(0)]
        found += [row.pop(0) for part in ASKED[kind].split(", ") if part]
        lines.append(json.dumps([name, kind, *map(plain, found)], ensure_ascii=False))
    return lines


def plain(value):
    """A value as JSON can hold it: NaN and the infinities as text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def csv(path, null):
    source = f"read_csv(?, all_varchar = true, header = true, quote = '\"', escape = '\"', nullstr = '{null}')"
    columns = []
    for (name, *_) in duckdb.execute(f"DESCRIBE FROM {source.replace('?', repr(str(path)))}").fetchall():
        c = named(name)
        test = f"SELECT count({c}) > 0 AND bool_and({c} IS NULL OR TRY_CAST({c} AS DOUBLE) IS NOT NULL) FROM {source}"
        numbers = duckdb.execute(test.replace("?", f"'{path}'")).fetchone()[0]
        columns.append((name, "number" if numbers else "text", c))
    return answer(path, source, columns)


def json_lines(path):
    source = "read_ndjson_objects(?)"
    keys = f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM read_ndjson_objects('{path}') ORDER BY key"
    columns = []
    for (key,) in duckdb.execute(keys).fetchall():
        at = "'$.\"" + key.replace("'", "''") + "\"'"
        kinds = f"SELECT DISTINCT json_type(json, {at}) FROM read_ndjson_objects('{path}')"
        found = {kind for (kind,) in duckdb.execute(kinds).fetchall()} - {None, "NULL"}
        text = f"json_extract_string(json, {at})"
        if found <= {"UBIGINT", "BIGINT", "DOUBLE"}:
            columns.append((key, "number", text))
        elif found == {"VARCHAR"}:
            columns.append((key, "text", text))
        elif found == {"BOOLEAN"}:
            columns.append((key, "flag", f"{text}::BOOLEAN"))
        elif found == {"ARRAY"}:
            columns.append((key, "list", f"json_extract(json, {at})::JSON[]"))
        else:
            columns.append((key, "other", text))
    return answer(path, source, columns)


def parquet(path):
    source = "read_parquet(?)"
    columns = []
    for name, of, *_ in duckdb.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall():
        if of.endswith("[]"):
            kind = "list"
        elif of == "BOOLEAN":
            kind = "flag"
        elif of == "VARCHAR":
            kind = "text"
        elif of == "BLOB":
            kind = "binary"
        elif of == "DATE" or of.startswith("TIMESTAMP"):
            kind = "time"
        elif of.startswith("DECIMAL") or of in ("FLOAT", "DOUBLE") or of.endswith("INT") or of == "INTEGER":
            kind = "number"
        else:
            kind = "other"
        columns.append((name, kind, named(name)))
    return answer(path, source, columns)


def main():
    root = os.environ.get("WINDROW_REAL_DATA")
    if not root:
        sys.exit("WINDROW_REAL_DATA must name the folder of the real files")
    duckdb.execute("SET TimeZone = 'UTC'")
    root = pathlib.Path(root)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    sets = {
        "csv": [(name, lambda path, null=null: csv(path, null)) for name, null in CSV],
        "json": [(name, json_lines) for name in JSON],
        "parquet": [(name, parquet) for name in PARQUET],
    }
    nulls = dict(CSV)
    for form, files in sets.items():
        lines = [f"duckdb {duckdb.__version__}"]
        for name, read in files:
            lines += ["", f"file {name}"]
            if nulls.get(name):
                lines.append(f"null {nulls[name]}")
            lines += read(root / name)
        (GOLDEN / f"{form}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
