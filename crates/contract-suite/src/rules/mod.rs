//! What holds of every operation alike, made into one check for each operation that it is about.

mod bodies;
mod callers;
mod ids;
mod methods;
mod pages;

use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::Method;

use crate::api::{Api, Call, Difference};
use crate::check::{Check, Verdict, name};
use crate::document::{Document, Operation};
use crate::inputs::Input;
use crate::people::new_key;

/// One check for each operation that a rule is about.
pub(crate) fn checks(document: &Document) -> Vec<Check> {
    let rules = [
        callers::checks,
        methods::checks,
        bodies::checks,
        pages::checks,
        ids::checks,
    ];
    rules.iter().flat_map(|rule| rule(document)).collect()
}

/// A check of a rule for one operation.
fn check<F>(module: &str, operation: &Operation, needs: &[Input], run: F) -> Check
where
    F: Fn(Api, Arc<Operation>) -> BoxFuture<'static, Verdict> + Send + Sync + 'static,
{
    let shared = Arc::new(operation.clone());
    let title = format!(
        "{} {}",
        operation.method,
        operation.path.trim_start_matches("/api/")
    );
    let name = name(module, &title);
    Check::new(name, &operation.to_string(), needs, move |api| {
        run(api, Arc::clone(&shared))
    })
}

fn is_staff_only(operation: &Operation) -> bool {
    operation.path.starts_with("/api/reports/")
}

fn needs(operation: &Operation) -> &'static [Input] {
    if is_staff_only(operation) {
        &[Input::Staff]
    } else {
        &[]
    }
}

fn takes_body(document: &Document, operation: &Operation) -> bool {
    document.describe(operation)["requestBody"]["required"] == true
}

impl Api {
    /// A request for an operation, with an id for each parameter of its path, and a key: as good as it can be without a body.
    fn request(&self, operation: &Operation, id: &str) -> Call {
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap_or_default();
        self.call(method, &operation.path.replace("{id}", id))
            .key(&new_key())
    }

    /// The token of somebody who may use an operation.
    async fn token_for(&self, operation: &Operation) -> Result<String, Difference> {
        if is_staff_only(operation) {
            return self.staff().await;
        }
        Ok(self.person().await?.token)
    }
}
