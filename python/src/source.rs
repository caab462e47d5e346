//! Sources of a Python program: a path, an object with an Arrow stream, a file object, or an iterable of dicts.

use crate::{capsule, rows};
use arrow_array::RecordBatchReader;
use arrow_schema::ArrowError;
use listferry::Source;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyString};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of rows, or bytes of a file object, that are taken while the interpreter lock is held.
const ROWS: usize = 500;
const BYTES: usize = 256 << 10;

/// An exception that was raised while a source was read, and ends the command.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Keeps the first exception.
    pub(crate) fn set(&self, error: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep<T>(&self, result: PyResult<T>) -> io::Result<T> {
        result.map_err(|error| {
            self.set(error);
            io::Error::other("the program raised an exception")
        })
    }
}

/// Returns the source that an object is.
pub(crate) fn of(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Source> {
    let is_path = object.is_instance_of::<PyString>() || object.hasattr("__fspath__")?;
    if is_path {
        let path: String = object.py().import("os")?.call_method1("fspath", (object,))?.extract()?;
        let is_address = path == "-" || path.contains("://");
        let path = if is_address {
            path
        } else {
            object.py().import("os.path")?.call_method1("abspath", (path,))?.extract()?
        };
        return Ok(Source::path(path));
    }
    if object.hasattr("__arrow_c_stream__")? {
        return arrow(object, raised);
    }
    if object.hasattr("read")? {
        let reader = FileObject { object: object.clone().unbind(), raised: raised.clone() };
        return Ok(Source::from_reader("file object", reader));
    }
    match object.try_iter() {
        Ok(iterator) => Ok(Source::from_reader("rows", Rows::new(iterator, raised)).set("format", "ndjson")),
        Err(_) => Err(PyTypeError::new_err(format!(
            "a source is a path, a binary file object, an iterable of dicts, or has __arrow_c_stream__; not {}",
            object.get_type().name()?
        ))),
    }
}

/// Frames in memory are asked for their rows in each pass. What is read lazily is copied once.
fn arrow(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Source> {
    let module = object.get_type().module()?.to_string();
    let is_lazy = !object.hasattr("__len__")?
        || module.split('.').next().is_some_and(|name| name.trim_start_matches('_').starts_with("duckdb"));
    if is_lazy {
        return Ok(Source::from_arrow("frame", capsule::import(object)?));
    }
    let (object, raised) = (object.clone().unbind(), raised.clone());
    Ok(Source::from_arrow_again("frame", move || {
        let reader = Python::attach(|py| capsule::import(object.bind(py)));
        let reader = raised.keep(reader).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        Ok(Box::new(reader) as Box<dyn RecordBatchReader + Send>)
    }))
}

/// A binary file object.
struct FileObject {
    object: Py<PyAny>,
    raised: Raised,
}

impl Read for FileObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = Python::attach(|py| -> PyResult<usize> {
            let bytes = self.object.bind(py).call_method1("read", (buf.len().min(BYTES),))?;
            let bytes =
                bytes.cast::<PyBytes>().map_err(|_| PyTypeError::new_err("open the file in binary mode: \"rb\""))?;
            let bytes = bytes.as_bytes();
            let target =
                buf.get_mut(..bytes.len()).ok_or_else(|| PyTypeError::new_err("read() gave more than asked for"))?;
            target.copy_from_slice(bytes);
            Ok(bytes.len())
        });
        self.raised.keep(read)
    }
}

/// An iterable of dicts, as NDJSON.
struct Rows {
    iterator: Py<PyIterator>,
    raised: Raised,
    block: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl Rows {
    fn new(iterator: Bound<'_, PyIterator>, raised: &Raised) -> Rows {
        Rows { iterator: iterator.unbind(), raised: raised.clone(), block: Vec::new(), at: 0, is_over: false }
    }

    fn fill(&mut self) -> PyResult<()> {
        self.block.clear();
        self.at = 0;
        Python::attach(|py| {
            let mut iterator = self.iterator.bind(py).clone();
            for _ in 0..ROWS {
                match iterator.next() {
                    None => {
                        self.is_over = true;
                        break;
                    }
                    Some(row) => rows::write(&row?, &mut self.block)?,
                }
                if self.block.len() >= BYTES {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Read for Rows {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.is_over {
            let filled = self.fill();
            self.is_over |= filled.is_err();
            self.raised.clone().keep(filled)?;
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
