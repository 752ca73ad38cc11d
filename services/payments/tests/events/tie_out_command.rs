//! `payments tie-out`

use std::process::Output;

use banyan_test_support::{STRIPE_KEY, ServiceCommand};
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::{WEBHOOK_SECRET, World};

async fn command(world: &World, args: &[&str]) -> Output {
    ServiceCommand::new(env!("CARGO_BIN_EXE_payments"))
        .config("database.url", &world.db.url)
        .config("broker.url", "amqp://nobody@127.0.0.1/none")
        .config("stripe.base_url", world.stripe.url())
        .config("stripe.secret_key", STRIPE_KEY)
        .config("stripe.webhook_secret", WEBHOOK_SECRET)
        .args(args.iter().copied())
        .output()
        .await
}

#[tokio::test]
async fn the_command_fails_exactly_when_the_day_does_not_tie_out() {
    let world = World::start().await;
    let day = OffsetDateTime::now_utc().date().to_string();
    let (id, _) = world.pay("10.00", "USD").await;
    let good = command(&world, &["tie-out", "--date", &day]).await;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(text.contains(", 0 differences"), "{text}");

    world.run("UPDATE payment SET amount_minor = 900").await;
    let bad = command(&world, &["tie-out", "--date", &day, "--json"]).await;
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let text = String::from_utf8(bad.stdout).unwrap();
    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(report["day"], day);
    let found = report["differences"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{report}");
    for one in found {
        assert_eq!(one["object"], format!("payment/{id}"));
        assert_eq!(
            (&one["expectedMinor"], &one["actualMinor"]),
            (&900.into(), &1000.into())
        );
        assert_eq!(one["currency"], "USD");
    }
    let wrong = command(&world, &["tie-out", "--date", "yesterday"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
