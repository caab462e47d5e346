//! The tests of this package need heavy servers: see `tests/`.
