//! Simulated platforms on loopback, for tests.

use listferry::Error;
use listferry::sandbox::{Fault, Options, Sandbox as Server};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;

use crate::errors::raised;

/// A running sandbox.
#[pyclass(module = "listferry._listferry", frozen)]
pub(crate) struct Sandbox {
    url: String,
    server: Mutex<Option<(Server, Runtime)>>,
}

#[pymethods]
impl Sandbox {
    #[new]
    fn new(py: Python<'_>, faults: Vec<String>) -> PyResult<Sandbox> {
        let mut options = Options::default();
        let parsed: Result<Vec<Fault>, Error> =
            faults.iter().map(|fault| Fault::parse(fault).map_err(Error::usage)).collect();
        options.faults = raised(py, parsed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = py.detach(|| runtime.block_on(Server::start(([127, 0, 0, 1], 0).into(), options)))?;
        Ok(Sandbox { url: server.url(), server: Mutex::new(Some((server, runtime))) })
    }

    /// The address, for `base_url`.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// Returns the requests received so far, as JSON.
    fn ledger(&self) -> PyResult<String> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = server.as_ref().map(|(server, _)| server.ledger()).unwrap_or_default();
        serde_json::to_string(&entries).map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    }

    /// Stops it.
    fn close(&self, py: Python<'_>) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| {
            if let Some((server, runtime)) = server {
                drop(server);
                runtime.shutdown_background();
            }
        });
    }
}
