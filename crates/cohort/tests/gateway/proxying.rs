//! What reaches the backends and what comes back from the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::nginx::{Gateway, Split, token, unused_port};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A backend that tells what it was asked, and says itself which backend it is.
fn backend(name: &'static str) -> Router {
    let echo = move |request: Request| async move {
        let headers: serde_json::Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        let body = json!({"name": name, "uri": request.uri().to_string(), "headers": headers});
        (
            [("x-migration-backend", name), ("x-request-id", "of-the-backend")],
            body.to_string(),
        )
    };
    let failing = || async { (StatusCode::BAD_GATEWAY, "the backend's own words").into_response() };
    Router::new().route("/failing", get(failing)).fallback(any(echo))
}

/// Serves on a runtime of its own, which ends with the process.
pub(crate) fn serve(router: Router) -> SocketAddr {
    let (addr, found) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("port");
            addr.send(listener.local_addr().expect("address")).expect("told");
            axum::serve(listener, router).await.expect("served");
        });
    });
    found.recv().expect("address")
}

pub(crate) fn notifications(basis_points: u16, upstream: SocketAddr) -> Split {
    Split {
        name: "notifications".to_owned(),
        prefix: "/api/notifications/".to_owned(),
        rollout: "notifications-v2".to_owned(),
        basis_points,
        upstream,
        shared: vec!["/api/notifications/webhook".to_owned()],
    }
}

fn gateway(basis_points: u16) -> Gateway {
    Gateway::start(
        serve(backend("legacy")),
        &[notifications(basis_points, serve(backend("new")))],
    )
}

/// The JSON body of an answer.
pub(crate) fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    // axum's echo has a length; what comes chunked would not parse, and no answer here does.
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

