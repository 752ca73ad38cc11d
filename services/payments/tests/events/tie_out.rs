//! Tying a day out: every kind of difference that is planted is found, and none otherwise.

use payments::domain::tie_out::DifferenceKind;
use payments::use_cases::Env;
use payments::use_cases::tie_out::{self, Report, TieOutError};
use serde_json::json;
use time::{Date, Duration, OffsetDateTime};

use crate::stage::{event, now};
use crate::support::World;

/// The day that the tests' payments were made on, asked for on it. A test that runs over midnight looks at the day it began on.
fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

async fn run(world: &World, day: Date) -> Report {
    tie_out::run(&world.env(), day).await.unwrap()
}

/// What was found, as `kind object expected actual`.
fn found(report: &Report) -> Vec<String> {
    let text = |minor: Option<i64>| minor.map_or_else(|| "-".to_owned(), |minor| minor.to_string());
    let line = |one: &payments::domain::tie_out::Difference| {
        let (expected, actual) = (text(one.expected_minor), text(one.actual_minor));
        format!("{} {} {expected} {actual}", one.kind, one.object)
    };
    report.differences.iter().map(line).collect()
}

async fn kept(world: &World) -> Vec<String> {
    world
        .texts(
            "SELECT concat_ws(' ', kind, object, coalesce(expected_minor::text, '-'), coalesce(actual_minor::text, '-'),
               CASE WHEN resolved_at IS NOT NULL THEN 'resolved' END) FROM tie_out_difference ORDER BY kind, object",
        )
        .await
}

/// Writes past the triggers, as the copying of rows does.
async fn plant(world: &World, sql: &str) {
    let mut connection = world.db.pool.acquire().await.unwrap();
    let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut *connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_day_with_everything_on_it_ties_out() {
    let world = World::start().await;
    let day = today();
    world.pay("10.00", "USD").await;
    let (_, disputed) = world.pay("20.00", "USD").await;
    world.reserve().await;
    let mut declined = crate::support::order("pm_card_chargeDeclined");
    declined["amount"] = "3.00".into();
    world.charge(crate::stage::USER, &declined).await;
    world.pay("10.00", "EUR").await;
    for (status, later) in [("needs_response", 0), ("lost", 1)] {
        let dispute = json!({
            "id": "dp_1", "payment_intent": disputed, "amount": 2000, "currency": "usd", "status": status,
        });
        let news = event(
            &format!("evt_{later}"),
            "charge.dispute.updated",
            now() + later,
            &dispute,
        );
        assert_eq!(world.send(&news).await.status, 200);
    }
    // Paid out on this day.
    world
        .run("UPDATE payment SET completed_at = completed_at - interval '2 days' WHERE currency = 'EUR'")
        .await;
    payments::use_cases::payouts::run(&world.env()).await.unwrap();
    let payout = world.texts("SELECT stripe_payout_id FROM payout").await.remove(0);
    world.at_stripe(&format!("payouts/{payout}"), "status=paid").await;
    world.tell("payout.paid", &json!({ "id": payout })).await;

    let report = run(&world, day).await;
    assert_eq!(found(&report), Vec::<String>::new());
    assert!(report.compared > 10, "{}", report.compared);
    assert_eq!(kept(&world).await, Vec::<String>::new());
    assert_eq!(world.events("migration.alert").await.len(), 0);
    // An empty day too.
    let quiet = run(&world, day - Duration::days(30)).await;
    assert_eq!((quiet.compared, quiet.differences.len()), (0, 0));
}

#[tokio::test]
async fn what_is_wrong_in_our_books_is_found() {
    let world = World::start().await;
    let day = today();
    let (id, _) = world.pay("10.00", "USD").await;
    let (other, intent) = world.pay("20.00", "USD").await;
    // A refund that was never booked, a dispute and a payout neither, a charge and a fee taken out of the ledger, and entries that do
    // not sum to zero.
    plant(
        &world,
        &format!(
            "INSERT INTO refund (id, payment_id, amount_minor, currency, status, stripe_refund_id, completed_at)
             VALUES (1, {other}, 300, 'USD', 'succeeded', 're_planted', now());
             INSERT INTO dispute (id, payment_id, stripe_dispute_id, amount_minor, currency, reason, status, is_withdrawn,
               stripe_event_at) VALUES (1, {other}, 'dp_planted', 400, 'USD', 'general', 'needs_response', true, now());
             INSERT INTO payout (id, currency, amount_minor, payment_count, status, stripe_payout_id, paid_at)
             VALUES (1, 'USD', 500, 1, 'paid', 'po_planted', now());
             DELETE FROM ledger_entry WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE payment_id = {id});
             DELETE FROM ledger_transaction WHERE payment_id = {id};
             UPDATE ledger_entry SET amount_minor = amount_minor + 7 WHERE amount_minor = 2000"
        ),
    )
    .await;
    let report = run(&world, day).await;
    let transaction = world
        .count("SELECT transaction_id FROM ledger_entry WHERE amount_minor = 2007")
        .await;
    let mut expected = vec![
        format!("charge_in_ledger payment/{id} 1000 -"),
        format!("charge_in_ledger payment/{other} 2000 2007"),
        format!("fee_in_ledger payment/{id} 59 -"),
        "refund_in_ledger refund/1 300 0".to_owned(),
        "dispute_in_ledger dispute/1 400 0".to_owned(),
        "payout_in_ledger payout/1 500 0".to_owned(),
        format!("ledger_unbalanced ledger_transaction/{transaction} 0 7"),
        // The stand-in knows neither of them, and no disputes at all.
        "refund_at_stripe refund/1 300 -".to_owned(),
        "payout_at_stripe payout/1 500 -".to_owned(),
    ];
    let mut got = found(&report);
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
    assert!(!intent.is_empty());
}

