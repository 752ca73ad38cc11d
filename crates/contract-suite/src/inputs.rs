//! What the suite is told about the system under check.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use secrecy::SecretString;
use serde::Serialize;

/// What a check may need beside the base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Somebody with the claim `staff`.
    Staff,
    /// The mails that the system sends.
    Mail,
    /// What Stripe's webhooks are signed with.
    WebhookSecret,
    /// The front before localstripe, which can make Stripe fail.
    StripeFront,
}

impl Input {
    /// The option that gives it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Staff => "--staff-email and --staff-password",
            Self::Mail => "--maildir",
            Self::WebhookSecret => "--webhook-secret",
            Self::StripeFront => "--stripe-front",
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.option())
    }
}

/// Where the system is, and how to look behind it.
#[derive(Debug, Clone, Args)]
pub struct Inputs {
    /// What answers: `http://127.0.0.1:8000` is the local stack's monolith, port 8080 its gateway.
    #[arg(long, env = "CONTRACT_BASE_URL", default_value = "http://127.0.0.1:8080")]
    pub base_url: String,
    /// Ask another URL for what is below a path, such as `/api/payments/=http://127.0.0.1:3001`; may be given more than once.
    #[arg(
        long,
        env = "CONTRACT_SERVICES",
        value_name = "PATH=URL",
        value_delimiter = ','
    )]
    pub service: Vec<Service>,
    /// A gateway is in front: every answer must carry X-Migration-Backend.
    #[arg(long, env = "CONTRACT_GATEWAY")]
    pub gateway: bool,
    /// A member of staff.
    #[arg(long, env = "CONTRACT_STAFF_EMAIL", requires = "staff_password")]
    pub staff_email: Option<String>,
    /// The password of --staff-email.
    #[arg(long, env = "CONTRACT_STAFF_PASSWORD", hide_env_values = true)]
    pub staff_password: Option<SecretString>,
    /// The Maildir where the mails of the system arrive.
    #[arg(long, env = "CONTRACT_MAILDIR")]
    pub maildir: Option<PathBuf>,
    /// What Stripe's webhooks are signed with.
    #[arg(long, env = "CONTRACT_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<SecretString>,
    /// The front before localstripe.
    #[arg(long, env = "CONTRACT_STRIPE_FRONT")]
    pub stripe_front: Option<String>,
}

/// What answers below a path, by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// With both slashes.
    pub prefix: String,
    /// Without a slash at its end.
    pub url: String,
}

impl FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (prefix, url) = text.split_once('=').ok_or("it is PATH=URL")?;
        let is_path = prefix.starts_with('/') && prefix.ends_with('/');
        if !is_path || !url.starts_with("http") {
            return Err("it is a path with a slash at both ends, `=`, and a URL that begins with http");
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
        })
    }
}

impl Inputs {
    /// The URL of what answers at a path.
    pub fn url(&self, path: &str) -> String {
        let service = self
            .service
            .iter()
            .find(|service| path.starts_with(&service.prefix));
        let base = service.map_or(self.base_url.as_str(), |service| &service.url);
        format!("{}{path}", base.trim_end_matches('/'))
    }

    /// Whether it was given.
    pub fn has(&self, input: Input) -> bool {
        match input {
            Input::Staff => self.staff_email.is_some() && self.staff_password.is_some(),
            Input::Mail => self.maildir.is_some(),
            Input::WebhookSecret => self.webhook_secret.is_some(),
            Input::StripeFront => self.stripe_front.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        inputs: Inputs,
    }

    #[test]
    fn a_service_answers_below_its_path() {
        let inputs = |service: &str| {
            let options = ["suite", "--base-url", "http://gateway/", "--service", service];
            Options::try_parse_from(options).map(|options| options.inputs)
        };
        let with = inputs("/api/payments/=http://payments/,/api/users/=http://users").unwrap();
        for (path, url) in [
            ("/api/payments/", "http://payments/api/payments/"),
            (
                "/api/payments/7?x=/api/users/",
                "http://payments/api/payments/7?x=/api/users/",
            ),
            ("/api/users/me", "http://users/api/users/me"),
            ("/api/paymentsx", "http://gateway/api/paymentsx"),
            ("/", "http://gateway/"),
        ] {
            assert_eq!(with.url(path), url);
        }
        for wrong in ["", "/a/", "/a=http://b", "a/=http://b", "/a/=b"] {
            assert!(inputs(wrong).is_err(), "{wrong}");
        }
    }
}
