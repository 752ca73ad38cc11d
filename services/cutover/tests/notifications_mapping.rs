//! The mapping of the notifications domain, between the monolith's tables as Django makes and seeds them and the service's.

use std::sync::Arc;
use std::time::Duration;

use banyan_table_sync::Direction::{self, Back, Forward};
use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::check::{self, check};
use banyan_table_sync::validate::{self, full};
use banyan_table_sync::{Database, Error, Link, Mapping, snapshot};
use banyan_test_support::{Company, TestDb, manage_monolith, wait_for};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);

/// What both sides must have alike, as the monolith has it.
const COMPARED: [(&str, &str, &str); 4] = [
    (
        "notifications",
        "SELECT concat_ws('|', id, event_id, event_type, user_id, object_id, channel, template, template_version, status, attempts,
           error, digest_id, created_at, sent_at) FROM notifications_notification_log ORDER BY id",
        "SELECT concat_ws('|', id, event_id, event_type, user_id, coalesce(object_id, 0), channel, template, template_version, status,
           attempts, coalesce(error, ''), digest_id, created_at, sent_at) FROM notification_log
         WHERE status <> 'skipped_legacy' OR id < 1099511627776 ORDER BY id",
    ),
    (
        "preferences",
        "SELECT concat_ws('|', id, user_id, category, enabled, channel, digest, updated_at)
         FROM notifications_preference ORDER BY id",
        "SELECT concat_ws('|', id, user_id, category, enabled, channel, digest, updated_at) FROM preference ORDER BY id",
    ),
    (
        "devices",
        "SELECT concat_ws('|', id, user_id, kind, address, secret, active, created_at) FROM notifications_device ORDER BY id",
        "SELECT concat_ws('|', id, user_id, kind, address, secret, active, created_at) FROM device ORDER BY id",
    ),
    (
        "templates",
        "SELECT concat_ws('|', id, name, locale, version, subject, body_html, body_text, body_sms, created_at)
         FROM notifications_template ORDER BY id",
        "SELECT concat_ws('|', id, name, locale, version, subject, body_html, body_text, body_sms, created_at)
         FROM template WHERE origin = 'legacy' ORDER BY id",
    ),
];

/// As a release of the service installs it: under a name and a number that the monolith has too.
const RELEASED: &str = "
    INSERT INTO template (name, locale, version, subject, body_html, body_text, body_sms, origin, active)
      SELECT 'payment-completed', locale, 1, 's', 'h', 't', 'm', 'release', true FROM unnest(ARRAY['en', 'de']) AS locale";

/// Our notes of events that the monolith mails about, half of which it has a row of.
const SKIPPED: &str = "
    INSERT INTO notification_log (event_id, event_type, user_id, channel, template, status)
      SELECT $1, 'payment.completed', $2, 'email', 'payment-completed', 'skipped_legacy'";

/// One of each kind that a job takes up, due for an hour, and one that is done.
const BORN_IN_SERVICE: &str = r#"
    INSERT INTO notification_log (event_id, event_type, user_id, channel, template, template_version, status, attempts, error, trace_id,
      message_id, payload, retryable, digest, digest_id, next_attempt_at, sent_at)
    SELECT gen_random_uuid(), 'payment.completed', 7, 'email', 'payment-completed', 1, status, 1, nullif(error, ''), 'abc', 'm',
      CASE WHEN status <> 'delivered' THEN '{"subject": "payment/7", "sequence": 1, "data": {}}'::jsonb END,
      status = 'failed', digest, CASE WHEN digest THEN gen_random_uuid() END, now() - interval '1 hour',
      CASE WHEN status = 'delivered' THEN now() END
    FROM (VALUES ('queued', '', false), ('queued', 'SMTP 451', true), ('failed', 'SMTP 421', false), ('delivered', '', false))
      AS row (status, error, digest);
    INSERT INTO preference (user_id, category, enabled, channel, digest)
      SELECT 1000000, category, true, NULL, true FROM unnest(ARRAY['payments', 'account']) AS category;
    INSERT INTO device (user_id, kind, address, secret) VALUES (1000000, 'webhook', 'https://hooks.example.com/', 'whsec_c2VjcmV0')"#;

