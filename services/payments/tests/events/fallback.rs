//! Read new, fall back to old.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use banyan_service_kit::Service as _;
use banyan_test_support::TestDb;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stage::{USER, event, now};
use crate::support::{Answer, World, answer};

/// What the other side answers.
#[derive(Clone, Copy, Debug)]
enum Says {
    Payment,
    Nothing,
    Forbidden,
    Broken,
    Elsewhere,
    TooMuch,
    Late,
}

/// The other side of the wire, with what it was asked.
#[derive(Clone)]
struct Monolith {
    url: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<(Uri, HeaderMap)>>>,
}

impl Monolith {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let monolith = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            says: Arc::new(Mutex::new(Says::Payment)),
            asked: Arc::default(),
        };
        let router = Router::new().fallback(say).with_state(monolith.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        monolith
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> Vec<(Uri, HeaderMap)> {
        self.asked.lock().unwrap().clone()
    }
}

fn theirs() -> Value {
    json!({ "id": 7, "amount": "10.00", "legacy": true })
}

async fn say(State(monolith): State<Monolith>, request: Request) -> Response {
    let asked = (request.uri().clone(), request.headers().clone());
    monolith.asked.lock().unwrap().push(asked);
    let says = *monolith.says.lock().unwrap();
    match says {
        Says::Payment => axum::Json(theirs()).into_response(),
        Says::Nothing => StatusCode::NOT_FOUND.into_response(),
        Says::Forbidden => (StatusCode::FORBIDDEN, axum::Json(json!({ "type": "theirs" }))).into_response(),
        Says::Broken => StatusCode::BAD_GATEWAY.into_response(),
        Says::Elsewhere => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Says::TooMuch => Body::from("x".repeat(1001)).into_response(),
        Says::Late => std::future::pending().await,
    }
}

async fn world(phase: &str, monolith: &Monolith) -> World {
    World::start_with(&[
        ("fallback.phase", phase),
        ("fallback.legacy_url", &monolith.url),
        ("fallback.timeout_ms", "500"),
        ("fallback.max_body_bytes", "1000"),
    ])
    .await
}

fn is_marked(answer: &Answer) -> bool {
    answer
        .headers
        .get("x-migration-fallback")
        .is_some_and(|mark| mark == "1")
}

#[tokio::test]
async fn a_payment_that_is_not_here_is_the_monolith_s_answer_marked_and_counted() {
    let monolith = Monolith::start().await;
    let world = world("ramp", &monolith).await;
    let found = world.get("/api/payments/7", USER).await;
    assert_eq!(
        (found.status.as_u16(), found.json(), is_marked(&found)),
        (200, theirs(), true)
    );
    assert_eq!(found.headers["content-type"], "application/json");
    let again = world.get("/api/payments/7?limit=5&cursor=abc", USER).await;
    assert!(is_marked(&again));
    let asked = monolith.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].0, "/api/payments/7?limit=5&cursor=abc");
    for (_, headers) in &asked {
        let token = headers["authorization"].to_str().unwrap();
        assert!(token.starts_with("Bearer ey"), "{token}");
        assert_eq!(headers["x-migration-fallback"], "1");
    }
    let metrics = world.client.get(format!("{}/metrics", world.service.url()));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let counted = r#"banyan_payments_fallback_total{operation="getPayment",outcome="hit"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn what_is_here_is_not_asked_for_nor_is_anything_else() {
    let monolith = Monolith::start().await;
    let world = world("ramp", &monolith).await;
    let (id, _) = world.pay("10.00", "USD").await;
    let here = world.get(&format!("/api/payments/{id}"), USER).await;
    assert_eq!((here.status.as_u16(), is_marked(&here)), (200, false));
    for (path, status) in [
        ("/api/payments/", 200),
        ("/api/payments/methods", 200),
        ("/api/payments/balance", 200),
        ("/api/payments/nothing/at/all", 404),
    ] {
        assert_eq!(world.get(path, USER).await.status, status, "{path}");
    }
    // A detached card stays away.
    let gone = answer(world.request(reqwest::Method::DELETE, "/api/payments/methods/7", USER)).await;
    assert_eq!(gone.status, 404);
    // Without a good token nobody is asked.
    let url = format!("{}/api/payments/7", world.service.url());
    assert_eq!(answer(world.client.get(&url)).await.status, 401);
    assert_eq!(
        answer(world.client.get(&url).bearer_auth("ey.e.y")).await.status,
        401
    );
    assert_eq!(monolith.asked().len(), 0);
}

