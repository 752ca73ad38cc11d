//! The ceiling: pgbench sends the service's own two statements, and does nothing else.
//!
//! Each of its clients has a connection to PostgreSQL and sends a charge's first statement and, with the ids that came back, the
//! second, prepared, each by one round trip and a transaction by itself. So it writes the rows that the service writes, with
//! texts of the same length, and checks, locks, triggers and fsync are the same. What it has not: HTTP, a token, JSON, a call to Stripe,
//! spans and metrics, a relay that publishes the rows of the outbox, and a pool (of its clients each is a backend).

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use banyan_local_stack::postgres::binaries;
use payments::domain::attempt::{AttemptStatus, Operation};
use payments::domain::payment::{ChargeResult, DECLINED_WITHOUT_CODE, PaymentStatus, Reason};
use payments::storage::charge::{CLAIM_AND_BEGIN, SETTLE_AND_FINISH};
use tokio::process::Command;
use url::Url;

use crate::cpu::Processes;

/// What an argument of a statement is in the script.
enum Argument {
    /// SQL.
    Sql(String),
    /// A value of a type, bound as the service binds it: text to pgbench's `-D`.
    Bound(&'static str, String),
}

use Argument::{Bound, Sql};

/// What was measured between two instants.
pub(crate) struct Measured {
    pub(crate) per_second: u64,
    /// CPU of PostgreSQL for one pair of statements, in microseconds.
    pub(crate) postgres_micros_each: u64,
}

/// The script and the values of its variables.
pub(crate) struct Ceiling {
    script: String,
    values: Vec<(String, String)>,
    url: Url,
}

impl Ceiling {
    pub(crate) fn new(url: &str, users: u64) -> anyhow::Result<Self> {
        let mut values = vec![("users".to_owned(), users.to_string())];
        let mut script =
            String::from("\\set user random(1, :users)\n\\set number random(1, 9223372036854775806)\n");
        // Writing to a String cannot fail.
        let _ = writeln!(
            script,
            "{} \\gset b_",
            statement(CLAIM_AND_BEGIN, 'a', &first(), &mut values)
        );
        let _ = writeln!(
            script,
            "{};",
            statement(SETTLE_AND_FINISH, 'c', &second(), &mut values)
        );
        Ok(Self {
            script,
            values,
            url: Url::parse(url)?,
        })
    }

    /// Runs for both durations and measures in the second.
    pub(crate) async fn run(
        &self,
        dir: &Path,
        clients: usize,
        warm_up: Duration,
        window: Duration,
        processes: Processes,
    ) -> anyhow::Result<Measured> {
        let file = dir.join("ceiling.sql");
        std::fs::write(&file, &self.script)?;
        let seconds = (warm_up + window).as_secs();
        let mut command = Command::new(binaries()?.join("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--progress=1"]);
        command
            .arg(format!("--client={clients}"))
            .arg(format!("--time={seconds}"));
        command.arg("--file").arg(&file);
        for (name, value) in &self.values {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        command
            .env("PGHOST", self.url.host_str().unwrap_or_default())
            .env("PGPORT", self.url.port().unwrap_or(5432).to_string())
            .env("PGUSER", self.url.username())
            .env("PGPASSWORD", self.url.password().unwrap_or_default())
            .env("PGDATABASE", self.url.path().trim_start_matches('/'))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started = Instant::now();
        let running = command.spawn().context("pgbench cannot be run")?;
        tokio::time::sleep(warm_up).await;
        let before = processes.cpu();
        tokio::time::sleep((warm_up + window).saturating_sub(started.elapsed())).await;
        let cpu = processes.cpu() - before;
        let output = running.wait_with_output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench: {told}");
        // progress: 3.0 s, 1234.5 tps, lat …
        let rates: Vec<u64> = told
            .lines()
            .filter_map(|line| line.strip_prefix("progress: ")?.split(", ").nth(1))
            .filter_map(|rate| rate.split('.').next()?.parse().ok())
            .skip(usize::try_from(warm_up.as_secs())?)
            .collect();
        ensure!(!rates.is_empty(), "pgbench told no rates: {told}");
        let per_second = (rates.iter().sum::<u64>() / rates.len() as u64).max(1);
        Ok(Measured {
            per_second,
            postgres_micros_each: cpu.postgres / (per_second * window.as_secs().max(1)),
        })
    }
}

/// The statement with pgbench's variables, or SQL, in the place of its parameters.
fn statement(sql: &str, prefix: char, arguments: &[Argument], values: &mut Vec<(String, String)>) -> String {
    let mut text = String::new();
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(part.len());
        let number: usize = part[..digits].parse().unwrap_or_default();
        let _ = match &arguments[number - 1] {
            Sql(sql) => write!(text, "({sql})"),
            Bound(type_, _) => write!(text, ":{prefix}{number}::{type_}"),
        };
        text.push_str(&part[digits..]);
    }
    for (number, argument) in (1..).zip(arguments) {
        if let Bound(_, value) = argument {
            values.push((format!("{prefix}{number}"), value.clone()));
        }
    }
    text
}

/// A UUIDv7: made at random it would cost more, as it would go anywhere in its index.
const UUID_V7: &str = "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
  || right(gen_random_uuid()::text, 23))::uuid";
