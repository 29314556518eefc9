//! A text as it is, against the text that was looked at and stored.

use std::path::Path;

/// Compares `text` with the file `name` of `tests/golden`. `WINDROW_BLESS=1` writes the
/// file anew; whoever does that looks at what has changed.
pub fn assert_reads_as_it_did(name: &str, text: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("WINDROW_BLESS").is_some() {
        std::fs::write(&golden, text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert!(
        text == expected,
        "tests/golden/{name} reads otherwise; look at it, then run this test with WINDROW_BLESS=1:\n{text}"
    );
}