#[tokio::test]
async fn a_request_that_was_sent_on_is_not_sent_on_again() {
    let monolith = Monolith::start().await;
    let world = world("ramp", &monolith).await;
    let request = world
        .request(reqwest::Method::GET, "/api/payments/7", USER)
        .header("x-migration-fallback", "1");
    let looped = answer(request).await;
    assert_eq!((looped.status.as_u16(), is_marked(&looped)), (404, false));
    assert_eq!(monolith.asked().len(), 0);
}

#[tokio::test]
async fn that_there_is_none_is_only_said_when_the_monolith_says_so() {
    let monolith = Monolith::start().await;
    let world = world("ramp", &monolith).await;
    monolith.says(Says::Nothing);
    let missing = world.get("/api/payments/7", USER).await;
    assert_eq!((missing.status.as_u16(), is_marked(&missing)), (404, false));
    assert_eq!(missing.json()["type"], "urn:banyan:problem:not-found");
    monolith.says(Says::Forbidden);
    let refused = world.get("/api/payments/7", USER).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json(), is_marked(&refused)),
        (403, json!({ "type": "theirs" }), true)
    );
    for says in [Says::Broken, Says::Elsewhere, Says::TooMuch, Says::Late] {
        monolith.says(says);
        let unknown = world.get("/api/payments/7", USER).await;
        assert_eq!(unknown.status, 503, "{says:?}: {unknown:?}");
        assert_eq!(unknown.json()["type"], "urn:banyan:problem:unavailable");
        assert!(unknown.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn in_every_other_phase_the_monolith_is_not_asked() {
    let monolith = Monolith::start().await;
    for phase in ["legacy", "shadow", "new", "retired"] {
        let world = world(phase, &monolith).await;
        let missing = world.get("/api/payments/7", USER).await;
        assert_eq!(
            (missing.status.as_u16(), is_marked(&missing)),
            (404, false),
            "{phase}"
        );
    }
    assert_eq!(monolith.asked().len(), 0);
}

#[tokio::test]
async fn events_about_payments_that_are_not_here_are_passed_on_until_taken() {
    let monolith = Monolith::start().await;
    let world = world("ramp", &monolith).await;
    let (_, ours) = world.pay("10.00", "USD").await;
    let news =
        |id: &str, intent: &str| event(id, "payment_intent.succeeded", now(), &json!({ "id": intent }));
    assert_eq!(world.send(&news("evt_1", &ours)).await.status, 200);
    assert_eq!(monolith.asked().len(), 0, "it is about a payment of ours");

    let states = "SELECT status FROM stripe_webhook_event WHERE stripe_event_id = 'evt_2'";
    for says in [Says::Broken, Says::Forbidden, Says::Late] {
        monolith.says(says);
        assert_eq!(
            world.send(&news("evt_2", "pi_theirs")).await.status,
            503,
            "{says:?}"
        );
        assert_eq!(
            world.texts(states).await.len(),
            0,
            "the monolith keeps it, once it has it"
        );
    }
    monolith.says(Says::Payment);
    for _ in 0..2 {
        assert_eq!(world.send(&news("evt_2", "pi_theirs")).await.status, 200);
        assert_eq!(world.texts(states).await.len(), 0);
    }
    let asked = monolith.asked();
    assert_eq!(
        asked.len(),
        5,
        "the monolith knows by itself what it has taken already"
    );
    for (uri, headers) in &asked {
        assert_eq!(uri, "/api/payments/webhooks/stripe");
        assert!(headers["stripe-signature"].to_str().unwrap().starts_with("t="));
    }
}

#[tokio::test]
async fn without_a_url_the_service_does_not_start_in_the_ramp() {
    let database = TestDb::create(Some(&payments::Payments::migrator())).await;
    let settings = [
        ("database.url", database.url.as_str()),
        ("fallback.phase", "ramp"),
    ];
    let loaded = crate::support::configuration(&settings);
    let started = tokio::time::timeout(
        Duration::from_secs(30),
        banyan_service_kit::start::<payments::Payments>(&loaded, &[banyan_service_kit::Role::Http]),
    );
    let error = started.await.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("[fallback]") && error.contains("legacy_url"),
        "{error}"
    );
}
