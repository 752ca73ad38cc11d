//! While both sides have jobs, each works off what it began.

use payments::config::Phase;
use payments::storage::{attempt, payment, payout, refund, subscription};
use time::{Duration, OffsetDateTime};

use crate::stage::Stage;

/// A row of each kind that a job looks for: one that the sync brought, and one born here.
const PAIRS: &str = "
  SET session_replication_role = replica;
  INSERT INTO payment (id, user_id, customer_id, currency, amount_minor, status, idempotency_key, stripe_payment_intent_id,
      created_at, completed_at, payout_due)
    SELECT id + kind, 42, 1, CASE id WHEN 7 THEN 'EUR' ELSE 'USD' END, 1000,
      CASE kind WHEN 0 THEN 'pending' ELSE 'completed' END, 'k' || id + kind, 'pi_' || id + kind,
      now() - interval '3 days', CASE kind WHEN 0 THEN NULL ELSE now() - interval '3 days' END, kind = 1
    FROM unnest(ARRAY[7, 1099511627776]) AS id, generate_series(0, 1) AS kind;
  INSERT INTO payment_attempt (id, payment_id, number, operation, stripe_idempotency_key, status, started_at)
    SELECT id, id, 1, 'cancel', 's', 'started', now() - interval '1 day' FROM unnest(ARRAY[7, 1099511627776]) AS id;
  INSERT INTO refund (id, payment_id, amount_minor, currency) SELECT id, id, 1, 'USD' FROM unnest(ARRAY[7, 1099511627776]) AS id;
  INSERT INTO payout (id, currency, amount_minor, payment_count)
    SELECT id, 'USD', 1, 1 FROM unnest(ARRAY[7, 1099511627776]) AS id;
  INSERT INTO subscription (id, user_id, customer_id, plan_id, payment_method_id, currency, status, idempotency_key,
      request_fingerprint, billing_anchor, current_period_start, current_period_end, next_billing_at)
    SELECT id, id, 1, 1, 1, 'USD', 'active', 's', repeat('0', 64), now(), now(), now() + interval '1 month', now()
    FROM unnest(ARRAY[7, 1099511627776]) AS id;
  SET session_replication_role = origin;";

const BORN_HERE: i64 = 1 << 40;

#[tokio::test]
async fn jobs_leave_the_monoliths_rows_alone_until_the_service_has_taken_over() {
    let stage = Stage::new().await;
    stage.run(PAIRS).await;
    for (phase, first) in [
        (Phase::Legacy, BORN_HERE),
        (Phase::Shadow, BORN_HERE),
        (Phase::Ramp, BORN_HERE),
        (Phase::New, 7),
        (Phase::Retired, 7),
    ] {
        let all = first == 7;
        let first_id = phase.first_id();
        let soon = OffsetDateTime::now_utc() + Duration::minutes(1);
        let mut connection = stage.connection().await;
        let ids = if all { vec![7, BORN_HERE] } else { vec![BORN_HERE] };
        let subjects = |due: Vec<payments::storage::Due>| -> Vec<i64> {
            let mut ids: Vec<i64> = due.into_iter().map(|due| due.subject).collect();
            ids.sort_unstable();
            ids
        };
        let due = payment::pending(&mut connection, first_id, soon, None, 10).await;
        assert_eq!(subjects(due.unwrap()), ids, "{phase:?}");
        let due = attempt::undecided(&mut connection, first_id, soon, None, 10).await;
        assert_eq!(subjects(due.unwrap()), ids, "{phase:?}");
        let due = refund::undecided(&mut connection, first_id, soon, None, 10).await;
        assert_eq!(subjects(due.unwrap()), ids, "{phase:?}");
        let mut due = subscription::due(&mut connection, first_id, soon, 10)
            .await
            .unwrap();
        due.sort_unstable();
        assert_eq!(due, ids, "{phase:?}");
        let open = payout::unfinished(&mut connection, first_id, soon).await.unwrap();
        assert_eq!(open.len(), ids.len(), "{phase:?}");
        let currencies = payout::due_currencies(&mut connection, first_id, soon)
            .await
            .unwrap();
        assert_eq!(currencies.len(), ids.len(), "{phase:?}");
        let mut locked = Vec::new();
        for currency in currencies {
            locked.extend(
                payout::lock_due(&mut connection, first_id, currency, soon, 10)
                    .await
                    .unwrap(),
            );
        }
        locked.sort_unstable();
        let expected: Vec<i64> = ids.iter().map(|id| id + 1).collect();
        assert_eq!(locked, expected, "{phase:?}");
    }
}