pub(crate) fn authorization(user: i64) -> String {
    format!(
        "Authorization: Bearer {}",
        token(&format!(r#"{{"sub":"{user}"}}"#))
    )
}

#[test]
fn a_domain_is_split_by_cohort_and_everything_else_is_the_monoliths() {
    // Of golden.json: 1 is in from 30 basis points, 2 from 7793.
    let gateway = gateway(5000);
    let cases = [
        ("/api/notifications/", authorization(1), "new"),
        ("/api/notifications/preferences?x=1", authorization(1), "new"),
        ("/api/notifications/", authorization(2), "legacy"),
        ("/api/notifications/", "X-Nobody: here".to_owned(), "legacy"),
        ("/api/payments/", authorization(1), "legacy"),
        ("/", authorization(1), "legacy"),
    ];
    for (path, who, expected) in cases {
        let answer = gateway.get(path, &[&who]);
        assert_eq!(body(&answer)["name"], expected, "{path}");
        assert_eq!(body(&answer)["uri"], path, "the address arrives as it was sent");
        assert_eq!(
            header(&answer, "X-Migration-Backend"),
            [expected],
            "once, whatever the backend says"
        );
    }
}

#[test]
fn without_a_share_the_service_gets_nothing_and_with_all_of_it_everybody_known() {
    let nothing = gateway(0);
    assert_eq!(
        body(&nothing.get("/api/notifications/", &[&authorization(1)]))["name"],
        "legacy"
    );
    assert!(
        nothing
            .get("/__gateway/cohort/notifications", &[&authorization(1)])
            .ends_with("legacy\n")
    );
    let all = gateway(10_000);
    assert_eq!(
        body(&all.get("/api/notifications/", &[&authorization(2)]))["name"],
        "new"
    );
    assert_eq!(body(&all.get("/api/notifications/", &[]))["name"], "legacy");
}

#[test]
fn what_is_no_users_is_the_services_as_soon_as_it_has_any_user() {
    for (basis_points, expected) in [(0, "legacy"), (1, "new"), (10_000, "new")] {
        let gateway = gateway(basis_points);
        // Whoever asks: 2 is in from 7793 basis points.
        for who in ["X-Nobody: here".to_owned(), authorization(2)] {
            let answer = gateway.get("/api/notifications/webhook?x=1", &[&who]);
            assert_eq!(body(&answer)["name"], expected, "{basis_points}");
            assert_eq!(header(&answer, "X-Migration-Backend"), [expected]);
        }
    }
}

#[test]
fn the_backend_learns_who_asked_and_the_trace_passes_as_it_came() {
    let gateway = gateway(0);
    let answer = gateway.get(
        "/",
        &[
            TRACEPARENT,
            "tracestate: vendor=1",
            "X-Request-Id: my-request-1",
            "X-Forwarded-For: 203.0.113.9",
            "X-Real-IP: 203.0.113.9",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
        ],
    );
    let headers = &body(&answer)["headers"];
    assert_eq!(
        headers["traceparent"],
        TRACEPARENT.trim_start_matches("traceparent: ")
    );
    assert_eq!(headers["tracestate"], "vendor=1");
    assert_eq!(headers["x-request-id"], "my-request-1");
    assert_eq!(header(&answer, "X-Request-Id"), ["my-request-1"]);
    assert_eq!(headers["host"], "shop.test:8080");
    assert_eq!(headers["x-forwarded-host"], "shop.test:8080");
    assert_eq!(
        headers["x-forwarded-for"], "127.0.0.1",
        "a client's claim is replaced"
    );
    assert_eq!(headers["x-real-ip"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");

    let answer = gateway.get("/", &["X-Request-Id: not one\" of ours"]);
    let made = body(&answer)["headers"]["x-request-id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(made.len(), 32);
    assert_eq!(header(&answer, "X-Request-Id"), [made.as_str()]);
    assert_eq!(
        body(&answer)["headers"].get("traceparent"),
        None,
        "the gateway makes no span"
    );
}

#[test]
fn what_the_gateway_answers_itself_is_a_problem() {
    let gateway = Gateway::start(unused_port(), &[notifications(10_000, unused_port())]);
    let problem = |answer: &str, status: u16, slug: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(header(answer, "Content-Type"), ["application/problem+json"]);
        let body = body(answer);
        assert_eq!(
            (&body["status"], &body["type"]),
            (&status.into(), &format!("urn:banyan:problem:{slug}").into())
        );
        assert!(body["title"].is_string() && body["detail"].is_string());
        body
    };

    let dead = gateway.get("/api/notifications/", &[&authorization(1), TRACEPARENT]);
    assert_eq!(problem(&dead, 502, "bad-gateway")["traceId"], TRACE);
    assert_eq!(header(&dead, "X-Migration-Backend"), ["new"]);
    let dead = gateway.get("/api/payments/", &["traceparent: 00-\"},{\"-00f067aa0ba902b7-01"]);
    assert_eq!(
        problem(&dead, 502, "bad-gateway").get("traceId"),
        None,
        "only a valid trace is repeated"
    );
    assert_eq!(header(&dead, "X-Migration-Backend"), ["legacy"]);

    let large = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1048577\r\nConnection: close\r\n\r\n";
    problem(&gateway.ask_and_end(large), 413, "content-too-large");
    problem(&gateway.get("/__gateway/nothing", &[]), 404, "not-found");
    problem(
        &gateway.get("/", &[&format!("X-Large: {}", "a".repeat(40_000))]),
        400,
        "bad-request",
    );
    problem(
        &gateway.get(&format!("/{}", "a".repeat(40_000)), &[]),
        414,
        "uri-too-long",
    );
    problem(&gateway.ask("no HTTP at all\r\n\r\n"), 400, "bad-request");
}

#[test]
fn an_error_of_a_backend_passes_as_it_is() {
    let answer = gateway(0).get("/failing", &[]);
    assert!(
        answer.starts_with("HTTP/1.1 502") && answer.ends_with("the backend's own words"),
        "{answer}"
    );
}

#[test]
fn a_post_that_met_its_end_is_not_sent_again() {
    let (addr, found) = std::sync::mpsc::channel();
    let posts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&posts);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("port");
            addr.send(listener.local_addr().expect("address")).expect("told");
            loop {
                let (mut stream, _) = listener.accept().await.expect("connection");
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.expect("request");
                seen.fetch_add(
                    usize::from(request[..read].starts_with(b"POST")),
                    Ordering::SeqCst,
                );
                // And hangs up without a word, as a process killed in the middle does.
            }
        });
    });
    let gateway = Gateway::start(found.recv().expect("address"), &[]);
    let post = "POST /api/payments/charge HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert!(gateway.ask(post).starts_with("HTTP/1.1 502"));
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[test]
fn the_generation_can_be_asked() {
    assert!(
        gateway(0)
            .get("/__gateway/generation", &[])
            .ends_with("\r\n\r\ntest-1\n")
    );
}

#[test]
fn the_access_log_tells_what_happened_and_nothing_secret() {
    let gateway = gateway(10_000);
    let who = authorization(7);
    gateway.get(
        "/api/notifications/?token=secret&email=amy@example.test",
        &[&who, TRACEPARENT],
    );
    gateway.get("/api/users/\"quoted\"", &["X-Request-Id: my-request-1"]);
    let [split, other] = &gateway.access_log()[..] else {
        panic!("two lines")
    };

    assert_eq!(
        (&split["method"], &split["uri"]),
        (&"GET".into(), &"/api/notifications/".into())
    );
    assert_eq!(
        (&split["status"], &split["backend"]),
        (&200.into(), &"new".into())
    );
    assert_eq!(split["trace_id"], TRACE);
    assert!(split["request_time"].is_number() && split["bytes"].is_number());
    assert!(split["time"].is_string() && split["upstream"].is_string() && split["upstream_time"].is_string());
    assert_eq!(
        (&other["backend"], &other["request_id"]),
        (&"legacy".into(), &"my-request-1".into())
    );
    assert_eq!(
        (&other["trace_id"], &other["uri"]),
        (&"".into(), &"/api/users/\"quoted\"".into())
    );
    let all = format!("{split}{other}");
    assert!(
        !all.contains("secret")
            && !all.contains("amy")
            && !all.contains("Bearer")
            && !all.contains(&who[22..])
    );
}
