//! JSON text and delimited cells, written into an [`crate::scan::Out`].
