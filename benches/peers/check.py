"""Are the answers right?

usage: check.py reference INPUT...     sums over JSON Lines files, by Python's own json
       check.py parquet FOLDER         the same sums over a folder of Parquet files

Both print one line of JSON: rows, and sums over every column, for all rows and for those that
the shape `filter` keeps. The reference shares no code with any engine that is measured.
"""

import glob
import gzip
import json
import sys

from engines import COLUMNS, KEPT_STATUS


def size(value):
    """A number for a value, so that a column has a sum: text counts its characters."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(size(item) for item in value)
    if isinstance(value, dict):
        return sum(size(item) for item in value.values())
    return value


def reference(paths):
    names = [name for name, _ in COLUMNS]
    sums = {which: {"rows": 0, **{name: 0 for name in names}} for which in ("all", "kept")}
    for path in paths:
        opened = gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")
        with opened as lines:
            for line in lines:
                row = json.loads(line)
                for key in row.keys() - set(names):
                    raise SystemExit(f"{path}: the key {key!r} is not in engines.COLUMNS")
                for which in ("all", "kept") if row["status"] == KEPT_STATUS else ("all",):
                    total = sums[which]
                    total["rows"] += 1
                    for name in names:
                        total[name] += size(row.get(name))
    return sums


def parquet(folder):
    import pyarrow.parquet as pq

    import duckdb

    def size_of(name, kind):
        if isinstance(kind, dict):
            return " + ".join(size_of(f"{name}.{key}", of) for key, of in kind.items())
        if isinstance(kind, list):
            return f"coalesce(length(array_to_string({name}, '')), 0)"
        return {
            "text": f"coalesce(length({name}), 0)",
            "int": f"coalesce({name}, 0)",
            "float": f"coalesce({name}, 0)",
            "bool": f"coalesce({name}::INT, 0)",
        }[kind]

    files = sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True))
    rows = [pq.read_metadata(path).num_rows for path in files]
    sums = {"files": len(files), "rows_min": min(rows, default=0), "rows_max": max(rows, default=0)}
    if not files:
        return {**sums, "rows": 0}
    wanted = ", ".join(f'sum({size_of(name, kind)}) AS "{name}"' for name, kind in COLUMNS)
    found = duckdb.sql(
        f"SELECT count(*) AS rows, {wanted} FROM read_parquet({files!r}, union_by_name = true)"
    )
    return {**sums, **{name: float(value or 0) for name, value in zip(found.columns, found.fetchall()[0])}}


def main():
    what, *where = sys.argv[1:]
    print(json.dumps(reference(where) if what == "reference" else parquet(where[0])))


if __name__ == "__main__":
    main()
