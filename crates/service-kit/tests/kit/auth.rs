//! Who is calling.

use std::time::Duration;

use banyan_service_kit::Running;
use banyan_test_support::{TestKeys, client, wait_until};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Response;
use serde_json::{Value, json};

use crate::fixture::{CLOSED_USER, serve};
use crate::problems::problem;

async fn service(keys: &TestKeys, more: &[(&str, &str)]) -> Running {
    let url = keys.jwks_url();
    let mut config = vec![("auth.jwks_url", url.as_str()), ("auth.refetch_min_ms", "0")];
    config.extend_from_slice(more);
    serve(&config).await
}

async fn ask(service: &Running, authorization: Option<&str>) -> Response {
    let mut request = client().get(format!("{}/me", service.url()));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.send().await.unwrap()
}

async fn with_token(service: &Running, token: &str) -> Response {
    ask(service, Some(&format!("Bearer {token}"))).await
}

/// The usual claims with some of them changed; null removes one.
fn claims(changes: &Value) -> Value {
    let mut claims = TestKeys::claims(42);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

#[tokio::test]
async fn a_good_token_names_the_caller() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    let caller: Value = with_token(&service, &keys.token(1_099_511_627_776))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(caller, json!({ "userId": 1_099_511_627_776_i64, "sid": "1" }));
    for sid in [json!(7), json!("7")] {
        let token = keys.sign(&claims(&json!({ "sid": sid })));
        let caller: Value = with_token(&service, &token).await.json().await.unwrap();
        assert_eq!(caller["sid"], "7");
    }
    let lower_case = ask(&service, Some(&format!("bearer {}", keys.token(42)))).await;
    assert_eq!(
        lower_case.status(),
        200,
        "the scheme's case does not matter (RFC 9110)"
    );
}

#[tokio::test]
async fn the_token_of_a_closed_account_is_refused() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    let token = keys.token(CLOSED_USER);
    wait_until(
        "the account is known to be closed",
        Duration::from_secs(10),
        async || with_token(&service, &token).await.status(),
        |status| *status == 401,
    )
    .await;
    let refused = problem(with_token(&service, &token).await, "unauthenticated").await;
    assert_eq!(refused["detail"], "the account is closed");
    assert_eq!(
        with_token(&service, &keys.token(CLOSED_USER + 1)).await.status(),
        200
    );
}

#[tokio::test]
async fn every_bad_token_is_refused_with_a_reason() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    let hmac = |key: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(keys.kid());
        jsonwebtoken::encode(&header, &claims(&json!({})), &EncodingKey::from_secret(key)).unwrap()
    };
    let now = claims(&json!({}))["iat"].as_i64().unwrap();
    let good = keys.token(42);
    let stranger = TestKeys::start().await;
    let stranger_claims = claims(&json!({}));
    // Signed by a stranger who names our key.
    let forged = {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(keys.kid());
        let pem = stranger.pem();
        let der = base64::engine::general_purpose::STANDARD
            .decode(pem.lines().nth(1).unwrap())
            .unwrap();
        jsonwebtoken::encode(&header, &stranger_claims, &EncodingKey::from_ed_der(&der)).unwrap()
    };
    let tampered = {
        let mut parts: Vec<&str> = good.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(claims(&json!({ "sub": "1" })).to_string());
        parts[1] = &other;
        parts.join(".")
    };
    let published: Value = client()
        .get(keys.jwks_url())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let public = URL_SAFE_NO_PAD
        .decode(published["keys"][0]["x"].as_str().unwrap())
        .unwrap();
    let cases = [
        (
            "expired",
            keys.sign(&claims(&json!({ "exp": now - 60 }))),
            "expired",
        ),
        ("no exp", keys.sign(&claims(&json!({ "exp": null }))), "claim"),
        (
            "not yet valid",
            keys.sign(&claims(&json!({ "nbf": now + 600 }))),
            "not valid yet",
        ),
        ("no sub", keys.sign(&claims(&json!({ "sub": null }))), "claim"),
        (
            "sub is not a number",
            keys.sign(&claims(&json!({ "sub": "mallory" }))),
            "claim",
        ),
        ("sub is zero", keys.sign(&claims(&json!({ "sub": "0" }))), "claim"),
        (
            "sub is negative",
            keys.sign(&claims(&json!({ "sub": "-42" }))),
            "claim",
        ),
        (
            "sub is not text",
            keys.sign(&claims(&json!({ "sub": [42] }))),
            "claim",
        ),
        (
            "alg none",
            unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims(&json!({}))),
            "EdDSA",
        ),
        (
            "alg none, our kid",
            unsigned(&json!({ "alg": "none", "kid": keys.kid() }), &claims(&json!({}))),
            "EdDSA",
        ),
        ("HS256", hmac(b"guess"), "EdDSA"),
        ("HS256 with the public key as the secret", hmac(&public), "EdDSA"),
        ("unknown key", stranger.token(42), "unknown key"),
        ("forged", forged, "signature"),
        ("tampered", tampered, "signature"),
        (
            "no signature",
            good.rsplit_once('.').unwrap().0.to_owned() + ".",
            "signature",
        ),
        ("garbage", "garbage".to_owned(), "not a JWT"),
        ("dots", "..".to_owned(), "not a JWT"),
        ("not base64", "%%.%%.%%".to_owned(), "not a JWT"),
        ("four parts", format!("{good}.x"), "not a JWT"),
        ("huge", format!("{good}{}", "x".repeat(10_000)), "not a JWT"),
    ];
    for (name, token, reason) in cases {
        let answer = with_token(&service, &token).await;
        let challenge = answer.headers().get("www-authenticate").cloned();
        let document = problem(answer, "unauthenticated").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{name}: {detail}");
        assert_eq!(challenge.unwrap(), r#"Bearer error="invalid_token""#, "{name}");
    }
}

