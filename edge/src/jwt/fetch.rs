//! Key sets behind a URL: one request for one of them.

use std::sync::Arc;
use std::time::Duration;

use super::KeySet;

/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(3);
/// The largest key set that is read, in bytes.
const SET_BYTES_MAX: u64 = 256 << 10;

/// The set, or why it cannot be had. One without a usable key is none: an issuer that signs has a key.
pub(super) async fn fetch(url: String) -> Result<KeySet, String> {
    let fetched = tokio::task::spawn_blocking(move || get(&url));
    fetched.await.map_err(|error| error.to_string())?
}

fn get(url: &str) -> Result<KeySet, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH))
        // What began encrypted is not led elsewhere in the clear.
        .https_only(url.to_ascii_lowercase().starts_with("https:"))
        .tls_config(tls())
        .build();
    let mut response = ureq::Agent::new_with_config(config)
        .get(url)
        .call()
        .map_err(|error| error.to_string())?;
    let body = response.body_mut().with_config().limit(SET_BYTES_MAX);
    let json = body.read_to_vec().map_err(|error| error.to_string())?;
    let set = KeySet::from_jwks(&json, url).map_err(|error| error.to_string())?;
    set.usable()
}

/// The machine's root certificates, and the same cryptography as everywhere else.
fn tls() -> ureq::tls::TlsConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build()
}
