//! The service as a real process on a real PostgreSQL and RabbitMQ.

use std::time::Duration;

use banyan_test_support::{STRIPE_KEY, ServiceCommand, TestDb, TestVhost, client};
use serde_json::Value;

fn command(database: &TestDb, vhost: &TestVhost) -> ServiceCommand {
    ServiceCommand::new(env!("CARGO_BIN_EXE_payments"))
        .config("database.url", &database.url)
        .config("broker.url", &vhost.amqp_url)
        .config("stripe.secret_key", STRIPE_KEY)
        .config("stripe.webhook_secret", "whsec_test")
}

#[tokio::test]
async fn it_migrates_serves_and_stops() {
    let (database, vhost) = tokio::join!(TestDb::create(None), TestVhost::create());
    let command = command(&database, &vhost);
    let migrated = command.clone().args(["migrate"]).output().await;
    assert!(migrated.status.success(), "{migrated:?}");
    for table in ["outbox", "inbox"] {
        let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(table)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert!(there, "{table} is missing");
    }

    let service = command.start().await;
    service.ready().await;
    let (age, resident) = (service.age(), service.resident_bytes() / 1024);
    println!("ready after {age:?}, {resident} kB resident");
    assert!(resident < 40 * 1024, "{resident} kB resident");
    let ready = client().get(service.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let metrics = client()
        .get(service.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("banyan_build_info{service=\"payments\""),
        "{metrics}"
    );
    let status = service.stop(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn the_document_is_printed_without_a_configuration() {
    let output = ServiceCommand::new(env!("CARGO_BIN_EXE_payments"))
        .args(["openapi"])
        .output()
        .await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Banyan payments");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        include_str!("../openapi.json"),
        "openapi.json is not current"
    );
}
