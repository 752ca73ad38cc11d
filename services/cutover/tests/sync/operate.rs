//! The command line.

use banyan_test_support::wait_until;
use serde_json::{Value, json};

use crate::world::{BOUND, World, execute, number};

#[tokio::test]
async fn a_domain_is_checked_started_watched_paused_and_stopped() {
    let world = World::new().await;
    let (code, checked) = world.json("sync check payments").await;
    assert_eq!((code, &checked["ok"]), (0, &json!(true)), "{checked}");
    assert_eq!(checked["tables"].as_array().map(Vec::len), Some(23));
    // What would be written is shown, and nothing is.
    let (code, text) = world.run("sync start payments --dry-run").await;
    assert!(code == 0 && text.contains("payments_payment"), "{text}");
    assert_eq!(
        number(&world.payments.pool, "SELECT count(*) FROM payment").await,
        0
    );

    let (code, text) = world.run("sync pause payments").await;
    assert!(
        code == 1 && text.contains("cutover sync start payments"),
        "{text}"
    );
    let (code, text) = world.run("sync status shop").await;
    assert!(code == 1 && text.contains("there are: payments"), "{text}");

    let _runner = world.serve("sync").await;
    world.in_step("forward").await;
    let (code, run) = world.json("validate full payments").await;
    assert_eq!(
        (code, &run["outcome"], &run["mismatches"]),
        (0, &json!("equal"), &json!(0)),
        "{run}"
    );
    assert!(run["rows_compared"].as_i64() > Some(2000), "{run}");
    let (code, run) = world.json("validate sample payments --size 100").await;
    assert_eq!((code, &run["outcome"]), (0, &json!("equal")), "{run}");

    // While it pauses nothing arrives, and nothing is forgotten.
    let (code, text) = world.run("sync pause payments").await;
    assert_eq!(code, 0, "{text}");
    world
        .status("a pause", |status| {
            status["order"]["report"]["state"] == "paused" && status["directions"][0]["is_running"] == false
        })
        .await;
    execute(
        &world.legacy.pool,
        "UPDATE payments_payment SET description = 'while it paused' WHERE id <= 10",
    )
    .await;
    let (code, run) = world
        .json_within("validate full payments --table payment", "1")
        .await;
    assert_eq!(code, 2, "what the sync has not carried cannot be judged: {run}");
    let carried = "SELECT count(*) FROM payment WHERE description = 'while it paused'";
    assert_eq!(number(&world.payments.pool, carried).await, 0);
    world.run("sync resume payments").await;
    world.in_step("forward").await;
    assert_eq!(number(&world.payments.pool, carried).await, 10);

    let (code, text) = world.run("sync stop payments --yes").await;
    assert_eq!(code, 0, "{text}");
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(number(&world.legacy.pool, slots).await, 0);
    assert_eq!(number(&world.payments.pool, carried).await, 10, "the rows stay");
    let actions: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action FROM operator_action ORDER BY at, id")
            .fetch_all(&world.cutover.pool)
            .await
            .expect("actions");
    let names: Vec<&str> = actions.iter().map(|(_, action)| action.as_str()).collect();
    assert!(
        actions.iter().all(|(actor, _)| actor == "cli:grace"),
        "{actions:?}"
    );
    assert_eq!(names[..3], ["sync.start", "sync.pause", "sync.resume"]);
    assert_eq!(names.last(), Some(&"sync.stop"));
}

#[tokio::test]
async fn a_mapping_that_does_not_fit_is_not_started() {
    let world = World::new().await;
    execute(
        &world.legacy.pool,
        "ALTER TABLE payments_refund ADD COLUMN tip numeric(14,3)",
    )
    .await;
    let (code, checked) = world.json("sync check payments").await;
    assert_eq!((code, &checked["ok"]), (1, &json!(false)));
    let findings = checked["findings"].as_array().expect("findings");
    let fatal: Vec<&Value> = findings.iter().filter(|one| one["is_fatal"] == true).collect();
    assert_eq!(
        (fatal.len(), &fatal[0]["column"]),
        (1, &json!("tip")),
        "{checked}"
    );
    let (code, text) = world.run("sync start payments").await;
    assert!(code == 1 && text.contains("tip"), "{text}");
    let (_, status) = world.json("sync status payments").await;
    assert_eq!(status[0]["order"], Value::Null);
}

