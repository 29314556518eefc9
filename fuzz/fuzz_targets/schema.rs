//! Does the text of a schema that is understood come back as the same schema?

#![no_main]

use libfuzzer_sys::fuzz_target;
use windrow::io::schema_text::{parse_schema, print_schema};

fuzz_target!(|text: &str| {
    let Ok(schema) = parse_schema(text) else {
        return;
    };
    let printed = print_schema(&schema).expect("what has a text can be printed");
    let again = parse_schema(&printed).expect("what is printed can be read");
    assert_eq!(again, schema, "{printed}");
});
