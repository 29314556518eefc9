//! Stub.
#![allow(missing_docs)]
use crate::error::{Error, Result};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema};
#[derive(Debug, Clone)]
pub enum Expr {
    A,
}
impl Expr {
    pub fn and(self, _: Expr) -> Expr {
        self
    }
    pub fn bind(&self, _: &Schema) -> Result<BoundExpr> {
        Ok(BoundExpr)
    }
}
impl std::fmt::Display for Expr {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
#[derive(Debug, Clone)]
pub struct BoundExpr;
impl BoundExpr {
    pub fn data_type(&self) -> DataType {
        DataType::Boolean
    }
    pub fn root_columns(&self) -> &[String] {
        &[]
    }
    pub fn mask(&self, b: &RecordBatch) -> Result<BooleanArray> {
        Ok(BooleanArray::from(vec![true; b.num_rows()]))
    }
}
pub trait IntoExpr {
    fn into_expr(self) -> Result<Expr>;
}
impl IntoExpr for &str {
    fn into_expr(self) -> Result<Expr> {
        Ok(Expr::A)
    }
}
pub fn col(_: &str) -> Expr {
    Expr::A
}
pub fn lit(_: i64) -> Expr {
    Expr::A
}
pub fn unknown_column(name: &str, _: &Schema) -> Error {
    Error::plan(format!("there is no column {name:?}"))
}
