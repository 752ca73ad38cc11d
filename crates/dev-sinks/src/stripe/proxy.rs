//! One call of a client of Stripe: what it means, and its way to localstripe and back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Front;
use super::answer::{Answer, Hangup};
use super::faults::{Fault, FaultRule};
use super::journal::Exchange;
use super::keys::{Begin, Key, Lease, MAX_KEY_LENGTH, Request};

/// Stripe's bodies are forms of a few hundred bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// localstripe.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    client: reqwest::Client,
    base: String,
}

impl Upstream {
    pub(super) fn new(client: reqwest::Client, base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { client, base }
    }

    /// The URL of a path there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Passes a request on. Like Stripe, what was executed is kept, and what was refused before is not.
    async fn forward(&self, parts: &Parts, body: Bytes) -> Answer {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self.client.request(parts.method.clone(), self.url(path));
        let answered = async {
            let response = request
                .headers(end_to_end(&parts.headers))
                .body(body)
                .send()
                .await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.bytes().await?;
            let refused = status.is_client_error() && status != StatusCode::PAYMENT_REQUIRED;
            Ok::<_, reqwest::Error>(Answer {
                status,
                content_type: headers.get(CONTENT_TYPE).cloned(),
                body,
                kept: !refused,
            })
        };
        answered.await.unwrap_or_else(|error| {
            let not_sent = error.is_connect();
            let message = format!("localstripe does not answer: {}", error.without_url());
            if not_sent {
                return Answer::error(StatusCode::SERVICE_UNAVAILABLE, "api_error", None, &message);
            }
            Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "api_error", None, &message).kept()
        })
    }

    /// A decline with the PaymentIntent that was declined, which [Stripe's has](https://docs.stripe.com/api/errors#errors-payment_intent);
    /// localstripe's names the charge alone.
    async fn with_intent(&self, parts: &Parts, mut answer: Answer) -> Answer {
        if answer.status != StatusCode::PAYMENT_REQUIRED {
            return answer;
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else {
            return answer;
        };
        let error = &mut body["error"];
        if let Some(charge) = error["charge"].as_str()
            && error["payment_intent"].is_null()
            && let Some(charge) = self.object(parts, &format!("/v1/charges/{charge}")).await
            && let Some(intent) = charge["payment_intent"].as_str()
            && let Some(intent) = self.object(parts, &format!("/v1/payment_intents/{intent}")).await
        {
            error["payment_intent"] = intent;
            answer.body = body.to_string().into();
        }
        answer
    }

    /// An object as localstripe has it, asked for by the same account.
    async fn object(&self, parts: &Parts, path: &str) -> Option<Value> {
        let mut request = self.client.get(self.url(path));
        if let Some(account) = parts.headers.get(AUTHORIZATION) {
            request = request.header(AUTHORIZATION, account);
        }
        let response = request.send().await.ok()?.error_for_status().ok()?;
        response.json().await.ok()
    }
}

/// The headers that are not about this one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// Every request that is not for the front itself.
pub(super) async fn handle(State(front): State<Arc<Front>>, request: HttpRequest) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return invalid(StatusCode::BAD_REQUEST, "The body is too large, or ended early.").into_response(&[]);
    };
    // What has begun runs to its end, though the client may hang up: the server drops this function then.
    let call = Call::begin(front, parts, body);
    let ended = tokio::spawn(async move { call.run().await }).await;
    ended.unwrap_or_else(|_| Hangup::Close.into_response())
}

fn invalid(status: StatusCode, message: &str) -> Answer {
    Answer::error(status, "invalid_request_error", None, message)
}

/// A request with its place in the journal.
struct Call {
    front: Arc<Front>,
    parts: Parts,
    body: Bytes,
    key: Option<String>,
    number: u64,
}

impl Call {
    fn begin(front: Arc<Front>, parts: Parts, body: Bytes) -> Self {
        // On other methods the header has no effect.
        let key = parts
            .headers
            .get("idempotency-key")
            .filter(|_| parts.method == Method::POST);
        let key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        let number = front.journal.begin(Exchange {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            idempotency_key: key.clone(),
            ..Exchange::default()
        });
        Self {
            front,
            parts,
            body,
            key,
            number,
        }
    }

    async fn run(&self) -> Response<Body> {
        if let Some(rule) = self.fault(&[Fault::Reset, Fault::RateLimit]) {
            return match rule.fault {
                Fault::Reset => self.hang_up(Hangup::Reset),
                _ => self.send(rate_limited(), None),
            };
        }
        let (answer, original) = match self.claim() {
            Err(refusal) => return self.send(refusal, None),
            Ok(Claim::Replay(number, answer)) => (answer, Some(number)),
            Ok(Claim::Execute(lease)) => (self.execute(lease).await, None),
        };
        if self.fault(&[Fault::AnswerLost]).is_some() {
            return self.hang_up(Hangup::Close);
        }
        self.send(answer, original)
    }

