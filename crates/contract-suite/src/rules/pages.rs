//! Query parameters of lists.

use std::sync::Arc;

use crate::api::Api;
use crate::check::{Check, Verdict};
use crate::document::{Document, Operation};

pub(super) fn checks(document: &Document) -> Vec<Check> {
    let lists = document
        .operations()
        .iter()
        .filter(|operation| document.has_parameter(operation, "cursor") && !operation.path.contains('{'));
    lists
        .map(|operation| {
            super::check(
                module_path!(),
                operation,
                super::needs(operation),
                |api, operation| Box::pin(bad_pages_are_400(api, operation)),
            )
        })
        .collect()
}

async fn bad_pages_are_400(api: Api, operation: Arc<Operation>) -> Verdict {
    let token = api.token_for(&operation).await?;
    let page = |query: &str| api.get(&format!("{}?{query}", operation.path)).token(&token);
    for limit in [
        "0",
        "-1",
        "201",
        "abc",
        "1.5",
        "1e2",
        "%2B5",
        "99999999999999999999",
        "%D9%A3",
    ] {
        page(&format!("limit={limit}"))
            .problem(400, "bad-request")
            .await?;
    }
    for cursor in [
        "x",
        "!!!",
        "AAAA",
        "MTIz",
        "LTEuLTE",
        "%00",
        "%FF",
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4x",
    ] {
        page(&format!("cursor={cursor}"))
            .problem(400, "bad-request")
            .await?;
    }
    for limit in ["1", "200"] {
        let answer = page(&format!("limit={limit}")).expect(200).await?;
        let fits = answer.items()?.len() <= limit.parse().unwrap_or_default();
        answer.ensure(fits, "there are more items than asked for")?;
    }
    let answer = api.get(&operation.path).token(&token).expect(200).await?;
    answer.ensure(
        answer.items()?.len() <= 50,
        "there are more than 50 items though no limit was sent",
    )
}
