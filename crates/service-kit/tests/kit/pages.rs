//! Lists in pages.

use banyan_service_kit::page::{decode, encode};
use banyan_test_support::client;
use serde_json::Value;

use crate::fixture::serve;

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let service = serve(&[]).await;
    let mut url = format!("{}/items?limit=2", service.url());
    let mut pages = Vec::new();
    loop {
        let page: Value = client().get(&url).send().await.unwrap().json().await.unwrap();
        pages.push(page["items"].to_string());
        match page["nextCursor"].as_str() {
            Some(cursor) => url = format!("{}/items?limit=2&cursor={cursor}", service.url()),
            None => break,
        }
    }
    assert_eq!(pages, ["[5,4]", "[3,2]", "[1]"]);
    let whole: Value = client()
        .get(format!("{}/items", service.url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(whole["items"].to_string(), "[5,4,3,2,1]");
    assert!(whole["nextCursor"].is_null());
}

#[test]
fn a_cursor_is_read_back_and_nothing_else_is() {
    let position = (1_699_999_999_i64, 1_099_511_627_776_i64);
    assert_eq!(decode(&encode(&position)), Some(position));
    assert_eq!(decode::<i64>(&encode(&position)), None);
    assert_eq!(decode::<i64>("%%%"), None);
}
