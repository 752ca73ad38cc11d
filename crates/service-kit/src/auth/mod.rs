//! Who is calling: a bearer token, signed with Ed25519, checked against the published keys.
//!
//! [`Caller`] is an extractor: a handler that takes it answers 401 to everybody else. Of a token it demands `alg`
//! EdDSA (nothing else, whatever the header says), a signature by a published key, `exp`, and a `sub` that is a
//! positive whole number, the user's id. Tokens of accounts that were closed since are refused
//! ([`App::closed_accounts`](crate::App::closed_accounts)).

mod closed;
mod jwks;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::AuthConfig;
use crate::problem::{Problem, UNAVAILABLE};
pub(crate) use closed::ClosedAccounts;
use jwks::KeySet;

/// Longer than any token that the monolith or the users service makes; a longer one is not looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// An authenticated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id, the token's `sub`.
    pub user_id: i64,
    /// The session that the token was made in, its `sid`.
    pub session_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A layer may have asked before.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let Some(verifier) = parts.extensions.get::<Verifier>().cloned() else {
            tracing::error!("an operation asks for the caller and `auth.jwks_url` is not set");
            return Err(Problem::new(&crate::problem::INTERNAL));
        };
        let token = bearer(parts)?;
        let caller = verifier.verify(token).await?;
        let closed = parts.extensions.get::<ClosedAccounts>();
        if closed.is_some_and(|closed| closed.contains(caller.user_id)) {
            return Err(Problem::unauthenticated("the account is closed", true));
        }
        Ok(caller)
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let missing = || Problem::unauthenticated("send `Authorization: Bearer <token>`", false);
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Problem::unauthenticated(
            "more than one Authorization header",
            true,
        ));
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(missing())
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not a signed token at all, or with a header that is not understood.
    #[error("the token is not a JWT that this service understands")]
    Malformed,
    /// Signed in another way than EdDSA, or not at all.
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    /// No published key has the token's `kid`.
    #[error("the token is signed by an unknown key")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the token's signature is not valid")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or has the wrong content: `exp`, `sub`, and `iss` or `aud` where they are demanded.
    #[error("a claim of the token is missing or not valid")]
    Claims,
    /// The keys could not be fetched yet, so nothing can be said about the token.
    #[error("the keys that sign tokens cannot be fetched")]
    NoKeys,
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let detail = match error {
            AuthError::Malformed => "the token is not a JWT that this service understands",
            AuthError::Algorithm => "the token is not signed with EdDSA",
            AuthError::UnknownKey => "the token is signed by an unknown key",
            AuthError::Signature => "the token's signature is not valid",
            AuthError::Expired => "the token has expired",
            AuthError::NotYetValid => "the token is not valid yet",
            AuthError::Claims => "a claim of the token is missing or not valid",
            AuthError::NoKeys => {
                return Self::new(&UNAVAILABLE)
                    .detail("callers cannot be identified now")
                    .retry_after(1);
            }
        };
        Self::unauthenticated(detail, true)
    }
}

/// Checks access tokens against the keys at `auth.jwks_url`. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<KeySet>,
    validation: Arc<Validation>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    sid: Option<SessionId>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SessionId {
    Text(String),
    Number(i64),
}

impl Verifier {
    /// A verifier; `None` where the configuration has no `jwks_url`.
    pub fn new(config: &AuthConfig) -> Result<Option<Self>, reqwest::Error> {
        let Some(url) = config.jwks_url.clone() else {
            return Ok(None);
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = config.leeway_seconds;
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        Ok(Some(Self {
            keys: Arc::new(KeySet::new(url, config)?),
            validation: Arc::new(validation),
        }))
    }

    /// Fetches the keys now and then until `shutdown`.
    pub(crate) async fn refresh(self, shutdown: CancellationToken) {
        self.keys.refresh(shutdown).await;
    }

    /// Who the token speaks for.
    pub async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| header_error(&error, token))?;
        if header.alg != Algorithm::EdDSA {
            return Err(AuthError::Algorithm);
        }
        let mut outcome = Err(AuthError::UnknownKey);
        for key in self.keys.candidates(header.kid.as_deref()).await? {
            outcome = jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
                .map_err(|error| claim_error(&error));
            // Only a wrong signature can become right with another key.
            if !matches!(outcome, Err(AuthError::Signature)) {
                break;
            }
        }
        let claims = outcome?.claims;
        let user_id = user_id(&claims.sub).ok_or(AuthError::Claims)?;
        let session_id = claims.sid.map(|sid| match sid {
            SessionId::Text(text) => text,
            SessionId::Number(number) => number.to_string(),
        });
        Ok(Caller { user_id, session_id })
    }
}

/// `sub` as a user id: decimal digits without sign or leading zero, so that one user has one spelling.
fn user_id(sub: &str) -> Option<i64> {
    let canonical = sub.bytes().all(|byte| byte.is_ascii_digit()) && !sub.starts_with('0');
    sub.parse().ok().filter(|id: &i64| canonical && *id > 0)
}

/// The library does not know `none` as an algorithm and calls such a header malformed; the caller learns more.
fn header_error(error: &jsonwebtoken::errors::Error, token: &str) -> AuthError {
    #[derive(Deserialize)]
    struct Alg {
        #[allow(dead_code, reason = "only its presence says something")]
        alg: String,
    }
    use base64::Engine as _;
    let readable = token
        .split('.')
        .next()
        .and_then(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok())
        .is_some_and(|bytes| serde_json::from_slice::<Alg>(&bytes).is_ok());
    match error.kind() {
        ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName if readable => AuthError::Algorithm,
        _ => AuthError::Malformed,
    }
}

fn claim_error(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::ImmatureSignature => AuthError::NotYetValid,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => AuthError::Malformed,
        _ => AuthError::Claims,
    }
}

#[cfg(test)]
mod tests {
    use super::user_id;

    #[test]
    fn a_subject_is_a_positive_number_in_its_one_spelling() {
        assert_eq!(user_id("42"), Some(42));
        assert_eq!(user_id("9223372036854775807"), Some(i64::MAX));
        for bad in [
            "",
            "0",
            "-1",
            "+1",
            "042",
            "1.0",
            " 1",
            "9223372036854775808",
            "user/42",
            "４２",
        ] {
            assert_eq!(user_id(bad), None, "{bad:?}");
        }
    }
}
