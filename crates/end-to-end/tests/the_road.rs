//! The road as a newcomer walks it: `cargo xtask up`, a sign-up, a charge; then half of the users moved, and processes killed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use banyan_test_support::dose::dose;
use banyan_test_support::wait_for;
use end_to_end::stack::Stack;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const BOUND: Duration = Duration::from_mins(1);

/// One stack for all of it: it takes longest to start.
#[tokio::test(flavor = "multi_thread")]
async fn the_road_from_a_sign_up_to_the_mail() -> anyhow::Result<()> {
    let stack = Stack::new()?;
    let nothing = stack.xtask(&["status"]).await?;
    ensure!(!nothing.status.success(), "nothing runs yet, and status says so");
    stack.xtask_ok(&["up"]).await?;
    stack.xtask_ok(&["status"]).await?;

    a_sign_up_and_a_charge_leave_mails_an_audit_and_one_trace(&stack).await?;
    a_second_up_changes_nothing(&stack).await?;
    what_died_is_repaired(&stack).await?;
    every_payment_has_one_mail_from_the_side_that_owns_it(&stack).await?;

    let pids: Vec<u32> = stack
        .record()?
        .processes
        .iter()
        .map(|process| process.identity.pid)
        .collect();
    stack.xtask_ok(&["down"]).await?;
    ensure!(pids.iter().all(|pid| !runs(*pid)), "down leaves nothing running");
    stack.xtask_ok(&["down"]).await?;
    stack.xtask_ok(&["down", "--purge"]).await?;
    stack.xtask_ok(&["down", "--purge"]).await?;
    ensure!(!stack.mails().exists(), "purge removes the state");
    Ok(())
}

async fn a_sign_up_and_a_charge_leave_mails_an_audit_and_one_trace(stack: &Stack) -> anyhow::Result<()> {
    let user = User::sign_up(stack, "newcomer").await?;
    let trace_id = Uuid::new_v4().simple().to_string();
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let response = user
        .charge(stack, "first", &[("traceparent", &traceparent)])
        .await?;
    ensure!(response.status() == 201, "charge: {}", response.status());
    ensure!(
        response.headers()["x-migration-backend"] == "legacy",
        "payments are still the monolith's"
    );

    // The two mails: a welcome and a receipt. The demo users have theirs too.
    wait_for("two mails from the service", BOUND, || async {
        let mails = mails(stack)?;
        let mine = mails
            .iter()
            .filter(|mail| mail.text.contains("newcomer@example.com"));
        let senders: Vec<_> = mine.map(|mail| mail.sender.as_str()).collect();
        if senders == ["notifications"; 2] {
            Ok(())
        } else {
            Err(anyhow::anyhow!("mails from {senders:?}"))
        }
    })
    .await;

    // The audit, through the gateway, from the service that the cohort names.
    let response = stack
        .send(Method::GET, "/api/notifications/", &[user.bearer()], None)
        .await?;
    ensure!(
        response.headers()["x-migration-backend"] == "new",
        "the notifications are the service's"
    );
    let audit: Value = response.json().await?;
    let items = audit["items"].as_array().context("items")?;
    ensure!(
        items.len() == 2 && items.iter().all(|item| item["status"] == "delivered"),
        "audit: {audit}"
    );

    let legacy = stack.database("legacy")?;
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        .fetch_one(&legacy)
        .await?;
    ensure!(waiting == 0, "the outbox is drained");

    // One trace, from the request to the audit row, over both languages.
    let expected = [
        ("monolith", "server", "POST api/payments/charge"),
        ("cutover", "producer", "publish domain-events"),
        ("notifications", "consumer", "process notifications.events"),
        ("notifications", "client", "INSERT notification_log"),
    ];
    let spans = wait_for("the spans of both languages", BOUND, || async {
        let spans = stack.spans(&trace_id).await?;
        let missing: Vec<_> = expected
            .iter()
            .filter(|expected| find(&spans, expected).is_none())
            .collect();
        if missing.is_empty() {
            Ok(spans)
        } else {
            Err(anyhow::anyhow!("no {missing:?} in {spans:#?}"))
        }
    })
    .await;
    let insert = find(&spans, &expected[3]).context("the INSERT")?;
    let services = ancestors(&spans, insert);
    ensure!(
        services.first().is_some_and(|service| service == "notifications")
            && services.iter().any(|service| service == "cutover")
            && services.last().is_some_and(|service| service == "monolith"),
        "the INSERT hangs under the request: {services:?}"
    );
    Ok(())
}

