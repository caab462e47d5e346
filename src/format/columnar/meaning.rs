//! The meaning of bytes whose type does not define it.

use arrow_schema::{DataType, Field};
use std::sync::Arc;

/// The key under which a field has the name of an extension type.
const EXTENSION: &str = "ARROW:extension:name";

/// A meaning of bytes that their type does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Meaning {
    /// That of the type.
    Plain,
    Uuid,
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "only Parquet has it"))]
    Int96,
    /// Of each member of an object, or of the elements of a list.
    Inner(Arc<[Meaning]>),
}

impl Meaning {
    /// Returns the meaning of a field; `leaf` returns that of a value that is neither an object nor a list.
    pub(in crate::format) fn of(field: &Field, leaf: &mut dyn FnMut(&Field) -> Meaning) -> Meaning {
        let inner: Arc<[Meaning]> = match field.data_type() {
            DataType::Struct(members) => members.iter().map(|member| Meaning::of(member, leaf)).collect(),
            DataType::List(inner)
            | DataType::LargeList(inner)
            | DataType::FixedSizeList(inner, _)
            | DataType::ListView(inner)
            | DataType::LargeListView(inner) => Arc::new([Meaning::of(inner, leaf)]),
            _ => return leaf(field),
        };
        if inner.iter().all(|meaning| *meaning == Meaning::Plain) { Meaning::Plain } else { Meaning::Inner(inner) }
    }

    /// Returns the meaning that the extension type of a field gives to its values.
    pub(in crate::format) fn of_extension(field: &Field) -> Meaning {
        match field.metadata().get(EXTENSION).map(String::as_str) {
            Some("arrow.uuid") => Meaning::Uuid,
            _ => Meaning::Plain,
        }
    }

    /// Returns the meaning of a member, or of the elements.
    pub(super) fn inner(&self, at: usize) -> &Meaning {
        match self {
            Meaning::Inner(inner) => inner.get(at).unwrap_or(&Meaning::Plain),
            _ => &Meaning::Plain,
        }
    }
}
