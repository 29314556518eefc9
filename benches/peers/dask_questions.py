"""The questions of `questions.py` for Dask's frames: groups, joins, and seven of TPC-H.

Money is a float here, since Dask's decimals are Python objects or Arrow's of a fixed scale. Groups
q8 and q9 take a function for every group, which is how Dask is told of them.
"""

import datetime

ARROW = {"dtype_backend": "pyarrow"}


def asked(what, sources, pairs, threads):
    """A function for each question that asks it and gives the number of rows."""
    import dask
    import dask.dataframe as dd

    dask.config.set(scheduler="threads", num_workers=threads)
    if what == "join":
        return joins({name: dd.read_parquet(files).persist() for name, files in sources.items()}, pairs)
    if what == "group":
        return groups(dd.read_parquet(sources["x"]))
    return tpch({name: dd.read_parquet(files, **ARROW) for name, files in sources.items()})


def rows(frame):
    return len(frame.compute())


def joins(frames, pairs):
    def ask(other, key, how):
        joined = frames["x"].merge(frames[other], on=key, how=how, suffixes=("", "_y")).persist()
        return len(joined)

    return {name: (lambda of=of: ask(*of)) for name, of in pairs.items()}


def groups(x):
    by = lambda *keys: x.groupby(list(keys), dropna=False, observed=True)
    two = {"v3": "f8"}
    largest = lambda part: part.nlargest(2, "v3")[["v3"]]
    corr = lambda part: part["v1"].corr(part["v2"])
    six = [f"id{n}" for n in range(1, 7)]
    many = lambda frame, **how: frame.agg(how, split_out=8)
    return {
        "q1": lambda: rows(many(by("id1"), v1=["sum"])),
        "q2": lambda: rows(many(by("id1", "id2"), v1=["sum"])),
        "q3": lambda: rows(many(by("id3"), v1=["sum"], v3=["mean"])),
        "q4": lambda: rows(many(by("id4"), v1=["mean"], v2=["mean"], v3=["mean"])),
        "q5": lambda: rows(many(by("id6"), v1=["sum"], v2=["sum"], v3=["sum"])),
        "q6": lambda: rows(many(by("id4", "id5"), v3=["median", "std"])),
        "q7": lambda: rows(many(by("id3"), v1=["max"], v2=["min"])),
        "q8": lambda: rows(x[["id6", "v3"]].groupby("id6")[["v3"]].apply(largest, meta=two)),
        "q9": lambda: rows(x.groupby(["id2", "id4"])[["v1", "v2"]].apply(corr, meta=("r", "f8"))),
        "q10": lambda: rows(many(by(*six), v3=["sum", "count"])),
    }


