//! POST /api/payments/subscriptions and DELETE /api/payments/subscriptions/{id}

use serde_json::{Value, json};

use super::{DECLINED, REFUSED, VISA};
use crate::api::{Api, Call, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};

const PATH: &str = "/api/payments/subscriptions";
/// 9.99 USD a month.
const BASIC: i64 = 1;
/// 29.00 USD a month.
const PRO: i64 = 2;
/// 290.00 EUR a year.
const TEAM: i64 = 3;

pub(super) fn making() -> Vec<Check> {
    checks!("POST /api/payments/subscriptions":
        pays_the_first_period_at_once,
        a_declined_card_is_402_with_the_subscription,
        a_key_is_needed_and_a_repetition_is_answered_alike,
        of_many_at_once_one_subscribes,
        coupons_count_once,
        the_same_plan_again_is_409,
        a_dearer_plan_takes_over_at_once,
        a_cheaper_plan_worth_less_than_what_is_left_is_409,
        bad_input_is_refused,
    )
}

pub(super) fn ending() -> Vec<Check> {
    checks!("DELETE /api/payments/subscriptions/{id}":
        ends_with_the_period_and_can_be_repeated,
        somebody_elses_is_not_there,
    )
}

fn subscribe(api: &Api, person: &Person, plan: i64, card: &str) -> Call {
    let body = json!({"planId": plan, "paymentMethodId": card});
    api.post(PATH).token(&person.token).key(&new_key()).json(&body)
}

/// The caller's invoices, newest first.
async fn invoices(api: &Api, person: &Person) -> Result<Vec<Value>, Difference> {
    Ok(api
        .get("/api/payments/invoices")
        .token(&person.token)
        .expect(200)
        .await?
        .items()?
        .clone())
}

async fn pays_the_first_period_at_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let made = subscribe(&api, &person, BASIC, VISA).expect(201).await?;
    made.has("/userId", person.id)?;
    made.has("/planId", BASIC)?;
    made.has("/status", "active")?;
    made.has("/couponCode", Value::Null)?;
    made.has("/cancelAtPeriodEnd", false)?;
    made.has("/canceledAt", Value::Null)?;
    let times =
        ["/currentPeriodStart", "/currentPeriodEnd"].map(|at| made.at(at).as_str().unwrap_or_default());
    made.ensure(times[0] < times[1], "the period ends before it begins")?;
    let invoices = invoices(&api, &person).await?;
    made.same("the number of invoices", invoices.len(), 1)?;
    made.same("the invoice's total", &invoices[0]["total"], &json!("9.99"))?;
    let paid = api
        .payment(&person, &format!("/api/payments/{}", invoices[0]["paymentId"]))
        .await?;
    paid.has("/amount", "9.99")?;
    paid.has("/status", "completed")
}

async fn a_declined_card_is_402_with_the_subscription(api: Api) -> Verdict {
    let person = api.person().await?;
    let declined = subscribe(&api, &person, BASIC, DECLINED).expect(402).await?;
    declined.has("/status", "incomplete_expired")?;
    subscribe(&api, &person, BASIC, REFUSED)
        .problem(402, "payment-method-declined")
        .await?;
    // Nothing of it stands in the way.
    subscribe(&api, &person, BASIC, VISA).expect(201).await?;
    Ok(())
}

async fn a_key_is_needed_and_a_repetition_is_answered_alike(api: Api) -> Verdict {
    let person = api.person().await?;
    let body = json!({"planId": BASIC, "paymentMethodId": VISA});
    api.post(PATH)
        .token(&person.token)
        .json(&body)
        .problem(400, "idempotency-key-missing")
        .await?;
    let long = "k".repeat(256);
    api.post(PATH)
        .token(&person.token)
        .key(&long)
        .json(&body)
        .problem(400, "idempotency-key-invalid")
        .await?;
    let key = new_key();
    let keyed = |body: &Value| api.post(PATH).token(&person.token).key(&key).json(body);
    let first = keyed(&body).expect(201).await?;
    let again = keyed(&body).expect(201).await?;
    again.same("the subscription", &again.json, &first.json)?;
    again.same(
        "Idempotent-Replayed",
        again.header("idempotent-replayed"),
        Some("true"),
    )?;
    let other = json!({"planId": PRO, "paymentMethodId": VISA});
    keyed(&other).problem(422, "idempotency-key-reused").await?;
    first.same("the number of invoices", invoices(&api, &person).await?.len(), 1)
}

async fn of_many_at_once_one_subscribes(api: Api) -> Verdict {
    let person = api.person().await?;
    // The card is there already, so that the subscriptions are all that happens at once.
    let card = api
        .paid(&person, "1.00", "USD")
        .await?
        .at("/paymentMethodId")
        .clone();
    let body = json!({"planId": BASIC, "paymentMethodId": card});
    let calls = (0..6).map(|_| async {
        let call = api.post(PATH).token(&person.token).key(&new_key()).json(&body);
        call.expect_one_of(&[201, 409]).await
    });
    let answers = futures::future::try_join_all(calls).await?;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    answers[0].same("the number of subscriptions made", made, 1)?;
    answers[0].same("the number of invoices", invoices(&api, &person).await?.len(), 1)
}

