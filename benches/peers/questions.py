#!/usr/bin/env python3
"""windrow beside its peers on questions: groups, joins and TPC-H, from the same Parquet files.

    cargo bench --no-run
    python3 benches/peers/questions.py --group target/release/deps/group-… \\
        --join target/release/deps/join-… --tpch target/release/deps/tpch-…

The benchmarks of windrow make the files, ask and check their own answers; the peers are asked the
same, each in a process of its own, and must come to as many rows. Times are those of a question
alone, the fastest of some runs, on two threads; with --runs 1 whole processes are compared, too.
Joins start from tables in memory and end with all columns of all rows in memory; groups and TPC-H
start from the files. Polars is asked TPC-H in SQL, and not what its SQL does not know; Dask seven
of its questions, by `dask_questions.py`.
"""

import argparse
import json
import math
import os
import pathlib
import re
import sys
import time

import dask_questions
import run

GOLDEN = run.ROOT / "tests/golden/tpch"
PEERS = ["duckdb", "polars", "datafusion", "dask"]

GROUP = {
    "q1": "SELECT id1, sum(v1) FROM x GROUP BY id1",
    "q2": "SELECT id1, id2, sum(v1) FROM x GROUP BY id1, id2",
    "q3": "SELECT id3, sum(v1), avg(v3) FROM x GROUP BY id3",
    "q4": "SELECT id4, avg(v1), avg(v2), avg(v3) FROM x GROUP BY id4",
    "q5": "SELECT id6, sum(v1), sum(v2), sum(v3) FROM x GROUP BY id6",
    "q6": "SELECT id4, id5, median(v3), stddev(v3) FROM x GROUP BY id4, id5",
    "q7": "SELECT id3, max(v1), min(v2) FROM x GROUP BY id3",
    "q8": {
        "duckdb": "SELECT id6, max(v3, 2) FROM x GROUP BY id6",
        "datafusion": "SELECT id6, v3 FROM (SELECT id6, v3, row_number() OVER "
        "(PARTITION BY id6 ORDER BY v3 DESC) AS place FROM x) WHERE place <= 2",
    },
    "q9": "SELECT id2, id4, corr(v1, v2) FROM x GROUP BY id2, id4",
    "q10": "SELECT id1, id2, id3, id4, id5, id6, sum(v3), count(*) FROM x "
    "GROUP BY id1, id2, id3, id4, id5, id6",
}
# Name in windrow's bench, other table, key, how.
JOIN = {
    "q1": ("small", "id1", "inner"),
    "q2": ("medium", "id2", "inner"),
    "q3": ("medium", "id2", "left"),
    "q4": ("medium", "id5", "inner"),
    "q5": ("large", "id3", "inner"),
}
TPCH = ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"]


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = lambda text: [word for word in text.split(",") if word]
    for name in ["group", "join", "tpch"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, help=f"the built benchmark `{name}`")
    parser.add_argument("--peers", type=words, default=PEERS, help="some of: " + ",".join(PEERS))
    parser.add_argument("--runs", type=int, default=3, help="of each question; the fastest counts")
    parser.add_argument("--scale", type=float, default=1.0, help="of TPC-H")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=600, help="seconds an engine may take")
    parser.add_argument("--cache", type=pathlib.Path, default=run.default_cache())
    parser.add_argument("--json", type=pathlib.Path, help="write every figure to this file")
    return parser.parse_args()


def windrow(what, folder, chosen):
    """Seconds and rows of each question, as the benchmark prints them, and its process."""
    command = [str(getattr(chosen, what))]
    more = {"WINDROW_THREADS": str(chosen.threads)}
    if what == "group":
        more |= {"GROUP_FROM": "parquet", "GROUP_DATA": str(folder), "REPEATS": str(chosen.runs)}
    elif what == "join":
        if not (folder / "large").exists():
            only_write = {**more, "JOIN_DATA": str(folder)}
            run.child([*command, "no-question"], chosen.timeout, chosen.cache / "questions/windrow.log", only_write)
        more |= {"JOIN_FROM": str(folder), "REPEATS": str(chosen.runs)}
    else:
        command += ["--scale", str(chosen.scale), "--data", str(folder), "--runs", str(chosen.runs)]
    done = run.child(command, chosen.timeout, chosen.cache / "questions/windrow.log", more)
    if done["error"]:
        raise SystemExit(f"{command[0]} failed: {done['output'][-500:]}{done['error']}")
    found = {}
    for line in done["output"].splitlines():
        if not re.match(r"q\d+\s", line) or "NOT CHECKED" in line:
            continue
        rows = re.search(r"(\d+) (groups|rows)\b(?!/s)", line)
        seconds = float(re.search(r"([\d.]+) s\b", line)[1])
        found[line.split()[0]] = {"s": seconds, "rows": int(rows[1]) if rows else None}
    return found, done


