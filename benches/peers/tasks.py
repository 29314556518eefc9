#!/usr/bin/env python3
"""What a partition costs that has next to nothing to do: windrow beside Dask.

    cargo build --release --bench tasks && python3 benches/peers/tasks.py

windrow's figures are those of `benches/tasks.rs`. Dask's are of as many tasks of the same kinds, each
the fastest of three runs: `nothing` is a raw graph of calls on the threaded scheduler (the least that
Dask can be), `one row` a frame of partitions of one row that is counted, `a function` the same through
`map_partitions`. All are microseconds for each partition, of one process with two threads.
"""

import argparse
import pathlib
import subprocess
import sys

import run

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The kinds, and what the bench calls them.
KINDS = {
    "nothing": "partitions of nothing",
    "one row": "partitions of one row",
    "a function": "one row, a function",
    "an aggregate": "one row, an aggregate",
}


def main():
    if sys.argv[1:2] == ["--work"]:
        return dask_tasks(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", type=pathlib.Path, help="the built bench [default: the newest]")
    parser.add_argument("--tasks", type=int, default=20_000, help="of Dask: more take as long each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=pathlib.Path, default=run.default_cache())
    chosen = parser.parse_args()
    bench = chosen.bench or newest()
    python, _ = run.installed(chosen.cache, ["dask"])
    found = windrow_tasks(bench, chosen.threads)
    print("| partitions | windrow µs | Dask µs | x |")
    print("|---|---|---|---|")
    for kind, name in KINDS.items():
        work = [python, __file__, "--work", kind, str(chosen.tasks), str(chosen.threads)]
        done = subprocess.run(work, check=True, capture_output=True, text=True)
        dask = float(done.stdout.split()[-1])
        print(f"| {kind} | {found[name]:.2f} | {dask:.0f} | {dask / found[name]:.0f} |")


def newest():
    built = [path for path in ROOT.glob("target/*/deps/tasks-*") if not path.suffix]
    if not built:
        sys.exit("build the bench first: cargo build --release --bench tasks")
    return max(built, key=lambda path: path.stat().st_mtime)


def windrow_tasks(bench, threads):
    """Microseconds by kind, as the bench prints them for so many threads."""
    text = subprocess.run([bench, "--bench"], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        for name in KINDS.values():
            if f" {name} " in line and f"{threads} threads" in line:
                found[name] = float(line.split()[-3])
    return found


def dask_tasks(kind, tasks, threads):
    import time

    import dask
    import dask.threaded
    import pandas

    row = pandas.DataFrame({"n": [7]})
    if kind == "nothing":
        nothing = lambda idx: None
        graph = {("t", idx): (nothing, idx) for idx in range(tasks)}
        keys = list(graph)
        call = lambda: dask.threaded.get(graph, keys, num_workers=threads)
    else:
        import dask.dataframe

        frame = dask.dataframe.from_map(lambda idx: row, range(tasks), meta=row)
        if kind == "a function":
            frame = frame.map_partitions(lambda part: part, meta=row)
        answer = frame["n"].sum() if kind == "an aggregate" else frame["n"].count()
        call = lambda: answer.compute(scheduler="threads", num_workers=threads)
    fastest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
    print(fastest * 1e6 / tasks)


if __name__ == "__main__":
    main()
