//! Trusted roots: the system's, or those of `network.ca_file`. Certificate checks cannot be turned off.

use crate::error::{Error, Result};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::{Arc, OnceLock};

pub(super) struct Roots {
    from_file: Option<RootCertStore>,
    // built at the first https connection: a machine without roots can do without them until then
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Roots {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Roots> {
        let from_file = ca_file.map(read).transpose()?;
        Ok(Roots { from_file, config: OnceLock::new() })
    }

    /// Returns TLS settings: TLS 1.2 and 1.3, HTTP/1.1 only.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>> {
        let made = self.config.get_or_init(|| {
            let roots = match &self.from_file {
                Some(roots) => roots.clone(),
                None => system()?,
            };
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|e| e.to_string())?
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        });
        made.clone().map_err(|why| {
            Error::usage(format!("no trusted root certificates: {why}"))
                .with_hint("install the system's CA certificates, or name a PEM file in network.ca_file")
        })
    }
}

fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(match found.errors.first() {
            Some(error) => error.to_string(),
            None => "this system has none".to_owned(),
        });
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<RootCertStore> {
    let wrong = |why: String| {
        Error::usage(format!("network.ca_file {}: {why}", path.display()))
            .with_hint("it must contain certificates in PEM format")
    };
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("no certificate in it".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert_eq!(Roots::new(Some(&path)).err().unwrap().kind(), Kind::Usage);
        std::fs::write(&path, "nothing here").unwrap();
        assert_eq!(Roots::new(Some(&path)).err().unwrap().kind(), Kind::Usage);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        let config = Roots::new(Some(&path)).unwrap().config().unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
