//! What is asked for.

use reqwest::Method;
use tokio::time::Instant;
use url::Url;

use super::config::BaseUrl;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::wire::is_id;

/// A request. Only GET, and POST with a key: both may be sent twice.
pub(super) struct Request<'a> {
    /// The label of metrics, such as `refunds.create`.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: Path<'a>,
    pub(super) parameters: Form,
    pub(super) key: Option<&'a IdempotencyKey>,
    pub(super) deadline: Instant,
}

/// `/v1/<resource>[/<id>[/<action>]]`
pub(super) struct Path<'a> {
    resource: &'static str,
    id: Option<&'a str>,
    action: Option<&'static str>,
}

impl<'a> Path<'a> {
    pub(super) fn all(resource: &'static str) -> Self {
        Self {
            resource,
            id: None,
            action: None,
        }
    }

    pub(super) fn one(resource: &'static str, id: &'a str) -> Self {
        Self {
            resource,
            id: Some(id),
            action: None,
        }
    }

    pub(super) fn action(resource: &'static str, id: &'a str, action: &'static str) -> Self {
        Self {
            resource,
            id: Some(id),
            action: Some(action),
        }
    }

    /// Whether it names an object, and by what cannot be one of Stripe's ids.
    pub(super) fn has_bad_id(&self) -> bool {
        self.id.is_some_and(|id| !is_id(id))
    }

    /// For `url.template`: without the id, which would make a name of every object.
    pub(super) fn template(&self) -> String {
        let mut text = format!("/v1/{}", self.resource);
        if self.id.is_some() {
            text.push_str("/{id}");
        }
        if let Some(action) = self.action {
            text.push('/');
            text.push_str(action);
        }
        text
    }

    pub(super) fn url(&self, base: &BaseUrl) -> Url {
        base.join(
            ["v1", self.resource]
                .into_iter()
                .chain(self.id)
                .chain(self.action),
        )
    }
}

impl<'a> Request<'a> {
    pub(super) fn get(operation: &'static str, path: Path<'a>, parameters: Form, deadline: Instant) -> Self {
        Self {
            operation,
            method: Method::GET,
            path,
            parameters,
            key: None,
            deadline,
        }
    }

    pub(super) fn post(
        operation: &'static str,
        path: Path<'a>,
        parameters: Form,
        key: &'a IdempotencyKey,
        deadline: Instant,
    ) -> Self {
        Self {
            operation,
            method: Method::POST,
            path,
            parameters,
            key: Some(key),
            deadline,
        }
    }
}
