//! Reading messages: what was written before, what others write, and what is no event of ours.
#![allow(missing_docs)]

use std::{fs, path::Path};

use banyan_events::{DecodeError, EffectOwner, Envelope, Event, EventData, EventKind, payloads};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;
use uuid::Uuid;

fn signup() -> Value {
    let envelope = Envelope::new(
        Uuid::from_u128(7),
        "/users",
        "user/42",
        datetime!(2026-01-02 03:04:05 UTC),
        9,
        payloads::UserSignup::sample(),
    );
    serde_json::to_value(envelope).expect("an envelope is JSON")
}

fn decode(body: &Value) -> Result<Envelope<Event>, DecodeError> {
    Envelope::decode(body.to_string().as_bytes())
}

/// The signup with the value at `pointer` replaced, or removed.
fn altered(pointer: &str, value: Option<Value>) -> Value {
    let mut body = signup();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let object = body
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("the parent is an object");
    match value {
        Some(value) => object.insert(key.into(), value),
        None => object.remove(key),
    };
    body
}

#[track_caller]
fn refused(body: &Value) -> DecodeError {
    decode(body).expect_err("this is no event of ours")
}

#[test]
fn every_sample_survives_the_wire() {
    for kind in EventKind::ALL {
        let text = serde_json::to_string(&signup_like(kind.sample())).expect("an envelope is JSON");
        let read = Envelope::decode(text.as_bytes()).expect("what we write we read");
        assert_eq!(read.data, kind.sample(), "{kind:?}");
        assert_eq!(read.data.kind(), *kind);
        assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
        assert_eq!(
            serde_json::to_string(&read).expect("an envelope is JSON"),
            text,
            "{kind:?}"
        );
    }
}

fn signup_like(event: Event) -> Envelope<Event> {
    let kind = event.kind();
    let envelope = Envelope::new(
        Uuid::from_u128(7),
        "/anywhere",
        "thing/1",
        datetime!(2026-01-02 03:04:05 UTC),
        1,
        payloads::UserSignup::sample(),
    );
    let mut envelope = envelope.map(|_| event);
    envelope.kind = kind.name().into();
    envelope.dataschema = kind.dataschema();
    envelope.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    envelope.effectowner = Some(EffectOwner::New);
    envelope
}

