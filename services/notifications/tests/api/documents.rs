//! What is committed beside the code.

use banyan_service_kit::Service;
use notifications::Notifications;

#[test]
fn the_committed_openapi_document_is_current() {
    let committed = include_str!("../../openapi.json");
    let current = Notifications::openapi().to_pretty_json().expect("JSON");
    assert_eq!(
        committed.trim_end(),
        current,
        "run `cargo run -p notifications -- openapi > services/notifications/openapi.json`"
    );
}

#[test]
fn the_document_has_exactly_the_operations() {
    let document = serde_json::to_value(Notifications::openapi()).expect("JSON");
    assert!(
        document["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1")
    );
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            assert_eq!(
                operation["security"][0]["bearer"],
                serde_json::json!([]),
                "{method} {path}"
            );
            operations.push(format!("{method} {path}"));
        }
    }
    operations.sort();
    let expected = [
        "get /api/notifications/",
        "get /api/notifications/preferences",
        "put /api/notifications/preferences",
    ];
    assert_eq!(operations, expected);
}
