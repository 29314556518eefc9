#!/usr/bin/env python3
"""windrow beside its peers on tables: the same work, in alternation, checked and measured.

    python3 benches/peers/tables.py                            everything
    python3 benches/peers/tables.py --shapes csv --rows 100000 a quick look

Shapes, all from the same generated table:

    csv      one CSV file to Parquet, zstd level 3 (windrow: its default)
    scan     Parquet files to Parquet, one row in 10,000 kept by a filter on one column
    sort     Parquet files to Parquet in the order of a random number, then of a whole one
    counts   rows of each Parquet file

Each run is a process of its own, and a round runs every engine once; of what is over in
milliseconds, scan and counts, there are five times as many. Answers are compared before
a figure is believed: rows, sums and order of what was written, or the counts themselves.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import run

HERE = pathlib.Path(__file__).resolve().parent
SHAPES = ["csv", "scan", "sort", "counts"]
PEERS = ["polars", "duckdb", "datafusion"]
SHORT = ["scan", "counts"]
FILES = 8
KEPT = 4711


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = lambda text: [word for word in text.split(",") if word]
    parser.add_argument("--shapes", type=words, default=SHAPES, help="some of: " + ",".join(SHAPES))
    parser.add_argument("--peers", type=words, default=PEERS, help="some of: " + ",".join(PEERS))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=300, help="seconds a run may take")
    parser.add_argument("--windrow", type=pathlib.Path, default=run.ROOT / "target/release/windrow")
    parser.add_argument("--cache", type=pathlib.Path, default=run.default_cache())
    parser.add_argument("--json", type=pathlib.Path, help="write every figure to this file")
    chosen = parser.parse_args()
    for name, known in [("shapes", SHAPES), ("peers", PEERS)]:
        for word in getattr(chosen, name):
            if word not in known:
                parser.error(f"--{name}: {word!r} is none of {known}")
    return chosen


MAKE = """
import duckdb, sys
duckdb.execute("SET enable_progress_bar = false")
folder, rows, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
table = f'''SELECT i AS id, (hash(i) % 10000)::BIGINT AS kind, 'id' || (hash(i + 1) % 100000) AS name,
    ((hash(i + 2) % 1000000) / 1000.0)::DOUBLE AS amount, (hash(i + 3) % 100)::BIGINT AS small,
    (TIMESTAMP '2025-01-01' + INTERVAL (hash(i + 4) % 31536000) SECOND)::DATE AS day,
    CASE WHEN hash(i + 5) % 10 = 0 THEN NULL ELSE 'note, ' || (hash(i + 5) % 1000) END AS note
    FROM range({{}}, {{}}) t(i)'''
