//! What the suite is told about the system under check.

use std::fmt;
use std::path::PathBuf;

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

impl Inputs {
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
