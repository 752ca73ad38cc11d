//! Both applications at work. Each row has one owner, as in a rollout: users with odd ids are served by the monolith, those with even ids by
//! the service, and what belongs to a user is written where the user is served.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::time::Duration;

use banyan_test_support::{dose, is_of_a_kill};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Of each side. They commit at the same time, and in another order than they began.
const WRITERS: i64 = 2;

/// The tables of the mapping.
const TABLES: usize = 23;

/// What is done, and how often: functions of application.sql and customers.sql.
const WORK: [(u32, &str); 19] = [
    (22, "charge"),
    (25, "settle"),
    (6, "refund"),
    (6, "settle_refund"),
    (4, "dispute"),
    (2, "pay_out"),
    (2, "settle_payout"),
    (5, "hear"),
    (4, "handle"),
    (2, "sign_up"),
    (1, "leave"),
    (4, "add_card"),
    (4, "choose_card"),
    (1, "remove_card"),
    (4, "subscribe"),
    (3, "renew"),
    (1, "cancel"),
    (3, "keep_catalogue"),
    (1, "strike"),
];

/// Whose database is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Monolith,
    Service,
}

impl Side {
    const fn parity(self) -> i64 {
        match self {
            Self::Monolith => 1,
            Self::Service => 0,
        }
    }

    /// What the two call otherwise, in application.sql and customers.sql.
    const fn words(self) -> [(&'static str, &'static str); 7] {
        match self {
            Self::Monolith => [
                ("{t}", "payments_"),
                ("{m}", ""),
                ("{money}", "numeric"),
                ("{own}", "id < 1099511627776"),
                ("{exponent}", "decimals"),
                ("{letter}", "L"),
                ("{base}", "USD"),
            ],
            Self::Service => [
                ("{t}", ""),
                ("{m}", "_minor"),
                ("{money}", "bigint"),
                ("{own}", "id >= 1099511627776"),
                ("{exponent}", "exponent"),
                ("{letter}", "N"),
                ("{base}", "EUR"),
            ],
        }
    }
}

/// How hard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two transactions of a writer.
    pub(crate) pause: Duration,
    /// Rows of a large transaction.
    pub(crate) large: usize,
    /// One of so many transactions is large.
    pub(crate) large_each: u64,
    /// There are users 1 to this.
    pub(crate) users: u32,
}

/// What was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) transactions: u64,
    pub(crate) large: u64,
    pub(crate) inserted: i64,
    pub(crate) updated: i64,
    pub(crate) deleted: i64,
    /// Nobody knows whether they were committed, because the server was killed.
    pub(crate) lost: u64,
    /// Because of a deadlock, or a lock that took too long.
    pub(crate) turned_away: Vec<String>,
}

/// Writers at work.
pub(crate) struct Load {
    writers: JoinSet<Written>,
    end: CancellationToken,
    tables: watch::Sender<BTreeSet<String>>,
}

impl Load {
    /// `committed` counts the transactions of all loads that share it.
    pub(crate) async fn start(
        side: Side,
        url: &str,
        pace: Pace,
        seed: u64,
        committed: &watch::Sender<u64>,
    ) -> Self {
        install(side, url, pace.large).await;
        let (mut writers, end, tables) = (JoinSet::new(), CancellationToken::new(), watch::Sender::default());
        for number in 0..WRITERS {
            let writer = Writer {
                side,
                number,
                pace,
                options: options(url),
                rng: StdRng::seed_from_u64(seed ^ number.unsigned_abs() << 32 ^ side.parity().unsigned_abs()),
                words: 0,
                tables: tables.clone(),
                written: Written::default(),
            };
            writers.spawn(writer.write(end.clone(), committed.clone()));
        }
        Self { writers, end, tables }
    }

    /// Waits until there is no table that was not written.
    pub(crate) async fn has_written_each_table(&self) {
        let mut tables = self.tables.subscribe();
        let all = tables.wait_for(|tables| tables.len() == TABLES);
        let waited = tokio::time::timeout(dose::patience(), all).await.is_ok();
        assert!(waited, "only these are written: {:?}", self.tables.borrow());
    }

