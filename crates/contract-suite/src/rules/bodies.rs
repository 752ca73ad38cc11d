//! Bodies that no operation can read.

use std::sync::Arc;

use crate::api::Api;
use crate::check::{Check, Verdict};
use crate::document::{Document, Operation};

/// Larger than any body that is taken.
const TOO_LARGE: usize = 64 * 1024 + 1;

/// For operations on nothing in particular: others may miss what they are about before they read their body.
pub(super) fn checks(document: &Document) -> Vec<Check> {
    let readers = document.operations().iter().filter(|operation| {
        super::takes_body(document, operation)
            && !operation.path.contains('{')
            && !document.has_parameter(operation, "Stripe-Signature")
    });
    readers
        .map(|operation| {
            super::check(
                module_path!(),
                operation,
                super::needs(operation),
                |api, operation| Box::pin(what_cannot_be_read_is_refused(api, operation)),
            )
        })
        .collect()
}

async fn what_cannot_be_read_is_refused(api: Api, operation: Arc<Operation>) -> Verdict {
    let token = if api.shared.document.is_secured(&operation) {
        api.token_for(&operation).await?
    } else {
        String::new()
    };
    let call = || {
        let call = api.request(&operation, "1");
        if token.is_empty() {
            call
        } else {
            call.token(&token)
        }
    };
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let texts: [&[u8]; 8] = [
        b"",
        b"{",
        b"nonsense",
        b"{\"a\": NaN}",
        b"{\"a\": 1,}",
        b"{'a': 1}",
        b"{\"a\": \"\xff\xfe\"}",
        deep.as_bytes(),
    ];
    for text in texts {
        call().json_text(text).problem(400, "bad-request").await?;
    }
    // JSON, but no object: whether that cannot be read or is not valid is a matter of taste.
    for text in ["[]", "null", "7", "\"text\""] {
        let answer = call().json_text(text).expect_one_of(&[400, 422]).await?;
        let slug = if answer.status == 400 {
            "bad-request"
        } else {
            "invalid"
        };
        answer.has("/type", format!("urn:banyan:problem:{slug}"))?;
    }
    for media_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        call()
            .body(media_type, "{}")
            .problem(415, "unsupported-media-type")
            .await?;
    }
    let answer = call().body("application/json; charset=utf-8", "{").await?;
    answer.same("the status with a charset", answer.status, 400)?;
    let large = format!("{{\"a\": \"{}\"}}", "a".repeat(TOO_LARGE));
    call().json_text(large).problem(413, "body-too-large").await?;
    Ok(())
}