duckdb.execute(f"COPY ({table.format(0, rows)}) TO '{folder}/table.csv' (HEADER)")
for n in range(files):
    part = table.format(rows * n // files, rows * (n + 1) // files)
    duckdb.execute(f"COPY ({part}) TO '{folder}/part-{n}.parquet' (COMPRESSION zstd)")
"""


def made(python, chosen):
    folder = chosen.cache / f"tables/{chosen.rows}"
    if not (folder / "done").exists():
        run.say(f"making {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make = [python, "-c", MAKE, folder, str(chosen.rows), str(FILES)]
        subprocess.run(make, check=True)
        (folder / "done").touch()
    return folder


def windrow_command(shape, folder, out, chosen):
    threads = ["--threads", str(chosen.threads), "--quiet"]
    if shape == "csv":
        return [chosen.windrow, "convert", folder / "table.csv", "--to", out, *threads]
    if shape == "scan":
        where = ["--where", f"kind = {KEPT}"]
        return [chosen.windrow, "convert", folder / "*.parquet", "--to", out, *where, *threads]
    if shape == "sort":
        return [chosen.windrow, "convert", folder / "*.parquet", "--to", out, "--sort-by", "amount,id", *threads]
    return [chosen.windrow, "inspect", folder / "*.parquet", "--output", "json"]


def work(engine, shape, folder, out, threads):
    """One peer's work, in this process; the seconds without imports."""
    import time

    csv, parts = f"{folder}/table.csv", f"{folder}/*.parquet"
    to = f"{out}/part.parquet"
    if engine == "duckdb":
        import duckdb

        start = time.perf_counter()
        db = duckdb.connect(config={"threads": threads})
        zstd = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
        if shape == "csv":
            db.execute(f"COPY (SELECT * FROM read_csv('{csv}')) TO '{to}' {zstd}")
        elif shape == "scan":
            db.execute(f"COPY (SELECT * FROM read_parquet('{parts}') WHERE kind = {KEPT}) TO '{to}' {zstd}")
        elif shape == "sort":
            db.execute(f"COPY (SELECT * FROM read_parquet('{parts}') ORDER BY amount, id) TO '{to}' {zstd}")
        else:
            query = f"SELECT file_name, num_rows FROM parquet_file_metadata('{parts}') ORDER BY 1"
            print(json.dumps([rows for _, rows in db.execute(query).fetchall()]))
    elif engine == "polars":
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars as pl

        start = time.perf_counter()
        zstd = {"compression": "zstd", "compression_level": 3}
        if shape == "csv":
            pl.scan_csv(csv, try_parse_dates=True).sink_parquet(to, **zstd)
        elif shape == "scan":
            pl.scan_parquet(parts).filter(pl.col("kind") == KEPT).sink_parquet(to, **zstd)
        elif shape == "sort":
            pl.scan_parquet(parts).sort("amount", "id").sink_parquet(to, **zstd)
        else:
            rows = pl.scan_parquet(parts, include_file_paths="path")
            rows = rows.group_by("path").len().sort("path").collect()
            print(json.dumps(rows["len"].to_list()))
    else:
        import datafusion as df

        start = time.perf_counter()
        config = df.SessionConfig().with_target_partitions(threads)
        if shape == "sort":
            # Of several files nobody could say which comes first.
            config = config.set("datafusion.execution.minimum_parallel_output_files", "1")
        session = df.SessionContext(config)
        if shape == "csv":
            session.register_csv("t", csv)
            rows = session.sql("SELECT * FROM t")
        elif shape == "scan":
            session.register_parquet("t", folder)
            rows = session.sql(f"SELECT * FROM t WHERE kind = {KEPT}")
        elif shape == "sort":
            session.register_parquet("t", folder)
            rows = session.sql("SELECT * FROM t ORDER BY amount, id")
        else:
            raise SystemExit("DataFusion does not tell files apart")
        rows.write_parquet(out, compression="zstd", compression_level=3)
    print(json.dumps({"work_s": time.perf_counter() - start}))


CHECK = """
import duckdb, json, sys
files = sys.argv[1]
row = duckdb.execute(f'''SELECT count(*), sum(id), sum(kind), sum(amount::DECIMAL(18, 3)), sum(small),
    sum(datediff('day', DATE '2000-01-01', day::DATE)), sum(length(name)), count(note), sum(length(note))
    FROM read_parquet('{files}')''').fetchone()
print(json.dumps([str(value) for value in row]))
"""

IN_ORDER = """
import duckdb, json, sys
files = sys.argv[1]
row = duckdb.execute(f'''SELECT count(*) FROM (SELECT row(amount, id) AS here,
    lag(row(amount, id)) OVER (ORDER BY filename, file_row_number) AS behind
    FROM read_parquet('{files}', filename = true, file_row_number = true)) WHERE behind > here''').fetchone()
print(json.dumps(row[0]))
"""


def checked(python, files, query=CHECK):
    done = subprocess.run([python, "-c", query, files], check=True, capture_output=True, text=True)
    # A query that takes long may draw a progress bar in front of it.
    return json.loads(done.stdout.splitlines()[-1])


def answer(engine, shape, out, text, python):
    if shape == "counts":
        if engine == "windrow":
            parts = json.loads(text)["partitions"]
            return [part["rows"] for part in sorted(parts, key=lambda part: part["path"])]
        return json.loads(text.splitlines()[0])
    if shape == "sort" and (places := checked(python, f"{out}/**/*.parquet", IN_ORDER)):
        return f"out of order at {places} rows"
    return checked(python, f"{out}/**/*.parquet")


def once(engine, shape, folder, out, python, chosen):
    shutil.rmtree(out, ignore_errors=True)
    if engine == "windrow":
        command = windrow_command(shape, folder, out, chosen)
    else:
        out.mkdir()
        command = [python, __file__, "--work", engine, shape, folder, out, chosen.threads]
    outcome = run.child([str(word) for word in command], chosen.timeout, f"{out}.log")
    if outcome["error"]:
        return outcome
    text = outcome.pop("output").strip()
    outcome["work_s"] = outcome["wall_s"]
    if engine != "windrow":
        outcome["work_s"] = json.loads(text.splitlines()[-1])["work_s"]
    outcome["answer"] = answer(engine, shape, out, text, python)
    found = out.rglob("*.parquet") if out.exists() else []
    outcome["stored_mb"] = sum(path.stat().st_size for path in found) / 1e6
    return outcome


def measure(shape, engines, python, folder, scratch, chosen):
    if shape == "counts":
        sizes = [chosen.rows * (n + 1) // FILES - chosen.rows * n // FILES for n in range(FILES)]
        wanted = sizes
    else:
        where = f"') WHERE kind = {KEPT} --" if shape == "scan" else ""
        wanted = checked(python, f"{folder}/*.parquet{where}")
    runs = {engine: [] for engine in engines if (engine, shape) != ("datafusion", "counts")}
    rounds = chosen.rounds * (5 if shape in SHORT else 1)
    for round_ in range(1, rounds + 1):
        for engine, earlier in runs.items():
            if earlier and earlier[-1]["error"]:
                continue
            outcome = once(engine, shape, folder, scratch / f"{shape}-{engine}", python, chosen)
            if not outcome["error"] and outcome["answer"] != wanted:
                outcome["wrong"] = f"{outcome['answer']} is not {wanted}"
            earlier.append(outcome)
            note = outcome["error"] or outcome.get("wrong", "right")
            run.say(f"{shape} {round_}/{rounds} {engine}: {outcome['wall_s']:.2f} s, {note}")
    return runs


def table(shape, runs):
    lines = [
        f"### {shape}",
        "",
        "| engine | seconds | x | process s | x | CPU s | x | peak MB | x | out MB | answer |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    figures = ["work_s", "wall_s", "cpu_s", "peak_mb", "stored_mb"]
    medians = {}
    for engine, of in runs.items():
        done = [each for each in of if not each["error"]]
        if done:
            medians[engine] = {name: statistics.median(each[name] for each in done) for name in figures}
    own = medians.get("windrow")
    for engine, of in runs.items():
        if engine not in medians:
            lines.append(f"| {engine} |" + " |" * 9 + f" failed: {of[-1]['error'][:80]} |")
            continue
        cells = [engine]
        for name, form in zip(figures[:4], [".3f", ".3f", ".2f", ".0f"]):
            cells.append(format(medians[engine][name], form))
            cells.append(format(medians[engine][name] / own[name], ".2f") if own else "–")
        cells.append(format(medians[engine]["stored_mb"], ".1f"))
        cells.append("wrong" if any(each.get("wrong") for each in of) else "right")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:2] == ["--work"]:
        engine, shape, folder, out, threads = sys.argv[2:]
        return work(engine, shape, folder, out, int(threads))
    chosen = options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    chosen.cache.mkdir(parents=True, exist_ok=True)
    python, versions = run.installed(chosen.cache, chosen.peers)
    folder = made(python, chosen)
    about = run.machine()
    print(f"{about['date']}, {about['cpu']}, {chosen.threads} threads, commit {about['commit']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{chosen.rows:,} rows, medians of {chosen.rounds} rounds; x = times windrow's figure\n")
    results = {}
    with tempfile.TemporaryDirectory(dir=chosen.cache, prefix="out-") as scratch:
        for shape in chosen.shapes:
            engines = ["windrow", *chosen.peers]
            results[shape] = measure(shape, engines, python, folder, pathlib.Path(scratch), chosen)
            print(table(shape, results[shape]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": about, "versions": versions, "shapes": results}, indent=1))
    own = [each for runs in results.values() for each in runs["windrow"]]
    return 1 if any(each["error"] or each.get("wrong") for each in own) else 0


if __name__ == "__main__":
    sys.exit(main())
