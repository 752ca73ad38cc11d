//! The tables and functions on two real databases, as two sides have them.

use std::time::Duration;

use banyan_ownership::{Decision, OWNERSHIP_SQL, Ownership, PATIENCE, Seen, Side, decide, settle};
use banyan_test_support::TestDb;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

const DOMAIN: &str = "payments";
const ROLLOUT: &str = "payments-v2";

struct Sides {
    legacy: TestDb,
    new: TestDb,
}

impl Sides {
    async fn new() -> Self {
        let (legacy, new) = tokio::join!(TestDb::create(None), TestDb::create(None));
        for db in [&legacy, &new] {
            sqlx::raw_sql(AssertSqlSafe(OWNERSHIP_SQL))
                .execute(&db.pool)
                .await
                .expect("the tables");
        }
        Self { legacy, new }
    }

    fn pool(&self, side: Side) -> &PgPool {
        match side {
            Side::Legacy => &self.legacy.pool,
            Side::New => &self.new.pool,
        }
    }

    async fn decide(&self, side: Side, decision: &Decision) {
        let mut connection = self.pool(side).acquire().await.expect("a connection");
        decide(&mut connection, DOMAIN, decision).await.expect("decided");
    }

    async fn settle(&self, side: Side, generation: i64) -> bool {
        let mut connection = self.pool(side).acquire().await.expect("a connection");
        settle(&mut connection, DOMAIN, generation).await.expect("asked")
    }

    /// As the legacy side and the new one see the user.
    async fn see(&self, user: i64) -> [Seen; 2] {
        [
            self.seen(Side::Legacy, user).await,
            self.seen(Side::New, user).await,
        ]
    }

    async fn seen(&self, side: Side, user: i64) -> Seen {
        let mut transaction = self.pool(side).begin().await.expect("a transaction");
        of(ownership(side).hold(&mut transaction, user).await)
    }
}

fn of(held: Result<(), sqlx::Error>) -> Seen {
    let Err(error) = held else { return Seen::Ours };
    match code(error).as_str() {
        "BN421" => Seen::Theirs,
        "BN503" => Seen::Settling,
        other => panic!("{other}"),
    }
}

fn code(error: sqlx::Error) -> String {
    let error = error.into_database_error().expect("the database's");
    error.code().expect("a code").into_owned()
}

fn ownership(side: Side) -> Ownership {
    Ownership {
        domain: DOMAIN,
        rollout: ROLLOUT,
        side,
        hand_over: "@other",
        patience: PATIENCE,
    }
}

fn share(generation: i64, basis_points: u16) -> Decision {
    Decision {
        generation,
        basis_points,
        ..Decision::default()
    }
}

/// Somebody who comes in between two shares.
fn mover(above: u16, up_to: u16) -> i64 {
    (1..100_000)
        .find(|user| {
            banyan_cohort::position(ROLLOUT, *user).is_some_and(|place| (above + 1..=up_to).contains(&place))
        })
        .expect("there is always one")
}

#[tokio::test]
async fn without_a_rule_nothing_moves() {
    let sides = Sides::new().await;
    assert_eq!(sides.see(7).await, [Seen::Ours, Seen::Ours]);
}

#[tokio::test]
async fn a_user_who_moves_is_waited_for_and_never_served_twice() {
    let sides = Sides::new().await;
    let (mover, stays) = (mover(500, 2_000), mover(2_000, 10_000));
    for side in [Side::New, Side::Legacy] {
        sides.decide(side, &share(1, 500)).await;
    }
    assert_eq!(sides.see(mover).await, [Seen::Ours, Seen::Theirs]);

    sides.decide(Side::New, &share(2, 2_000)).await;
    assert_eq!(sides.see(mover).await, [Seen::Ours, Seen::Settling]);
    sides.decide(Side::Legacy, &share(2, 2_000)).await;
    assert_eq!(sides.see(mover).await, [Seen::Theirs, Seen::Settling]);
    assert!(!sides.settle(Side::New, 3).await, "nobody has decided that");
    assert!(sides.settle(Side::New, 1).await);
    assert_eq!(
        sides.see(mover).await,
        [Seen::Theirs, Seen::Settling],
        "the one before is no help"
    );
    assert!(sides.settle(Side::New, 2).await);
    assert_eq!(sides.see(mover).await, [Seen::Theirs, Seen::Ours]);
    assert_eq!(sides.see(stays).await, [Seen::Ours, Seen::Theirs]);

    // And back.
    sides.decide(Side::Legacy, &share(3, 500)).await;
    assert_eq!(
        sides.see(mover).await,
        [Seen::Settling, Seen::Ours],
        "what it lost and gains again has to settle, though nobody told it of the last one"
    );
    sides.decide(Side::New, &share(3, 500)).await;
    assert_eq!(sides.see(mover).await, [Seen::Settling, Seen::Theirs]);
    assert!(sides.settle(Side::Legacy, 3).await);
    assert_eq!(sides.see(mover).await, [Seen::Ours, Seen::Theirs]);
}

