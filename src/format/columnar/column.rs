//! The columns of a job in a schema: found by name or JSON Pointer, their types checked.

use super::meaning::Meaning;
use crate::error::{Error, Place, Result, nearest};
use crate::format::block::ColumnKind;
use crate::format::pointer::steps;
use crate::source::Input;
use arrow_schema::{DataType, Field, Fields, Schema};
use std::sync::Arc;

/// The key under which a field says what it contains, if this version cannot read it.
pub(in crate::format) const UNREADABLE: &str = "listferry.unreadable";

/// Maximum number of names for a hint.
const MAX_NAMES: usize = 1_000;
/// Maximum number of names that a hint lists.
const MAX_LISTED: usize = 20;

/// The columns that a job names, as far as the first file of its source has them.
pub(in crate::format) struct Columns {
    pub(in crate::format) names: Arc<[String]>,
    pub(in crate::format) wanted: Vec<Wanted>,
    /// The kinds of the columns.
    pub(in crate::format) kinds: Vec<ColumnKind>,
    /// The columns of the file, members of objects as pointers, each with whether its values are text or lists.
    pub(in crate::format) offered: Vec<(String, bool)>,
    /// All names of the file, for hints.
    all: Vec<String>,
}

/// A column that a job names.
#[derive(Clone, Debug)]
pub(in crate::format) struct Wanted {
    pub(in crate::format) name: String,
    /// The names on the path from the schema to the column.
    pub(in crate::format) steps: Vec<String>,
    pub(in crate::format) kind: ColumnKind,
}

/// A column in a batch.
#[derive(Clone, Debug)]
pub(in crate::format) struct Column {
    /// Index of the array, and of members in it.
    pub(in crate::format) array: usize,
    pub(in crate::format) path: Vec<usize>,
    pub(in crate::format) meaning: Meaning,
}

impl Wanted {
    /// Returns the field of the column in a schema.
    pub(in crate::format) fn field<'s>(&self, schema: &'s Schema) -> Option<&'s Field> {
        find(schema.fields(), &self.steps)
    }
}

impl Columns {
    /// Finds the columns in the schema of the first file.
    ///
    /// # Errors
    /// `Usage`: a pointer is not valid, or the type of a column cannot be sent.
    pub(in crate::format) fn find(schema: &Schema, names: &[&str]) -> Result<Columns> {
        let mut wanted: Vec<Wanted> = Vec::with_capacity(names.len());
        for name in names {
            if wanted.iter().any(|known| known.name == *name) {
                continue;
            }
            let steps = steps(name)?;
            // a name that the file has twice is here twice, and the plan refuses it
            let same = schema.fields().iter().filter(|field| *field.name() == steps[0]).count();
            for field in find(schema.fields(), &steps).into_iter().cycle().take(same) {
                let kind = kind_of(field).map_err(|what| unsupported(name, what))?;
                wanted.push(Wanted { name: (*name).to_owned(), steps: steps.clone(), kind });
            }
        }
        let names = wanted.iter().map(|column| column.name.clone()).collect();
        let kinds = wanted.iter().map(|column| column.kind).collect();
        let mut all = Vec::new();
        collect(schema.fields(), "", &mut all);
        let mut offered = Vec::new();
        offer(schema.fields(), "", &mut offered);
        Ok(Columns { names, wanted, kinds, offered, all })
    }

    /// Checks that another file has the same columns.
    ///
    /// # Errors
    /// `Data`: it does not.
    pub(in crate::format) fn check(&self, schema: &Schema, input: &Input) -> Result<()> {
        for column in &self.wanted {
            let found = column.field(schema).map(kind_of);
            let what = match found {
                Some(Ok(kind)) if kind == column.kind => continue,
                Some(_) => "has another type than in the first file",
                None => "is missing, but the first file has it",
            };
            let place =
                Place { file: Some(input.name().to_owned()), column: Some(column.name.clone()), ..Place::default() };
            let hint =
                "the files of a source must have the same columns: see whether one of them is from another export";
            return Err(Error::data(format!("the column {what}")).with_place(place).with_hint(hint));
        }
        Ok(())
    }

