//! Fields other than the amount.

use serde_json::{Value, json};

use super::super::order;
use crate::api::Api;
use crate::check::{Check, Verdict, checks};

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/charge":
        missing_and_mistyped_fields_are_all_named,
        currencies_are_upper_case_codes_that_can_be_charged,
        cards_must_be_the_callers_own,
        nobody_else_can_be_charged,
        descriptions_have_bounds,
    )
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = order("10.00", "USD");
    body[field] = value.into();
    body
}

async fn missing_and_mistyped_fields_are_all_named(api: Api) -> Verdict {
    let person = api.person().await?;
    let required = ["amount", "currency", "paymentMethodId"];
    api.charge(&person, &json!({})).invalid(&required).await?;
    api.charge(
        &person,
        &json!({"amount": null, "currency": null, "paymentMethodId": null}),
    )
    .invalid(&required)
    .await?;
    let mistyped = json!({
        "amount": "10.00", "currency": 840, "paymentMethodId": {}, "userId": "me", "capture": "yes", "description": 7,
    });
    let fields = ["capture", "currency", "description", "paymentMethodId", "userId"];
    api.charge(&person, &mistyped).invalid(&fields).await?;
    Ok(())
}

async fn currencies_are_upper_case_codes_that_can_be_charged(api: Api) -> Verdict {
    let person = api.person().await?;
    for currency in ["usd", "US", "USDX", "XXX", "", "U$D", "ＵＳＤ", "US\u{0}"] {
        api.charge(&person, &with("currency", currency))
            .invalid(&["currency"])
            .await?;
    }
    Ok(())
}

async fn cards_must_be_the_callers_own(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let theirs = api.paid(&other, "10.00", "USD").await?;
    let unusable = [
        theirs.at("/paymentMethodId").clone(),
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_991_i64),
        json!(1e30),
        json!(1.5),
        json!(true),
        json!("pm_"),
        json!("pm_nobody_has_this_one"),
        json!("pm_card_visa\n"),
        json!("card_visa"),
        json!(format!("pm_{}", "x".repeat(61))),
    ];
    for method in unusable {
        api.charge(&person, &with("paymentMethodId", method))
            .invalid(&["paymentMethodId"])
            .await?;
    }
    Ok(())
}

async fn nobody_else_can_be_charged(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    api.charge(&person, &with("userId", other.id))
        .problem(403, "forbidden")
        .await?;
    for one in [person, other] {
        let list = api.get("/api/payments/").token(&one.token).expect(200).await?;
        list.same("the number of payments", list.items()?.len(), 0)?;
    }
    Ok(())
}

async fn descriptions_have_bounds(api: Api) -> Verdict {
    let person = api.person().await?;
    let long = "é".repeat(500);
    api.charge(&person, &with("description", long.as_str()))
        .expect(201)
        .await?
        .has("/description", long)?;
    api.charge(&person, &with("description", "é".repeat(501)))
        .invalid(&["description"])
        .await?;
    for text in ["a\0b", "a\nb", "a\u{85}b", "a\u{2029}b"] {
        api.charge(&person, &with("description", text))
            .invalid(&["description"])
            .await?;
    }
    api.charge(&person, &with("description", ""))
        .expect(201)
        .await?
        .has("/description", Value::Null)?;
    let surrogate = with("description", "@").to_string().replace('@', r"\udfff");
    api.charge(&person, &Value::Null)
        .json_text(surrogate)
        .expect_one_of(&[400, 422])
        .await?;
    Ok(())
}
