"""One peer doing one piece of work, in a process of its own.

usage: engines.py PEER SHAPE INPUT OUTPUT THREADS

Reads JSON Lines (INPUT: a glob), writes Parquet with zstd level 3 into the folder OUTPUT. Every
peer is told the exact schema, so none of them spends time on a guess or loses what its guess
missed. Prints one line of JSON: the seconds of the work alone, without the start of Python and
the imports.
"""

import json
import os
import sys
import time

# name, type; the types are those of `pa_type`.
COLUMNS = [
    ("ts", "text"),
    ("id", "int"),
    ("level", "text"),
    ("method", "text"),
    ("host", "text"),
    ("path", "text"),
    ("status", "int"),
    ("bytes", "int"),
    ("latency_ms", "float"),
    ("ok", "bool"),
    ("user", "text"),
    ("user_agent", "text"),
    ("referer", "text"),
    ("session", "text"),
    ("msg", "text"),
    ("geo", {"country": "text", "city": "text", "lat": "float", "lon": "float"}),
    ("tags", ["text"]),
    ("retry_after", "float"),
    ("error", "text"),
    ("trace_id", "text"),
]

# What the shape `filter` keeps: one row in 1,000.
KEPT_STATUS = 504
FILTER_PARTS = 4
LEVEL = 3


def sql_type(kind, names, struct, array):
    """A type in a dialect of SQL, built from the dialect's names."""
    if isinstance(kind, dict):
        fields = ", ".join(f"{key} {sql_type(of, names, struct, array)}" for key, of in kind.items())
        return struct.format(fields)
    if isinstance(kind, list):
        return array.format(sql_type(kind[0], names, struct, array))
    return names[kind]


def pa_schema():
    import pyarrow as pa

    def pa_type(kind):
        if isinstance(kind, dict):
            return pa.struct([(key, pa_type(of)) for key, of in kind.items()])
        if isinstance(kind, list):
            return pa.list_(pa_type(kind[0]))
        return {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}[kind]

    return pa.schema([(name, pa_type(kind)) for name, kind in COLUMNS])


def duckdb(shape, source, out, threads):
    import duckdb

    names = {"text": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN"}
    columns = ", ".join(
        f"'{name}': '{sql_type(kind, names, 'STRUCT({})', '{}[]')}'" for name, kind in COLUMNS
    )
    where = f"WHERE status = {KEPT_STATUS}" if shape == "filter" else ""
    yield
    db = duckdb.connect(config={"threads": threads})
    db.execute("SET enable_progress_bar = false")
    db.execute(
        f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', "
        f"columns = {{{columns}}}) {where}) TO '{out}/part.parquet' "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
    )


def polars(shape, source, out, threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    def pl_type(kind):
        if isinstance(kind, dict):
            return pl.Struct({key: pl_type(of) for key, of in kind.items()})
        if isinstance(kind, list):
            return pl.List(pl_type(kind[0]))
        return {"text": pl.String, "int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}[kind]

    schema = {name: pl_type(kind) for name, kind in COLUMNS}
    yield
    rows = pl.scan_ndjson(source, schema=schema)
    if shape == "filter":
        rows = rows.filter(pl.col("status") == KEPT_STATUS)
    rows.sink_parquet(f"{out}/part.parquet", compression="zstd", compression_level=LEVEL)


def datafusion(shape, source, out, threads):
    import datafusion as df

    gz = source.endswith(".gz")
    folder, name = os.path.split(source)
    ending = name[name.index(".") :]
    schema = pa_schema()
    yield
    session = df.SessionContext(df.SessionConfig().with_target_partitions(threads))
    session.register_json(
        "logs",
        folder + "/",
        schema=schema,
        file_extension=ending,
        file_compression_type="gzip" if gz else None,
    )
    rows = session.table("logs")
    if shape == "filter":
        rows = rows.filter(df.col("status") == df.lit(KEPT_STATUS)).repartition(FILTER_PARTS)
    rows.write_parquet(f"{out}/", compression="zstd", compression_level=LEVEL)


def dask(shape, source, out, threads):
    import functools

    import dask
    import dask.dataframe as dd
    import pandas as pd

    dask.config.set(scheduler="threads", num_workers=threads)
    schema = pa_schema()
    kinds = {"text": "object", "int": "int64", "float": "float64", "bool": "bool"}
    dtypes = {name: kinds.get(kind, "object") if isinstance(kind, str) else "object" for name, kind in COLUMNS}
    names = [name for name, _ in COLUMNS]

    def read(text, **options):
        options.pop("typ", None)
        frame = pd.read_json(text, convert_dates=False, dtype=False, **options)
        return frame.reindex(columns=names).astype(dtypes)

    meta = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in dtypes.items()})
    yield
    # Objects and lists stay Python objects; a column converted to text would lose them.
    dask.config.set({"dataframe.convert-string": False})
    rows = dd.read_json(
        source,
        lines=True,
        compression="gzip" if source.endswith(".gz") else None,
        blocksize=None if source.endswith(".gz") else 64 << 20,
        engine=functools.partial(read),
        meta=meta,
    )
    if shape == "filter":
        rows = rows[rows.status == KEPT_STATUS].repartition(npartitions=FILTER_PARTS)
    rows.to_parquet(
        out, schema=schema, write_index=False, compression="zstd", compression_level=LEVEL
    )


def pyarrow(shape, source, out, threads):
    import glob

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    pa.set_cpu_count(threads)
    schema = pa_schema()
    yield
    parse = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    with pq.ParquetWriter(
        f"{out}/part.parquet", schema, compression="zstd", compression_level=LEVEL
    ) as writer:
        for path in sorted(glob.glob(source)):
            with pa.input_stream(path) as stream:
                blocks = pj.open_json(
                    stream, read_options=pj.ReadOptions(block_size=16 << 20), parse_options=parse
                )
                for batch in blocks:
                    if shape == "filter":
                        batch = batch.filter(pc.equal(batch["status"], KEPT_STATUS))
                    if batch.num_rows:
                        writer.write_batch(batch)


def chdb(shape, source, out, threads):
    from chdb import query

    names = {"text": "Nullable(String)", "int": "Int64", "float": "Float64", "bool": "Bool"}
    kinds = ", ".join(
        f"{name} {sql_type(kind, names, 'Tuple({})', 'Array({})')}" for name, kind in COLUMNS
    )
    where = f"WHERE status = {KEPT_STATUS}" if shape == "filter" else ""
    yield
    query(
        f"SELECT * FROM file('{source}', JSONEachRow, '{kinds}') {where} "
        f"INTO OUTFILE '{out}/part.parquet' FORMAT Parquet "
        f"SETTINGS output_format_parquet_compression_method = 'zstd', max_threads = {threads}"
    )


PEERS = {
    "duckdb": duckdb,
    "polars": polars,
    "datafusion": datafusion,
    "dask": dask,
    "pyarrow": pyarrow,
    "chdb": chdb,
}


def main():
    peer, shape, source, out, threads = sys.argv[1:]
    work = PEERS[peer](shape, source, out, int(threads))
    next(work)  # imports and types: not what is measured
    started = time.perf_counter()
    for _ in work:
        pass
    print(json.dumps({"work_s": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
