//! The `listferry` binary.
fn main() {}
