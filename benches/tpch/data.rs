//! The eight tables of TPC-H, from the public generator crate.
//!
//! In:  a scale factor: at 1, `lineitem` has six million rows.
//! Out: frames, of rows in memory or of Parquet files. Keys are `Int64`, counts
//! `Int32`, money and quantities `Decimal128(15, 2)`, dates `Date32`; nothing is null.
//!
//! The rows of a scale are those of the specification's own generator, however
//! they are cut: large tables are made in parts of about a million rows.

#![allow(dead_code)] // Each target that takes this module in uses its own part of it.

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch};
use tpchgen::dates::TPCHDate;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{
    Customer, CustomerGenerator, LineItem, LineItemGenerator, Nation, NationGenerator, Order,
    OrderGenerator, Part, PartGenerator, PartSupp, PartSuppGenerator, Region, RegionGenerator,
    Supplier, SupplierGenerator,
};
use windrow::{DataFrame, Error, Existing, Result, Session, WriteOptions};

/// Rows that are made at a time.
const PART_ROWS: f64 = 1e6;

/// The tables as frames of one session.
pub struct Tables {
    /// The scale factor they were made at.
    pub scale: f64,
    pub region: DataFrame,
    pub nation: DataFrame,
    pub part: DataFrame,
    pub supplier: DataFrame,
    pub partsupp: DataFrame,
    pub customer: DataFrame,
    pub orders: DataFrame,
    pub lineitem: DataFrame,
}

impl Tables {
    /// One frame for each table.
    fn of(scale: f64, frame: impl Fn(TableName) -> Result<DataFrame>) -> Result<Tables> {
        Ok(Tables {
            scale,
            region: frame(TableName::Region)?,
            nation: frame(TableName::Nation)?,
            part: frame(TableName::Part)?,
            supplier: frame(TableName::Supplier)?,
            partsupp: frame(TableName::Partsupp)?,
            customer: frame(TableName::Customer)?,
            orders: frame(TableName::Orders)?,
            lineitem: frame(TableName::Lineitem)?,
        })
    }

    /// Tables whose rows were made by [`batches`], each cut into batches of so many
    /// rows, with an empty one before each.
    pub fn in_memory(
        session: &Session,
        scale: f64,
        made: &[(TableName, RecordBatch)],
        batch_rows: usize,
    ) -> Result<Tables> {
        Tables::of(scale, |name| {
            let rows = made
                .iter()
                .find(|(of, _)| *of == name)
                .map(|(_, rows)| rows);
            let rows = rows.ok_or_else(|| Error::plan(format!("{name:?} was not made")))?;
            let starts = (0..rows.num_rows()).step_by(batch_rows);
            let cut = starts.flat_map(|at| {
                let some = batch_rows.min(rows.num_rows() - at);
                [rows.slice(at, 0), rows.slice(at, some)]
            });
            session.from_batches(rows.schema(), cut)
        })
    }

    /// Tables over the files that [`write`] left in a folder.
    pub fn in_files(session: &Session, scale: f64, dir: &Path) -> Result<Tables> {
        Tables::of(scale, |name| session.read_parquet(dir.join(name.folder())))
    }
}

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableName {
    Region,
    Nation,
    Part,
    Supplier,
    Partsupp,
    Customer,
    Orders,
    Lineitem,
}

impl TableName {
    pub const ALL: [TableName; 8] = [
        TableName::Region,
        TableName::Nation,
        TableName::Part,
        TableName::Supplier,
        TableName::Partsupp,
        TableName::Customer,
        TableName::Orders,
        TableName::Lineitem,
    ];

