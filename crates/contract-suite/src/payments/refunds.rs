//! POST and GET /api/payments/{id}/refunds

use serde_json::{Value, json};

use super::{DECLINED, order};
use crate::api::{Api, Call, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};

pub(super) fn making() -> Vec<Check> {
    checks!("POST /api/payments/{id}/refunds":
        gives_everything_back,
        gives_parts_back_until_nothing_is_left,
        keeps_the_currencys_decimals,
        a_key_is_needed_and_a_repetition_is_answered_alike,
        of_two_that_exceed_the_payment_one_wins,
        only_what_is_paid_can_be_refunded,
        bad_input_is_refused,
        somebody_elses_is_not_there,
    )
}

pub(super) fn listing() -> Vec<Check> {
    checks!("GET /api/payments/{id}/refunds": lists_the_payments_refunds_newest_first)
}

/// The path of a payment that was made.
async fn payment(api: &Api, person: &Person, amount: &str, currency: &str) -> Result<String, Difference> {
    Ok(format!(
        "/api/payments/{}",
        api.paid(person, amount, currency).await?.id("/id")?
    ))
}

fn refund(api: &Api, person: &Person, path: &str, body: &Value) -> Call {
    api.post(&format!("{path}/refunds"))
        .token(&person.token)
        .key(&new_key())
        .json(body)
}

async fn gives_everything_back(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = payment(&api, &person, "10.00", "USD").await?;
    let answer = refund(&api, &person, &path, &json!({"reason": "duplicate"}))
        .expect(201)
        .await?;
    answer.same(
        "paymentId",
        format!("/api/payments/{}", answer.id("/paymentId")?),
        path.clone(),
    )?;
    answer.has("/amount", "10.00")?;
    answer.has("/currency", "USD")?;
    answer.has("/status", "succeeded")?;
    answer.has("/reason", "duplicate")?;
    answer.has("/failureCode", Value::Null)?;
    for filled in ["/stripeRefundId", "/completedAt"] {
        answer.ensure(!answer.at(filled).is_null(), &format!("{filled} is null"))?;
    }
    let after = api.payment(&person, &path).await?;
    after.has("/status", "refunded")?;
    after.has("/amount", "10.00")?;
    after.has("/amountRefunded", "10.00")?;
    refund(&api, &person, &path, &json!({}))
        .problem(409, "invalid-state")
        .await?;
    Ok(())
}

async fn gives_parts_back_until_nothing_is_left(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = payment(&api, &person, "10.00", "USD").await?;
    refund(&api, &person, &path, &json!({"amount": "10.01"}))
        .invalid(&["amount"])
        .await?;
    refund(&api, &person, &path, &json!({"amount": 3.10}))
        .expect(201)
        .await?
        .has("/amount", "3.10")?;
    let part = api.payment(&person, &path).await?;
    part.has("/status", "partially_refunded")?;
    part.has("/amountRefunded", "3.10")?;
    refund(&api, &person, &path, &json!({"amount": "6.91"}))
        .invalid(&["amount"])
        .await?;
    refund(&api, &person, &path, &json!({}))
        .expect(201)
        .await?
        .has("/amount", "6.90")?;
    let all = api.payment(&person, &path).await?;
    all.has("/status", "refunded")?;
    all.has("/amountRefunded", "10.00")
}

async fn keeps_the_currencys_decimals(api: Api) -> Verdict {
    let person = api.person().await?;
    for (currency, paid, part, shown) in [("JPY", "500", "120", "120"), ("KWD", "2.500", "1.5", "1.500")] {
        let path = payment(&api, &person, paid, currency).await?;
        refund(&api, &person, &path, &json!({"amount": part}))
            .expect(201)
            .await?
            .has("/amount", shown)?;
        api.payment(&person, &path).await?.has("/amountRefunded", shown)?;
    }
    let path = payment(&api, &person, "500", "JPY").await?;
    refund(&api, &person, &path, &json!({"amount": "1.0"}))
        .invalid(&["amount"])
        .await?;
    Ok(())
}

async fn a_key_is_needed_and_a_repetition_is_answered_alike(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = format!("{}/refunds", payment(&api, &person, "10.00", "USD").await?);
    let body = json!({"amount": "4.00"});
    api.post(&path)
        .token(&person.token)
        .json(&body)
        .problem(400, "idempotency-key-missing")
        .await?;
    let long = "k".repeat(256);
    api.post(&path)
        .token(&person.token)
        .key(&long)
        .json(&body)
        .problem(400, "idempotency-key-invalid")
        .await?;
    let key = new_key();
    let keyed = |body: &Value| api.post(&path).token(&person.token).key(&key).json(body);
    let first = keyed(&body).expect(201).await?;
    first.same("Idempotent-Replayed", first.header("idempotent-replayed"), None)?;
    let again = keyed(&json!({"amount": 4})).expect(201).await?;
    again.same("the refund", &again.json, &first.json)?;
    again.same(
        "Idempotent-Replayed",
        again.header("idempotent-replayed"),
        Some("true"),
    )?;
    keyed(&json!({"amount": "5.00"}))
        .problem(422, "idempotency-key-reused")
        .await?;
    keyed(&json!({"amount": "4.00", "reason": "fraudulent"}))
        .problem(422, "idempotency-key-reused")
        .await?;
    let list = api.get(&path).token(&person.token).expect(200).await?;
    list.same("the number of refunds", list.items()?.len(), 1)
}