/// The span of a service, of a kind, with a name.
fn find<'a>(spans: &'a [Value], (service, kind, name): &(&str, &str, &str)) -> Option<&'a Value> {
    spans
        .iter()
        .find(|span| span["service"] == *service && span["kind"] == *kind && span["name"] == *name)
}

/// The services of a span's ancestors, from itself up to the root.
fn ancestors(spans: &[Value], span: &Value) -> Vec<String> {
    let mut services = Vec::new();
    let mut next = Some(span);
    while let Some(span) = next {
        services.push(span["service"].as_str().unwrap_or_default().to_owned());
        next = spans
            .iter()
            .find(|candidate| candidate["span_id"] == span["parent"]);
    }
    services
}

async fn a_second_up_changes_nothing(stack: &Stack) -> anyhow::Result<()> {
    let before = stack.record()?.processes;
    stack.xtask_ok(&["up"]).await?;
    ensure!(
        stack.record()?.processes == before,
        "a second up starts nothing again"
    );
    Ok(())
}

async fn what_died_is_repaired(stack: &Stack) -> anyhow::Result<()> {
    let before = stack.record()?;
    let died = ["notifications", "cutover", "postgres"];
    for name in died {
        let process = before
            .process(name)
            .with_context(|| format!("a process {name}"))?;
        banyan_local_stack::process::kill9(name, &process.identity).await?;
    }
    ensure!(
        !stack.xtask(&["status"]).await?.status.success(),
        "status tells that something is down"
    );
    stack.xtask_ok(&["up"]).await?;
    stack.xtask_ok(&["status"]).await?;
    let after = stack.record()?;
    for name in died {
        ensure!(
            after.process(name).map(|process| &process.identity)
                != before.process(name).map(|process| &process.identity),
            "{name} was started again"
        );
    }
    for name in ["rabbitmq", "mail", "stripe"] {
        ensure!(
            after.process(name) == before.process(name),
            "{name} was left alone"
        );
    }
    Ok(())
}

