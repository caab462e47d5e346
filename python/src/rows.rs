//! Rows that are dicts, as NDJSON.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

/// Maximum depth of a row; a deeper one would be rejected anyway.
const MAX_DEPTH: u32 = 128;

/// Writes a row.
///
/// # Errors
/// `TypeError`: it is not a mapping, or a value has no form in JSON. `ValueError`: NaN or an infinity.
pub(crate) fn write(row: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    if row.cast::<PyMapping>().is_err() {
        let kind = row.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a row must be a dict, not {kind}")));
    }
    value(row, out, 0)?;
    out.push(b'\n');
    Ok(())
}

fn value(of: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: u32) -> PyResult<()> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err("a row is nested too deeply"));
    }
    if of.is_none() {
        out.extend_from_slice(b"null");
    } else if let Ok(text) = of.cast::<PyString>() {
        string(text.to_cow()?.as_ref(), out);
    } else if let Ok(truth) = of.cast::<PyBool>() {
        out.extend_from_slice(if truth.is_true() { b"true" } else { b"false" });
    } else if of.is_instance_of::<PyInt>() {
        // of any size; subclasses may print otherwise
        let digits = of.py().get_type::<PyInt>().call_method1("__repr__", (of,))?;
        out.extend_from_slice(digits.cast::<PyString>()?.to_cow()?.as_bytes());
    } else if let Ok(number) = of.cast::<PyFloat>() {
        float(number.value(), out)?;
    } else if let Ok(dict) = of.cast::<PyDict>() {
        object(dict.iter(), out, depth)?;
    } else if let Ok(list) = of.cast::<PyList>() {
        array(list.iter(), out, depth)?;
    } else if let Ok(list) = of.cast::<PyTuple>() {
        array(list.iter(), out, depth)?;
    } else {
        other(of, out, depth)?;
    }
    Ok(())
}

/// Writes values of other types: mappings, dates and times, and what has one exact text.
fn other(of: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: u32) -> PyResult<()> {
    if let Ok(mapping) = of.cast::<PyMapping>() {
        let items = mapping.items()?;
        let pairs = items.iter().map(|pair| pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>());
        return object(pairs.collect::<PyResult<Vec<_>>>()?.into_iter(), out, depth);
    }
    let kind = of.get_type();
    let module: String = kind.module()?.to_string();
    let name: String = kind.name()?.to_string();
    match (module.as_str(), name.as_str()) {
        ("datetime", "date" | "datetime" | "time") => {
            string(&of.call_method0("isoformat")?.extract::<String>()?, out);
            Ok(())
        }
        ("decimal", "Decimal") | ("uuid", "UUID") => {
            string(&of.str()?.to_string(), out);
            Ok(())
        }
        // scalars of numpy and the like
        _ if of.hasattr("item")? && of.hasattr("dtype")? => value(&of.call_method0("item")?, out, depth + 1),
        _ => Err(PyTypeError::new_err(format!("a value of type {name} cannot be sent; make it a text or a number"))),
    }
}

fn object<'py>(
    members: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    out: &mut Vec<u8>,
    depth: u32,
) -> PyResult<()> {
    out.push(b'{');
    for (index, (key, member)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let key = key.cast::<PyString>().map_err(|_| PyTypeError::new_err("the keys of a row must be texts"))?;
        string(key.to_cow()?.as_ref(), out);
        out.push(b':');
        value(&member, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

fn array<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, out: &mut Vec<u8>, depth: u32) -> PyResult<()> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value(&item, out, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn string(text: &str, out: &mut Vec<u8>) {
    // writing to memory does not fail
    let _ = serde_json::to_writer(out, text);
}

/// Writes a float as the other formats do: whole numbers without a point.
fn float(number: f64, out: &mut Vec<u8>) -> PyResult<()> {
    if !number.is_finite() {
        return Err(PyValueError::new_err("a row has a float that is not finite; None is an empty value"));
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        out.extend_from_slice(format!("{}", number as i64).as_bytes());
    } else {
        out.extend_from_slice(serde_json::Value::from(number).to_string().as_bytes());
    }
    Ok(())
}
