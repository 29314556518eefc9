#!/usr/bin/env python3
"""windrow beside its peers: the same work, in alternation, checked and measured.

    python3 benches/peers/run.py                              everything
    python3 benches/peers/run.py --shapes one --rows 200000   a quick look

Shapes, all from the same rows of generated log:

    many     214 gzip files of Pareto's sizes to Parquet
    one      one gzip file to Parquet
    plain    one plain file to Parquet
    filter   the 214 files, one row in 1,000 kept, 4 parts

Each run is a process of its own; peers are told the exact schema and write zstd level 3. A round
runs every engine once, so that a slow minute of the machine meets all of them; what one of them
leaves to be written to disk is written before the next begins (only windrow waits for the disk to
have its output). Every output is
read back and its sums over all columns are compared with a reference. This file uses only the
standard library and stays small on purpose: a child's peak memory starts at its parent's.

Packages and generated sets are kept in $XDG_CACHE_HOME/windrow-bench (or --cache).
"""

import argparse
import datetime
import glob
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHAPES = ["many", "one", "plain", "filter"]
PEERS = ["duckdb", "polars", "datafusion", "dask", "pyarrow"]
SETS = {
    "many": ["--files", "214", "--skew"],
    "one": ["--files", "1"],
    "plain": ["--files", "1", "--plain"],
}


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = lambda text: [word for word in text.split(",") if word]
    parser.add_argument("--shapes", type=words, default=SHAPES, help="some of: " + ",".join(SHAPES))
    parser.add_argument("--peers", type=words, default=PEERS, help="some of: " + ",".join(PEERS) + ",chdb")
    parser.add_argument("--rows", type=int, default=2_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=900, help="seconds a run may take")
    parser.add_argument("--windrow", type=pathlib.Path, default=ROOT / "target/release/windrow")
    parser.add_argument("--windrow-args", type=str.split, default=[], help="more arguments of convert")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache())
    parser.add_argument("--sets", type=pathlib.Path, help="folder that has many/, one/, plain/ already")
    parser.add_argument("--json", type=pathlib.Path, help="write every figure to this file")
    chosen = parser.parse_args()
    for shape in chosen.shapes:
        if shape not in SHAPES:
            parser.error(f"--shapes: {shape!r} is none of {SHAPES}")
    for peer in chosen.peers:
        if peer not in PEERS + ["chdb"]:
            parser.error(f"--peers: {peer!r} is none of {PEERS + ['chdb']}")
    return chosen


def default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "windrow-bench"


def say(text):
    print(text, file=sys.stderr, flush=True)


def installed(cache, peers):
    """The Python of a virtual environment that has the peers, and their versions."""
    python = cache / "venv/bin/python"
    if not python.exists():
        say(f"making {cache / 'venv'}")
        subprocess.run([sys.executable, "-m", "venv", cache / "venv"], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    packages = ["-r", HERE / "requirements.txt"] + (["chdb"] if "chdb" in peers else [])
    subprocess.run([*pip, "install", "--quiet", *packages], check=True, stdout=sys.stderr)
    listed = subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True)
    versions = {package["name"]: package["version"] for package in json.loads(listed.stdout)}
    return python, {peer: versions[peer] for peer in peers}


def inputs(chosen, shape):
    """The glob of a shape's input; the set is generated if it is not there."""
    name = "many" if shape == "filter" else shape
    folder = (chosen.sets or chosen.cache / f"sets/{chosen.rows}") / name
    pattern = str(folder / ("*.ndjson" if name == "plain" else "*.json.gz"))
    if not glob.glob(pattern):
        if chosen.sets:
            raise SystemExit(f"{pattern}: no such files")
        say(f"generating {folder}")
        generate = ["cargo", "run", "--quiet", "--release", "--example", "generate", "--"]
        subprocess.run(
            [*generate, "logs", folder, "--rows", str(chosen.rows), *SETS[name]],
            check=True,
            cwd=ROOT,
            stdout=sys.stderr,
        )
    return pattern


def child(command, timeout, log, more={}):
    """Runs a command; its outcome with wall and CPU seconds, peak memory, and standard output."""
    os.sync()  # nobody waits for what the one before has left in the page cache
    started = time.perf_counter()
    with open(log, "w+b") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=os.environ | more)
        deadline = started + timeout
        used = None
        while used is None:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                used = usage
            elif time.perf_counter() > deadline:
                process.kill()
                _, status, used = os.wait4(process.pid, 0)
            else:
                time.sleep(0.0002 if time.perf_counter() - started < 0.05 else 0.002)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output = process.stdout.read()
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
    return {
        "exit": process.returncode,
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * 1024 / 1e6,
        "output": output.decode(errors="replace"),
        "error": (last or [f"ended with {process.returncode}"])[0] if process.returncode else None,
    }


def run_engine(engine, shape, pattern, out, python, chosen):
    shutil.rmtree(out, ignore_errors=True)
    if engine == "windrow":
        command = [chosen.windrow, "convert", pattern, "--to", out, "--threads", str(chosen.threads)]
        if shape == "filter":
            command += ["--where", "status = 504", "--npartitions", "4"]
        command += ["--quiet", *chosen.windrow_args]
    else:
        out.mkdir()
        command = [python, HERE / "engines.py", engine, shape, pattern, out, str(chosen.threads)]
    outcome = child([str(word) for word in command], chosen.timeout, f"{out}.log")
    stored = sum(path.stat().st_size for path in out.rglob("*.parquet")) if out.exists() else 0
    outcome["stored_mb"] = stored / 1e6
    # A peer's work is timed inside it, without the start of Python: that favours the peer.
    text = outcome.pop("output").strip()
    outcome["work_s"] = outcome["wall_s"]
    if engine != "windrow" and outcome["exit"] == 0:
        outcome["work_s"] = json.loads(text.splitlines()[-1])["work_s"]
    return outcome