    /// What the idempotency key says: execute, replay, or refuse.
    fn claim(&self) -> Result<Claim, Answer> {
        let Some(key) = &self.key else {
            return Ok(Claim::Execute(None));
        };
        if key.is_empty() || key.chars().count() > MAX_KEY_LENGTH {
            let message = format!("An idempotency key has 1 to {MAX_KEY_LENGTH} characters.");
            return Err(invalid(StatusCode::BAD_REQUEST, &message));
        }
        let account = self.parts.headers.get(AUTHORIZATION);
        let account = Sha256::digest(account.map(HeaderValue::as_bytes).unwrap_or_default()).into();
        let text = key.clone();
        match self
            .front
            .keys
            .begin(Key { account, text }, self.request(), Instant::now())
        {
            Begin::First(lease) => Ok(Claim::Execute(Some(lease))),
            Begin::Replay(number, answer) => Ok(Claim::Replay(number, answer)),
            Begin::OtherEndpoint(first) => Err(misused(
                &format!("for the same endpoint they were first used for ({first})"),
                key,
            )),
            Begin::OtherParameters => Err(misused("with the same parameters they were first used with", key)),
            Begin::InUse => Err(in_use(key)),
        }
    }

    fn request(&self) -> Request {
        Request {
            endpoint: format!("{} {}", self.parts.method, self.parts.uri.path()),
            parameters: parameters(self.parts.uri.query().unwrap_or_default(), &self.body),
        }
    }

    async fn execute(&self, lease: Option<Lease>) -> Answer {
        if let Some(rule) = self.fault(&[Fault::Delay]) {
            tokio::time::sleep(Duration::from_millis(rule.delay_ms.into())).await;
        }
        let answer = if self.fault(&[Fault::ServerError]).is_some() {
            let message = "Something went wrong on Stripe's end.";
            Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "api_error", None, message).kept()
        } else {
            self.front
                .journal
                .note(self.number, |exchange| exchange.executed = true);
            let answer = self.front.upstream.forward(&self.parts, self.body.clone()).await;
            self.front.upstream.with_intent(&self.parts, answer).await
        };
        if let Some(lease) = lease.filter(|_| answer.kept) {
            lease.keep(self.number, answer.clone());
        }
        if self.parts.method != Method::GET {
            super::webhooks::register_soon(&self.front);
        }
        answer
    }

    fn fault(&self, kinds: &[Fault]) -> Option<FaultRule> {
        let (method, path) = (self.parts.method.as_str(), self.parts.uri.path());
        let rule = self.front.faults.take(kinds, method, path, self.key.as_deref())?;
        self.front
            .journal
            .note(self.number, |exchange| exchange.faults.push(rule.fault));
        Some(rule)
    }

    fn hang_up(&self, hangup: Hangup) -> Response<Body> {
        self.front
            .journal
            .note(self.number, |exchange| exchange.done = true);
        hangup.into_response()
    }

    fn send(&self, answer: Answer, original: Option<u64>) -> Response<Body> {
        self.front.journal.note(self.number, |exchange| {
            exchange.status = Some(answer.status.as_u16());
            exchange.replayed = original.is_some();
            exchange.done = true;
        });
        let mut headers = vec![("request-id", format!("req_{}", self.number))];
        if let Some(original) = original {
            headers.push(("idempotent-replayed", "true".to_owned()));
            headers.push(("original-request", format!("req_{original}")));
        }
        headers.extend(self.key.clone().map(|key| ("idempotency-key", key)));
        answer.into_response(&headers)
    }
}

enum Claim {
    Execute(Option<Lease>),
    Replay(u64, Answer),
}

/// The parameters, in whatever order they come.
fn parameters(query: &str, body: &[u8]) -> [u8; 32] {
    let mut pairs: Vec<_> = url::form_urlencoded::parse(body)
        .chain(url::form_urlencoded::parse(query.as_bytes()))
        .collect();
    pairs.sort();
    let mut hash = Sha256::new();
    for (name, value) in pairs {
        for text in [name, value] {
            hash.update(text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().into()
}

fn misused(how: &str, key: &str) -> Answer {
    let message = format!(
        "Keys for idempotent requests can only be used {how}. Try using a key other than '{key}' if you meant to execute a different request."
    );
    Answer::error(StatusCode::BAD_REQUEST, "idempotency_error", None, &message)
}

fn in_use(key: &str) -> Answer {
    let message = format!(
        "There is currently another in-progress request using this idempotency key: '{key}'. Try again later."
    );
    Answer::error(
        StatusCode::CONFLICT,
        "idempotency_error",
        Some("idempotency_key_in_use"),
        &message,
    )
}

fn rate_limited() -> Answer {
    let message =
        "Too many requests hit the API too quickly. An exponential backoff of your requests is recommended.";
    Answer::error(
        StatusCode::TOO_MANY_REQUESTS,
        "invalid_request_error",
        Some("rate_limit"),
        message,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_the_same_in_any_order_and_encoding_and_nothing_else_is() {
        let first = parameters("", b"amount=100&currency=usd&metadata[a]=1");
        assert_eq!(
            first,
            parameters("", b"currency=usd&metadata%5Ba%5D=1&amount=100")
        );
        assert_ne!(first, parameters("", b"amount=1000&currency=usd&metadata[a]=1"));
        assert_ne!(parameters("", b"a=b&c=d"), parameters("", b"a=bc&=d"));
    }
}