#[tokio::test]
async fn users_are_named_whatever_their_position() {
    let sides = Sides::new().await;
    let (invited, refused) = (mover(5_000, 10_000), mover(0, 1_000));
    let decision = Decision {
        new_users: vec![invited],
        legacy_users: vec![refused],
        ..share(1, 1_000)
    };
    for side in [Side::New, Side::Legacy] {
        sides.decide(side, &decision).await;
    }
    sides.settle(Side::New, 1).await;
    assert_eq!(sides.see(invited).await, [Seen::Theirs, Seen::Ours]);
    assert_eq!(sides.see(refused).await, [Seen::Ours, Seen::Theirs]);
    for side in [Side::Legacy, Side::New] {
        sides.decide(side, &share(2, 1_000)).await;
    }
    assert_eq!(sides.see(invited).await, [Seen::Settling, Seen::Theirs]);
    assert_eq!(sides.see(refused).await, [Seen::Theirs, Seen::Settling]);
}

#[tokio::test]
async fn a_decision_repeated_is_none_and_one_that_is_older_is_refused() {
    let sides = Sides::new().await;
    let mover = mover(500, 2_000);
    sides.decide(Side::New, &share(2, 2_000)).await;
    sides.settle(Side::New, 2).await;
    sides.decide(Side::New, &share(2, 2_000)).await;
    assert_eq!(sides.seen(Side::New, mover).await, Seen::Ours, "still settled");
    let mut connection = sides.new.pool.acquire().await.expect("a connection");
    let error = decide(&mut connection, DOMAIN, &share(1, 0))
        .await
        .expect_err("older");
    assert!(
        error
            .to_string()
            .contains("decision 1 for payments is older than 2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused() {
    let sides = Sides::new().await;
    let mut connection = sides.new.pool.acquire().await.expect("a connection");
    let both = Decision {
        new_users: vec![7, 8],
        legacy_users: vec![8],
        ..share(1, 0)
    };
    for (wrong, constraint) in [
        (share(1, 10_001), "ownership_rule_share_is_basis_points"),
        (both, "ownership_rule_nobody_on_both"),
    ] {
        let error = decide(&mut connection, DOMAIN, &wrong)
            .await
            .expect_err(constraint);
        assert_eq!(
            error.as_database_error().and_then(|error| error.constraint()),
            Some(constraint)
        );
    }
    assert_eq!(
        sides.see(8).await,
        [Seen::Ours, Seen::Ours],
        "nothing was written"
    );
}

#[tokio::test]
async fn a_decision_waits_for_whoever_holds_and_nobody_begins_behind_it() {
    let sides = Sides::new().await;
    let mover = mover(0, 1_000);
    for side in [Side::New, Side::Legacy] {
        sides.decide(side, &share(1, 0)).await;
    }
    let mut writing = sides.legacy.pool.begin().await.expect("a transaction");
    ownership(Side::Legacy)
        .hold(&mut writing, mover)
        .await
        .expect("ours");

    let mut impatient = PgConnection::connect(&sides.legacy.url).await.expect("a session");
    sqlx::raw_sql("SET lock_timeout = '50ms'")
        .execute(&mut impatient)
        .await
        .expect("set");
    let error = decide(&mut impatient, DOMAIN, &share(2, 1_000)).await;
    assert_eq!(code(error.expect_err("somebody holds")), "55P03");

    let url = sides.legacy.url.clone();
    let decided = tokio::spawn(async move {
        let mut patient = PgConnection::connect(&url).await.expect("a session");
        decide(&mut patient, DOMAIN, &share(2, 1_000)).await
    });
    banyan_test_support::wait_until(
        "the decision to wait",
        Duration::from_secs(10),
        async || {
            sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database =
                   (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .fetch_one(&sides.legacy.pool)
            .await
            .expect("locks")
        },
        |waiting| *waiting == 1,
    )
    .await;
    let late = {
        let pool = sides.legacy.pool.clone();
        tokio::spawn(async move {
            let mut transaction = pool.begin().await.expect("a transaction");
            ownership(Side::Legacy).hold(&mut transaction, mover).await
        })
    };
    writing.commit().await.expect("committed");
    decided.await.expect("no panic").expect("decided");
    let late = late.await.expect("no panic");
    assert_eq!(of(late), Seen::Theirs, "a writer came in behind the decision");
    assert_eq!(sides.seen(Side::Legacy, mover).await, Seen::Theirs);
}

#[tokio::test]
async fn a_request_waits_until_its_user_has_settled() {
    let sides = Sides::new().await;
    let mover = mover(0, 1_000);
    for side in [Side::New, Side::Legacy] {
        sides.decide(side, &share(1, 1_000)).await;
    }
    let impatient = Ownership {
        patience: Duration::ZERO,
        ..ownership(Side::New)
    };
    let gone = PgPool::connect(&sides.new.url).await.expect("a pool");
    let seen = impatient.look(&gone, mover).await;
    assert_eq!(seen.expect("asked"), Seen::Settling);
    gone.close().await;

    let pool = PgPool::connect(&sides.new.url).await.expect("a pool");
    let waiting = tokio::spawn(async move { ownership(Side::New).look(&pool, mover).await });
    banyan_test_support::wait_until(
        "the request to look",
        Duration::from_secs(10),
        async || {
            sqlx::query_scalar::<_, i64>(
                "SELECT count(DISTINCT pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE 'SELECT ownership_look%' AND state = 'idle'",
            )
            .fetch_one(&sides.new.pool)
            .await
            .expect("sessions")
        },
        |looks| *looks > 0,
    )
    .await;
    assert!(!waiting.is_finished(), "it did not wait");
    sides.settle(Side::New, 1).await;
    assert_eq!(waiting.await.expect("no panic").expect("asked"), Seen::Ours);
}
