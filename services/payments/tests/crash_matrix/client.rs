//! Asking until there is a final answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use banyan_test_support::TestKeys;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::sync::watch;

use crate::service::Address;

/// The longest that a request may be without a final answer. Long, since it may be cut off by many deaths one after the other and be
/// held back while the reconciler is waited for.
const PATIENCE: Duration = Duration::from_mins(5);

const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// A request that may be repeated: it has a key, or is one that needs none.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) user_id: i64,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

/// A final answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// How it went, over all requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: usize,
    pub(crate) lost: usize,
    /// Answers that were not final, by status.
    pub(crate) put_off: BTreeMap<u16, usize>,
}

/// What every client has; clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) keys: Arc<TestKeys>,
    pub(crate) http: reqwest::Client,
    pub(crate) address: Address,
    /// While true, what got no answer is not asked again.
    pub(crate) holds: watch::Receiver<bool>,
    pub(crate) counts: Arc<Mutex<Counts>>,
}

impl Client {
    /// Asks until the answer is final.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Answer {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        let mut seen = None;
        loop {
            assert!(
                began.elapsed() < PATIENCE,
                "no final answer to {ask:?}; the last was {seen:?}"
            );
            let address = *self
                .address
                .wait_for(Option::is_some)
                .await
                .expect("the test runs");
            let Some(address) = address else { continue };
            self.count(|counts| counts.requests += 1);
            match self.send(ask, &format!("http://{address}{}", ask.path)).await {
                Ok((answer, headers)) if is_final(&answer, &headers) => return answer,
                Ok((answer, _)) => {
                    self.count(|counts| *counts.put_off.entry(answer.status).or_default() += 1);
                    seen = Some(answer);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(_) => {
                    self.count(|counts| counts.lost += 1);
                    // It is dead, or about to be found so.
                    let _ = tokio::time::timeout(LONGEST_PAUSE, self.address.changed()).await;
                    self.holds.wait_for(|holds| !holds).await.expect("the test runs");
                }
            }
        }
    }

    async fn send(&self, ask: &Ask, url: &str) -> Result<(Answer, HeaderMap), reqwest::Error> {
        let mut request = self
            .http
            .post(url)
            .bearer_auth(self.keys.token(ask.user_id))
            .json(&ask.body);
        if let Some(key) = &ask.key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((Answer { status, body }, headers))
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// 202 is an outcome that is not known; 503 nothing done. A 409 with `Retry-After` is a request under way. A 500 is never right.
fn is_final(answer: &Answer, headers: &HeaderMap) -> bool {
    assert!(answer.status != 500, "{answer:?}");
    match answer.status {
        202 | 502..=504 => false,
        409 => !headers.contains_key("retry-after"),
        _ => true,
    }
}
