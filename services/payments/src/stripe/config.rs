//! `[stripe]`: where Stripe is, and how long and how often it is asked.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::{Host, Url};

/// The defaults of the section, to be appended to the service's own.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The section's secrets: the service's configuration takes them from the environment or from a file, and redacts them.
pub const SECRETS: &[&str] = &["stripe.secret_key", "stripe.webhook_secret"];

/// `[stripe]`; `config.default.toml` beside this file explains every key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeConfig {
    /// Stripe, or what stands in for it.
    pub base_url: BaseUrl,
    /// The API key, `sk_…` or `rk_…`. No default.
    pub secret_key: SecretString,
    /// What Stripe signs events with, `whsec_…`. No default; with an empty one every event is refused.
    pub webhook_secret: SecretString,
    /// The header `Stripe-Version`.
    pub api_version: String,
    /// Milliseconds to connect, TLS included.
    pub connect_timeout_ms: NonZeroU64,
    /// Milliseconds for one request from its start to the last byte of the answer; the caller's deadline may cut it.
    pub timeout_ms: NonZeroU64,
    /// When a request is sent again.
    pub retry: RetryConfig,
    /// When Stripe is left alone.
    pub breaker: BreakerConfig,
}

impl StripeConfig {
    /// [`StripeConfig::connect_timeout_ms`] as a duration.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.get())
    }

    /// [`StripeConfig::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.get())
    }
}

/// `[stripe.retry]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Requests after the first one; 0 for none.
    pub max_retries: u32,
    /// Milliseconds: the longest pause before the first retry. It doubles with each one.
    pub base_delay_ms: NonZeroU64,
    /// Milliseconds: the longest pause before any retry, unless Stripe asks for a longer one.
    pub max_delay_ms: NonZeroU64,
}

/// `[stripe.breaker]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// Requests in a row without an answer, or with a 5xx, after which nothing is sent.
    pub trip_after: NonZeroU32,
    /// Milliseconds until one request may look whether Stripe is back.
    pub cool_down_ms: NonZeroU64,
}

impl BreakerConfig {
    /// [`BreakerConfig::cool_down_ms`] as a duration.
    pub fn cool_down(&self) -> Duration {
        Duration::from_millis(self.cool_down_ms.get())
    }
}

/// The address of an API: https, or http on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl(Url);

/// An address that must not be used. The text does not show it: it may hold credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not a URL.
    #[error("is not a URL such as https://api.stripe.com")]
    NotAUrl,
    /// The key would travel in the clear.
    #[error("must be https: plain http is for this machine alone (localhost, 127.0.0.1, [::1])")]
    NotEncrypted,
    /// More than scheme, host and port.
    #[error("must be scheme, host and port alone")]
    NotAnOrigin,
}

impl BaseUrl {
    /// The URL of a path below it; `segments` are encoded.
    pub(super) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// The host, as it stands in the URL.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, also where the URL leaves it out.
    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether this is Stripe and no stand-in.
    pub(super) fn is_stripe_itself(&self) -> bool {
        self.0.host_str() == Some("api.stripe.com")
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, BaseUrlError> {
        let url = Url::parse(&text).map_err(|_| BaseUrlError::NotAUrl)?;
        let is_local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(BaseUrlError::NotAUrl),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => return Err(BaseUrlError::NotEncrypted),
            _ => return Err(BaseUrlError::NotAUrl),
        }
        let is_origin = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_origin {
            Ok(Self(url))
        } else {
            Err(BaseUrlError::NotAnOrigin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<BaseUrl, BaseUrlError> {
        BaseUrl::try_from(text.to_owned())
    }

    fn read(more: &str) -> Result<StripeConfig, String> {
        #[derive(Deserialize)]
        struct Whole {
            stripe: StripeConfig,
        }
        let secrets = "secret_key = \"sk_test_1\"\nwebhook_secret = \"whsec_1\"\n";
        let text = DEFAULTS.replacen("[stripe]\n", &format!("[stripe]\n{secrets}{more}\n"), 1);
        toml::from_str::<Whole>(&text)
            .map(|whole| whole.stripe)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_defaults_and_the_two_secrets_are_a_configuration() {
        let config = read("").expect("a configuration");
        assert!(config.base_url.is_stripe_itself());
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("sk_test_1") && !shown.contains("whsec_1"),
            "{shown}"
        );
    }

    #[test]
    fn a_misspelt_key_is_refused_and_a_secret_has_no_default() {
        let refused = read("time_out_ms = 1").expect_err("an unknown key");
        assert!(refused.contains("time_out_ms"), "{refused}");
        assert!(!DEFAULTS.contains("sk_test") && !DEFAULTS.contains("\nsecret_key"));
    }

    #[test]
    fn the_key_never_travels_in_the_clear() {
        for url in [
            "http://api.stripe.com",
            "http://10.0.0.1:8420",
            "http://stripe.local",
        ] {
            assert_eq!(base(url), Err(BaseUrlError::NotEncrypted), "{url}");
        }
        for url in [
            "https://api.stripe.com",
            "http://127.0.0.1:8420/",
            "http://[::1]:8420",
            "http://localhost",
        ] {
            assert!(base(url).is_ok(), "{url}");
        }
        for url in [
            "https://user:pw@api.stripe.com",
            "https://api.stripe.com/v1",
            "https://a/?b=c",
        ] {
            assert_eq!(base(url), Err(BaseUrlError::NotAnOrigin), "{url}");
        }
        for url in ["api.stripe.com", "ftp://api.stripe.com", ""] {
            assert_eq!(base(url), Err(BaseUrlError::NotAUrl), "{url}");
        }
    }

    #[test]
    fn what_looks_like_stripe_is_not_stripe() {
        let itself = |url| base(url).expect("a URL").is_stripe_itself();
        assert!(itself("https://api.stripe.com"));
        assert!(!itself("https://api.stripe.com.example") && !itself("http://localhost:8420"));
    }

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        let url = base("https://api.stripe.com")
            .expect("a URL")
            .join(["v1", "refunds", "a/b?c#d"]);
        assert_eq!(url.as_str(), "https://api.stripe.com/v1/refunds/a%2Fb%3Fc%23d");
    }
}
