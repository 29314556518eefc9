#!/usr/bin/env python3
"""The answers of DuckDB to the questions of TPC-H, as text.

    cargo bench --bench tpch -- --scale 0.01 --data /tmp/tpch --only-write
    python3 benches/peers/tpch_answers.py /tmp/tpch --scale 0.01

Reads the Parquet files that the benchmark wrote, asks what stands in tests/golden/tpch/*.sql, and
writes each answer beside its question, or with --to into another folder; the benchmark looks for
them in the folder `answers` beside its tables. An answer is a line of names and a line for each
row, cells between `|`. Sums of decimals are exact; fractions have ten digits behind the point;
no value is `NULL`. What each question took is printed, from reading on, as the benchmark does.
"""

import argparse
import datetime
import decimal
import pathlib
import time

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
    parser.add_argument("--threads", type=int, help="of DuckDB; by default all of the machine")
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
    duck = duckdb.connect(config={"threads": chosen.threads} if chosen.threads else {})
    total = 0
    for table in TABLES:
        files = (chosen.data / table / "*.parquet").as_posix()
        duck.read_parquet(files).create_view(table)
    duck.execute("set variable scale = ?", [chosen.scale])
    chosen.to.mkdir(parents=True, exist_ok=True)
    for question in sorted(GOLDEN.glob("q*.sql")):
        begun = time.perf_counter()
        answer = duck.execute(question.read_text())
        rows = answer.fetchall()
        seconds = time.perf_counter() - begun
        total += seconds
        lines = ["|".join(column[0] for column in answer.description)]
        lines += ["|".join(cell(value) for value in row) for row in rows]
        (chosen.to / question.with_suffix(".txt").name).write_text("\n".join(lines) + "\n")
        print(f"{question.stem}  {seconds:8.3f} s  {len(rows):6} rows")
    print(f"all  {total:8.3f} s")


if __name__ == "__main__":
    main()
