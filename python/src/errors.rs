//! Errors of the library as exceptions of the package, made by `listferry._errors.make`.

use listferry::Error;
use pyo3::prelude::*;

/// Returns the exception for an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let kind = error.kind();
        let report = error.report().map(|report| report.to_json().to_string());
        let all: Vec<String> = error.all().skip(1).map(|other| format!("{other}")).collect();
        let arguments =
            (kind.name(), kind.exit_code(), kind.is_retryable(), error.to_string(), error.hint(), all, report);
        let made = py.import("listferry._errors")?.getattr("make")?.call1(arguments)?;
        Ok(PyErr::from_value(made))
    };
    make().unwrap_or_else(|failed| failed)
}

/// Converts the error of a result.
pub(crate) fn raised<T>(py: Python<'_>, result: Result<T, Error>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}
