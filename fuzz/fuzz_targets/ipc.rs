//! Does any Arrow IPC file end in rows or an error?

#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = common::file("arrow", data);
    let path = path.to_str().expect("a path of ASCII");
    let session = common::session();
    let Ok(frame) = session.read_ipc(path) else {
        return;
    };
    let _ = frame.count();
    let _ = frame.head(50);
});