    /// The name of its folder, and of the table in SQL.
    pub fn folder(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Rows at scale 1; those of `lineitem` are about so many.
    fn rows_at_one(self) -> f64 {
        match self {
            TableName::Region | TableName::Nation => 0.0, // The same at each scale.
            TableName::Supplier => 10e3,
            TableName::Customer => 150e3,
            TableName::Part => 200e3,
            TableName::Partsupp => 800e3,
            TableName::Orders => 1_500e3,
            TableName::Lineitem => 6_000e3,
        }
    }

    /// How many parts it is made in.
    fn parts(self, scale: f64) -> i32 {
        (self.rows_at_one() * scale / PART_ROWS).ceil().max(1.0) as i32
    }

    /// Part `n` of `of`, counted from 1.
    fn part(self, scale: f64, n: i32, of: i32) -> Result<RecordBatch> {
        match self {
            TableName::Region => region(RegionGenerator::new(scale, n, of).iter()),
            TableName::Nation => nation(NationGenerator::new(scale, n, of).iter()),
            TableName::Part => part(PartGenerator::new(scale, n, of).iter()),
            TableName::Supplier => supplier(SupplierGenerator::new(scale, n, of).iter()),
            TableName::Partsupp => partsupp(PartSuppGenerator::new(scale, n, of).iter()),
            TableName::Customer => customer(CustomerGenerator::new(scale, n, of).iter()),
            TableName::Orders => orders(OrderGenerator::new(scale, n, of).iter()),
            TableName::Lineitem => lineitem(LineItemGenerator::new(scale, n, of).iter()),
        }
    }
}

/// All rows of each table, for scales small enough that each is one part.
pub fn batches(scale: f64) -> Result<Vec<(TableName, RecordBatch)>> {
    let made = TableName::ALL.map(|name| Ok((name, name.part(scale, 1, 1)?)));
    made.into_iter().collect()
}

/// Writes each table as Parquet into a folder of its name in `dir`, unless `dir`
/// is there: it appears whole.
pub fn write(session: &Session, scale: f64, dir: &Path) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let mut staged = PathBuf::from(dir);
    staged.as_mut_os_string().push(".making");
    let failed = |source| Error::io(staged.display().to_string(), "stage", source);
    if staged.exists() {
        std::fs::remove_dir_all(&staged).map_err(failed)?;
    }
    for name in TableName::ALL {
        let options = WriteOptions {
            existing: Existing::Append,
            durable: false,
            ..WriteOptions::new(staged.join(name.folder()))
        };
        let parts = name.parts(scale);
        for n in 1..=parts {
            let rows = name.part(scale, n, parts)?;
            session
                .from_batches(rows.schema(), [rows])?
                .write(&options)?;
        }
    }
    std::fs::rename(&staged, dir).map_err(failed)
}

/// Rows by column. Each is told by its name, and what it is of a row.
macro_rules! columns {
    ($rows:expr, $($name:literal: $kind:ident($of:expr)),+ $(,)?) => {{
        let rows: Vec<_> = $rows.collect();
        Ok(RecordBatch::try_from_iter([$(($name, $kind(&rows, $of))),+])?)
    }};
}

fn region(rows: impl Iterator<Item = Region<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "r_regionkey": keys(|row| row.r_regionkey),
        "r_name": texts(|row| &row.r_name),
        "r_comment": texts(|row| &row.r_comment),
    )
}

fn nation(rows: impl Iterator<Item = Nation<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "n_nationkey": keys(|row| row.n_nationkey),
        "n_name": texts(|row| &row.n_name),
        "n_regionkey": keys(|row| row.n_regionkey),
        "n_comment": texts(|row| &row.n_comment),
    )
}

fn part(rows: impl Iterator<Item = Part<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "p_partkey": keys(|row| row.p_partkey),
        "p_name": texts(|row| &row.p_name),
        "p_mfgr": texts(|row| &row.p_mfgr),
        "p_brand": texts(|row| &row.p_brand),
        "p_type": texts(|row| &row.p_type),
        "p_size": counts(|row| row.p_size),
        "p_container": texts(|row| &row.p_container),
        "p_retailprice": money(|row| row.p_retailprice),
        "p_comment": texts(|row| &row.p_comment),
    )
}

fn supplier(rows: impl Iterator<Item = Supplier>) -> Result<RecordBatch> {
    columns!(rows,
        "s_suppkey": keys(|row| row.s_suppkey),
        "s_name": texts(|row| &row.s_name),
        "s_address": texts(|row| &row.s_address),
        "s_nationkey": keys(|row| row.s_nationkey),
        "s_phone": texts(|row| &row.s_phone),
        "s_acctbal": money(|row| row.s_acctbal),
        "s_comment": texts(|row| &row.s_comment),
    )
}

