//! One received message.

use mail_parser::MessageParser;

/// A message the sink answered for with 250.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailMessage {
    /// The `Message-ID` header without its angle brackets; `None` where the sender set none.
    pub message_id: Option<String>,
    /// The envelope sender (`MAIL FROM`); empty for a bounce.
    pub from: String,
    /// The envelope recipients (`RCPT TO`) in order.
    pub to: Vec<String>,
    /// The message as it came over the wire, dot-stuffing undone.
    pub bytes: Vec<u8>,
}

impl MailMessage {
    pub(super) fn new(from: String, to: Vec<String>, bytes: Vec<u8>) -> Self {
        let mut message = Self {
            message_id: None,
            from,
            to,
            bytes,
        };
        message.message_id = message
            .header("Message-ID")
            .map(|id| id.trim_matches(|c| c == '<' || c == '>').to_owned());
        message
    }

    /// The text of the first header of this name, unfolded and trimmed, encoded words as they are.
    pub fn header(&self, name: &str) -> Option<String> {
        let parsed = MessageParser::new().parse_headers(&self.bytes)?;
        let raw = parsed
            .headers_raw()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))?
            .1;
        Some(raw.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The decoded subject.
    pub fn subject(&self) -> Option<String> {
        MessageParser::default()
            .parse(&self.bytes)?
            .subject()
            .map(str::to_owned)
    }

    /// The decoded first plain text part; made from the HTML where there is only that.
    pub fn text(&self) -> Option<String> {
        MessageParser::default()
            .parse(&self.bytes)?
            .body_text(0)
            .map(std::borrow::Cow::into_owned)
    }

    /// The decoded first HTML part.
    pub fn html(&self) -> Option<String> {
        MessageParser::default()
            .parse(&self.bytes)?
            .body_html(0)
            .map(std::borrow::Cow::into_owned)
    }
}