async fn of_two_that_exceed_the_payment_one_wins(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = payment(&api, &person, "10.00", "USD").await?;
    let body = json!({"amount": "6.00"});
    let calls = (0..4).map(|_| async {
        refund(&api, &person, &path, &body)
            .expect_one_of(&[201, 422, 409])
            .await
    });
    let answers = futures::future::try_join_all(calls).await?;
    let won = answers.iter().filter(|answer| answer.status == 201).count();
    answers[0].same("the number of refunds that succeeded", won, 1)?;
    api.payment(&person, &path).await?.has("/amountRefunded", "6.00")
}

async fn only_what_is_paid_can_be_refunded(api: Api) -> Verdict {
    let person = api.person().await?;
    let reserved = api.reserved(&person, "10.00", "USD").await?;
    let mut body = order("10.00", "USD");
    body["paymentMethodId"] = DECLINED.into();
    let failed = format!(
        "/api/payments/{}",
        api.charge(&person, &body).expect(402).await?.id("/id")?
    );
    for path in [reserved, failed] {
        refund(&api, &person, &path, &json!({}))
            .problem(409, "invalid-state")
            .await?;
    }
    Ok(())
}

async fn bad_input_is_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = payment(&api, &person, "10.00", "USD").await?;
    for amount in [
        json!("0"),
        json!(-1),
        json!(true),
        json!([]),
        json!("ten"),
        json!("1.001"),
        json!(1e30),
    ] {
        refund(&api, &person, &path, &json!({"amount": amount}))
            .invalid(&["amount"])
            .await?;
    }
    for reason in [json!("because"), json!(7), json!([]), json!({})] {
        refund(&api, &person, &path, &json!({"reason": reason}))
            .invalid(&["reason"])
            .await?;
    }
    let both = json!({"amount": "x", "reason": "because"});
    refund(&api, &person, &path, &both)
        .invalid(&["amount", "reason"])
        .await?;
    refund(&api, &person, &path, &Value::Null)
        .json_text("{")
        .problem(400, "bad-request")
        .await?;
    let text = refund(&api, &person, &path, &Value::Null).body("text/plain", "{}");
    text.problem(415, "unsupported-media-type").await?;
    api.payment(&person, &path).await?.has("/amountRefunded", "0.00")
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let path = payment(&api, &person, "10.00", "USD").await?;
    refund(&api, &other, &path, &json!({}))
        .problem(404, "not-found")
        .await?;
    api.get(&format!("{path}/refunds"))
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    api.payment(&person, &path).await?.has("/status", "completed")
}

async fn lists_the_payments_refunds_newest_first(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = payment(&api, &person, "10.00", "USD").await?;
    let elsewhere = payment(&api, &person, "10.00", "USD").await?;
    refund(&api, &person, &elsewhere, &json!({})).expect(201).await?;
    let mut made = Vec::new();
    for amount in ["1.00", "2.00", "3.00"] {
        made.insert(
            0,
            refund(&api, &person, &path, &json!({"amount": amount}))
                .expect(201)
                .await?
                .json,
        );
    }
    let list = api
        .get(&format!("{path}/refunds"))
        .token(&person.token)
        .expect(200)
        .await?;
    list.same("the refunds", list.items()?, &made)?;
    let first = api
        .get(&format!("{path}/refunds?limit=2"))
        .token(&person.token)
        .expect(200)
        .await?;
    first.same("the number of items", first.items()?.len(), 2)?;
    let cursor = first.at("/nextCursor").as_str().unwrap_or_default();
    let rest = api
        .get(&format!("{path}/refunds?limit=2&cursor={cursor}"))
        .token(&person.token)
        .expect(200)
        .await?;
    rest.same("the ids", rest.ids()?, list.ids()?[2..].to_vec())?;
    rest.has("/nextCursor", Value::Null)?;
    for bad in ["limit=0", "limit=201", "cursor=nonsense"] {
        api.get(&format!("{path}/refunds?{bad}"))
            .token(&person.token)
            .problem(400, "bad-request")
            .await?;
    }
    Ok(())
}