fn partsupp(rows: impl Iterator<Item = PartSupp<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "ps_partkey": keys(|row| row.ps_partkey),
        "ps_suppkey": keys(|row| row.ps_suppkey),
        "ps_availqty": counts(|row| row.ps_availqty),
        "ps_supplycost": money(|row| row.ps_supplycost),
        "ps_comment": texts(|row| &row.ps_comment),
    )
}

fn customer(rows: impl Iterator<Item = Customer<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "c_custkey": keys(|row| row.c_custkey),
        "c_name": texts(|row| &row.c_name),
        "c_address": texts(|row| &row.c_address),
        "c_nationkey": keys(|row| row.c_nationkey),
        "c_phone": texts(|row| &row.c_phone),
        "c_acctbal": money(|row| row.c_acctbal),
        "c_mktsegment": texts(|row| &row.c_mktsegment),
        "c_comment": texts(|row| &row.c_comment),
    )
}

fn orders(rows: impl Iterator<Item = Order<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "o_orderkey": keys(|row| row.o_orderkey),
        "o_custkey": keys(|row| row.o_custkey),
        "o_orderstatus": texts(|row| &row.o_orderstatus),
        "o_totalprice": money(|row| row.o_totalprice),
        "o_orderdate": dates(|row| row.o_orderdate),
        "o_orderpriority": texts(|row| &row.o_orderpriority),
        "o_clerk": texts(|row| &row.o_clerk),
        "o_shippriority": counts(|row| row.o_shippriority),
        "o_comment": texts(|row| &row.o_comment),
    )
}

fn lineitem(rows: impl Iterator<Item = LineItem<'static>>) -> Result<RecordBatch> {
    columns!(rows,
        "l_orderkey": keys(|row| row.l_orderkey),
        "l_partkey": keys(|row| row.l_partkey),
        "l_suppkey": keys(|row| row.l_suppkey),
        "l_linenumber": counts(|row| row.l_linenumber),
        "l_quantity": money(|row| TPCHDecimal::new(row.l_quantity * 100)),
        "l_extendedprice": money(|row| row.l_extendedprice),
        "l_discount": money(|row| row.l_discount),
        "l_tax": money(|row| row.l_tax),
        "l_returnflag": texts(|row| &row.l_returnflag),
        "l_linestatus": texts(|row| &row.l_linestatus),
        "l_shipdate": dates(|row| row.l_shipdate),
        "l_commitdate": dates(|row| row.l_commitdate),
        "l_receiptdate": dates(|row| row.l_receiptdate),
        "l_shipinstruct": texts(|row| &row.l_shipinstruct),
        "l_shipmode": texts(|row| &row.l_shipmode),
        "l_comment": texts(|row| &row.l_comment),
    )
}

fn keys<R>(rows: &[R], of: impl Fn(&R) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
}

fn counts<R>(rows: &[R], of: impl Fn(&R) -> i32) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(rows.iter().map(of)))
}

fn dates<R>(rows: &[R], of: impl Fn(&R) -> TPCHDate) -> ArrayRef {
    let days = rows.iter().map(|row| of(row).to_unix_epoch());
    Arc::new(Date32Array::from_iter_values(days))
}

fn money<R>(rows: &[R], of: impl Fn(&R) -> TPCHDecimal) -> ArrayRef {
    let cents = rows.iter().map(|row| i128::from(of(row).into_inner()));
    let cents = Decimal128Array::from_iter_values(cents);
    Arc::new(cents.with_data_type(arrow_schema::DataType::Decimal128(15, 2)))
}

fn texts<R>(rows: &[R], of: impl Fn(&R) -> &dyn Display) -> ArrayRef {
    let mut texts = StringBuilder::new();
    for row in rows {
        write!(texts, "{}", of(row)).expect("a builder takes any text");
        texts.append_value("");
    }
    Arc::new(texts.finish())
}
