//! Does the text of an expression that is understood come back as the same expression?

#![no_main]

use libfuzzer_sys::fuzz_target;
use windrow::expr::Expr;

fuzz_target!(|text: &str| {
    let Ok(expr) = Expr::parse(text) else { return };
    let shown = expr.to_string();
    match Expr::parse(&shown) {
        Ok(again) => assert_eq!(again.to_string(), shown, "from {text:?}"),
        Err(error) => panic!("{text:?} is shown as {shown:?}, which is nothing: {error}"),
    }
});