/// Half of the users in the cohort, and the share moving while they pay: each event's `effectowner` names who mails.
async fn every_payment_has_one_mail_from_the_side_that_owns_it(stack: &Stack) -> anyhow::Result<()> {
    let (users, rounds) = (dose(8, 40), dose(5, 25));
    stack.xtask_ok(&["rollout", "notifications-v2", "5000"]).await?;
    let names: Vec<String> = (0..users).map(|user| format!("cohort-{user}")).collect();
    let mut signed_up = Vec::new();
    for name in &names {
        signed_up.push(User::sign_up(stack, name).await?);
    }
    for (round, share) in ["5000", "0", "2500", "10000", "5000"]
        .iter()
        .cycle()
        .take(rounds)
        .enumerate()
    {
        let pay = try_join_all(signed_up.iter().map(|user| async move {
            let response = user.charge(stack, &format!("round-{round}"), &[]).await?;
            ensure!(
                response.status() == 201,
                "charge: {} {}",
                response.status(),
                response.text().await?
            );
            Ok(())
        }));
        let rollout = ["rollout", "notifications-v2", share];
        tokio::try_join!(pay, stack.xtask_ok(&rollout))?;
    }

    let legacy = stack.database("legacy")?;
    let owners: BTreeMap<Uuid, String> = sqlx::query_as::<_, (Uuid, String)>(
        "SELECT id, headers->>'effectowner' FROM outbox WHERE type = 'payment.completed'",
    )
    .fetch_all(&legacy)
    .await?
    .into_iter()
    .collect();
    ensure!(
        owners.len() == users * rounds + 1,
        "{} payments completed",
        owners.len()
    );
    for side in ["legacy", "new"] {
        ensure!(
            owners.values().any(|owner| owner == side),
            "no payment was the {side} side's: the test shows nothing"
        );
    }
    let receipts = || -> anyhow::Result<Vec<Mail>> {
        Ok(mails(stack)?
            .into_iter()
            .filter(|mail| owners.contains_key(&mail.event))
            .collect())
    };
    wait_for("a mail for every payment", BOUND, || async {
        let events: std::collections::BTreeSet<Uuid> = receipts()?.iter().map(|mail| mail.event).collect();
        if events.len() == owners.len() {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{} of {}", events.len(), owners.len()))
        }
    })
    .await;
    // Whoever should not have sent has had the chance to: both sides have handled every event.
    let service = stack.database("notifications")?;
    wait_for("the service to have handled every event", BOUND, || async {
        let handled: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox WHERE event_id = ANY($1)")
            .bind(owners.keys().copied().collect::<Vec<_>>())
            .fetch_one(&service)
            .await?;
        if usize::try_from(handled)? == owners.len() {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{handled}"))
        }
    })
    .await;
    let receipts = receipts()?;
    ensure!(
        receipts.len() == owners.len(),
        "{} receipts for {} payments",
        receipts.len(),
        owners.len()
    );
    for mail in receipts {
        let sender = if owners[&mail.event] == "new" {
            "notifications"
        } else {
            "monolith"
        };
        ensure!(
            mail.sender == sender,
            "event {} is {}'s, {} mailed",
            mail.event,
            owners[&mail.event],
            mail.sender
        );
    }
    Ok(())
}

/// A signed-up user.
struct User {
    authorization: String,
}

impl User {
    async fn sign_up(stack: &Stack, name: &str) -> anyhow::Result<Self> {
        let body = json!({
            "email": format!("{name}@example.com"), "password": "correct-horse-battery", "displayName": name,
        });
        let response = stack
            .send(Method::POST, "/api/users/signup", &[], Some(body))
            .await?;
        ensure!(
            response.status() == 201,
            "sign-up: {} {}",
            response.status(),
            response.text().await?
        );
        let answer: Value = response.json().await?;
        let token = answer["accessToken"].as_str().context("an access token")?;
        Ok(Self {
            authorization: format!("Bearer {token}"),
        })
    }

    fn bearer(&self) -> (&str, &str) {
        ("authorization", &self.authorization)
    }

    async fn charge(
        &self,
        stack: &Stack,
        key: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<reqwest::Response> {
        let headers: Vec<_> = [self.bearer(), ("idempotency-key", key)]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        let body = json!({ "amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa" });
        stack
            .send(Method::POST, "/api/payments/charge", &headers, Some(body))
            .await
    }
}

/// A mail in the Maildir.
struct Mail {
    sender: String,
    event: Uuid,
    text: String,
}

fn mails(stack: &Stack) -> anyhow::Result<Vec<Mail>> {
    let mut mails = Vec::new();
    for entry in std::fs::read_dir(stack.mails())? {
        let text = String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned();
        let header = |name: &str| {
            text.lines()
                .take_while(|line| !line.is_empty())
                .find_map(|line| {
                    line.split_once(':')
                        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                })
                .map(|(_, value)| value.trim().to_owned())
        };
        mails.push(Mail {
            sender: header("x-banyan-sender").context("a sender")?,
            event: header("x-banyan-event-id").context("an event id")?.parse()?,
            text,
        });
    }
    Ok(mails)
}

fn runs(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}
