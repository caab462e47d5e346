//! Any number of threads and any chunk size give the same bytes, and both passes the same counts.
#![no_main]

use libfuzzer_sys::fuzz_target;

include!("common.rs");

fuzz_target!(|data: &[u8]| {
    let [threads, chunk, text @ ..] = data else { return };
    let one = run(text, 1, 1 << 16);
    let other = run(text, usize::from(threads % 4) + 1, usize::from(*chunk) + 1);
    assert_eq!(one, other);
});
