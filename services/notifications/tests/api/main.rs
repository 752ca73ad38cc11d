//! The operations, against a running service.

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod notifications_list;
mod preferences;
mod process;

use banyan_dev_sinks::mail::MailSink;
use banyan_service_kit::{Role, Running, start};
use banyan_test_support::{TestDb, TestKeys, client};
use notifications::Notifications;
use reqwest::{Method, Response};
use serde_json::Value;

/// The service with its API only.
struct Api {
    db: TestDb,
    keys: TestKeys,
    service: Running,
    client: reqwest::Client,
}

impl Api {
    async fn start() -> Self {
        let db = TestDb::create(Some(&notifications::migrator())).await;
        let keys = TestKeys::start().await;
        let sink = MailSink::start(([127, 0, 0, 1], 0).into(), None)
            .await
            .expect("a mail sink");
        let jwks_url = keys.jwks_url();
        let settings = [
            ("database.url", db.url.as_str()),
            ("auth.jwks_url", &jwks_url),
            ("http.listen", "127.0.0.1:0"),
        ];
        let loaded = support::configuration(&settings, &sink);
        let service = start::<Notifications>(&loaded, &[Role::Http])
            .await
            .expect("started");
        Self {
            db,
            keys,
            service,
            client: client(),
        }
    }

    async fn call(&self, method: Method, path: &str, user_id: Option<i64>, body: Option<&str>) -> Response {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.service.url()));
        if let Some(user_id) = user_id {
            request = request.bearer_auth(self.keys.token(user_id));
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        request.send().await.expect("an answer")
    }

    async fn get(&self, path: &str, user_id: i64) -> Value {
        let answer = self.call(Method::GET, path, Some(user_id), None).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    /// The status and the problem document.
    async fn problem(
        &self,
        method: Method,
        path: &str,
        user_id: Option<i64>,
        body: Option<&str>,
    ) -> (u16, Value) {
        let answer = self.call(method, path, user_id, body).await;
        let status = answer.status().as_u16();
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{status}"
        );
        let problem: Value = answer.json().await.expect("JSON");
        assert_eq!(problem["status"], status);
        (status, problem)
    }
}
