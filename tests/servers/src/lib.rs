//! A package for tests that need heavy servers: see `tests/`.
