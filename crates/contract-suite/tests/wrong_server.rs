//! The suite must notice: against servers that are wrong in every way, no check passes.

use std::net::Ipv4Addr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use banyan_contract_suite::api::Api;
use banyan_contract_suite::document::Document;
use banyan_contract_suite::inputs::Inputs;
use banyan_contract_suite::report::{Outcome, Report};
use banyan_contract_suite::{checks, runner};
use clap::Parser as _;
use tokio::net::TcpListener;

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    inputs: Inputs,
}

/// Runs every check that can run against a server that always answers the same.
async fn run_against(status: StatusCode, body: &'static str) -> Report {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let router = Router::new().fallback(move || async move { (status, headers, body).into_response() });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let inputs = Options::parse_from(["test", "--base-url", &base_url]).inputs;
    let document = Document::load().expect("a document");
    let checks = checks(&document);
    let api = Api::new(document, inputs).expect("a client");
    runner::run(&api, checks, 16, |_| {}).await
}

fn passed(report: &Report) -> Vec<&str> {
    let passed = report.rows().iter().filter(|row| row.outcome == Outcome::Passed);
    passed.map(|row| row.name.as_str()).collect()
}

#[tokio::test]
async fn a_server_that_says_yes_to_everything_passes_nothing() {
    let report = run_against(StatusCode::OK, "{}").await;
    assert_eq!(passed(&report), [""; 0]);
    let text = report.text();
    assert!(
        text.contains("GET /api/payments/: status 200, expected 401"),
        "{text}"
    );
    assert!(
        text.contains("(needs --staff-email and --staff-password)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_signs_everybody_up_as_the_same_user_passes_nothing() {
    let account = r#"{"user": {"id": 1, "email": "a@example.com", "displayName": "A", "locale": "en", "preferredChannel": "email",
        "emailVerified": false, "createdAt": "2026-01-31T12:00:00Z"}, "accessToken": "a", "refreshToken": "b", "expiresIn": 900}"#;
    let report = run_against(StatusCode::CREATED, account).await;
    assert_eq!(passed(&report), [""; 0]);
}

#[tokio::test]
async fn a_server_that_is_broken_passes_nothing() {
    let report = run_against(StatusCode::INTERNAL_SERVER_ERROR, "{}").await;
    assert_eq!(passed(&report), [""; 0]);
}
