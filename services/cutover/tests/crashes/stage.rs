//! The monolith's database with a company in it, that of the payments service on a server of another release, and cutover between the proxies
//! before them.

use std::ops::Range;
use std::sync::Arc;

use banyan_table_sync::Direction::{self, Back, Forward};
use banyan_table_sync::{Database, Link, Mapping, changes};
use banyan_test_support::{
    Company, CrashStage, PostgresRelease, ServiceCommand, TestDb, TestVhost, Victim, dose, wait_for,
    wait_until,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::watch;

const SEED: u64 = 7;

pub(crate) struct Stage {
    pub(crate) crash: CrashStage,
    command: ServiceCommand,
    /// Past the proxies.
    link: Link,
    _cutover: TestDb,
    _vhost: TestVhost,
}

impl Stage {
    pub(crate) async fn set(source: PostgresRelease, target: PostgresRelease, company: Company) -> Self {
        let crash = CrashStage::set([source, target], ["legacy", "payments"], SEED).await;
        let (payments, cutover) = (
            sqlx::migrate!("../../migrations/payments"),
            sqlx::migrate!("../../migrations/cutover"),
        );
        let mut session = session(&crash.urls[1]).await;
        // In boxes, because together they are too large for a stack.
        let ((), migrated, cutover, vhost) = tokio::join!(
            Box::pin(company.found(&crash.urls[0])),
            Box::pin(payments.run(&mut session)),
            Box::pin(TestDb::create(Some(&cutover))),
            Box::pin(TestVhost::create()),
        );
        migrated.expect("the service's tables");
        let [legacy, payments] = &crash.proxied_urls;
        let command = ServiceCommand::new(env!("CARGO_BIN_EXE_cutover"))
            .config("database.url", &cutover.url)
            .config("broker.url", &vhost.amqp_url)
            .config("legacy.database.url", legacy)
            .config("sync.legacy_url", legacy)
            .config("domains.payments.url", payments)
            .config("sync.chunk_rows", dose::dose(200, 20_000).to_string())
            .config("sync.workers", dose::dose(1, 2).to_string())
            .config("sync.pause_percent", "0")
            .config("sync.rows_per_second", dose::dose(8_000, 0).to_string())
            .config("validation.range_rows", "10000")
            .config("validation.pause_percent", "0")
            .config(
                "validation.patience_seconds",
                dose::patience().as_secs().to_string(),
            )
            .env("USER", "grace");
        Self {
            command,
            link: link(&crash.urls),
            crash,
            _cutover: cutover,
            _vhost: vhost,
        }
    }

    pub(crate) fn serve(&mut self) {
        self.crash
            .start(self.command.clone().args(["serve", "--only", "sync"]));
    }

    /// Starts the sync as an operator does, or changes its ways.
    pub(crate) async fn order(&self, ways: &str) {
        let (code, text) = self
            .run(&format!("sync start payments --ways {ways} --json"))
            .await;
        assert_eq!(code, 0, "{text}");
    }

    /// Exit code and what was printed.
    async fn run(&self, line: &str) -> (i32, String) {
        let output = self.command.clone().args(line.split_whitespace()).output().await;
        let said = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.is_empty(), "{line}: {said}");
        (output.status.code().unwrap_or(-1), text)
    }

    /// Waits until the copy is in the middle.
    pub(crate) async fn a_part_is_copied(&self) {
        self.copied("a part of the copy", |all, done| done > 0 && done < all)
            .await;
    }

    pub(crate) async fn all_is_copied(&self) {
        self.copied("the copy", |all, done| done == all).await;
    }

    async fn copied(&self, what: &str, is_it: impl Fn(i64, i64) -> bool) {
        let _ = wait_until(
            what,
            dose::patience(),
            async || {
                // The server may have been killed just now.
                let mut session = PgConnection::connect(&self.crash.urls[1]).await?;
                sqlx::query_as::<_, (i64, i64)>("SELECT count(*), count(done_at) FROM table_sync.chunk")
                    .fetch_one(&mut session)
                    .await
            },
            |found| {
                found
                    .as_ref()
                    .is_ok_and(|(all, done)| *all > 0 && is_it(*all, *done))
            },
        )
        .await;
    }

    pub(crate) async fn way_back_is_there(&self) {
        self.begun(Back).await;
    }

    /// Waits until a direction is there: from then on all that its read side commits is carried, once the copy is done.
    async fn begun(&self, direction: Direction) {
        let (url, stream) = (self.written_by(direction), self.link.stream(direction));
        wait_for("the stream", dose::patience(), async || {
            let mut session = PgConnection::connect(url).await?;
            let sql = "SELECT applied::text FROM table_sync.stream WHERE name = $1";
            sqlx::query_scalar::<_, String>(sql)
                .bind(&stream)
                .fetch_one(&mut session)
                .await
        })
        .await;
    }

    pub(crate) async fn kill_all(
        &mut self,
        victims: Vec<Victim>,
        committed: &watch::Sender<u64>,
        between: Range<u64>,
    ) {
        let link = &self.link;
        let carried = async || {
            for direction in [Forward, Back] {
                carried_in(link, direction).await;
            }
        };
        self.crash.kill_all(victims, committed, between, carried).await;
    }

    /// Waits until all that is committed on either side is carried.
    pub(crate) async fn settled(&self) {
        for direction in [Forward, Back, Forward] {
            self.begun(direction).await;
            carried_in(&self.link, direction).await;
        }
    }

    /// No row waits for anything, and none was written on both sides.
    pub(crate) async fn assert_nothing_held(&self) {
        for direction in [Forward, Back] {
            let url = self.written_by(direction);
            wait_until(
                "what is held back",
                dose::patience(),
                async || {
                    lines(
                        url,
                        "SELECT concat_ws(' ', stream, name, key, reason, problem) FROM table_sync.held",
                    )
                    .await
                },
                Vec::is_empty,
            )
            .await;
            let conflicts = "SELECT concat_ws(' ', stream, name, key, there, here) FROM table_sync.conflict";
            assert_eq!(lines(url, conflicts).await, [""; 0], "{direction:?}");
        }
    }

    /// `cutover validate full` finds nothing.
    pub(crate) async fn assert_valid(&self) {
        let (code, text) = self.run("validate full payments --json").await;
        let run: Value = serde_json::from_str(&text).expect("JSON");
        let found = (code, &run["outcome"], &run["mismatches"], &run["differences"]);
        assert_eq!(found, (0, &json!("equal"), &json!(0), &json!([])), "{text}");
        let tables = run["tables"].as_array().expect("tables");
        assert!(
            tables.len() == 23
                && tables
                    .iter()
                    .all(|table| table["rows_compared"].as_i64() > Some(0)),
            "{text}"
        );
    }

    fn written_by(&self, direction: Direction) -> &str {
        match direction {
            Forward => &self.crash.urls[1],
            Back => &self.crash.urls[0],
        }
    }
}

fn link([legacy, payments]: &[String; 2]) -> Link {
    let mapping = include_str!("../../mappings/payments.toml");
    Link {
        name: "payments".to_owned(),
        mapping: Arc::new(Mapping::parse(mapping).expect("a mapping")),
        source: Database {
            name: "legacy".into(),
            url: legacy.clone().into(),
        },
        target: Database {
            name: "payments".into(),
            url: payments.clone().into(),
        },
    }
}

/// Waits until all that is committed now is carried, if that direction is there.
async fn carried_in(link: &Link, direction: Direction) {
    changes::settle(link, direction, dose::patience())
        .await
        .expect("the sync goes on");
}

pub(crate) async fn session(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .unwrap_or_else(|error| panic!("no session: {error}"))
}

/// The rows of a query that has one column, of text.
pub(crate) async fn lines(url: &str, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut session(url).await)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
}