def tpch(t):
    day = lambda year, month, date: datetime.date(year, month, date)
    money = lambda frame, *names: frame.astype({name: "float64" for name in names})

    def priced(frame):
        frame = money(frame, "l_extendedprice", "l_discount")
        return frame.assign(revenue=frame.l_extendedprice * (1 - frame.l_discount))

    def q01():
        lines = t["lineitem"]
        lines = priced(lines[lines.l_shipdate <= day(1998, 9, 2)])
        lines = money(lines, "l_quantity", "l_tax")
        lines = lines.assign(charge=lines.revenue * (1 + lines.l_tax))
        how = {
            "l_quantity": ["sum", "mean"], "l_extendedprice": ["sum", "mean"], "revenue": "sum",
            "charge": "sum", "l_discount": "mean", "l_orderkey": "count",
        }
        return rows(lines.groupby(["l_returnflag", "l_linestatus"]).agg(how))

    def q03():
        people, orders, lines = t["customer"], t["orders"], t["lineitem"]
        people = people[people.c_mktsegment == "BUILDING"][["c_custkey"]]
        orders = orders[orders.o_orderdate < day(1995, 3, 15)]
        lines = priced(lines[lines.l_shipdate > day(1995, 3, 15)])[["l_orderkey", "revenue"]]
        found = people.merge(orders, left_on="c_custkey", right_on="o_custkey")
        found = found.merge(lines, left_on="o_orderkey", right_on="l_orderkey")
        keys = ["l_orderkey", "o_orderdate", "o_shippriority"]
        sums = found.groupby(keys).revenue.sum(split_out=4).compute()
        return len(sums.reset_index().sort_values(["revenue", "o_orderdate"], ascending=[False, True]).head(10))

    def q05():
        region, nation, orders = t["region"], t["nation"], t["orders"]
        region = region[region.r_name == "ASIA"]
        nation = nation.merge(region, left_on="n_regionkey", right_on="r_regionkey")
        supplier = t["supplier"].merge(nation, left_on="s_nationkey", right_on="n_nationkey")
        orders = orders[(orders.o_orderdate >= day(1994, 1, 1)) & (orders.o_orderdate < day(1995, 1, 1))]
        found = t["customer"][["c_custkey", "c_nationkey"]].merge(
            orders[["o_orderkey", "o_custkey"]], left_on="c_custkey", right_on="o_custkey"
        )
        lines = priced(t["lineitem"])[["l_orderkey", "l_suppkey", "revenue"]]
        found = found.merge(lines, left_on="o_orderkey", right_on="l_orderkey")
        found = found.merge(
            supplier[["s_suppkey", "s_nationkey", "n_name"]],
            left_on=["l_suppkey", "c_nationkey"], right_on=["s_suppkey", "s_nationkey"],
        )
        return rows(found.groupby("n_name").revenue.sum())

    def q06():
        lines = money(t["lineitem"], "l_discount", "l_quantity", "l_extendedprice")
        kept = (lines.l_shipdate >= day(1994, 1, 1)) & (lines.l_shipdate < day(1995, 1, 1))
        kept &= (lines.l_discount >= 0.05) & (lines.l_discount <= 0.07) & (lines.l_quantity < 24)
        lines = lines[kept]
        (lines.l_extendedprice * lines.l_discount).sum().compute()
        return 1

    def q09():
        part = t["part"]
        part = part[part.p_name.str.contains("green", regex=False)][["p_partkey"]]
        supplier = t["supplier"].merge(t["nation"], left_on="s_nationkey", right_on="n_nationkey")
        lines = money(priced(t["lineitem"]), "l_quantity")
        lines = lines[["l_orderkey", "l_partkey", "l_suppkey", "l_quantity", "revenue"]]
        found = part.merge(lines, left_on="p_partkey", right_on="l_partkey")
        found = found.merge(supplier[["s_suppkey", "n_name"]], left_on="l_suppkey", right_on="s_suppkey")
        costs = money(t["partsupp"], "ps_supplycost")[["ps_partkey", "ps_suppkey", "ps_supplycost"]]
        found = found.merge(costs, left_on=["l_partkey", "l_suppkey"], right_on=["ps_partkey", "ps_suppkey"])
        found = found.merge(t["orders"][["o_orderkey", "o_orderdate"]], left_on="l_orderkey", right_on="o_orderkey")
        found = found.assign(
            o_year=found.o_orderdate.astype("timestamp[ns][pyarrow]").dt.year,
            amount=found.revenue - found.ps_supplycost * found.l_quantity,
        )
        return rows(found.groupby(["n_name", "o_year"]).amount.sum())

    def q13():
        orders = t["orders"]
        orders = orders[~orders.o_comment.str.contains("special.*requests")]
        found = t["customer"][["c_custkey"]].merge(
            orders[["o_orderkey", "o_custkey"]], left_on="c_custkey", right_on="o_custkey", how="left"
        )
        return rows(found.groupby("c_custkey").o_orderkey.count().value_counts())

    def q18():
        lines = money(t["lineitem"], "l_quantity")[["l_orderkey", "l_quantity"]]
        sums = lines.groupby("l_orderkey").l_quantity.sum(split_out=4)
        large = sums[sums > 300].to_frame("sum_quantity").reset_index()
        orders = t["orders"][["o_orderkey", "o_custkey", "o_orderdate", "o_totalprice"]]
        found = large.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
        found = found.merge(t["customer"][["c_custkey", "c_name"]], left_on="o_custkey", right_on="c_custkey")
        found = found.compute().sort_values(["o_totalprice", "o_orderdate"], ascending=[False, True])
        return len(found.head(100))

    return {"q01": q01, "q03": q03, "q05": q05, "q06": q06, "q09": q09, "q13": q13, "q18": q18}