struct Pair {
    legacy: TestDb,
    service: TestDb,
    link: Link,
}

struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Pair {
    async fn new() -> Self {
        let migrator = sqlx::migrate!("../../migrations/notifications");
        let (legacy, service) =
            tokio::join!(TestDb::monolith(Company::SMALL), TestDb::create(Some(&migrator)));
        let database = |name: &'static str, url: &str| Database {
            name: name.into(),
            url: url.to_owned().into(),
        };
        let link = Link {
            // Slots and origins are the server's, which other tests use too.
            name: legacy.name().trim_start_matches("banyan_test_").to_owned(),
            mapping: Arc::new(
                Mapping::parse(include_str!("../mappings/notifications.toml")).expect("a mapping"),
            ),
            source: database("legacy", &legacy.url),
            target: database("notifications", &service.url),
        };
        let pair = Self {
            legacy,
            service,
            link,
        };
        execute(&pair.service.pool, RELEASED).await;
        pair
    }

    fn start(&self) -> Running {
        let (link, shutdown) = (self.link.clone(), CancellationToken::new());
        let token = shutdown.clone();
        let task = tokio::spawn(async move {
            changes::run(&link, Ways::Both, snapshot::Limits::unthrottled(), &token).await
        });
        Running { shutdown, task }
    }

    async fn settled(&self) {
        for direction in [Forward, Back, Forward, Back] {
            self.settled_one(direction).await;
        }
    }

    async fn settled_one(&self, direction: Direction) {
        let pool = match direction {
            Forward => &self.service.pool,
            Back => &self.legacy.pool,
        };
        wait_for("the sync to begin", PATIENCE, async || {
            let there: Result<bool, sqlx::Error> =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM table_sync.stream WHERE name = $1)")
                    .bind(self.link.stream(direction))
                    .fetch_one(pool)
                    .await;
            match there {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        changes::settle(&self.link, direction, PATIENCE)
            .await
            .expect("the sync goes on");
    }

    async fn assert_equal(&self) {
        for (what, legacy, service) in COMPARED {
            let (here, there) = (
                texts(&self.legacy.pool, legacy).await,
                texts(&self.service.pool, service).await,
            );
            assert!(!here.is_empty(), "{what}");
            assert_eq!(here, there, "{what}");
        }
        let reports = full(
            &self.link,
            &validate::Options::unthrottled(),
            &[],
            &mut |_| {},
            &CancellationToken::new(),
        )
        .await
        .expect("a validation");
        for report in reports {
            assert_eq!(report.differences, [], "{}", report.table);
            assert!(report.rows_compared > 0, "{}", report.table);
        }
        for pool in [&self.legacy.pool, &self.service.pool] {
            assert_eq!(count(pool, "SELECT count(*) FROM table_sync.held").await, 0);
        }
    }

    /// Runs the monolith's jobs, those of all queued rows included, as its workers would.
    async fn run_legacy_jobs(&self) {
        const JOBS: &str = "
from notifications.models import NotificationLog
from notifications.tasks import deliver_pending, retry_failed_deliveries, send_daily_digest
deliver_pending.run()
for event_id in list(NotificationLog.objects.filter(status='queued').values_list('event_id', flat=True)):
    try:
        deliver_pending.run(str(event_id))
    except Exception as error:
        assert type(error).__name__ in ('Retry', 'TryAgain'), error
retry_failed_deliveries()
send_daily_digest()
";
        // The mail server's port is nobody's, so each try is one that failed.
        manage_monolith(&self.legacy.url, &["shell", "--no-imports", "--command", JOBS]).await;
    }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("no error");
    }
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.expect("rows")
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

/// Two events that the monolith mailed about, and their users.
async fn skip_what_the_monolith_sends(pair: &Pair) {
    let mailed: Vec<(sqlx::types::Uuid, i64)> = sqlx::query_as(
        "SELECT event_id, user_id FROM notifications_notification_log WHERE channel = 'email' ORDER BY id LIMIT 2",
    )
    .fetch_all(&pair.legacy.pool)
    .await
    .expect("events");
    for (event_id, user_id) in mailed {
        sqlx::query(SKIPPED)
            .bind(event_id)
            .bind(user_id)
            .execute(&pair.service.pool)
            .await
            .expect("a note");
    }
    execute(
        &pair.service.pool,
        &SKIPPED.replace("$1", "gen_random_uuid()").replace("$2", "7"),
    )
    .await;
}

#[tokio::test]
async fn the_mapping_fits_both_sides() {
    let pair = Pair::new().await;
    let findings = check(&pair.link, check::Options::default())
        .await
        .expect("a check");
    let of_tables: Vec<_> = findings
        .iter()
        .filter(|finding| finding.table.is_some() || finding.is_fatal)
        .collect();
    assert!(of_tables.is_empty(), "{of_tables:?}");
}

#[tokio::test]
async fn what_the_monolith_has_is_in_the_service_and_the_service_s_own_stays() {
    let pair = Pair::new().await;
    // Before there was a sync, as the service takes events from its first day.
    skip_what_the_monolith_sends(&pair).await;
    let running = pair.start();
    pair.settled().await;
    pair.assert_equal().await;
    let service = &pair.service.pool;
    assert_eq!(
        count(
            service,
            "SELECT count(*) FROM notification_log WHERE status = 'skipped_legacy' AND id >= 1099511627776"
        )
        .await,
        3
    );
    let every_status = "SELECT count(DISTINCT status) FROM notification_log WHERE id < 1099511627776";
    assert_eq!(count(service, every_status).await, 5);
    // The monolith's texts are there to be read; in use is what was in use.
    let in_use = "SELECT concat_ws(' ', name, locale, version, origin) FROM template WHERE active ORDER BY 1";
    assert_eq!(
        texts(service, in_use).await,
        ["payment-completed de 1 release", "payment-completed en 1 release"]
    );
    execute(
        &pair.legacy.pool,
        "UPDATE notifications_template SET active = false WHERE name = 'payment-completed';
         INSERT INTO notifications_template (name, locale, version, subject, body_html, body_text, body_sms, active, created_at)
           SELECT name, locale, 2, 'New {{ amount }}', body_html, body_text, body_sms, true, now()
           FROM notifications_template WHERE name = 'payment-completed';
         DELETE FROM notifications_device WHERE id = 1;
         UPDATE notifications_preference SET enabled = NOT enabled, updated_at = now()",
    )
    .await;
    pair.settled().await;
    pair.assert_equal().await;
    assert_eq!(texts(service, in_use).await.len(), 2);
    assert_eq!(
        count(
            &pair.legacy.pool,
            "SELECT count(*) FROM notifications_template WHERE body_html = 'h'"
        )
        .await,
        0,
        "nothing that Django cannot render"
    );
    running.stop().await;
}

#[tokio::test]
async fn each_notification_is_worked_off_by_the_side_that_made_it() {
    let pair = Pair::new().await;
    let running = pair.start();
    pair.settled().await;
    skip_what_the_monolith_sends(&pair).await;
    execute(&pair.service.pool, BORN_IN_SERVICE).await;
    execute(
        &pair.legacy.pool,
        "UPDATE notifications_notification_log SET next_attempt_at = now() - interval '1 hour'
         WHERE status = 'queued' OR retryable",
    )
    .await;
    pair.settled().await;
    pair.assert_equal().await;

    let (legacy, service) = (&pair.legacy.pool, &pair.service.pool);
    let born = "SELECT concat_ws(' ', status, next_attempt_at, retryable, digest)
                FROM notifications_notification_log WHERE id >= 1099511627776 ORDER BY id";
    assert_eq!(
        texts(legacy, born).await,
        ["queued f f", "queued f f", "failed f f", "delivered f f"]
    );
    // The service's jobs take what has a payload, and is due or waits for a digest.
    let due = "SELECT count(*) FILTER (WHERE id < 1099511627776) * 100 + count(*) FROM notification_log
               WHERE status = 'queued' AND digest OR retryable OR payload IS NOT NULL OR next_attempt_at IS NOT NULL AND status <> 'delivered'";
    assert_eq!(count(service, due).await, 3);

    let all_of_service =
        "SELECT log::text FROM notifications_notification_log AS log WHERE id >= 1099511627776 ORDER BY id";
    let before = texts(legacy, all_of_service).await;
    let waiting = "SELECT count(*) FROM notifications_notification_log
                   WHERE id < 1099511627776 AND (status = 'queued' OR retryable) AND next_attempt_at < now() - interval '50 minutes'";
    assert!(
        count(legacy, waiting).await > 0,
        "the monolith has something to do"
    );
    pair.run_legacy_jobs().await;
    assert_eq!(count(legacy, waiting).await, 0, "and has done it");
    assert_eq!(texts(legacy, all_of_service).await, before);

    // What becomes of them is told to the other side, and makes nothing due there.
    execute(
        service,
        "UPDATE notification_log SET status = 'delivered', error = NULL, payload = NULL, retryable = false, next_attempt_at = NULL,
           sent_at = now(), attempts = 2 WHERE id >= 1099511627776 AND status <> 'skipped_legacy'",
    )
    .await;
    pair.settled().await;
    pair.assert_equal().await;
    assert_eq!(texts(legacy, born).await, ["delivered f f"; 4]);
    assert_eq!(count(service, due).await, 0);
    running.stop().await;
}

#[tokio::test]
async fn what_both_sides_forget_is_no_conflict() {
    let pair = Pair::new().await;
    let running = pair.start();
    pair.settled().await;
    execute(&pair.service.pool, BORN_IN_SERVICE).await;
    pair.settled().await;
    running.stop().await;
    // Within the lag: a user is erased and old rows are purged, each side by itself.
    let erased = count(
        &pair.legacy.pool,
        "SELECT user_id FROM notifications_preference WHERE user_id < 1000000 LIMIT 1",
    )
    .await;
    let forget = format!(
        "from notifications.services.cleanup import forget_user\nfor user in ({erased}, 7, 1000000): forget_user(user)"
    );
    manage_monolith(&pair.legacy.url, &["shell", "--no-imports", "--command", &forget]).await;
    execute(
        &pair.service.pool,
        &format!(
            "DELETE FROM preference WHERE user_id IN ({erased}, 7, 1000000);
             DELETE FROM device WHERE user_id IN ({erased}, 7, 1000000);
             UPDATE notification_log SET error = NULL WHERE user_id IN ({erased}, 7, 1000000) AND status IN ('failed', 'suppressed');
             UPDATE notification_log SET status = 'suppressed', error = 'the account was erased', payload = NULL
               WHERE user_id = 7 AND id >= 1099511627776 AND status = 'queued';
             DELETE FROM notification_log WHERE id IN (SELECT id FROM notification_log WHERE status = 'delivered' ORDER BY id LIMIT 20)"
        ),
    )
    .await;
    execute(
        &pair.legacy.pool,
        "DELETE FROM notifications_notification_log WHERE id IN
           (SELECT id FROM notifications_notification_log WHERE status = 'delivered' ORDER BY id LIMIT 20)",
    )
    .await;
    let running = pair.start();
    pair.settled().await;
    pair.assert_equal().await;
    for pool in [&pair.legacy.pool, &pair.service.pool] {
        assert_eq!(count(pool, "SELECT count(*) FROM table_sync.conflict").await, 0);
    }
    running.stop().await;
}