#[tokio::test]
async fn differences_are_named_alerted_and_repaired() {
    let world = World::new().await;
    let _runner = world.serve("sync,relay").await;
    world.in_step("forward").await;
    // One of each kind, by somebody who went round the sync.
    execute(
        &world.payments.pool,
        "SET session_replication_role = replica;
         UPDATE payment SET amount_minor = amount_minor + 1, amount_authorized_minor = NULL WHERE id = 3;
         DELETE FROM ledger_entry WHERE id = 5;
         INSERT INTO payment_status_change (id, payment_id, to_status) VALUES (900000, 1, 'pending');
         UPDATE refund SET reason = 'duplicate', updated_at = updated_at + interval '1 microsecond' WHERE id = 2",
    )
    .await;
    let (code, run) = world.json("validate full payments").await;
    assert_eq!((code, &run["mismatches"]), (1, &json!(4)), "{run}");
    let found: Vec<Value> = run["differences"].as_array().expect("differences").clone();
    let told: Vec<String> = found
        .iter()
        .map(|one| format!("{} {} {}", one["table"], one["key"][0], one["kind"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "ledger_entry 5 missing",
            "payment 3 changed",
            "payment_status_change 900000 extra",
            "refund 2 changed"
        ]
    );
    assert!(
        found[1]["columns"]
            .as_array()
            .expect("columns")
            .contains(&json!("amount_minor")),
        "{run}"
    );
    let alert = wait_until(
        "the alert to be published",
        BOUND,
        async || {
            sqlx::query_scalar::<_, Value>(
                "SELECT payload FROM outbox WHERE type = 'migration.alert' AND published_at IS NOT NULL",
            )
            .fetch_optional(&world.cutover.pool)
            .await
            .expect("the outbox")
        },
        Option::is_some,
    )
    .await
    .expect("an alert");
    assert_eq!(alert["runId"], run["run_id"]);
    assert_eq!(
        (&alert["service"], &alert["mismatches"]),
        (&json!("payments"), &json!(4))
    );

    let id = run["run_id"].as_str().expect("an id");
    let (code, plan) = world.json(&format!("repair {id}")).await;
    assert_eq!(
        (code, &plan["dry_run"], &plan["rows"]),
        (0, &json!(true), &json!(4)),
        "{plan}"
    );
    let (code, text) = world.run(&format!("repair {id} --apply --budget 3")).await;
    assert!(code == 1 && text.contains("the budget is 3"), "{text}");
    let (code, text) = world.run(&format!("repair {id} --apply --from new")).await;
    assert!(code == 1 && text.contains("goes forward only"), "{text}");
    let (code, done) = world.json(&format!("repair {id} --apply")).await;
    assert_eq!(
        (code, &done["repaired"], &done["left"]),
        (0, &json!(4), &json!(0)),
        "{done}"
    );
    let (code, run) = world.json("validate full payments").await;
    assert_eq!((code, &run["outcome"]), (0, &json!("equal")), "{run}");
    let (_, again) = world.json(&format!("repair {id} --apply")).await;
    assert_eq!(again["rows"], 0, "what is repaired is not repaired again");
}

#[tokio::test]
async fn a_row_that_both_sides_wrote_is_listed_and_decided() {
    let world = World::new().await;
    let runner = world.serve("sync").await;
    world.in_step("both").await;
    drop(runner);
    execute(
        &world.legacy.pool,
        "UPDATE payments_payment SET description = 'of the monolith' WHERE id = 7",
    )
    .await;
    execute(
        &world.payments.pool,
        "UPDATE payment SET description = 'of the service' WHERE id = 7",
    )
    .await;
    let _runner = world.serve("sync").await;
    world
        .status("the conflict", |status| {
            let directions = status["directions"].as_array().expect("directions");
            directions.iter().any(|one| one["conflicts"] == 1)
        })
        .await;
    let (code, conflicts) = world.json("sync conflicts payments").await;
    assert_eq!((code, &conflicts[0]["key"]), (1, &json!(["7"])), "{conflicts}");
    assert_eq!(conflicts[0]["columns"], json!(["description"]));
    assert!(
        !conflicts.to_string().contains("of the monolith"),
        "values are not shown"
    );
    let (code, text) = world.run("sync resolve payments payment 8 --keep new").await;
    assert!(code == 1 && text.contains("in no open conflict"), "{text}");
    let (code, text) = world.run("sync resolve payments payment 7 --keep new").await;
    assert_eq!(code, 0, "{text}");
    let kept = "SELECT count(*) FROM payments_payment WHERE id = 7 AND description = 'of the service'";
    assert_eq!(number(&world.legacy.pool, kept).await, 1);
    let (code, conflicts) = world.json("sync conflicts payments").await;
    assert_eq!((code, conflicts), (0, json!([])));
}
