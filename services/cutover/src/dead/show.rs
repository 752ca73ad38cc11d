//! One dead event, with what is nobody's business blacked out.

use std::fmt::Write as _;

use banyan_messaging::dead::DeadEvent;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Payload fields that hold personal data or secrets.
const PRIVATE: [&str; 4] = ["email", "displayName", "verificationToken", "resetToken"];

const BLACKED_OUT: &str = "[redacted; --reveal shows it]";

/// The event as text or JSON.
pub(super) fn event(event: &DeadEvent, as_json: bool, reveal: bool) -> anyhow::Result<String> {
    let body = body(&event.body, reveal);
    if as_json {
        let mut shown = serde_json::to_value(event)?;
        shown["body"] = body;
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let time = |time: Option<OffsetDateTime>| {
        time.and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default()
    };
    let mut text = String::new();
    for (name, value) in [
        ("id", event.id.clone()),
        ("type", event.kind.clone().unwrap_or_default()),
        ("reason", event.reason.clone().unwrap_or_default()),
        ("attempts", event.attempts.to_string()),
        ("replays", event.replays.to_string()),
        ("first failed at", time(event.first_failed_at)),
        ("dead since", time(event.dead_at)),
        ("trace", event.trace_id.clone().unwrap_or_default()),
    ] {
        writeln!(text, "{name:<16} {value}")?;
    }
    write!(text, "\n{}", serde_json::to_string_pretty(&body)?)?;
    Ok(text)
}

/// The body; what is not JSON could hold anything, so that only its size is told.
fn body(bytes: &[u8], reveal: bool) -> Value {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut body) => {
            if !reveal {
                black_out(&mut body);
            }
            body
        }
        Err(_) if reveal => String::from_utf8_lossy(bytes).into_owned().into(),
        Err(_) => json!(format!(
            "{} bytes that are not JSON; --reveal shows them",
            bytes.len()
        )),
    }
}

fn black_out(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if PRIVATE.contains(&name.as_str()) {
                    *field = BLACKED_OUT.into();
                } else {
                    black_out(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(black_out),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_shown_only_when_asked_for() {
        let bytes = br#"{"type":"user.signup","data":{"userId":7,"email":"ada@example.com","nested":[{"resetToken":"s3cret"}]}}"#;
        let hidden = body(bytes, false).to_string();
        assert!(hidden.contains("\"userId\":7"), "{hidden}");
        assert!(!hidden.contains("ada@") && !hidden.contains("s3cret"), "{hidden}");
        assert!(body(bytes, true).to_string().contains("s3cret"));
        assert!(!body(b"ada@example.com", false).to_string().contains("ada"));
        assert_eq!(body(b"ada@example.com", true), "ada@example.com");
    }
}
