//! The certificate of an edge: one that is rolled serves whoever comes from then on, and the others stay as they came.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::config::Tls;
use crate::kept::{self, Held, Kept};

fn wrong(path: &Path, reason: impl ToString) -> StartError {
    StartError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The certificate in use.
pub(super) struct Certificate {
    files: Tls,
    kept: Mutex<Kept>,
    used: watch::Sender<TlsAcceptor>,
}

impl Certificate {
    /// Reads certificate and key.
    pub(super) fn open(files: &Tls) -> Result<Self, StartError> {
        let held = held(files);
        Ok(Self {
            used: watch::Sender::new(acceptor(files, &held)?),
            kept: Mutex::new(Kept::of(&held)),
            files: files.clone(),
        })
    }

    /// What serves whoever comes now.
    pub(super) fn used(&self) -> watch::Receiver<TlsAcceptor> {
        self.used.subscribe()
    }

    /// What its files hold now. It blocks.
    pub(super) fn held(&self) -> [Held; 2] {
        held(&self.files)
    }

    /// Takes what its files hold; a certificate without its key changes nothing. Says whether it is another one.
    pub(super) fn look(&self, held: &[Held; 2], asked: bool) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let look = kept.look(held, asked, |held| acceptor(&self.files, held));
        let new = look.told("the certificate and its key (edge.tls)");
        let is_new = new.is_some();
        if let Some(acceptor) = new {
            self.used.send_replace(acceptor);
        }
        is_new
    }
}

fn held(files: &Tls) -> [Held; 2] {
    [kept::read(&files.certificate), kept::read(&files.key)]
}

fn acceptor(files: &Tls, held: &[Held]) -> Result<TlsAcceptor, StartError> {
    let [certificate, key] = held else {
        unreachable!("a certificate and its key are two files")
    };
    let of_file = |path: &Path, error: &std::io::Error| wrong(path, error);
    let chain = certificate
        .as_ref()
        .map_err(|error| of_file(&files.certificate, error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| wrong(&files.certificate, unread(&error)))?;
    if chain.is_empty() {
        return Err(wrong(
            &files.certificate,
            "it holds no certificate in PEM form",
        ));
    }
    let key = key.as_ref().map_err(|error| of_file(&files.key, error))?;
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&files.key, unread(&error)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let of = format!(
                    "it is not the certificate of the key in {}",
                    files.key.display()
                );
                wrong(&files.certificate, of)
            }
            error => wrong(&files.certificate, error),
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Why a file cannot be read, in words.
fn unread(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "it holds no private key in PEM form".to_owned(),
        pem::Error::MissingSectionEnd { end_marker } => {
            let section = String::from_utf8_lossy(end_marker);
            format!("it breaks off: the end of its section {section} is missing")
        }
        error => error.to_string(),
    }
}
