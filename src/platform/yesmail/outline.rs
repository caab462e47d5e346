//! The calls of a run, for review before sending.

use super::options::{Host, Options};
use crate::platform::{Outline, PlannedCall};
use crate::secret::Secret;
use url::Url;

/// The port of FTP, with explicit TLS or without.
const FTP_PORT: u16 = 21;

impl Options {
    /// Returns the addresses that a run connects to.
    pub(super) fn addresses(&self) -> Vec<Secret> {
        let mut addresses = vec![Secret::new(&*self.base)];
        match &self.host {
            Host::Put { url, .. } if !url.expose().is_empty() => addresses.push(url.clone()),
            Host::Ftp { url, .. } => addresses.extend(ftp_address(url.expose())),
            _ => {}
        }
        addresses
    }

    /// Returns the calls of a run.
    pub(super) fn outline(&self) -> Outline {
        let ping = PlannedCall::new(format!("GET {}", super::before::PING), "see whether the API is available", 1);
        let transfer = match &self.host {
            Host::Uri(_) => None,
            Host::Put { .. } => Some(PlannedCall::new("PUT", "send the list to destination.host.put", 1)),
            Host::Ftp { .. } => Some(PlannedCall::new("FTP", "send the list to destination.host.ftp", 1)),
            Host::Serve(_) => {
                Some(PlannedCall { count: None, ..PlannedCall::new("GET by Yesmail", "serve the list", 0) })
            }
        };
        let mut outline = Outline::default();
        if transfer.is_some() {
            outline = outline.call(ping);
        }
        let compare = format!("GET {}", super::before::SCHEMA);
        outline = outline.call(PlannedCall::new(compare, "compare the attributes of lists with the map", 1));
        if let Some(transfer) = transfer {
            outline = outline.call(transfer);
        }
        outline
            .call(PlannedCall::new(format!("POST {}", self.import_path()), "request the import", 1))
            .call(PlannedCall::verdict("GET /v2/tickets/…", false))
    }
}

/// Returns host and port of an FTP server as an address; `None` if the URL is not known.
fn ftp_address(url: &str) -> Option<Secret> {
    let url = Url::parse(url).ok()?;
    let host = url.host()?;
    Some(Secret::new(format!("tcp://{host}:{}", url.port().unwrap_or(FTP_PORT))))
}
