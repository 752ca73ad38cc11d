//! Ids in paths that name nothing.

use std::sync::Arc;

use crate::api::Api;
use crate::check::{Check, Verdict};
use crate::document::{Document, Operation};

/// An id that no row has, and what is no id at all.
const NOTHING: [&str; 7] = [
    "9007199254740991",
    "0",
    "-1",
    "abc",
    "1.5",
    "9223372036854775808",
    "100000000000000000000000000000",
];

pub(super) fn checks(document: &Document) -> Vec<Check> {
    let with_id = document
        .operations()
        .iter()
        .filter(|operation| operation.path.contains("{id}"));
    with_id
        .map(|operation| {
            super::check(
                module_path!(),
                operation,
                super::needs(operation),
                |api, operation| Box::pin(nothing_is_404(api, operation)),
            )
        })
        .collect()
}

async fn nothing_is_404(api: Api, operation: Arc<Operation>) -> Verdict {
    let token = api.token_for(&operation).await?;
    for id in NOTHING {
        api.request(&operation, id)
            .token(&token)
            .json_text("{}")
            .problem(404, "not-found")
            .await?;
    }
    Ok(())
}
