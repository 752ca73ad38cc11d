//! The OpenAPI document; that the committed one is current is asked in `process.rs`.

use banyan_service_kit::Service;
use payments::Payments;

#[test]
fn every_operation_but_stripe_s_asks_who_is_calling() {
    let document = serde_json::to_value(Payments::openapi()).expect("JSON");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if path == "/api/payments/webhooks/stripe" {
            continue;
        }
        for (method, operation) in methods.as_object().expect("methods") {
            assert_eq!(
                operation["security"][0]["bearer"],
                serde_json::json!([]),
                "{method} {path}"
            );
        }
    }
}
