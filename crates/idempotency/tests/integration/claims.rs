//! The moments between the look at a row and the write to it, which requests over HTTP hit by luck only.

use banyan_test_support::wait_until;
use sqlx::{PgConnection, PgPool, Row as _};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::{SOON, end_leases, prepared};

/// Outcome and fence of a claim by the same request.
async fn claim(connection: &mut PgConnection) -> (String, Option<i64>) {
    let row =
        sqlx::query("SELECT * FROM idempotency_claim($1, 'thing', '7', 'key', sha256('a'), 60000, 60000)")
            .bind(Uuid::now_v7())
            .fetch_one(connection)
            .await
            .unwrap();
    (row.get("claim_outcome"), row.get("claim_fence"))
}

fn claiming(pool: &PgPool) -> JoinHandle<(String, Option<i64>)> {
    let pool = pool.clone();
    tokio::spawn(async move { claim(&mut pool.acquire().await.unwrap()).await })
}

async fn wait_for_waiting(pool: &PgPool, sessions: i64) {
    let question = async || {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        .fetch_one(pool)
        .await
        .unwrap()
    };
    wait_until("claims to wait for the row", SOON, question, |count| {
        *count == sessions
    })
    .await;
}

const FINISH: &str = "SELECT idempotency_finish(id, fence, 201::smallint, '{}', '') FROM idempotency_key";

/// Both have seen that the lease is over before either writes.
#[tokio::test]
async fn of_two_that_saw_the_lease_end_one_takes_over() {
    let (db, _keys) = prepared().await;
    assert_eq!(
        claim(&mut db.pool.acquire().await.unwrap()).await,
        ("first".into(), Some(1))
    );
    end_leases(&db.pool).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM idempotency_key FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let claims = [claiming(&db.pool), claiming(&db.pool)];
    wait_for_waiting(&db.pool, 2).await;
    holder.rollback().await.unwrap();
    let mut outcomes = Vec::new();
    for claim in claims {
        outcomes.push(claim.await.unwrap());
    }
    outcomes.sort();
    assert_eq!(
        outcomes,
        [("in_progress".into(), None), ("taken_over".into(), Some(2))]
    );
}

/// The holder is late, and still before the one who would take over.
#[tokio::test]
async fn who_would_take_over_gets_the_answer_of_a_holder_that_was_quicker() {
    let (db, _keys) = prepared().await;
    claim(&mut db.pool.acquire().await.unwrap()).await;
    end_leases(&db.pool).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::raw_sql(FINISH).execute(&mut *holder).await.unwrap();
    let claim = claiming(&db.pool);
    wait_for_waiting(&db.pool, 1).await;
    holder.commit().await.unwrap();
    assert_eq!(claim.await.unwrap().0, "replayed");
}

/// Or every retry would occupy a connection until the holder commits.
#[tokio::test]
async fn nobody_waits_for_the_transaction_of_a_holder_within_its_lease() {
    let (db, _keys) = prepared().await;
    claim(&mut db.pool.acquire().await.unwrap()).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::raw_sql(FINISH).execute(&mut *holder).await.unwrap();
    let asked = tokio::time::timeout(SOON, claiming(&db.pool)).await.unwrap();
    assert_eq!(asked.unwrap().0, "in_progress");
    holder.commit().await.unwrap();
    assert_eq!(claim(&mut db.pool.acquire().await.unwrap()).await.0, "replayed");
}

/// Many requests that find the key free: those that come second see the winner, not an error.
#[tokio::test]
async fn who_waits_for_the_first_claim_sees_whether_it_was_committed() {
    let (db, _keys) = prepared().await;
    for (commit, outcome) in [(false, "first"), (true, "in_progress")] {
        sqlx::raw_sql("DELETE FROM idempotency_key")
            .execute(&db.pool)
            .await
            .unwrap();
        let mut first = db.pool.begin().await.unwrap();
        assert_eq!(claim(&mut first).await.0, "first");
        let second = claiming(&db.pool);
        wait_for_waiting(&db.pool, 1).await;
        if commit {
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        assert_eq!(second.await.unwrap().0, outcome);
    }
}