async fn coupons_count_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let with_coupon = |plan: i64, code: Value| {
        let body = json!({"planId": plan, "paymentMethodId": VISA, "couponCode": code});
        api.post(PATH).token(&person.token).key(&new_key()).json(&body)
    };
    with_coupon(TEAM, json!("FIVEOFF"))
        .invalid(&["couponCode"])
        .await?;
    let made = with_coupon(PRO, json!("WELCOME10")).expect(201).await?;
    made.has("/couponCode", "WELCOME10")?;
    let invoice = invoices(&api, &person).await?.remove(0);
    for (field, expected) in [("subtotal", "29.00"), ("discount", "2.90"), ("total", "26.10")] {
        made.same(field, &invoice[field], &json!(expected))?;
    }
    with_coupon(TEAM, json!("WELCOME10"))
        .invalid(&["couponCode"])
        .await?;
    for code in [
        json!("NO-SUCH-COUPON"),
        json!(7),
        json!("x".repeat(41)),
        json!("a\u{0}"),
    ] {
        with_coupon(TEAM, code).invalid(&["couponCode"]).await?;
    }
    Ok(())
}

async fn the_same_plan_again_is_409(api: Api) -> Verdict {
    let person = api.person().await?;
    subscribe(&api, &person, BASIC, VISA).expect(201).await?;
    subscribe(&api, &person, BASIC, VISA)
        .problem(409, "already-subscribed")
        .await?;
    // Another currency is another matter.
    subscribe(&api, &person, TEAM, VISA).expect(201).await?;
    Ok(())
}

async fn a_dearer_plan_takes_over_at_once(api: Api) -> Verdict {
    let person = api.person().await?;
    subscribe(&api, &person, BASIC, VISA).expect(201).await?;
    let switched = subscribe(&api, &person, PRO, VISA).expect(201).await?;
    switched.has("/planId", PRO)?;
    switched.has("/status", "active")?;
    let invoice = invoices(&api, &person).await?.remove(0);
    let lines = invoice["lines"].as_array().cloned().unwrap_or_default();
    let of = |proration: bool| lines.iter().find(|line| line["proration"] == proration);
    let (Some(credit), Some(price)) = (of(true), of(false)) else {
        return Err(switched.difference(&format!(
            "the invoice has no proration line, or no other: {invoice}"
        )));
    };
    // Nothing of the month is used yet: all of it comes back, rounded to the customer's favour.
    switched.same("the credit", &credit["amount"], &json!("-9.99"))?;
    switched.same("the price", &price["amount"], &json!("29.00"))?;
    switched.same("the invoice's total", &invoice["total"], &json!("19.01"))?;
    subscribe(&api, &person, PRO, VISA)
        .problem(409, "already-subscribed")
        .await?;
    Ok(())
}

async fn a_cheaper_plan_worth_less_than_what_is_left_is_409(api: Api) -> Verdict {
    let person = api.person().await?;
    subscribe(&api, &person, PRO, VISA).expect(201).await?;
    subscribe(&api, &person, BASIC, VISA)
        .problem(409, "invalid-state")
        .await?;
    subscribe(&api, &person, PRO, VISA)
        .problem(409, "already-subscribed")
        .await?;
    Ok(())
}

async fn bad_input_is_refused(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let send = |body: Value| api.post(PATH).token(&person.token).key(&new_key()).json(&body);
    send(json!({})).invalid(&["paymentMethodId", "planId"]).await?;
    send(json!({"planId": "1", "paymentMethodId": [], "couponCode": 7}))
        .invalid(&["couponCode", "paymentMethodId", "planId"])
        .await?;
    for plan in [
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_991_i64),
        json!(1e30),
        json!(1.5),
        json!(true),
    ] {
        send(json!({"planId": plan, "paymentMethodId": VISA}))
            .invalid(&["planId"])
            .await?;
    }
    let theirs = api
        .paid(&other, "1.00", "USD")
        .await?
        .at("/paymentMethodId")
        .clone();
    send(json!({"planId": BASIC, "paymentMethodId": theirs}))
        .invalid(&["paymentMethodId"])
        .await?;
    crate::api::same("the number of invoices", invoices(&api, &person).await?.len(), 0)
}

async fn ends_with_the_period_and_can_be_repeated(api: Api) -> Verdict {
    let person = api.person().await?;
    let made = subscribe(&api, &person, BASIC, VISA).expect(201).await?;
    let path = format!("{PATH}/{}", made.id("/id")?);
    let ended = api.delete(&path).token(&person.token).expect(200).await?;
    ended.has("/status", "active")?;
    ended.has("/cancelAtPeriodEnd", true)?;
    ended.same(
        "currentPeriodEnd",
        ended.at("/currentPeriodEnd"),
        made.at("/currentPeriodEnd"),
    )?;
    let again = api.delete(&path).token(&person.token).expect(200).await?;
    again.same("the subscription", &again.json, &ended.json)
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let path = format!(
        "{PATH}/{}",
        subscribe(&api, &person, BASIC, VISA)
            .expect(201)
            .await?
            .id("/id")?
    );
    api.delete(&path)
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    api.delete(&path)
        .token(&person.token)
        .expect(200)
        .await?
        .has("/cancelAtPeriodEnd", true)
}