#[tokio::test]
async fn no_token_is_asked_for() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    for authorization in [None, Some("Basic bWU6bWU="), Some("Bearer")] {
        let answer = ask(&service, authorization).await;
        assert_eq!(
            answer.headers()["www-authenticate"],
            "Bearer",
            "{authorization:?}"
        );
        problem(answer, "unauthenticated").await;
    }
}

#[tokio::test]
async fn issuer_and_audience_are_demanded_where_configured() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[("auth.issuer", "banyan"), ("auth.audience", "api")]).await;
    for (changes, status) in [
        (json!({}), 401),
        (json!({ "iss": "banyan" }), 401),
        (json!({ "iss": "other", "aud": "api" }), 401),
        (json!({ "iss": "banyan", "aud": "other" }), 401),
        (json!({ "iss": "banyan", "aud": ["other", "api"] }), 200),
    ] {
        assert_eq!(
            with_token(&service, &keys.sign(&claims(&changes))).await.status(),
            status,
            "{changes}"
        );
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
    let old = keys.token(42);
    keys.rotate();
    assert_eq!(
        with_token(&service, &keys.token(42)).await.status(),
        200,
        "the new key is fetched at once"
    );
    problem(with_token(&service, &old).await, "unauthenticated").await;
}

#[tokio::test]
async fn unknown_keys_do_not_make_us_a_burden_to_the_issuer() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[("auth.refetch_min_ms", "60000")]).await;
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
    let before = keys.fetches();
    let stranger = TestKeys::start().await;
    for _ in 0..20 {
        assert_eq!(with_token(&service, &stranger.token(42)).await.status(), 401);
    }
    assert!(
        keys.fetches() <= before + 1,
        "{} fetches for 20 tokens",
        keys.fetches() - before
    );
}

#[tokio::test]
async fn the_last_keys_stay_in_force_while_the_issuer_is_away() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[("auth.refresh_seconds", "1")]).await;
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
    keys.set_away(true);
    let before = keys.fetches();
    let bound = Duration::from_secs(10);
    wait_until(
        "a refresh that fails",
        bound,
        async || keys.fetches(),
        |fetches| *fetches > before,
    )
    .await;
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
    keys.set_away(false);
    keys.publish(json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] }));
    let before = keys.fetches();
    wait_until(
        "a refresh without a usable key",
        bound,
        async || keys.fetches(),
        |fetches| *fetches > before,
    )
    .await;
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
}

#[tokio::test]
async fn without_any_keys_nobody_is_refused_for_good() {
    let keys = TestKeys::start().await;
    keys.set_away(true);
    let service = service(&keys, &[]).await;
    let answer = with_token(&service, &keys.token(42)).await;
    assert_eq!(answer.headers()["retry-after"], "1");
    problem(answer, "unavailable").await;
    keys.set_away(false);
    assert_eq!(with_token(&service, &keys.token(42)).await.status(), 200);
}

#[tokio::test]
async fn a_token_without_a_key_id_is_tried_with_every_key() {
    let keys = TestKeys::start().await;
    let service = service(&keys, &[]).await;
    let der = base64::engine::general_purpose::STANDARD
        .decode(keys.pem().lines().nth(1).unwrap())
        .unwrap();
    let sign = |der: &[u8]| {
        let header = Header::new(Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims(&json!({})), &EncodingKey::from_ed_der(der)).unwrap()
    };
    assert_eq!(with_token(&service, &sign(&der)).await.status(), 200);
    let stranger = TestKeys::start().await;
    let der = base64::engine::general_purpose::STANDARD
        .decode(stranger.pem().lines().nth(1).unwrap())
        .unwrap();
    assert_eq!(with_token(&service, &sign(&der)).await.status(), 401);
}
