//! The service keeps its own OpenAPI document, whatever it is asked.

use std::path::Path;

use banyan_test_support::schemathesis;

use crate::support::World;

const USER: i64 = 42;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_gets_an_undocumented_answer() {
    let world = World::start().await;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    // Something is there to be found.
    let card = world.card(USER).await;
    assert!(card > 0);
    schemathesis(&document, &world.service.url(), &world.keys.token(USER), &[]).await;
    let me = world.get("/api/payments/", USER).await;
    assert_eq!(
        me.status, 200,
        "the token is no longer good: only 401s were tested"
    );
}
