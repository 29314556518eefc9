//! To be written.
pub mod schema_text;
