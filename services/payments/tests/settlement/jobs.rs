//! The jobs as they are scheduled.

use banyan_dev_sinks::stripe::Fault;
use banyan_service_kit::jobs::{JobRun, Outcome};
use payments::jobs;
use serde_json::json;
use time::macros::datetime;

use crate::world::{REFUNDS, World};

#[tokio::test]
async fn the_jobs_are_scheduled_and_do_their_work() {
    let world = World::start().await;
    let all = jobs::all(&world.config.jobs, &world.env).unwrap();
    let names: Vec<&str> = all.iter().map(banyan_service_kit::Job::name).collect();
    assert_eq!(
        names,
        [
            "reconcile_pending_payments",
            "renew_subscriptions",
            "create_payouts",
            "tie_out",
            "purge_expired"
        ]
    );
    let noon = datetime!(2026-03-01 12:00 UTC);
    assert_eq!(all[0].next_after(noon), Some(datetime!(2026-03-01 12:00:30 UTC)));

    let path = world.paid().await;
    world.breaks(Fault::AnswerLost, REFUNDS, 1);
    world.refund(&path, "k", &json!({})).await;
    world.age(5).await;
    world
        .run(
            "UPDATE idempotency_key SET expires_at = now() WHERE scope = 'charge';
              INSERT INTO inbox (consumer, event_id, subject, sequence, processed_at)
                VALUES ('payments', gen_random_uuid(), 'user/1', 1, now() - interval '61 days'),
                  ('payments', gen_random_uuid(), 'user/1', 2, now() - interval '59 days');",
        )
        .await;
    for job in &all {
        let outcome = job.run_once(&world.db.pool, JobRun::at(noon)).await.unwrap();
        assert_eq!(outcome, Outcome::Done);
    }
    assert_eq!(world.get(&path).await.json()["status"], "refunded");
    let kept = "SELECT DISTINCT split_part(scope, ' ', 1) FROM idempotency_key";
    assert_eq!(world.texts(kept).await, ["refund"]);
    assert_eq!(world.count("SELECT count(*) FROM inbox").await, 1);
}

#[tokio::test]
async fn a_job_without_a_schedule_never_runs() {
    let world = World::start_with(&[("jobs.tie_out.cron", ""), ("jobs.create_payouts.cron", "")]).await;
    let all = jobs::all(&world.config.jobs, &world.env).unwrap();
    let names: Vec<&str> = all.iter().map(banyan_service_kit::Job::name).collect();
    assert_eq!(
        names,
        [
            "reconcile_pending_payments",
            "renew_subscriptions",
            "purge_expired"
        ]
    );
}
