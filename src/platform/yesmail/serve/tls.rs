//! Certificate and key of the pull server.

use crate::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// The configuration of a TLS server.
#[derive(Clone)]
pub(in crate::platform::yesmail) struct Tls(Arc<rustls::ServerConfig>);

impl Tls {
    /// Reads a certificate chain and its key, both in PEM format.
    pub(in crate::platform::yesmail) fn load(cert: &Path, key: &Path) -> Result<Tls> {
        let wrong = |path: &Path, why: &dyn std::fmt::Display| {
            Error::usage(format!("destination.host.serve: {}: {why}", path.display()))
                .with_hint("tls_cert and tls_key are PEM files of a certificate chain and its private key")
        };
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(cert, &error))?;
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
                .map_err(|error| wrong(cert, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(Arc::new(config)))
    }

    /// Returns an acceptor of TLS connections.
    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.0))
    }
}