def tables(what, folder):
    if what == "group":
        return {"x": f"{folder}/*.parquet"}
    names = ["x", "small", "medium", "large"] if what == "join" else TPCH
    return {name: f"{folder}/{name}/*.parquet" for name in names}


def joined(other, key, how):
    """All columns of both tables; those of the other with a suffix, since names stand twice."""
    number, text = {"small": ("id1", "id4"), "medium": ("id2", "id5"), "large": ("id3", "id6")}[other]
    right = ", ".join(f"y.{name} AS {name}_y" for name in [number, text, "v2"])
    return f"SELECT x.*, {right} FROM x {how} JOIN {other} y ON x.{key} = y.{key}"


def scale_of(folder):
    """The scale factor that the folder's name ends with."""
    return float(str(folder).rsplit("-", 1)[-1])


def asked(engine, what, folder, threads):
    """A function for each question that asks it and gives the number of rows."""
    sources = tables(what, folder)
    if what == "group":
        texts = {name: q if isinstance(q, str) else q.get(engine) for name, q in GROUP.items()}
    elif what == "tpch":
        texts = {path.stem: path.read_text() for path in sorted(GOLDEN.glob("q*.sql"))}
        scale = "getvariable('scale')"  # only DuckDB has variables
        texts = {name: text.replace(scale, str(scale_of(folder))) for name, text in texts.items()}
    else:
        texts = {name: joined(*of) for name, of in JOIN.items()}
    if engine == "duckdb":
        import duckdb

        db = duckdb.connect(config={"threads": threads})
        db.execute("SET enable_progress_bar = false")
        kind = "TABLE" if what == "join" else "VIEW"
        for name, files in sources.items():
            db.execute(f"CREATE {kind} {name} AS SELECT * FROM read_parquet('{files}')")
        def ask(text):
            db.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {text}")
            return db.execute("SELECT count(*) FROM answer").fetchone()[0]

        if what == "tpch":
            ask = lambda text: len(db.execute(text).fetchall())
        return {name: (lambda text=text: ask(text)) for name, text in texts.items() if text}
    if engine == "datafusion":
        import datafusion

        session = datafusion.SessionContext(
            datafusion.SessionConfig().with_target_partitions(threads)
        )
        for name, files in sources.items():
            session.register_parquet(name, files.removesuffix("*.parquet"))
        if what == "join":
            for name in sources:
                held = session.table(name).collect()
                session.deregister_table(name)
                session.register_record_batches(name, [held])
        count = lambda text: sum(batch.num_rows for batch in session.sql(text).collect())
        return {name: (lambda text=text: count(text)) for name, text in texts.items() if text}
    if engine == "dask":
        return dask_questions.asked(what, sources, JOIN, threads)
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    frames = {name: pl.scan_parquet(files) for name, files in sources.items()}
    collect = lambda frame: frame.collect(engine="streaming").height
    if what == "join":
        frames = {name: frame.collect() for name, frame in frames.items()}
        ask = lambda of, key, how: frames["x"].join(frames[of], on=key, how=how).height
        return {name: (lambda of=of: ask(*of)) for name, of in JOIN.items()}
    if what == "tpch":
        session = pl.SQLContext(frames, eager=False)
        count = lambda text: collect(session.execute(text))
        return {name: (lambda text=text: count(text)) for name, text in texts.items()}
    x, col = frames["x"], pl.col
    groups = {
        "q1": (["id1"], [col("v1").sum()]),
        "q2": (["id1", "id2"], [col("v1").sum()]),
        "q3": (["id3"], [col("v1").sum(), col("v3").mean()]),
        "q4": (["id4"], [col("v1", "v2", "v3").mean()]),
        "q5": (["id6"], [col("v1", "v2", "v3").sum()]),
        "q6": (["id4", "id5"], [col("v3").median().alias("m"), col("v3").std().alias("s")]),
        "q7": (["id3"], [col("v1").max(), col("v2").min()]),
        "q8": (["id6"], [col("v3").top_k(2)]),
        "q9": (["id2", "id4"], [pl.corr("v1", "v2")]),
        "q10": ([f"id{n}" for n in range(1, 7)], [col("v3").sum(), pl.len()]),
    }
    ask = lambda keys, aggregates: collect(x.group_by(keys).agg(aggregates))
    return {name: (lambda of=of: ask(*of)) for name, of in groups.items()}


