//! Every event's mail: content, headers, language.

use banyan_events::{EventData, payloads::*};

use crate::support::{World, address, envelope, message_id, payment, signup};

#[tokio::test]
async fn a_sign_up_gets_its_verification_link() {
    let world = World::start().await;
    let event = envelope("user/42", 1, signup(42, "en"));
    let mail = world.mail_of(&event).await;
    assert_eq!(mail.to, [address(42)]);
    assert_eq!(
        mail.subject().as_deref(),
        Some("Welcome! Please confirm your e-mail address")
    );
    let text = mail.text().expect("text");
    assert!(text.contains("Hello Ada Lovelace,"), "{text}");
    assert!(text.contains("/verify-email?token=tok%2Fen%2B1"), "{text}");
    let html = mail.html().expect("html");
    assert!(
        html.contains("<html lang=\"en\">") && html.contains("tok%2Fen%2B1"),
        "{html}"
    );
    assert_eq!(mail.header("X-Banyan-Sender").as_deref(), Some("notifications"));
    assert_eq!(mail.header("X-Banyan-Event-Id"), Some(event.id.to_string()));
    assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(mail.header("List-Unsubscribe"), None, "nobody can opt out of it");
    assert_eq!(mail.message_id, Some(message_id(event.id)));
    assert!(
        mail.header("Content-Type")
            .expect("a type")
            .starts_with("multipart/alternative")
    );
    let row = world.row(event.id, "delivered").await;
    assert_eq!(
        (row.channel.as_str(), row.template.as_str(), row.attempts),
        ("email", "user-signup", 1)
    );
    assert_eq!(row.template_version, Some(1));
    assert!(row.id >= 1 << 40, "{} is an id of the monolith's", row.id);
    assert!(row.sent_at.is_some() && row.error.is_none() && row.payload.is_none());
}

#[tokio::test]
async fn payments_are_told_in_the_user_s_language_and_the_currency_s_decimals() {
    let world = World::start().await;
    world.sign_up(1, "en").await;
    world.sign_up(2, "de-AT").await;
    let completed = |payment_id, user_id, amount_minor, currency: &str| {
        let data = PaymentCompleted {
            payment_id,
            user_id,
            amount_minor,
            currency: currency.into(),
            ..PaymentCompleted::sample()
        };
        envelope(&format!("payment/{payment_id}"), 1, data)
    };
    for (event, subject) in [
        (
            completed(1, 1, 1000, "USD"),
            "Receipt for your payment of 10.00 USD",
        ),
        (completed(2, 1, 500, "JPY"), "Receipt for your payment of 500 JPY"),
        (
            completed(3, 1, 1250, "KWD"),
            "Receipt for your payment of 1.250 KWD",
        ),
        (completed(4, 2, 1099, "EUR"), "Quittung über 10,99 EUR"),
    ] {
        let mail = world.mail_of(&event).await;
        assert_eq!(mail.subject().as_deref(), Some(subject));
        assert_eq!(
            mail.header("List-Unsubscribe").as_deref(),
            Some("<http://127.0.0.1:8080/settings/notifications>")
        );
    }
    let german = world.sink.messages().pop().expect("a mail");
    assert!(german.text().expect("text").contains("Guten Tag Ada Lovelace,"));
}

#[tokio::test]
async fn every_other_event_has_its_mail() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let failed = envelope(
        "payment/8",
        1,
        PaymentFailed {
            user_id: 42,
            ..PaymentFailed::sample()
        },
    );
    let refunded = envelope(
        "payment/9",
        1,
        PaymentRefunded {
            user_id: 42,
            ..PaymentRefunded::sample()
        },
    );
    let ready = envelope(
        "export/6",
        1,
        ReportExportReady {
            user_id: 42,
            ..ReportExportReady::sample()
        },
    );
    let verified = envelope(
        "user/42",
        2,
        UserEmailVerified {
            email: address(42),
            ..UserEmailVerified::sample()
        },
    );
    let reset = envelope(
        "user/42",
        3,
        UserPasswordReset {
            email: "new@example.com".into(),
            ..UserPasswordReset::sample()
        },
    );
    for (event, to, subject, text) in [
        (
            failed,
            address(42),
            "Your payment of 10.00 USD failed",
            "Your card was declined.",
        ),
        (
            refunded,
            address(42),
            "Your refund of 10.00 USD",
            "Refund number: 3",
        ),
        (
            ready,
            address(42),
            "Your export 6 is ready",
            "/api/reports/exports/6",
        ),
        (
            verified,
            address(42),
            "Your e-mail address is confirmed",
            "2026-01-02 03:04 UTC",
        ),
        (
            reset,
            "new@example.com".into(),
            "Reset your password",
            "/reset-password?token=sample-reset-token",
        ),
    ] {
        let mail = world.mail_of(&event).await;
        assert_eq!(mail.to, [to]);
        assert_eq!(mail.subject().as_deref(), Some(subject));
        let body = mail.text().expect("text");
        assert!(body.contains(text), "{body}");
        world.row(event.id, "delivered").await;
    }
    let kinds: Vec<String> = world.outbox().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["notification.delivered"; 6]);
}

#[tokio::test]
async fn a_name_cannot_add_a_header_or_markup() {
    let world = World::start().await;
    let mut data = signup(42, "en");
    data.display_name = "Eve\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>".into();
    let mail = world.mail_of(&envelope("user/42", 1, data)).await;
    assert_eq!(mail.header("Bcc"), None);
    assert_eq!(mail.to, [address(42)]);
    assert!(!mail.html().expect("html").contains("<script>"));
}

#[tokio::test]
async fn the_delivered_event_and_the_trace_are_recorded() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let event = payment(7, 42);
    world.mail_of(&event).await;
    let row = world.row(event.id, "delivered").await;
    let (kind, told) = world.outbox().await.pop().expect("an outbox row");
    assert_eq!(kind, "notification.delivered");
    assert_eq!(told["notificationId"], row.id);
    assert_eq!(told["eventId"], event.id.to_string());
    assert_eq!(
        (&told["channel"], &told["template"]),
        (&"email".into(), &"payment-completed".into())
    );
}
