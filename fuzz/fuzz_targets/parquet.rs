//! Does any Parquet file end in rows or an error?

#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = common::file("parquet", data);
    let path = path.to_str().expect("a path of ASCII");
    let session = common::session();
    let Ok(frame) = session.read_parquet(path) else {
        return;
    };
    let _ = frame.count();
    let _ = frame.head(50);
    if let Ok(schema) = frame.schema()
        && let Some(first) = schema.fields().first()
    {
        let kept = frame.filter(windrow::expr::col(first.name().as_str()).is_not_null());
        let _ = kept.and_then(|kept| kept.count());
    }
});
