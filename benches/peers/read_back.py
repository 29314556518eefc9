#!/usr/bin/env python3
"""What windrow writes, others read: the same rows, the same sums.

    python3 benches/peers/read_back.py --windrow target/release/windrow

The fixtures of data/logs are written as Parquet, Arrow IPC, JSON Lines and CSV, in several codecs.
Each of PyArrow, DuckDB and Polars that can be had (those that are installed, else from PyPI, in a
folder of their own) reads each format that it knows. What it finds is compared with what Python's
own json module finds in the inputs: rows, sums of numbers, the first and the last time, distinct
users, nulls, and the fields of an object. Parquet is written with Bloom filters; DuckDB is asked
what they say of values that are there, and of one that is not.

Without any of the three it says that it is skipped, and ends well: a machine may have no network.
"""

import argparse
import glob
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READERS = ["pyarrow", "duckdb", "polars"]

# What is written: a name, the format, its codec.
OUTPUTS = [
    ("parquet-zstd", "parquet", "zstd"),
    ("parquet-snappy", "parquet", "snappy"),
    ("parquet-lz4", "parquet", "lz4"),
    ("parquet-gzip", "parquet", "gzip"),
    ("ipc-lz4", "ipc", "lz4"),
    ("json-gzip", "json", "gzip"),
    ("csv-none", "csv", "none"),
    ("csv-gzip", "csv", "gzip"),
]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windrow", type=pathlib.Path, default=ROOT / "target/release/windrow")
    parser.add_argument("--inputs", default=str(ROOT / "data/logs/*.json.gz"))
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / "target/read-back")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        return sys.exit(with_readers(options))
    readers = [name for name in READERS if importable(name)]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(compare(options, readers, pathlib.Path(folder)))


def importable(name):
    """Whether a reader is there and works; an import may fail for more than its absence."""
    try:
        __import__(name)
    except Exception:
        return False
    return True


