//! E-mail: one multipart/alternative message per notification, by SMTP.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use serde::Deserialize;

use super::{
    Outgoing, SendError,
    gate::{Gate, GateConfig},
    smtp::{SmtpConfig, SmtpPool},
};

/// The e-mail channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// Sender as people see it: `Banyan <no-reply@example.org>`.
    pub from: String,
    /// Domain of the Message-IDs; bounces are recognised by it.
    pub message_id_domain: String,
    /// Where a user changes the preferences, for `List-Unsubscribe`.
    pub preferences_url: String,
    /// The server.
    pub smtp: SmtpConfig,
    /// Bounds.
    pub gate: GateConfig,
}

/// Sends mails.
#[derive(Debug)]
pub struct EmailChannel {
    from: Mailbox,
    unsubscribe: String,
    pool: SmtpPool,
    gate: Gate,
}

impl EmailChannel {
    /// The channel. Connects to nothing yet.
    ///
    /// # Errors
    /// A `from` that is no address.
    pub fn new(config: &EmailConfig) -> Result<Self, lettre::address::AddressError> {
        Ok(Self {
            from: config.from.parse()?,
            unsubscribe: format!("<{}>", one_line(&config.preferences_url)),
            pool: SmtpPool::new(config.smtp.clone()),
            gate: Gate::new(config.gate.clone()),
        })
    }

    pub(super) async fn send(&self, address: &str, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let message = self.compose(address, outgoing)?;
        let (envelope, bytes) = (message.envelope().clone(), message.formatted());
        self.gate.run("smtp", self.pool.send(&envelope, &bytes)).await
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    fn compose(&self, address: &str, outgoing: &Outgoing<'_>) -> Result<Message, SendError> {
        let to: Address = address
            .parse()
            .map_err(|_| SendError::Permanent("the user's e-mail address is not one".into()))?;
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&outgoing.rendered.subject))
            .message_id(Some(outgoing.message_id.to_owned()))
            .date(outgoing.now.into())
            .raw_header(header("X-Banyan-Sender", "notifications".into()))
            .raw_header(header("X-Banyan-Event-Id", outgoing.event_id.to_string()))
            .raw_header(header("Auto-Submitted", "auto-generated".into()));
        if outgoing.optional {
            builder = builder.raw_header(header("List-Unsubscribe", self.unsubscribe.clone()));
        }
        builder
            .multipart(MultiPart::alternative_plain_html(
                outgoing.rendered.text.clone(),
                outgoing.rendered.html.clone(),
            ))
            .map_err(|error| SendError::Permanent(format!("composing the mail: {error}")))
    }
}

/// A header of a kind that lettre has no type for.
fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// A header value is one line: what came from a user or a template cannot start another header.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn nothing_starts_another_header() {
        assert_eq!(
            one_line("Hello\r\nBcc: eve@example.com\n\t you \0"),
            "Hello Bcc: eve@example.com you"
        );
    }
}