def work(engine, what, folder, threads, runs):
    """One peer's questions, in this process."""
    found = {}
    for name, ask in asked(engine, what, folder, threads).items():
        try:
            fastest = math.inf
            for _ in range(runs):
                start = time.perf_counter()
                rows = ask()
                fastest = min(fastest, time.perf_counter() - start)
            found[name] = {"s": fastest, "rows": rows}
        except Exception as error:  # a peer that cannot answer is told so in the table
            found[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(found), flush=True)


def peer(engine, what, folder, python, chosen):
    command = [python, __file__, "--work", engine, what, folder, chosen.threads, chosen.runs]
    command = [str(word) for word in command]
    done = run.child(command, chosen.timeout, chosen.cache / f"questions/{engine}.log")
    if done["error"]:
        run.say(f"{what} {engine}: {done['error'][-300:]}")
    lines = done["output"].strip().splitlines()
    return json.loads(lines[-1]) if lines else {}, done


def mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def table(what, results, processes):
    own, peers = results["windrow"], [name for name in results if name != "windrow"]
    lines = [
        f"### {what}",
        "",
        "| question | windrow s | " + " | ".join(peers) + " | best peer |",
        "|---|---|" + "---|" * (len(peers) + 1),
    ]
    ratios = {name: {} for name in [*peers, "best"]}
    for name, of in own.items():
        cells = []
        for engine in peers:
            theirs = results[engine].get(name, {})
            if "s" not in theirs:
                cells.append("–")
                continue
            wrong = of["rows"] is not None and theirs["rows"] != of["rows"]
            several = (what, name, engine) == ("group", "q8", "datafusion")  # a row a value
            ratios[engine][name] = theirs["s"] / of["s"]
            mark = " (other rows)" if wrong and not several else ""
            cells.append(f"{theirs['s'] / of['s']:.2f}{mark}")
        best = min((ratios[engine][name] for engine in peers if name in ratios[engine]), default=None)
        if best:
            ratios["best"][name] = best
        cells.append(f"{best:.2f}" if best else "–")
        lines.append(f"| {name} | {of['s']:.3f} | " + " | ".join(cells) + " |")
    means = [f"{mean(ratios[e].values()):.2f} ({len(ratios[e])})" if ratios[e] else "–" for e in [*peers, "best"]]
    own_mean = mean([of["s"] for of in own.values()])
    lines.append(f"| geometric mean | {own_mean:.3f} | " + " | ".join(means) + " |")
    for figure, unit in [("wall_s", "s"), ("cpu_s", "CPU s"), ("peak_mb", "MB")] if processes else []:
        of = processes["windrow"][figure]
        others = [f"{processes[engine][figure] / of:.2f}" for engine in peers]
        lines.append(f"| whole process, {unit} | {of:.1f} | " + " | ".join(others) + " | |")
    for engine in peers:
        for name, of in results[engine].items():
            if "error" in of:
                lines.append(f"\n{engine} {name}: {of['error']}")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:2] == ["--work"]:
        engine, what, folder, threads, runs = sys.argv[2:]
        return work(engine, what, folder, int(threads), int(runs))
    chosen = options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    chosen.cache.mkdir(parents=True, exist_ok=True)
    python, versions = run.installed(chosen.cache, chosen.peers)
    about = run.machine()
    print(f"{about['date']}, {about['cpu']}, {chosen.threads} threads, commit {about['commit']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"fastest of {chosen.runs}; peers as multiples of windrow's time, above 1 is slower\n")
    results, processes = {}, {}
    for what in ["group", "join", "tpch"]:
        if not getattr(chosen, what):
            continue
        folder = chosen.cache / "questions" / (f"tpch-{chosen.scale}" if what == "tpch" else what)
        folder.parent.mkdir(exist_ok=True)
        results[what], processes[what] = {}, {}
        for engine in ["windrow", *chosen.peers]:
            own = engine == "windrow"
            done = windrow(what, folder, chosen) if own else peer(engine, what, folder, python, chosen)
            results[what][engine], processes[what][engine] = done
        whole = processes[what] if chosen.runs == 1 else None
        print(table(what, results[what], whole), flush=True)
    if chosen.json:
        found = {"machine": about, "versions": versions, "results": results, "processes": processes}
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(main())
