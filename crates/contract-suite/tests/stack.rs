//! The suite against a whole local stack, and schemathesis with the same document.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use banyan_test_support::schemathesis;
use end_to_end::stack::Stack;
use reqwest::Method;
use serde_json::{Value, json};

/// No password of an example in the document: schemathesis tries those.
const PASSWORD: &str = "another-horse-battery";

#[tokio::test]
async fn the_monolith_keeps_its_contract_with_a_gateway_and_without() -> anyhow::Result<()> {
    let stack = Stack::new()?;
    stack.xtask_ok(&["up"]).await?;
    // The monolith sends everybody's notifications, so it can list them.
    stack.xtask_ok(&["rollout", "notifications-v2", "0"]).await?;
    for side in ["monolith", "gateway"] {
        stack.xtask_ok(&["test", "contract", "--against", side]).await?;
    }
    payments_keep_it_on_either_side(&stack).await?;
    let monolith = stack
        .record()?
        .urls
        .get("monolith")
        .cloned()
        .context("the monolith's URL")?;

    // Everything but what ends the session that it is done with.
    let user = sign_up(&stack).await?;
    let ending = [
        "--exclude-operation-id",
        "logOut",
        "--exclude-operation-id",
        "endSession",
    ];
    let without_staff = [&ending[..], &["--exclude-tag", "reporting"]].concat();
    schemathesis(&document(), &monolith, &user, &without_staff).await;
    let bearer = format!("Bearer {user}");
    let me = stack
        .send(Method::GET, "/api/users/me", &[("authorization", &bearer)], None)
        .await?;
    ensure!(
        me.status() == 200,
        "the token that schemathesis used is no longer good: it has tested 401s alone"
    );

    let other = sign_up(&stack).await?;
    let ending = [
        "--include-operation-id",
        "logOut",
        "--include-operation-id",
        "endSession",
    ];
    schemathesis(&document(), &monolith, &other, &ending).await;
    let credentials = json!({"email": "staff@example.com", "password": "correct-horse-battery"});
    let staff = token(&stack, "login", credentials).await?;
    schemathesis(&document(), &monolith, &staff, &["--include-tag", "reporting"]).await;
    Ok(())
}

/// Half of the users are the service's, then all of them; and the service itself is asked.
async fn payments_keep_it_on_either_side(stack: &Stack) -> anyhow::Result<()> {
    for share in ["5000", "10000"] {
        stack.xtask_ok(&["rollout", "payments", share]).await?;
        let gateway = ["test", "contract", "--against", "gateway", "/api/payments/"];
        stack.xtask_ok(&gateway).await?;
    }
    stack
        .xtask_ok(&["test", "contract", "--against", "payments"])
        .await?;
    stack.xtask_ok(&["rollout", "payments", "0"]).await?;
    Ok(())
}

async fn sign_up(stack: &Stack) -> anyhow::Result<String> {
    let email = format!("schemathesis-{}@example.com", uuid::Uuid::new_v4().simple());
    let person = json!({"email": email, "password": PASSWORD, "displayName": "Schemathesis"});
    token(stack, "signup", person).await
}

async fn token(stack: &Stack, how: &str, body: Value) -> anyhow::Result<String> {
    let answer = stack
        .send(Method::POST, &format!("/api/users/{how}"), &[], Some(body))
        .await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    Ok(answer["accessToken"].as_str().context("a token")?.to_owned())
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")
}
