//! The published keys: fetched in the background, and again when a token names one that is not known yet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::AuthError;
use crate::config::AuthConfig;

/// A key set is a few hundred bytes; a larger answer is not one.
const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The first wait after a failed fetch; it doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

struct Key {
    id: Option<String>,
    key: Arc<DecodingKey>,
}

/// The keys of one JWKS address. The last good answer stays in force while the address does not answer.
pub(super) struct KeySet {
    url: Url,
    client: reqwest::Client,
    refresh: Duration,
    refetch_min: Duration,
    keys: Mutex<Option<Arc<Vec<Key>>>>,
    /// When a request last caused a fetch; held while it runs, so that many requests cause one.
    last_refetch: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    #[error("the answer is not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the answer has no Ed25519 key")]
    NoUsableKey,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// The members of RFC 8037 and RFC 7517 that matter here.
#[derive(Deserialize)]
struct OctetKeyPair {
    kty: String,
    crv: String,
    x: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    use_: Option<String>,
    alg: Option<String>,
}

impl KeySet {
    pub(super) fn new(url: Url, config: &AuthConfig) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.fetch_timeout_ms.get()))
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self {
            url,
            client,
            refresh: Duration::from_secs(config.refresh_seconds.get()),
            refetch_min: Duration::from_millis(config.refetch_min_ms),
            keys: Mutex::new(None),
            last_refetch: tokio::sync::Mutex::new(None),
        })
    }

    /// The keys that may have signed a token with this `kid`: that one, or all where the token names none.
    pub(super) async fn candidates(
        self: &Arc<Self>,
        kid: Option<&str>,
    ) -> Result<Vec<Arc<DecodingKey>>, AuthError> {
        let found = self.known(kid);
        if !found.is_empty() {
            return Ok(found);
        }
        self.refetch(kid).await;
        let found = self.known(kid);
        if !found.is_empty() {
            return Ok(found);
        }
        Err(if self.current().is_some() {
            AuthError::UnknownKey
        } else {
            AuthError::NoKeys
        })
    }

    /// Fetches every `auth.refresh_seconds`, and soon again after a failure, until `shutdown`.
    pub(super) async fn refresh(&self, shutdown: CancellationToken) {
        let mut backoff = MIN_BACKOFF;
        loop {
            let wait = match self.fetch().await {
                Ok(()) => {
                    backoff = MIN_BACKOFF;
                    self.refresh
                }
                Err(error) => {
                    let kept = self.current().map_or(0, |keys| keys.len());
                    tracing::warn!(url = %self.url, %error, keys_kept = kept, "token keys not fetched");
                    let wait = backoff;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn current(&self) -> Option<Arc<Vec<Key>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known(&self, kid: Option<&str>) -> Vec<Arc<DecodingKey>> {
        let Some(keys) = self.current() else {
            return Vec::new();
        };
        keys.iter()
            .filter(|key| kid.is_none() || key.id.as_deref() == kid)
            .map(|key| Arc::clone(&key.key))
            .collect()
    }

    async fn refetch(self: &Arc<Self>, kid: Option<&str>) {
        let mut last = self.last_refetch.lock().await;
        if !self.known(kid).is_empty() {
            return;
        }
        // Anybody can make tokens with unknown key ids: they must not make us a burden to the issuer.
        if last.is_some_and(|at| at.elapsed() < self.refetch_min) {
            return;
        }
        *last = Some(Instant::now());
        // A task of its own: the fetch counts although the client that caused it hangs up.
        let keys = Arc::clone(self);
        let fetched = tokio::spawn(async move { keys.fetch().await }).await;
        if let Ok(Err(error)) = fetched {
            tracing::warn!(url = %self.url, %error, "token keys not fetched");
        }
    }

    async fn fetch(&self) -> Result<(), FetchError> {
        let mut answer = self
            .client
            .get(self.url.clone())
            .send()
            .await?
            .error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_JWKS_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let jwks: Jwks = serde_json::from_slice(&body)?;
        let keys: Vec<Key> = jwks.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(FetchError::NoUsableKey);
        }
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        Ok(())
    }
}

/// An Ed25519 signing key; a set may hold others, which are passed over.
fn usable(value: serde_json::Value) -> Option<Key> {
    let jwk: OctetKeyPair = serde_json::from_value(value).ok()?;
    let fits = jwk.kty == "OKP"
        && jwk.crv == "Ed25519"
        && jwk.use_.as_deref().is_none_or(|use_| use_ == "sig")
        && jwk
            .alg
            .as_deref()
            .is_none_or(|alg| alg == "EdDSA" || alg == "Ed25519");
    let key = DecodingKey::from_ed_components(&jwk.x).ok()?;
    fits.then(|| Key {
        id: jwk.kid,
        key: Arc::new(key),
    })
}
