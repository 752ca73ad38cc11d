//! The one HTTP client of this crate.

use std::sync::Once;
use std::time::Duration;

static PROVIDER: Once = Once::new();

/// A client for loopback requests: no proxy, short timeouts. Made anew each time because a client's connections
/// belong to the runtime that opened them, and every test has a runtime of its own.
pub(crate) fn client() -> reqwest::Client {
    // reqwest panics without a crypto provider, even for plain HTTP; a second install is refused, which is fine.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(2))
        .build()
        .expect("a client without special settings can always be built")
}