    /// Ends the writers after the transaction that they are at.
    pub(crate) async fn stop(self) -> Written {
        self.end.cancel();
        let mut all = Written::default();
        for one in self.writers.join_all().await {
            all.transactions += one.transactions;
            all.large += one.large;
            all.inserted += one.inserted;
            all.updated += one.updated;
            all.deleted += one.deleted;
            all.lost += one.lost;
            all.turned_away.extend(one.turned_away);
        }
        all
    }
}

/// With the patience of the monolith's settings.
fn options(url: &str) -> PgConnectOptions {
    let options = PgConnectOptions::from_str(url).expect("a URL");
    options.options([("lock_timeout", "8s")])
}

/// Puts the functions into the database that are called.
async fn install(side: Side, url: &str, large: usize) {
    let own = match side {
        Side::Monolith => include_str!("monolith.sql"),
        Side::Service => include_str!("service.sql"),
    };
    let mut sql = [
        own,
        include_str!("application.sql"),
        include_str!("customers.sql"),
    ]
    .concat();
    for (placeholder, word) in side.words() {
        sql = sql.replace(placeholder, word);
    }
    sql = sql.replace("{large}", &large.to_string());
    let mut session = PgConnection::connect(url).await.expect("a session");
    let installed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await;
    installed.unwrap_or_else(|error| panic!("{side:?}: {error:?}"));
}

struct Writer {
    side: Side,
    number: i64,
    pace: Pace,
    options: PgConnectOptions,
    rng: StdRng,
    /// Makes values that there are not yet.
    words: u64,
    tables: watch::Sender<BTreeSet<String>>,
    written: Written,
}

impl Writer {
    async fn write(mut self, end: CancellationToken, committed: watch::Sender<u64>) -> Written {
        let mut session = None;
        while !end.is_cancelled() {
            let is_large = self.written.transactions % self.pace.large_each == self.pace.large_each - 1;
            let call = self.call(is_large);
            match self.run(&mut session, &call).await {
                Ok(()) => {
                    self.written.transactions += 1;
                    self.written.large += u64::from(is_large);
                    committed.send_modify(|count| *count += 1);
                }
                Err(error) if is_of_a_kill(&error) => {
                    session = None;
                    self.written.lost += 1;
                }
                Err(error) if waited_in_vain(&error) => {
                    self.written.turned_away.push(format!("{call}: {error:?}"));
                }
                Err(error) => panic!("{call}: {error:?}"),
            }
            tokio::time::sleep(self.pace.pause).await;
        }
        self.written
    }

    async fn run(&mut self, session: &mut Option<PgConnection>, call: &str) -> Result<(), sqlx::Error> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.options.connect().await?),
        };
        let (inserted, updated, deleted, tables) =
            sqlx::query_as::<_, (i64, i64, i64, Vec<String>)>("SELECT * FROM application.run($1)")
                .bind(call)
                .fetch_one(session)
                .await?;
        self.written.inserted += inserted;
        self.written.updated += updated;
        self.written.deleted += deleted;
        self.tables.send_if_modified(|known| {
            let before = known.len();
            known.extend(tables);
            known.len() > before
        });
        Ok(())
    }

    fn call(&mut self, is_large: bool) -> String {
        let work = WORK
            .choose_weighted(&mut self.rng, |(often, _)| *often)
            .map_or("charge", |(_, name)| *name);
        let name = if is_large { "large" } else { work };
        // One of this writer's quarter of the users.
        let quarter = 2 * self.number + self.side.parity();
        let who = 4 * self.rng.random_range(1..i64::from(self.pace.users) / 4) + quarter;
        self.words += 1;
        format!(
            "SELECT application.{name}({who}, '{:?}-{}-{}')",
            self.side, self.number, self.words
        )
    }
}

/// For a lock: the application would answer with an error, or try again.
fn waited_in_vain(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(code.as_ref(), "40P01" | "55P03"))
}
