#!/usr/bin/env python3
"""Asks DuckDB what `benches/spill.rs` asks of windrow: spill.py group|sort IN OUT MEMORY THREADS.

Reads the Parquet files of the folder IN, writes one to the folder OUT, holding no more than MEMORY bytes
of its own, and prints seconds and the largest size of the process.
"""

import pathlib
import resource
import sys
import tempfile
import time

import duckdb

QUESTIONS = {
    "group": """SELECT k, sum(v1)::BIGINT AS v1, sum(v2)::BIGINT AS v2, avg(v3) AS v3, count(*) AS n
        FROM rows GROUP BY k""",
    "sort": "SELECT * FROM rows ORDER BY k",
}


def main():
    what, source, out, memory, threads = sys.argv[1:]
    out = pathlib.Path(out)
    out.mkdir()
    with tempfile.TemporaryDirectory() as spills:
        settings = {
            "memory_limit": f"{int(memory) >> 20}MiB",
            "threads": int(threads),
            "temp_directory": spills,
            # Groups stand in no order, which is the faster way.
            "preserve_insertion_order": what == "sort",
        }
        started = time.perf_counter()
        engine = duckdb.connect(config=settings)
        engine.sql(f"CREATE VIEW rows AS SELECT * FROM read_parquet('{source}/*.parquet')")
        target = out / "answer.parquet"
        engine.sql(f"COPY ({QUESTIONS[what]}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{seconds:.2f} s, {peak} MiB of the process")


main()