#[tokio::test]
async fn a_booking_without_a_payment_behind_it_is_found() {
    let world = World::start().await;
    let day = today();
    let (id, _) = world.pay("10.00", "USD").await;
    plant(
        &world,
        &format!(
            "UPDATE payment SET status = 'pending', completed_at = NULL, payout_due = false WHERE id = {id}"
        ),
    )
    .await;
    assert_eq!(
        found(&run(&world, day).await),
        [
            format!("charge_in_ledger payment/{id} - 1000"),
            format!("charge_at_stripe payment/{id} - 1000"),
        ]
    );
}

#[tokio::test]
async fn what_stripe_has_otherwise_is_found() {
    let world = World::start().await;
    let day = today();
    let (id, intent) = world.pay("10.00", "USD").await;
    // Another amount here; a charge, a refund that nobody here knows of; a payment here that Stripe never saw.
    let (changed, _) = world.pay("20.00", "USD").await;
    let (lost, _) = world.pay("30.00", "USD").await;
    plant(
        &world,
        &format!(
            "UPDATE payment SET amount_minor = 1900 WHERE id = {changed};
             UPDATE ledger_entry e SET amount_minor = sign(amount_minor) * 1900 FROM ledger_transaction t
               WHERE t.id = e.transaction_id AND t.payment_id = {changed} AND t.kind = 'charge';
             UPDATE payment SET stripe_payment_intent_id = 'pi_planted' WHERE id = {lost}"
        ),
    )
    .await;
    let refund = world
        .at_stripe("refunds", &format!("payment_intent={intent}&amount=300"))
        .await;
    let charges = world.stripe.all("charges").await;
    let unknown = charges.iter().find(|charge| charge["amount"] == 3000).unwrap();
    let mut expected = vec![
        format!("charge_at_stripe payment/{changed} 1900 2000"),
        format!("charge_at_stripe payment/{lost} 3000 -"),
        format!("charge_at_stripe {} - 3000", unknown["id"].as_str().unwrap()),
        format!("refund_at_stripe {} - 300", refund["id"].as_str().unwrap()),
    ];
    let mut got = found(&run(&world, day).await);
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
    assert_ne!(id, changed);
}

