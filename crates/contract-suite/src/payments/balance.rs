//! GET /api/payments/balance

use serde_json::{Value, json};

use super::{DECLINED, order};
use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};

const PATH: &str = "/api/payments/balance";

pub(super) fn checks() -> Vec<Check> {
    checks!("GET /api/payments/balance":
        is_empty_for_somebody_new,
        adds_up_by_currency,
        is_the_callers_own,
    )
}

async fn is(api: &Api, person: &Person, expected: Value) -> Verdict {
    let balance = api.get(PATH).token(&person.token).expect(200).await?;
    balance.has("/balances", expected)
}

async fn is_empty_for_somebody_new(api: Api) -> Verdict {
    let person = api.person().await?;
    is(&api, &person, json!([])).await
}

async fn adds_up_by_currency(api: Api) -> Verdict {
    let person = api.person().await?;
    let paid = api.paid(&person, "10.00", "USD").await?.id("/id")?;
    api.paid(&person, "0.05", "USD").await?;
    api.paid(&person, "980", "JPY").await?;
    api.reserved(&person, "1.250", "KWD").await?;
    let mut declined = order("99.00", "USD");
    declined["paymentMethodId"] = DECLINED.into();
    api.charge(&person, &declined).expect(402).await?;
    let refund = api
        .post(&format!("/api/payments/{paid}/refunds"))
        .token(&person.token)
        .key(&new_key());
    refund.json(&json!({"amount": "3.10"})).expect(201).await?;
    let expected = json!([
        {"currency": "JPY", "paid": "980", "refunded": "0", "disputed": "0", "net": "980", "pending": "0"},
        {"currency": "KWD", "paid": "0.000", "refunded": "0.000", "disputed": "0.000", "net": "0.000", "pending": "1.250"},
        {"currency": "USD", "paid": "10.05", "refunded": "3.10", "disputed": "0.00", "net": "6.95", "pending": "0.00"},
    ]);
    is(&api, &person, expected).await
}

async fn is_the_callers_own(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    api.paid(&person, "10.00", "USD").await?;
    is(&api, &other, json!([])).await
}
