//! The HTTP client of both HTTP channels: signed, guarded, without redirects.

use std::{error::Error, net::IpAddr, time::Duration};

use reqwest::{StatusCode, redirect::Policy};
use serde::Deserialize;
use url::{Host, Url};

use super::{
    SendError, SigningKey,
    guard::{AddressPolicy, GuardedResolver, Refused, refused},
};

/// Times of an HTTP channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Milliseconds to connect.
    pub connect_timeout_ms: u64,
    /// Milliseconds for the whole request.
    pub timeout_ms: u64,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// A client that connects to public addresses only.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    client: reqwest::Client,
    policy: AddressPolicy,
}

/// One request to sign and send.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: i64,
    pub(super) body: Vec<u8>,
    pub(super) key: &'a SigningKey,
}

impl GuardedClient {
    /// A client under that policy.
    ///
    /// # Errors
    /// [`SetupError`] when the TLS set-up fails.
    pub fn new(http: &HttpConfig, policy: AddressPolicy) -> Result<Self, SetupError> {
        let client = reqwest::Client::builder()
            .dns_resolver(GuardedResolver(policy.clone()))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_millis(http.connect_timeout_ms))
            .timeout(Duration::from_millis(http.timeout_ms))
            .user_agent("banyan-notifications")
            .build()?;
        Ok(Self { client, policy })
    }

    /// Checks what can be checked without resolving: scheme, credentials, an address in place of a name.
    pub(super) fn check(&self, url: &str) -> Result<Url, SendError> {
        let refuse = |why: &str| Err(SendError::Permanent(format!("the URL is refused: {why}")));
        let Ok(url) = Url::parse(url) else {
            return refuse("it cannot be read");
        };
        match url.scheme() {
            "https" => {}
            "http" if self.policy.allow_plain_http => {}
            _ => return refuse("only https is allowed"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it holds credentials");
        }
        // The client does not resolve a host that is an address already.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return refuse("it names no host"),
        };
        if literal.is_some_and(|address| refused(address, &self.policy)) {
            return refuse("its address is not public");
        }
        Ok(url)
    }

    /// Posts a signed JSON body.
    pub(super) async fn post(&self, url: Url, signed: Signed<'_>) -> Result<(), SendError> {
        let signature = signed.key.sign(signed.id, signed.timestamp, &signed.body);
        let response = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signature)
            .body(signed.body)
            .send()
            .await
            .map_err(|error| classify(&error))?;
        outcome(response.status())
    }
}

/// 2xx is success; 429, 408, 425 and 5xx may pass; everything else, redirects too, will not.
fn outcome(status: StatusCode) -> Result<(), SendError> {
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => Err(SendError::Transient(format!("answered {}", status.as_u16()))),
        300..=399 => Err(SendError::Permanent(format!(
            "answered {}: redirects are not followed",
            status.as_u16()
        ))),
        other => Err(SendError::Permanent(format!("answered {other}"))),
    }
}

/// The texts name no URL: its path may hold a secret.
fn classify(error: &reqwest::Error) -> SendError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = source {
        if cause.is::<Refused>() {
            return SendError::Permanent(Refused.to_string());
        }
        source = cause.source();
    }
    if error.is_timeout() {
        SendError::Unreachable("no answer in time".into())
    } else if error.is_connect() {
        SendError::Unreachable("could not connect".into())
    } else {
        SendError::Unreachable("the connection broke".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let of = |status| outcome(StatusCode::from_u16(status).expect("a status"));
        assert_eq!(of(204), Ok(()));
        for status in [408, 425, 429, 500, 503] {
            assert!(matches!(of(status), Err(SendError::Transient(_))), "{status}");
        }
        for status in [301, 308, 400, 401, 404, 410, 422] {
            assert!(matches!(of(status), Err(SendError::Permanent(_))), "{status}");
        }
    }
}
