//! Delivery status notifications (RFC 3464): which of our mails could not be delivered, for good.

use mailparse::{MailHeaderMap, ParsedMail};
use uuid::Uuid;

/// A mail of ours that a server gave up on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounce {
    /// The event whose mail it was, read from its Message-ID.
    pub event_id: Uuid,
    /// The address that does not work. Personal data: never logged.
    pub recipient: String,
    /// Enhanced status code (RFC 3463): `5.1.1` …
    pub status: String,
}

/// Why a file holds no bounce that counts.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotABounce {
    /// Not a mail at all.
    #[error("not a mail: {0}")]
    Unreadable(String),
    /// A mail, but no delivery report.
    #[error("not a multipart/report with a message/delivery-status part")]
    NotAReport,
    /// A report that gives up on nothing: a delay, a relay, a success, or a transient failure.
    #[error("the report speaks of no permanent failure")]
    NotPermanent,
    /// A report on a mail that this service did not send. Without our Message-ID anybody could silence anybody's mail.
    #[error("the report does not return a Message-ID of this service")]
    NotOurs,
}

/// Reads the permanent failures out of a delivery report on a mail with a Message-ID of ours at `mail_domain`.
pub fn parse(mail: &[u8], mail_domain: &str) -> Result<Vec<Bounce>, NotABounce> {
    let mail = mailparse::parse_mail(mail).map_err(|error| NotABounce::Unreadable(error.to_string()))?;
    let status = part(&mail, "message/delivery-status").ok_or(NotABounce::NotAReport)?;
    let body = status
        .get_body_raw()
        .map_err(|error| NotABounce::Unreadable(error.to_string()))?;
    let failures = permanent_failures(&body);
    if failures.is_empty() {
        return Err(NotABounce::NotPermanent);
    }
    let returned = returned_message_id(&mail).ok_or(NotABounce::NotOurs)?;
    let event_id = event_id_of(&returned, mail_domain).ok_or(NotABounce::NotOurs)?;
    Ok(failures
        .into_iter()
        .map(|(recipient, status)| Bounce {
            event_id,
            recipient,
            status,
        })
        .collect())
}

/// The Message-ID of the mail that notifies by e-mail of that event; the same at every try.
pub fn message_id(event_id: Uuid, mail_domain: &str) -> String {
    format!("<{event_id}.email@{mail_domain}>")
}

fn event_id_of(message_id: &str, mail_domain: &str) -> Option<Uuid> {
    let (local, domain) = message_id
        .trim()
        .trim_start_matches('<')
        .trim_end_matches('>')
        .split_once('@')?;
    let event_id = local.strip_suffix(".email")?.parse().ok()?;
    domain.eq_ignore_ascii_case(mail_domain).then_some(event_id)
}

/// Recipient and status of each recipient block whose action is `failed` with a class 5 status (RFC 3464 §2.3).
fn permanent_failures(body: &[u8]) -> Vec<(String, String)> {
    let mut failures = Vec::new();
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    for block in text.split("\n\n") {
        let block = format!("{}\n\n", block.trim_start_matches('\n'));
        let Ok((headers, _)) = mailparse::parse_headers(block.as_bytes()) else {
            continue;
        };
        let field = |name: &str| headers.get_first_value(name).map(|value| value.trim().to_owned());
        let failed = field("Action").is_some_and(|action| action.eq_ignore_ascii_case("failed"));
        let recipient = field("Original-Recipient").or_else(|| field("Final-Recipient"));
        let (Some(recipient), Some(status), true) = (recipient, field("Status"), failed) else {
            continue;
        };
        let address = recipient
            .split_once(';')
            .map_or(recipient.as_str(), |(_, address)| address.trim());
        if status.starts_with('5') {
            failures.push((address.to_owned(), status));
        }
    }
    failures
}

/// The Message-ID of the returned mail, whether the report returns all of it or its headers alone.
fn returned_message_id(mail: &ParsedMail<'_>) -> Option<String> {
    let returned = part(mail, "message/rfc822").or_else(|| part(mail, "text/rfc822-headers"))?;
    let body = returned.get_body_raw().ok()?;
    let (headers, _) = mailparse::parse_headers(&body).ok()?;
    headers.get_first_value("Message-ID")
}

fn part<'a, 'b>(mail: &'a ParsedMail<'b>, mimetype: &str) -> Option<&'a ParsedMail<'b>> {
    if !mail.ctype.mimetype.eq_ignore_ascii_case("multipart/report") {
        return None;
    }
    mail.subparts
        .iter()
        .find(|part| part.ctype.mimetype.eq_ignore_ascii_case(mimetype))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "01900000-0000-7000-8000-000000000001";

    fn report(action: &str, status: &str, message_id: &str) -> String {
        format!(
            "From: mailer-daemon@mx.example.net\r\nTo: bounces@example.org\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
             Final-Recipient: rfc822; ada@example.com\r\nAction: {action}\r\nStatus: {status}\r\n\
             Diagnostic-Code: smtp; 550 no such user\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: a@example.org\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
        )
    }

    fn read(action: &str, status: &str, message_id: &str) -> Result<Vec<Bounce>, NotABounce> {
        parse(report(action, status, message_id).as_bytes(), "mail.example.org")
    }

    #[test]
    fn a_permanent_failure_of_our_mail_is_read() {
        let event_id = EVENT.parse().expect("a UUID");
        let bounces = read("failed", "5.1.1", &message_id(event_id, "mail.example.org"));
        let expected = Bounce {
            event_id,
            recipient: "ada@example.com".into(),
            status: "5.1.1".into(),
        };
        assert_eq!(bounces, Ok(vec![expected]));
    }

    #[test]
    fn nothing_else_counts() {
        let ours = format!("<{EVENT}.email@mail.example.org>");
        assert_eq!(read("delayed", "4.4.1", &ours), Err(NotABounce::NotPermanent));
        assert_eq!(read("failed", "4.2.2", &ours), Err(NotABounce::NotPermanent));
        assert_eq!(read("failed", "5.1.1", "<1@elsewhere>"), Err(NotABounce::NotOurs));
        let forged = format!("<{EVENT}.email@elsewhere.example>");
        assert_eq!(read("failed", "5.1.1", &forged), Err(NotABounce::NotOurs));
        assert_eq!(
            parse(b"Subject: hello\r\n\r\nhi\r\n", "mail.example.org"),
            Err(NotABounce::NotAReport)
        );
    }
}
