//! The native half of the Python package: jobs, sources and reports as JSON. `listferry/__init__.py` is the half that
//! Python programs see.

mod capsule;
mod command;
mod errors;
mod job;
mod rows;
mod sandbox;
mod source;
mod state;

use pyo3::prelude::*;

/// The native half of listferry.
#[pymodule]
fn _listferry(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<job::NativeJob>()?;
    module.add_class::<sandbox::Sandbox>()?;
    module.add_function(wrap_pyfunction!(state::runs, module)?)?;
    module.add_function(wrap_pyfunction!(state::job_of, module)?)?;
    module.add_function(wrap_pyfunction!(state::copy_rejects, module)?)?;
    Ok(())
}