#[tokio::test]
async fn what_was_settled_on_another_day_than_stripe_s_is_no_difference() {
    let world = World::start().await;
    let day = today();
    let (id, _) = world.pay("10.00", "USD").await;
    plant(
        &world,
        &format!(
            "UPDATE payment SET completed_at = completed_at - interval '1 day' WHERE id = {id};
             UPDATE ledger_transaction SET created_at = created_at - interval '1 day' WHERE payment_id = {id}"
        ),
    )
    .await;
    for day in [day, day - Duration::DAY] {
        let report = run(&world, day).await;
        assert_eq!(found(&report), Vec::<String>::new(), "{day}");
        assert!(report.compared >= 1);
    }
}

#[tokio::test]
async fn a_day_can_be_tied_out_again_and_its_rows_follow() {
    let world = World::start().await;
    let day = today();
    let (id, _) = world.pay("10.00", "USD").await;
    plant(&world, "UPDATE payment SET amount_minor = 900").await;
    let first = run(&world, day).await;
    let rows = vec![
        format!("charge_at_stripe payment/{id} 900 1000"),
        format!("charge_in_ledger payment/{id} 900 1000"),
    ];
    assert_eq!(kept(&world).await, rows);
    let alerts = world.events("migration.alert").await;
    assert_eq!(
        alerts,
        [json!({
            "service": "payments", "mismatches": 2, "sampleSize": first.compared, "mismatchRate": alerts[0]["mismatchRate"],
            "message": format!("{day} does not tie out: charge_in_ledger 1, charge_at_stripe 1"), "runId": first.run_id,
        })]
    );
    // The same again is no news, by whichever of two runs at once.
    let env: [Env; 2] = [world.env(), world.env()];
    let (one, other) = tokio::join!(tie_out::run(&env[0], day), tie_out::run(&env[1], day));
    assert_eq!(one.unwrap().differences, other.unwrap().differences);
    assert_eq!(kept(&world).await, rows);
    assert_eq!(world.events("migration.alert").await.len(), 1);
    // Mended.
    plant(&world, "UPDATE payment SET amount_minor = 1000").await;
    assert_eq!(found(&run(&world, day).await), Vec::<String>::new());
    let resolved: Vec<String> = rows.iter().map(|row| format!("{row} resolved")).collect();
    assert_eq!(kept(&world).await, resolved);
    assert_eq!(world.events("migration.alert").await.len(), 1);
    // Back.
    plant(&world, "UPDATE payment SET amount_minor = 900").await;
    run(&world, day).await;
    assert_eq!(kept(&world).await, rows);
    assert_eq!(world.events("migration.alert").await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_compared_is_not_said_to_agree() {
    let mut world = World::start().await;
    let day = today();
    world.pay("10.00", "USD").await;
    let tomorrow = tie_out::run(&world.env(), day + Duration::days(2)).await;
    assert!(matches!(tomorrow, Err(TieOutError::NotYet)), "{tomorrow:?}");
    plant(&world, "UPDATE payment SET amount_minor = 900").await;
    run(&world, day).await;
    let before = kept(&world).await;
    plant(&world, "UPDATE payment SET amount_minor = 1000").await;
    world.stripe.go_down().await;
    let away = tie_out::run(&world.env(), day).await;
    assert!(matches!(away, Err(TieOutError::Stripe(_))), "{away:?}");
    assert_eq!(kept(&world).await, before);
}

#[tokio::test]
async fn every_kind_is_measured() {
    let world = World::start().await;
    let day = today();
    world.pay("10.00", "USD").await;
    plant(&world, "UPDATE payment SET amount_minor = 900").await;
    tie_out::measure(&run(&world, day).await);
    let metrics = world.client.get(format!("{}/metrics", world.service.url()));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for kind in DifferenceKind::ALL {
        let count = u32::from(matches!(
            kind,
            DifferenceKind::ChargeInLedger | DifferenceKind::ChargeAtStripe
        ));
        let line = format!("banyan_payments_tie_out_differences{{kind=\"{kind}\"}} {count}");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}
