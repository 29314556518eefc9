#!/usr/bin/env python3
"""The answers of DuckDB to the questions of TPC-H, as text.

    cargo bench --bench tpch -- --scale 0.01 --data /tmp/tpch --only-write
    python3 benches/peers/tpch_answers.py /tmp/tpch --scale 0.01

Reads the Parquet files that the benchmark wrote, asks what stands in tests/golden/tpch/*.sql, and
writes each answer beside its question, or with --to into another folder; the benchmark looks for
them in the folder `answers` beside its tables. An answer is a line of names and a line for each
row, cells between `|`. Sums of decimals are exact; fractions have ten digits behind the point;
no value is `NULL`.
"""

import argparse
import datetime
import decimal
import pathlib

import duckdb

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tpch"
TABLES = ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"]


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="the folder of the tables")
    parser.add_argument("--scale", type=float, required=True, help="the scale factor of the tables")
    parser.add_argument("--to", type=pathlib.Path, default=GOLDEN, help="where the answers go")
    return parser.parse_args()


def cell(value):
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.10f}"
    if isinstance(value, (str, int, decimal.Decimal, datetime.date)):
        return str(value)
    raise TypeError(f"no text for {value!r}")


def main():
    chosen = options()
    duck = duckdb.connect()
    for table in TABLES:
        files = (chosen.data / table / "*.parquet").as_posix()
        duck.read_parquet(files).create_view(table)
    duck.execute("set variable scale = ?", [chosen.scale])
    chosen.to.mkdir(parents=True, exist_ok=True)
    for question in sorted(GOLDEN.glob("q*.sql")):
        answer = duck.execute(question.read_text())
        lines = ["|".join(column[0] for column in answer.description)]
        lines += ["|".join(cell(value) for value in row) for row in answer.fetchall()]
        target = chosen.to / question.with_suffix(".txt").name
        target.write_text("\n".join(lines) + "\n")
        print(f"{target}: {len(lines) - 1} rows")


if __name__ == "__main__":
    main()
