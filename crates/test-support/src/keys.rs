//! Access tokens for tests, and the server that publishes their keys.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// The DER around a 32-byte seed: PKCS #8, algorithm Ed25519 (RFC 8410).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// How long a token is good, in seconds.
const LIFETIME_SECONDS: u64 = 900;

/// A signing key and the server of its JWKS, gone with this value.
#[derive(Debug)]
pub struct TestKeys {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    signing: Mutex<Signing>,
    published: Mutex<Value>,
    away: AtomicBool,
    fetches: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Signing {
    kid: String,
    der: Vec<u8>,
}

impl Signing {
    fn new() -> Self {
        let seed: [u8; 32] = rand::random();
        Self {
            kid: Uuid::new_v4().to_string(),
            der: [PKCS8_ED25519.as_slice(), &seed].concat(),
        }
    }

    fn jwks(&self) -> Value {
        let key = EncodingKey::from_ed_der(&self.der);
        let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("an Ed25519 key has a JWK");
        let mut jwk = serde_json::to_value(jwk).expect("a JWK is JSON");
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        json!({ "keys": [jwk] })
    }
}

impl TestKeys {
    /// A new key, published on a free port.
    pub async fn start() -> Self {
        let signing = Signing::new();
        let shared = Arc::new(Shared {
            published: Mutex::new(signing.jwks()),
            signing: Mutex::new(signing),
            away: AtomicBool::new(false),
            fetches: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = Router::new()
            .route("/.well-known/jwks.json", get(jwks))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(async move { axum::serve(listener, router).await }),
        );
        Self {
            address,
            shared,
            _stop: stop.drop_guard(),
        }
    }

    /// Where the keys are.
    pub fn jwks_url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// A token for a user, as the monolith makes them.
    pub fn token(&self, user_id: i64) -> String {
        self.sign(&claims(user_id))
    }

    /// A token with any claims; [`claims`] are the usual ones.
    pub fn sign(&self, claims: &Value) -> String {
        let signing = self.signing();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(signing.kid);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&signing.der))
            .expect("claims can be signed")
    }

    /// The id of the present signing key.
    pub fn kid(&self) -> String {
        self.signing().kid
    }

    /// The present signing key as PKCS #8 PEM, as a service reads it from a file.
    pub fn pem(&self) -> String {
        let der = STANDARD.encode(self.signing().der);
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
    }

    /// Signs with a new key from now on, and publishes it in the place of the old one.
    pub fn rotate(&self) {
        self.rotate_unpublished();
        *self.published() = self.signing().jwks();
    }

    /// Signs with a new key from now on, and goes on publishing the old one.
    pub fn rotate_unpublished(&self) {
        *self.shared.signing.lock().unwrap_or_else(PoisonError::into_inner) = Signing::new();
    }

    /// Publishes any document.
    pub fn publish(&self, jwks: Value) {
        *self.published() = jwks;
    }

    /// Whether the server answers 503 instead of the keys.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// How often the keys were asked for.
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    fn signing(&self) -> Signing {
        self.shared
            .signing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn published(&self) -> std::sync::MutexGuard<'_, Value> {
        self.shared
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The usual claims of an access token.
    pub fn claims(user_id: i64) -> Value {
        claims(user_id)
    }
}

fn claims(user_id: i64) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    json!({ "sub": user_id.to_string(), "sid": "1", "iat": now, "exp": now + LIFETIME_SECONDS })
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.fetches.fetch_add(1, Ordering::SeqCst);
    if shared.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    axum::Json(
        shared
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
    .into_response()
}
