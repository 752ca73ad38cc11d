//! The list of invoices.

use reqwest::Method;
use serde_json::Value;

use crate::world::{BASIC, GULF, STARTER, USER, World, answer};

#[tokio::test]
async fn they_are_listed_newest_first_page_by_page_and_to_their_user_alone() {
    let world = World::start().await;
    for plan in [STARTER, GULF, BASIC] {
        world.subscribed(plan).await;
    }
    let all = world.invoices().await;
    let totals: Vec<&Value> = all.iter().map(|invoice| &invoice["total"]).collect();
    assert_eq!(totals, ["9.99", "3.500", "980"]);
    let mut pages = Vec::new();
    let mut path = "/api/payments/invoices?limit=1".to_owned();
    loop {
        let (status, page) = answer(world.send(Method::GET, &path, USER, None, None).await).await;
        assert_eq!(status, 200);
        pages.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/payments/invoices?limit=1&cursor={cursor}");
    }
    assert_eq!(pages, all);
    let theirs = world
        .send(Method::GET, "/api/payments/invoices", 43, None, None)
        .await;
    assert_eq!(answer(theirs).await.1["items"], Value::Array(Vec::new()));
    let bad = world
        .send(Method::GET, "/api/payments/invoices?cursor=x", USER, None, None)
        .await;
    assert_eq!(bad.status(), 400);
}
