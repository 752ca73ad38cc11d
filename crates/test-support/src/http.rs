//! An HTTP client for tests.

use std::sync::OnceLock;
use std::time::Duration;

/// Installs the TLS provider of this process, without which no client can be built.
pub(crate) fn install_tls() {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no redirect and gives up after 30 seconds. Keeps no connection open between requests, so
/// that a test sees what the server does with new ones.
pub fn client() -> reqwest::Client {
    static CLIENT: OnceLock<()> = OnceLock::new();
    CLIENT.get_or_init(install_tls);
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .expect("an HTTP client can be built")
}
