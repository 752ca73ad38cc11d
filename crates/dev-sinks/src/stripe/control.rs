//! The front's own paths, below `/_front/`; all others are Stripe's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::FaultRule;
use super::journal::{Delivery, Exchange};
use super::webhooks::{Event, NotTaken};
use super::{Front, proxy, signature};

pub(super) fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/_front/healthz", get(|| async { "ok" }))
        .route("/_front/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_front/requests", get(requests).delete(clear_lists))
        .route("/_front/deliveries", get(deliveries))
        .route("/_front/events", post(send_event))
        .route("/_front/webhooks", post(from_localstripe))
        .fallback(proxy::handle)
        .with_state(front)
}

async fn faults(State(front): State<Arc<Front>>) -> Json<Vec<FaultRule>> {
    Json(front.faults.list())
}

async fn add_fault(
    State(front): State<Arc<Front>>,
    Json(rule): Json<FaultRule>,
) -> (StatusCode, Json<FaultRule>) {
    front.faults.add(rule.clone());
    (StatusCode::CREATED, Json(rule))
}

async fn clear_faults(State(front): State<Arc<Front>>) -> StatusCode {
    front.faults.clear();
    StatusCode::NO_CONTENT
}

/// Which requests to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    path: Option<String>,
    key: Option<String>,
}

async fn requests(State(front): State<Arc<Front>>, Query(wanted): Query<Wanted>) -> Json<Vec<Exchange>> {
    let fits = |exchange: &Exchange| {
        wanted.path.as_ref().is_none_or(|path| *path == exchange.path)
            && (wanted.key.is_none() || wanted.key == exchange.idempotency_key)
    };
    Json(front.journal.exchanges().into_iter().filter(fits).collect())
}

async fn clear_lists(State(front): State<Arc<Front>>) -> StatusCode {
    front.journal.clear();
    StatusCode::NO_CONTENT
}

async fn deliveries(State(front): State<Arc<Front>>) -> Json<Vec<Delivery>> {
    Json(front.journal.deliveries())
}

/// An event to deliver that localstripe does not send, such as `charge.dispute.created`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEvent {
    /// The event's id; sent a second time, the event is a duplicate. A new one where it is left out.
    #[serde(default)]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    /// What becomes `data.object`.
    object: Value,
}

async fn send_event(State(front): State<Arc<Front>>, Json(new): Json<NewEvent>) -> Response {
    let event = Event::made(new.id, &new.kind, &new.object);
    let id = event.id().to_owned();
    match front.webhooks.take(event) {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response(),
        Err(error) => not_taken(error),
    }
}

async fn from_localstripe(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = headers
        .get(signature::HEADER)
        .and_then(|value| value.to_str().ok());
    if !front
        .webhooks
        .is_from_localstripe(header.unwrap_or_default(), &body)
    {
        return (StatusCode::UNAUTHORIZED, "only localstripe hands events in here").into_response();
    }
    let Some(event) = Event::parse(body) else {
        return (StatusCode::BAD_REQUEST, "no event").into_response();
    };
    match front.webhooks.take(event) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => not_taken(error),
    }
}

fn not_taken(error: NotTaken) -> Response {
    let status = match error {
        NotTaken::NoTarget => StatusCode::CONFLICT,
        NotTaken::Full => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string()).into_response()
}