#[test]
fn every_old_fixture_still_decodes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for kind in EventKind::ALL {
        for major in 1..=kind.major() {
            let path = directory.join(format!("{}.v{major}.json", kind.name()));
            let body = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let envelope =
                Envelope::decode(&body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(envelope.kind, kind.name());
            let written: Value = serde_json::from_slice(&body).expect("a fixture is JSON");
            assert_eq!(
                serde_json::to_value(&envelope).expect("an envelope is JSON"),
                written,
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn an_optional_field_may_be_absent_or_null() {
    for value in [None, Some(Value::Null)] {
        let mut body =
            serde_json::to_value(signup_like(payloads::PaymentCompleted::sample().into())).expect("JSON");
        let data = body["data"].as_object_mut().expect("data is an object");
        data.remove("paymentMethodId");
        data.extend(value.map(|null| ("paymentMethodId".into(), null)));
        let Event::PaymentCompleted(payment) = decode(&body).expect("an optional field").data else {
            panic!("another type")
        };
        assert_eq!(payment.payment_method_id, None);
    }
}

#[test]
fn fields_nobody_here_knows_are_tolerated() {
    for pointer in ["/partitionkey", "/data/favouriteColour"] {
        let read =
            decode(&altered(pointer, Some(json!({ "any": ["thing"] })))).expect("more than we know is fine");
        assert_eq!(read.data, payloads::UserSignup::sample().into());
    }
}

#[test]
fn the_sequence_is_digits_in_text_or_a_number() {
    for (wire, sequence) in [
        (json!("0000000000000000042"), 42),
        (json!("42"), 42),
        (json!(42), 42),
        (json!(i64::MAX), i64::MAX),
    ] {
        assert_eq!(
            decode(&altered("/sequence", Some(wire)))
                .expect("a sequence")
                .sequence,
            sequence
        );
    }
    assert_eq!(signup()["sequence"], "0000000000000000009");
    for wire in [
        json!("-1"),
        json!("+1"),
        json!("1.0"),
        json!(""),
        json!("9223372036854775808"),
        json!(-1),
        json!(1.0),
        json!(null),
    ] {
        let DecodeError::Envelope { path, reason } = refused(&altered("/sequence", Some(wire.clone())))
        else {
            panic!("{wire}: another error")
        };
        assert_eq!(path, "sequence", "{wire}");
        assert!(reason.contains("expected a sequence number"), "{wire}: {reason}");
    }
}

#[test]
fn what_is_no_cloudevent_says_where() {
    for body in [
        &b""[..],
        b"{",
        b"[1,2",
        b"\xff\xfe",
        b"{\"specversion\":\"1.0\"} trailing",
    ] {
        assert!(
            matches!(Envelope::decode(body), Err(DecodeError::Envelope { .. })),
            "{body:?}"
        );
    }
    let trailing = format!("{} {{}}", signup());
    assert!(matches!(
        Envelope::decode(trailing.as_bytes()),
        Err(DecodeError::Envelope { .. })
    ));
    for attribute in [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "sequence",
    ] {
        let error = refused(&altered(&format!("/{attribute}"), None));
        assert_eq!(
            error.to_string(),
            format!("not a CloudEvent: `{attribute}` is missing")
        );
    }
    for (pointer, value) in [
        ("/id", json!("no-uuid")),
        ("/time", json!("yesterday")),
        ("/subject", json!(42)),
        ("/effectowner", json!("both")),
    ] {
        let DecodeError::Envelope { path, .. } = refused(&altered(pointer, Some(value))) else {
            panic!("{pointer}")
        };
        assert_eq!(path, pointer[1..]);
    }
}

#[test]
fn versions_and_types_nobody_here_knows_are_told_apart() {
    let error = refused(&altered("/specversion", Some(json!("0.3"))));
    assert_eq!(error, DecodeError::SpecVersion("0.3".into()));
    let error = refused(&altered("/datacontenttype", Some(json!("text/xml"))));
    assert_eq!(error, DecodeError::ContentType("text/xml".into()));
    let error = refused(&altered("/type", Some(json!("user.sneezed"))));
    assert_eq!(error, DecodeError::UnknownType("user.sneezed".into()));
    let error = refused(&altered(
        "/dataschema",
        Some(json!("urn:banyan:events:user.signup:2")),
    ));
    assert_eq!(
        error.to_string(),
        "unknown dataschema \"urn:banyan:events:user.signup:2\" for user.signup, this consumer reads \"urn:banyan:events:user.signup:1\""
    );
}

#[test]
fn a_payload_that_does_not_fit_names_the_field() {
    for (field, value, expected) in [
        (
            "userId",
            Some(json!("42")),
            "`userId` is of type string, expected i64",
        ),
        (
            "userId",
            Some(json!(42.0)),
            "`userId` is of type fraction, expected i64",
        ),
        (
            "userId",
            Some(json!(true)),
            "`userId` is of type boolean, expected i64",
        ),
        ("email", None, "`email` is missing"),
        (
            "email",
            Some(Value::Null),
            "`email` is of type null, expected a string",
        ),
        (
            "email",
            Some(json!({})),
            "`email` is of type object, expected a string",
        ),
        (
            "email",
            Some(json!([])),
            "`email` is of type array, expected a string",
        ),
        (
            "preferredChannel",
            Some(json!("pigeon")),
            "`preferredChannel` has an unexpected value, expected one of `email`, `sms`, `webhook`",
        ),
    ] {
        let error = refused(&altered(&format!("/data/{field}"), value));
        assert_eq!(error.to_string(), format!("data of user.signup: {expected}"));
    }
    let error = refused(&altered("/data", Some(json!("text"))));
    assert!(
        error
            .to_string()
            .starts_with("data of user.signup: `.` is of type string"),
        "{error}"
    );
}

#[test]
fn errors_are_short_enough_for_a_header() {
    let long = "x".repeat(100_000);
    for pointer in [
        "/specversion",
        "/datacontenttype",
        "/type",
        "/dataschema",
        "/id",
        "/time",
        "/effectowner",
    ] {
        let error = refused(&altered(pointer, Some(json!(long)))).to_string();
        assert!(error.len() < 400, "{pointer}: {} bytes", error.len());
    }
}

#[test]
fn debug_shows_no_personal_data_and_no_secret() {
    for kind in EventKind::ALL
        .iter()
        .filter(|kind| kind.name().starts_with("user."))
    {
        let text = format!("{:?}", kind.sample());
        for secret in [
            "ada@example.com",
            "Ada Lovelace",
            "sample-reset-token",
            "sample-verification-token",
        ] {
            assert!(!text.contains(secret), "{kind:?}");
        }
        assert!(text.contains("user_id: 42"), "{kind:?} hides too much");
    }
}

/// Any JSON, three levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "SECRET[a-z`\", :]{0,20}".prop_map(Value::from),
        "SECRET, expected [a-z]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("SECRET[a-z]{1,6}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Envelope::decode(&body).is_err());
    }

    #[test]
    fn an_error_never_quotes_the_data(kind in prop::sample::select(EventKind::ALL), value in any_json(), pick in any::<prop::sample::Index>()) {
        let mut body = serde_json::to_value(signup_like(kind.sample())).expect("an envelope is JSON");
        let data = body["data"].as_object_mut().expect("data is an object");
        let field = pick.get(&data.keys().cloned().collect::<Vec<_>>()).clone();
        data.insert(field, value);
        if let Err(error) = decode(&body) {
            prop_assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn every_sequence_survives_and_sorts_as_text(a in 0..=i64::MAX, b in 0..=i64::MAX) {
        let wire = |sequence| {
            let mut envelope = signup_like(EventKind::UserDeleted.sample());
            envelope.sequence = sequence;
            serde_json::to_value(envelope).expect("an envelope is JSON")
        };
        prop_assert_eq!(decode(&wire(a)).expect("ours").sequence, a);
        let text = |sequence| wire(sequence)["sequence"].as_str().expect("text").to_owned();
        prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
    }
}
