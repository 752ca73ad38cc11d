//! POST /api/payments/{id}/capture

use serde_json::{Value, json};

use super::order;
use crate::api::Api;
use crate::check::{Check, Verdict, checks};

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/{id}/capture":
        takes_all_that_is_reserved,
        takes_a_part_and_releases_the_rest,
        repeated_it_answers_alike_and_another_amount_is_409,
        only_what_is_reserved_can_be_captured,
        bad_amounts_are_refused,
        somebody_elses_is_not_there,
    )
}

async fn takes_all_that_is_reserved(api: Api) -> Verdict {
    let person = api.person().await?;
    for (amount, currency) in [("10.00", "USD"), ("500", "JPY"), ("1.250", "KWD")] {
        let path = api.reserved(&person, amount, currency).await?;
        let capture = api.post(&format!("{path}/capture")).token(&person.token);
        let captured = capture.json(&json!({})).expect(200).await?;
        captured.has("/status", "completed")?;
        captured.has("/amount", amount)?;
        captured.ensure(!captured.at("/completedAt").is_null(), "completedAt is null")?;
        let read = api.payment(&person, &path).await?;
        read.same("the payment", &read.json, &captured.json)?;
    }
    // No body means all of it, too.
    let path = api.reserved(&person, "3.00", "USD").await?;
    api.post(&format!("{path}/capture"))
        .token(&person.token)
        .expect_one_of(&[200, 415])
        .await?;
    Ok(())
}

async fn takes_a_part_and_releases_the_rest(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let capture = |amount: &str| {
        api.post(&format!("{path}/capture"))
            .token(&person.token)
            .json(&json!({"amount": amount}))
    };
    capture("10.01").invalid(&["amount"]).await?;
    let captured = capture("7.5").expect(200).await?;
    captured.has("/amount", "7.50")?;
    captured.has("/amountRefunded", "0.00")?;
    captured.has("/status", "completed")?;
    api.payment(&person, &path).await?.has("/amount", "7.50")
}

async fn repeated_it_answers_alike_and_another_amount_is_409(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let capture = |body: Value| {
        api.post(&format!("{path}/capture"))
            .token(&person.token)
            .json(&body)
    };
    let first = capture(json!({"amount": "8.00"})).expect(200).await?;
    let again = capture(json!({"amount": 8})).expect(200).await?;
    again.same("the payment", &again.json, &first.json)?;
    capture(json!({"amount": "7.00"}))
        .problem(409, "invalid-state")
        .await?;
    capture(json!({})).problem(409, "invalid-state").await?;
    Ok(())
}

async fn only_what_is_reserved_can_be_captured(api: Api) -> Verdict {
    let person = api.person().await?;
    let paid = api.paid(&person, "10.00", "USD").await?.id("/id")?;
    let mut declined = order("10.00", "USD");
    declined["paymentMethodId"] = super::DECLINED.into();
    let failed = api.charge(&person, &declined).expect(402).await?.id("/id")?;
    for id in [paid, failed] {
        let capture = api
            .post(&format!("/api/payments/{id}/capture"))
            .token(&person.token);
        capture.json(&json!({})).problem(409, "invalid-state").await?;
    }
    Ok(())
}

async fn bad_amounts_are_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let capture = || api.post(&format!("{path}/capture")).token(&person.token);
    for amount in ["0", "-1", "\"1.001\"", "true", "[]", "\"ten\"", "1e400"] {
        let text = format!(r#"{{"amount": {amount}}}"#);
        capture().json_text(text).expect_one_of(&[400, 422]).await?;
    }
    for text in ["{", "nonsense"] {
        capture().json_text(text).problem(400, "bad-request").await?;
    }
    capture()
        .body("text/plain", "{}")
        .problem(415, "unsupported-media-type")
        .await?;
    api.payment(&person, &path)
        .await?
        .has("/status", "requires_capture")
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let path = api.reserved(&person, "10.00", "USD").await?;
    let capture = api
        .post(&format!("{path}/capture"))
        .token(&other.token)
        .json(&json!({}));
    capture.problem(404, "not-found").await?;
    api.payment(&person, &path)
        .await?
        .has("/status", "requires_capture")
}
