//! Every error answer is a problem document.

use banyan_service_kit::problem::CATALOGUE;
use banyan_test_support::client;
use reqwest::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::fixture::serve;

/// Checks that an answer is a problem document of this kind and returns it.
pub(crate) async fn problem(answer: Response, slug: &str) -> Value {
    let kind = CATALOGUE.iter().find(|kind| kind.slug == slug).unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    let text = answer.text().await.unwrap();
    assert_eq!(status.as_u16(), kind.status, "{text}");
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["type"], format!("urn:banyan:problem:{slug}"));
    assert_eq!(document["title"], kind.title);
    assert_eq!(document["status"], kind.status);
    document
}

/// Method, path, content type, body; the kind, and what `detail` or `errors` must hold.
type Case<'a> = (Method, &'a str, Option<&'a str>, &'a str, &'a str, &'a str);

const JSON: Option<&str> = Some("application/json");
const TOO_LONG: &str = r#"{"amount": 1, "lines": [{"sku": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]}"#;

#[rustfmt::skip]
const BAD: &[Case] = &[
    (Method::GET, "/nothing/here", None, "", "not-found", "nothing at this address"),
    (Method::GET, "/items/abc", None, "", "not-found", "nothing at this address"),
    (Method::DELETE, "/ok", None, "", "method-not-allowed", "does not have this method"),
    (Method::POST, "/echo", JSON, r#"{"amount": "#, "bad-request", "not JSON"),
    (Method::POST, "/echo", JSON, "", "bad-request", "not JSON"),
    (Method::POST, "/echo", JSON, r#"{"amount": 1} x"#, "bad-request", "not JSON"),
    (Method::POST, "/echo", JSON, r#"{"amount": "1"}"#, "invalid", r#""field":"amount""#),
    (Method::POST, "/echo", JSON, r#"{"amount": 1.5}"#, "invalid", r#""field":"amount""#),
    (Method::POST, "/echo", JSON, r#"{"amount": 1, "lines": [{"sku": 2}]}"#, "invalid", r#""field":"lines[0].sku""#),
    (Method::POST, "/echo", JSON, "{}", "invalid", "missing field `amount`"),
    (Method::POST, "/echo", JSON, r#"{"amount": 1, "extra": 2}"#, "invalid", "unknown field `extra`"),
    (Method::POST, "/echo", Some("text/plain"), r#"{"amount": 1}"#, "unsupported-media-type", "application/json"),
    (Method::POST, "/echo", None, r#"{"amount": 1}"#, "unsupported-media-type", "application/json"),
    (Method::POST, "/echo", JSON, TOO_LONG, "body-too-large", "100 bytes"),
    // axum's own extractor, which answers in plain text, becomes a document as well.
    (Method::POST, "/plain-json", JSON, r#"{"amount": "1"}"#, "invalid", "amount"),
    (Method::POST, "/plain-json", JSON, "{", "bad-request", "JSON"),
    (Method::POST, "/plain-json", None, "{}", "unsupported-media-type", ""),
    (Method::GET, "/items?limit=0", None, "", "bad-request", "`limit` must be from 1 to 200"),
    (Method::GET, "/items?limit=%2B5", None, "", "bad-request", "`limit` must be from 1 to 200"),
    (Method::GET, "/items?limit=", None, "", "bad-request", "`limit` must be from 1 to 200"),
    (Method::GET, "/items?limit=ten", None, "", "bad-request", "limit"),
    (Method::GET, "/items?cursor=~~", None, "", "bad-request", "`cursor`"),
    (Method::GET, "/conflict", None, "", "conflict", "it is taken"),
    (Method::GET, "/panic", None, "", "internal", ""),
];

#[tokio::test]
async fn every_bad_request_gets_its_problem() {
    let service = serve(&[("http.body_limit_bytes", "100")]).await;
    for (method, path, content_type, body, slug, says) in BAD {
        let mut request = client()
            .request(method.clone(), format!("{}{path}", service.url()))
            .body(*body);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, *content_type);
        }
        let document = problem(request.send().await.unwrap(), slug).await;
        let text = format!("{}{}", document["detail"], document["errors"]);
        assert!(
            text.contains(says),
            "{method} {path} {body:?}: no {says:?} in {document}"
        );
    }
}

#[tokio::test]
async fn headers_of_the_answer_are_kept() {
    let service = serve(&[]).await;
    let answer = client()
        .delete(format!("{}/ok", service.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()[ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn a_panic_tells_nothing_and_ends_only_its_own_request() {
    let service = serve(&[]).await;
    let document = problem(
        client()
            .get(format!("{}/panic", service.url()))
            .send()
            .await
            .unwrap(),
        "internal",
    )
    .await;
    assert!(!document.to_string().contains("secret reason"), "{document}");
    assert_eq!(
        client()
            .get(format!("{}/ok", service.url()))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn an_answer_with_a_body_of_its_own_is_left_alone() {
    let service = serve(&[]).await;
    let answer = client()
        .get(format!("{}/declined", service.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 402);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "id": 7 }));
}

#[test]
fn the_catalogue_is_documented() {
    let readme = include_str!("../../README.md");
    for kind in CATALOGUE {
        let row = format!(
            "| `{}` | {} | {} | {} |",
            kind.slug, kind.status, kind.title, kind.meaning
        );
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}
