//! The certificate of an edge.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::config::Tls;

fn wrong(path: &Path, reason: impl ToString) -> StartError {
    StartError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Reads certificate and key.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, StartError> {
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&tls.certificate, error))?;
    if chain.is_empty() {
        return Err(wrong(
            &tls.certificate,
            "it holds no certificate in PEM form",
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&tls.certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