def with_readers(options):
    """Runs this file again by a Python that has at least one reader."""
    pythons = [pathlib.Path(sys.executable), options.cache / "bin/python"]
    for python in pythons:
        if python.exists() and any(has(python, name) for name in READERS):
            return inside(python, options)
    try:
        venv.create(options.cache, with_pip=True)
    except Exception as error:
        print(f"skipped: there is no PyArrow, DuckDB or Polars, and no folder for them: {error}")
        return 0
    for name in pinned():
        pip = [pythons[1], "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wheels = ["--only-binary", ":all:", "--retries", "1", "--timeout", "20", name]
        done = subprocess.run(pip + wheels, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip failed"]
            print(f"{name} cannot be had: {lines[-1]}")
    if any(has(pythons[1], name) for name in READERS):
        return inside(pythons[1], options)
    print("skipped: PyPI gave none of PyArrow, DuckDB and Polars")
    return 0


def has(python, name):
    return subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode == 0


def inside(python, options):
    again = [python, __file__, "--inside", "--windrow", options.windrow, "--inputs", options.inputs]
    return subprocess.run(again).returncode


def pinned():
    """The versions that the benchmarks name."""
    lines = (ROOT / "benches/peers/requirements.txt").read_text().splitlines()
    return [line for line in lines if line.split("=")[0] in READERS]


def compare(options, readers, folder):
    wanted = expected(options.inputs)
    print(f"expected   {wanted}")
    wrong = 0
    for name, form, codec in OUTPUTS:
        out = folder / name
        convert = [options.windrow, "convert", *sorted(glob.glob(options.inputs)), "--to", out]
        convert += ["--format", form, "--compression", codec, "--partition-rows", "1000", "--quiet"]
        if form == "csv":
            # CSV has no objects and no lists.
            convert += ["--columns", "ts,id,level,status,bytes,latency_ms,ok,user"]
        if form == "parquet":
            convert += ["--bloom", "id,user,geo.country"]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
        files = sorted(str(path) for path in out.iterdir() if path.name.startswith("part-"))
        if form == "parquet" and "duckdb" in readers:
            same = filters_hold(files)
            print(f"{'ok' if same else 'WRONG':10} {name:15} Bloom filters, by duckdb")
            wrong += not same
        for reader in readers:
            found = globals()[reader](files, form)
            if found is None:
                continue
            nested = form != "csv"
            same = found == {key: wanted[key] for key in found} and ("country" in found) == nested
            print(f"{'ok' if same else 'WRONG':10} {name:15} {reader}")
            if not same:
                print(f"           {found}")
                wrong += 1
    versions = ", ".join(f"{name} {__import__(name).__version__}" for name in readers)
    print(f"{'all agree' if wrong == 0 else f'{wrong} do not agree'}: {versions}")
    return 1 if wrong else 0


def expected(inputs):
    """The truth, by Python's own json and gzip."""
    records = []
    for path in sorted(glob.glob(inputs)):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            records.extend(json.loads(line) for line in lines if line.strip())
    each = lambda key: [record[key] for record in records if record.get(key) is not None]
    return summary(
        rows=len(records),
        status=sum(each("status")),
        bytes=sum(each("bytes")),
        latency=sum(each("latency_ms")),
        ok=sum(each("ok")),
        first=min(each("ts")),
        last=max(each("ts")),
        users=len(set(each("user"))),
        no_user=len(records) - len(each("user")),
        country=len({geo["country"] for geo in each("geo") if geo.get("country")}),
    )


def summary(**figures):
    """Figures that compare: times as text to the second, sums of fractions to six digits."""
    figures["latency"] = f"{figures['latency']:.6g}"
    for key in ("first", "last"):
        at = figures[key]
        figures[key] = (at if isinstance(at, str) else at.isoformat())[:19].replace(" ", "T")
    return {key: value if isinstance(value, str) else int(value) for key, value in figures.items()}


def pyarrow(files, form):
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.csv
    import pyarrow.dataset
    import pyarrow.json

    if form == "parquet":
        table = pyarrow.dataset.dataset(files, format="parquet").to_table()
    elif form == "ipc":
        table = pyarrow.concat_tables(pyarrow.ipc.open_file(path).read_all() for path in files)
    else:
        read = pyarrow.json.read_json if form == "json" else pyarrow.csv.read_csv
        convert = {}
        if form == "csv":
            nulls = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
            convert = {"convert_options": nulls}
        tables = [read(path, **convert) for path in files]
        table = pyarrow.concat_tables(tables, promote_options="permissive")
    figures = {}
    if "geo" in table.column_names:
        geo = compute.struct_field(table["geo"], "country")
        figures["country"] = len(compute.unique(geo.drop_null()))
    times = compute.min_max(table["ts"])
    users = table["user"]
    total = lambda name: compute.sum(table[name]).as_py()
    return summary(
        rows=table.num_rows,
        status=total("status"),
        bytes=total("bytes"),
        latency=total("latency_ms"),
        ok=total("ok"),
        first=times["min"].as_py(),
        last=times["max"].as_py(),
        users=len(compute.unique(users.drop_null())),
        no_user=users.null_count,
        **figures,
    )


def duckdb(files, form):
    import duckdb

    readers = {"parquet": "read_parquet", "json": "read_json", "csv": "read_csv"}
    if form not in readers:
        return None
    more = ", union_by_name=true" + (", allow_quoted_nulls=false" if form == "csv" else "")
    figures = {
        "rows": "count(*)",
        "status": "sum(status)",
        "bytes": "sum(bytes)",
        "latency": "sum(latency_ms)",
        "ok": "count(*) filter (ok)",
        "first": "cast(min(ts) as varchar)",
        "last": "cast(max(ts) as varchar)",
        "users": "count(distinct \"user\")",
        "no_user": "count(*) - count(\"user\")",
    }
    if form != "csv":
        figures["country"] = "count(distinct geo.country)"
    duckdb.sql("set TimeZone = 'UTC'")
    query = f"select {', '.join(figures.values())} from {readers[form]}({files}{more})"
    return summary(**dict(zip(figures, duckdb.sql(query).fetchall()[0])))


def filters_hold(files):
    """Whether DuckDB sees filters that exclude no value of theirs, and one that none has."""
    import duckdb

    def excluded(column, value):
        rows = duckdb.execute(
            "select file_name, row_group_id, bloom_filter_excludes from parquet_bloom_probe(?, ?, ?)",
            [files, column, value],
        ).fetchall()
        return {(file, group): excludes for file, group, excludes in rows}

    for column, absent in [("id", -12345), ("user", "none such")]:
        if not all(excluded(column, absent).values()):
            return False
        values = duckdb.sql(f"select distinct \"{column}\" from read_parquet({files}) where \"{column}\" is not null limit 50").fetchall()
        for (value,) in values:
            holding = duckdb.execute(
                f"select distinct filename from read_parquet({files}, filename=true) where \"{column}\" = ?",
                [value],
            ).fetchall()
            says = excluded(column, value)
            for (file,) in holding:
                if all(excludes for (of, _), excludes in says.items() if of == file):
                    return False
    return True


def polars(files, form):
    import polars

    if form == "parquet":
        frame = polars.read_parquet(files)
    elif form == "ipc":
        frame = polars.concat([polars.read_ipc(path) for path in files])
    elif form == "csv":
        frame = polars.concat([polars.read_csv(path) for path in files], how="vertical_relaxed")
    else:
        # Its reader of JSON Lines takes no gzip.
        texts = (gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read() for path in files)
        frames = [polars.read_ndjson(text, infer_schema_length=None) for text in texts]
        frame = polars.concat(frames, how="diagonal_relaxed")
    figures = {}
    if "geo" in frame.columns:
        country = frame["geo"].struct.field("country")
        figures["country"] = country.drop_nulls().n_unique()
    user = frame["user"]
    return summary(
        rows=frame.height,
        status=frame["status"].sum(),
        bytes=frame["bytes"].sum(),
        latency=frame["latency_ms"].sum(),
        ok=frame["ok"].sum(),
        first=frame["ts"].min(),
        last=frame["ts"].max(),
        users=user.drop_nulls().n_unique(),
        no_user=user.null_count(),
        **figures,
    )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONNOUSERSITE", "1")
    main()
