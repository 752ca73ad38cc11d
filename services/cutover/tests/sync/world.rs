//! The monolith's database with a small company in it, an empty one of the payments service, and cutover between them.

use std::time::Duration;

use banyan_test_support::{Company, ServiceCommand, ServiceProcess, TestDb, TestVhost, wait_for};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

pub(crate) const BOUND: Duration = Duration::from_mins(1);
/// Whose hash the configuration has.
pub(crate) const OPERATOR: &str = "operators-token";
pub(crate) const VIEWER: &str = "viewers-token";

pub(crate) struct World {
    pub(crate) legacy: TestDb,
    pub(crate) payments: TestDb,
    pub(crate) cutover: TestDb,
    pub(crate) vhost: TestVhost,
    /// What the syncs reach both sides by: as the superuser, unless a test says otherwise.
    pub(crate) sync_urls: [String; 2],
}

impl World {
    pub(crate) async fn new() -> Self {
        let (payments, cutover) = (
            sqlx::migrate!("../../migrations/payments"),
            sqlx::migrate!("../../migrations/cutover"),
        );
        // In boxes, because together they are too large for a stack.
        let (legacy, payments, cutover, vhost) = tokio::join!(
            Box::pin(TestDb::monolith(Company::SMALL)),
            Box::pin(TestDb::create(Some(&payments))),
            Box::pin(TestDb::create(Some(&cutover))),
            Box::pin(TestVhost::create()),
        );
        Self {
            sync_urls: [legacy.url.clone(), payments.url.clone()],
            legacy,
            payments,
            cutover,
            vhost,
        }
    }

    fn command(&self) -> ServiceCommand {
        let prefix = self.legacy.name().trim_start_matches("banyan_test_");
        ServiceCommand::new(env!("CARGO_BIN_EXE_cutover"))
            .config("database.url", &self.cutover.url)
            .config("broker.url", &self.vhost.amqp_url)
            .config("legacy.database.url", &self.legacy.url)
            .config("sync.legacy_url", &self.sync_urls[0])
            // The slots of other tests are the same server's.
            .config("sync.slot_prefix", format!("{}_", &prefix[prefix.len() - 12..]))
            // As for a night: the defaults rest most of the time.
            .config("sync.chunk_rows", "5000")
            .config("sync.pause_percent", "0")
            .config("validation.range_rows", "10000")
            .config("validation.pause_percent", "0")
            .config("domains.payments.url", &self.sync_urls[1])
            .config("operators.ada.role", "operator")
            .config("operators.ada.token_sha256", sha256(OPERATOR))
            .config("operators.bob.role", "viewer")
            .config("operators.bob.token_sha256", sha256(VIEWER))
            .env("USER", "grace")
    }

    /// The roles that a test needs.
    pub(crate) async fn serve(&self, roles: &str) -> ServiceProcess {
        self.command().args(["serve", "--only", roles]).start().await
    }

    /// Exit code and what was printed.
    pub(crate) async fn run(&self, line: &str) -> (i32, String) {
        let output = self.command().args(line.split_whitespace()).output().await;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code().unwrap_or(-1), text)
    }

    /// Exit code and what `--json` printed.
    pub(crate) async fn json(&self, line: &str) -> (i32, Value) {
        self.json_within(line, "30").await
    }

    /// With so many seconds for the sync to carry what was written before.
    pub(crate) async fn json_within(&self, line: &str, patience: &str) -> (i32, Value) {
        let output = self
            .command()
            .config("validation.patience_seconds", patience)
            .args(line.split_whitespace().chain(["--json"]))
            .output()
            .await;
        let text = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!(
                "{line}: {error}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        (output.status.code().unwrap_or(-1), json)
    }

    /// Waits until `sync status` says what is wanted.
    pub(crate) async fn status(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_for(what, BOUND, async || {
            let (_, status) = self.json("sync status payments").await;
            let found = is_it(&status[0]);
            last = status[0].clone();
            if found { Ok(()) } else { Err(last.to_string()) }
        })
        .await;
        last
    }

    /// Starts the sync, and waits until the copy is done and changes go all ways.
    pub(crate) async fn in_step(&self, ways: &str) {
        let (code, text) = self.run(&format!("sync start payments --ways {ways}")).await;
        assert_eq!(code, 0, "{text}");
        let directions = if ways == "both" { 2 } else { 1 };
        self.status("a sync in step", |status| {
            let all = status["directions"].as_array().expect("directions");
            let is_done = |one: &Value| one["copy"]["is_done"] == true && one["is_running"] == true;
            let lag = |name: &str| status["order"]["report"][name].is_i64();
            all.len() == directions
                && all.iter().all(is_done)
                && lag("forward_lag_ms")
                && (directions == 1 || lag("back_lag_ms"))
        })
        .await;
    }
}

pub(crate) async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

pub(crate) async fn number(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
}

fn sha256(token: &str) -> String {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    Sha256::digest(token).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