    /// Returns the columns in a batch with this schema; `None` if one is not there.
    pub(in crate::format) fn locate(
        &self,
        schema: &Schema,
        meaning: impl Fn(&Wanted, &Field) -> Meaning,
    ) -> Option<Arc<[Column]>> {
        let of = |wanted: &Wanted| {
            let (array, field) = schema.fields().find(&wanted.steps[0])?;
            let (mut path, mut field) = (Vec::new(), field);
            for step in &wanted.steps[1..] {
                let DataType::Struct(fields) = field.data_type() else { return None };
                let (at, inner) = fields.find(step)?;
                path.push(at);
                field = inner;
            }
            Some(Column { array, path, meaning: meaning(wanted, field) })
        };
        self.wanted.iter().map(of).collect()
    }

    /// Returns the hint for a column that is not there.
    pub(in crate::format) fn missing(&self, name: &str) -> String {
        let more = if self.all.len() > MAX_LISTED { ", …" } else { "" };
        let listed: Vec<String> = self.all.iter().take(MAX_LISTED).map(|name| format!("{name:?}")).collect();
        let listed = format!("the columns are {}{more}", listed.join(", "));
        match nearest(name, self.all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}? {listed}"),
            None => listed,
        }
    }

    /// Returns true if the values of a column are lists.
    pub(in crate::format) fn is_list(&self, column: usize) -> bool {
        matches!(self.kinds[column], ColumnKind::List | ColumnKind::Objects)
    }

    /// Returns true if a column has lists or objects.
    pub(in crate::format) fn have_lists(&self) -> bool {
        self.kinds.iter().any(|kind| *kind != ColumnKind::Value)
    }
}

/// Follows a path of names.
fn find<'f>(fields: &'f Fields, steps: &[String]) -> Option<&'f Field> {
    let (_, field) = fields.find(&steps[0])?;
    match (&steps[1..], field.data_type()) {
        ([], _) => Some(field),
        (rest, DataType::Struct(fields)) => find(fields, rest),
        _ => None,
    }
}

/// Collects the names of fields; members of objects are JSON Pointers.
fn collect(fields: &Fields, before: &str, names: &mut Vec<String>) {
    for field in fields {
        if names.len() >= MAX_NAMES {
            return;
        }
        let pointer = format!("{before}/{}", field.name().replace('~', "~0").replace('/', "~1"));
        names.push(if before.is_empty() { field.name().clone() } else { pointer.clone() });
        if let DataType::Struct(members) = field.data_type() {
            collect(members, &pointer, names);
        }
    }
}

/// Collects the columns that a job can name, each with whether its values are text or lists.
fn offer(fields: &Fields, before: &str, offered: &mut Vec<(String, bool)>) {
    for field in fields {
        if offered.len() >= MAX_NAMES {
            return;
        }
        let pointer = format!("{before}/{}", field.name().replace('~', "~0").replace('/', "~1"));
        if let DataType::Struct(members) = field.data_type() {
            offer(members, &pointer, offered);
            continue;
        }
        let is_plain = before.is_empty() && !field.name().starts_with('/');
        let name = if is_plain { field.name().clone() } else { pointer };
        offered.push((name, matches!(kind_of(field), Ok(ColumnKind::Value | ColumnKind::List))));
    }
}

/// Returns the kind of a field, or what it contains if that cannot be sent.
fn kind_of(field: &Field) -> Result<ColumnKind, &str> {
    match field.metadata().get(UNREADABLE) {
        Some(what) => Err(what),
        None => kind_of_type(field.data_type()),
    }
}

fn kind_of_type(data_type: &DataType) -> Result<ColumnKind, &str> {
    Ok(match data_type {
        DataType::Time32(_) | DataType::Time64(_) => return Err("times of day"),
        DataType::Duration(_) => return Err("durations"),
        DataType::Interval(_) => return Err("intervals"),
        DataType::Map(..) => return Err("maps"),
        DataType::Union(..) => return Err("unions"),
        DataType::RunEndEncoded(..) => return Err("run-end encoded values"),
        DataType::Dictionary(_, values) => match kind_of_type(values)? {
            ColumnKind::Value => ColumnKind::Value,
            _ => return Err("a dictionary of lists or objects"),
        },
        DataType::Struct(fields) => {
            fields.iter().try_for_each(|field| kind_of(field).map(drop))?;
            ColumnKind::Object
        }
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => match kind_of(field)? {
            ColumnKind::Object => ColumnKind::Objects,
            _ => ColumnKind::List,
        },
        _ => ColumnKind::Value,
    })
}

fn unsupported(name: &str, what: &str) -> Error {
    let place = Place { column: Some(name.to_owned()), ..Place::default() };
    Error::usage(format!("the column {name:?} contains {what}, which cannot be sent"))
        .with_place(place)
        .with_hint("export it as text, or map another column")
}