def sums_of(python, *arguments):
    done = subprocess.run(
        [python, HERE / "check.py", *arguments], check=True, stdout=subprocess.PIPE, cwd=HERE
    )
    return json.loads(done.stdout)


def reference(python, pattern, chosen):
    """The sums over the rows; kept beside the set, since Python needs a minute for them."""
    folder = pathlib.Path(pattern).parent
    files = sorted(glob.glob(pattern))
    stamp = [[os.path.basename(path), os.path.getsize(path)] for path in files]
    kept = folder / "reference.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        if found["files"] == stamp:
            return found["sums"]
    say(f"adding up {folder} with Python's json")
    sums = sums_of(python, "reference", *files)
    kept.write_text(json.dumps({"files": stamp, "sums": sums}))
    return sums


def faults(found, wanted):
    """In which columns the sums differ by more than the rounding of a sum of floats."""
    near = lambda a, b: abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)
    return [name for name, value in wanted.items() if not near(found.get(name, 0.0), value)]


def measure(shape, engines, python, scratch, chosen):
    pattern = inputs(chosen, shape)
    sums = reference(python, pattern, chosen)
    wanted = sums["kept" if shape == "filter" else "all"]
    for path in glob.glob(pattern):  # into the page cache, for everybody
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    runs = {engine: [] for engine in engines}
    for round_ in range(1, chosen.rounds + 1):
        for engine in engines:
            earlier = runs[engine]
            if earlier and earlier[-1]["error"]:
                continue  # it failed in the round before and would again
            out = scratch / f"{shape}-{engine}"
            run = run_engine(engine, shape, pattern, out, python, chosen)
            if not run["error"]:
                found = sums_of(python, "parquet", out)
                run["files"] = found["files"]
                run["rows_min"], run["rows_max"] = found["rows_min"], found["rows_max"]
                run["wrong"] = faults(found, wanted)
            earlier.append(run)
            shutil.rmtree(out, ignore_errors=True)
            note = run["error"] or ("WRONG: " + ", ".join(run["wrong"]) if run["wrong"] else "right")
            say(f"{shape} {round_}/{chosen.rounds} {engine}: {run['work_s']:.2f} s, {note}")
    return {"rows": wanted["rows"], "runs": runs}


FIGURES = ["work_s", "wall_s", "cpu_s", "peak_mb", "stored_mb"]


def summary(runs):
    done = [run for run in runs if not run["error"]]
    if not done:
        return None
    return {name: statistics.median(run[name] for run in done) for name in FIGURES}


def table(shape, result):
    lines = [
        f"### {shape}: {result['rows']:,} rows out",
        "",
        "| engine | seconds | x | CPU s | x | peak MB | x | out MB | x | files | rows a file | answer |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    own = summary(result["runs"].get("windrow", []))
    for engine, runs in result["runs"].items():
        median = summary(runs)
        if median is None:
            lines.append(f"| {engine} |" + " |" * 10 + f" failed: {runs[-1]['error'][:80]} |")
            continue
        cells = [engine]
        for name, form in [("work_s", ".2f"), ("cpu_s", ".2f"), ("peak_mb", ".0f"), ("stored_mb", ".1f")]:
            cells.append(format(median[name], form))
            cells.append(format(median[name] / own[name], ".2f") if own and own[name] else "–")
        last = [run for run in runs if not run["error"]][-1]
        wrong = sorted({column for run in runs for column in run.get("wrong") or []})
        cells += [
            str(last["files"]),
            f"{last['rows_min']}–{last['rows_max']}",
            "wrong: " + ", ".join(wrong) if wrong else "right",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def machine():
    def first(path, key):
        try:
            for line in open(path):
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
        except OSError:
            return None

    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": git.stdout.decode().strip() or None,
        "cpu": first("/proc/cpuinfo", "model name"),
        "memory": first("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def main():
    chosen = options()
    # Nobody gets more cores than --threads, whatever their own setting means.
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: chosen.threads])
    chosen.cache.mkdir(parents=True, exist_ok=True)
    python, versions = installed(chosen.cache, chosen.peers)
    engines = list(chosen.peers)
    if chosen.windrow.exists():
        engines.insert(0, "windrow")
        shown = subprocess.run([chosen.windrow, "--version"], capture_output=True, text=True)
        versions["windrow"] = shown.stdout.strip() or "unknown"
    else:
        say(f"{chosen.windrow} is missing (cargo build --release makes it): peers only")
    about = machine()
    say(f"{about}\n{versions}")
    shapes = {}
    print(f"{about['date']}, {about['cpu']}, {chosen.threads} threads, commit {about['commit']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{chosen.rows:,} rows in, medians of {chosen.rounds}; x = times windrow's figure\n")
    with tempfile.TemporaryDirectory(dir=chosen.cache, prefix="out-") as scratch:
        for shape in chosen.shapes:
            shapes[shape] = measure(shape, engines, python, pathlib.Path(scratch), chosen)
            print(table(shape, shapes[shape]), flush=True)
    if chosen.json:
        figures = {"machine": about, "versions": versions, "rows": chosen.rows, "shapes": shapes}
        chosen.json.write_text(json.dumps(figures, indent=1))
    own = [run for shape in shapes.values() for run in shape["runs"].get("windrow", [])]
    return 1 if any(run["error"] or run["wrong"] for run in own) else 0


if __name__ == "__main__":
    sys.exit(main())
