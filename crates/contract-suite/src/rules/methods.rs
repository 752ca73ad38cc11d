//! Methods that a path does not have.

use std::sync::Arc;

use reqwest::Method;

use crate::api::Api;
use crate::check::{Check, Verdict};
use crate::document::{Document, Operation};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// One check for each path, under its first operation.
pub(super) fn checks(document: &Document) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let mut paths: Vec<&str> = Vec::new();
    for operation in document.operations() {
        if !paths.contains(&operation.path.as_str()) {
            paths.push(&operation.path);
            checks.push(super::check(module_path!(), operation, &[], |api, operation| {
                Box::pin(other_methods_are_405(api, operation))
            }));
        }
    }
    checks
}

async fn other_methods_are_405(api: Api, operation: Arc<Operation>) -> Verdict {
    let path = operation.path.replace("{id}", "1");
    let document = &api.shared.document;
    let (known, unknown): (Vec<_>, Vec<_>) = METHODS
        .into_iter()
        .partition(|method| document.find(method.as_str(), &path).is_some());
    for method in unknown {
        let answer = api.call(method, &path).problem(405, "method-not-allowed").await?;
        let allowed: Vec<String> = answer
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect();
        for method in &known {
            let listed = allowed.iter().any(|one| one == method.as_str());
            answer.ensure(listed, &format!("Allow is {allowed:?}, without {method}"))?;
        }
    }
    Ok(())
}
