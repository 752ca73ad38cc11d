//! Who is calling.

use std::sync::Arc;

use crate::api::Api;
use crate::check::{Check, Verdict};
use crate::document::{Document, Operation};

/// Signed with a key that is nobody's: `{"alg":"EdDSA","kid":"x"}`, `{"sub":"1","sid":"1","exp":4102444800}`.
const FORGED: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.eyJzdWIiOiIxIiwic2lkIjoiMSIsImV4cCI6NDEwMjQ0NDgwMH0.\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Not signed at all: `{"alg":"none"}`, the same claims.
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwic2lkIjoiMSIsImV4cCI6NDEwMjQ0NDgwMH0.";

pub(super) fn checks(document: &Document) -> Vec<Check> {
    let secured = document
        .operations()
        .iter()
        .filter(|operation| document.is_secured(operation));
    secured
        .map(|operation| {
            super::check(module_path!(), operation, &[], |api, operation| {
                Box::pin(needs_a_token(api, operation))
            })
        })
        .collect()
}

async fn needs_a_token(api: Api, operation: Arc<Operation>) -> Verdict {
    let call = || api.request(&operation, "1").json_text("{}");
    for scheme in [None, Some("Basic dXNlcjpwYXNz"), Some("Bearer"), Some("Bearer ")] {
        let call = call().problem(401, "unauthenticated");
        let answer = match scheme {
            Some(value) => call.header("authorization", value).await?,
            None => call.await?,
        };
        answer.same(
            "WWW-Authenticate",
            answer.header("www-authenticate"),
            Some("Bearer"),
        )?;
    }
    for token in ["x", "a.b.c", FORGED, UNSIGNED] {
        let answer = call().token(token).problem(401, "unauthenticated").await?;
        let challenge = answer.header("www-authenticate");
        answer.same(
            "WWW-Authenticate",
            challenge,
            Some(r#"Bearer error="invalid_token""#),
        )?;
    }
    Ok(())
}