/// As long as a UUID.
const KEY: &str = "'0f8fad5b-d9cb-469' || lpad(:number::text, 19, '0')";

fn sql(text: impl Into<String>) -> Argument {
    Sql(text.into())
}

fn bound(type_: &'static str, value: impl Into<String>) -> Argument {
    Bound(type_, value.into())
}

/// What [`CLAIM_AND_BEGIN`] is given, in order.
fn first() -> Vec<Argument> {
    vec![
        sql(":user::bigint"),
        sql(KEY),
        bound("text", "0123456789abcdef".repeat(4)),
        sql(":user::bigint"),
        bound("text", "USD"),
        bound("bigint", "1000"),
        bound("boolean", "true"),
        bound("text", "An order of the benchmark"),
        bound("text", PaymentStatus::Pending.name()),
        bound("text", Reason::Charge.name()),
        sql(format!("'charge-' || :user::text || '-' || {KEY}")),
        sql("now()"),
        sql(UUID_V7),
        bound("text", "charge"),
        sql(":user::text"),
        sql(KEY),
        bound("bytea", format!("\\x{}", "0123456789abcdef".repeat(4))),
        bound("bigint", "60000"),
        bound("bigint", "86400000"),
    ]
}

/// What [`SETTLE_AND_FINISH`] is given, in order; `b_…` are columns that the first statement gave.
fn second() -> Vec<Argument> {
    let before: Vec<&str> = PaymentStatus::Completed
        .predecessors()
        .map(PaymentStatus::name)
        .collect();
    let mut answered: [Vec<&str>; 3] = Default::default();
    for operation in Operation::ALL {
        for status in AttemptStatus::ALL {
            if operation.is_answered(*status, ChargeResult::Succeeded, Reason::Charge) {
                let ended = operation.ended(ChargeResult::Succeeded);
                for (list, name) in answered
                    .iter_mut()
                    .zip([operation.name(), status.name(), ended.name()])
                {
                    list.push(name);
                }
            }
        }
    }
    let list = |names: &[&str]| bound("text[]", format!("{{{}}}", names.join(",")));
    let payload = r#"{"paymentId":1099511627776,"userId":1000,"amountMinor":1000,"currency":"USD","paymentMethodId":1000,"stripePaymentIntentId":"pi_0123456789abcdef01234567","completedAt":"2026-01-01T00:00:00.000000Z"}"#;
    let headers = r#"{"traceparent":"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01","effectowner":"new","dataschema":"urn:banyan:events:payment.completed:v1"}"#;
    let answer = r#"{"id":1099511627776,"userId":1000,"amount":"10.00","currency":"USD","status":"completed","paymentMethodId":1000,"stripePaymentIntentId":"pi_0123456789abcdef01234567","amountRefunded":"0.00","failureCode":null,"failureMessage":null,"description":"An order of the benchmark","createdAt":"2026-01-01T00:00:00.000000Z","completedAt":"2026-01-01T00:00:00.000000Z"}"#;
    vec![
        sql(":b_id::bigint"),
        bound("text", PaymentStatus::Completed.name()),
        list(&before),
        sql("'pi_01234' || lpad(:number::text, 19, '0')"),
        sql("NULL::text"),
        sql("NULL::text"),
        bound("bigint", "1000"),
        bound("text", Reason::Charge.name()),
        sql("now()"),
        list(&answered[0]),
        list(&answered[1]),
        list(&answered[2]),
        list(&["charge", "charge", "fee", "fee"]),
        list(&["stripe", "customer", "fees", "stripe"]),
        bound("bigint[]", "{1,-1,1,-1}"),
        sql(UUID_V7),
        sql("'payment/' || :b_id::text"),
        bound("text", "payment.completed"),
        bound("jsonb", payload),
        bound("jsonb", headers),
        bound("text", DECLINED_WITHOUT_CODE),
        sql(":b_claim_id::uuid"),
        sql(":b_claim_fence::bigint"),
        bound("smallint", "201"),
        bound(
            "jsonb",
            r#"{"content-type":"application/json","location":"/api/payments/1099511627776"}"#,
        ),
        bound("bytea", answer),
    ]
}
