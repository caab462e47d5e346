//! Nothing here: this package holds the tests that need heavy servers.
