//! How a charge can end.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::{CHARGE, DECLINED, REFUSED, order};
use crate::api::{Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::new_key;

/// Lost answers are looked for by a job that runs every half minute.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/charge":
        a_card_is_charged,
        everything_sent_is_kept,
        money_can_be_reserved,
        a_declined_card_is_402_with_the_payment,
        a_refused_card_is_402_with_the_payment,
        a_lost_answer_is_202_and_is_found_again needs StripeFront,
    )
}

async fn a_card_is_charged(api: Api) -> Verdict {
    let person = api.person().await?;
    let answer = api.paid(&person, "10.00", "USD").await?;
    answer.has("/userId", person.id)?;
    answer.has("/amount", "10.00")?;
    answer.has("/currency", "USD")?;
    answer.has("/status", "completed")?;
    answer.has("/amountRefunded", "0.00")?;
    for empty in ["/failureCode", "/failureMessage", "/description"] {
        answer.has(empty, Value::Null)?;
    }
    for filled in ["/paymentMethodId", "/stripePaymentIntentId", "/completedAt"] {
        answer.ensure(!answer.at(filled).is_null(), &format!("{filled} is null"))?;
    }
    let path = format!("/api/payments/{}", answer.id("/id")?);
    answer.same("Location", answer.header("location"), Some(path.as_str()))?;
    answer.same("Idempotent-Replayed", answer.header("idempotent-replayed"), None)?;
    let read = api.payment(&person, &path).await?;
    read.same("the payment", &read.json, &answer.json)
}

async fn everything_sent_is_kept(api: Api) -> Verdict {
    let person = api.person().await?;
    let mut body = order("10.00", "EUR");
    body["userId"] = person.id.into();
    body["description"] = "  Zwölf Äpfel 🍏  ".into();
    let answer = api.charge(&person, &body).expect(201).await?;
    answer.has("/description", "Zwölf Äpfel 🍏")?;
    // The card was attached on the fly, and can be named by its id from now on.
    let mut again = order("1.00", "EUR");
    again["paymentMethodId"] = answer.at("/paymentMethodId").clone();
    let second = api.charge(&person, &again).expect(201).await?;
    second.same(
        "the payment method",
        second.at("/paymentMethodId"),
        answer.at("/paymentMethodId"),
    )
}

async fn money_can_be_reserved(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let payment = api.payment(&person, &path).await?;
    payment.has("/completedAt", Value::Null)?;
    payment.has("/amount", "10.00")
}

async fn a_declined_card_is_402_with_the_payment(api: Api) -> Verdict {
    let person = api.person().await?;
    let mut body = order("10.00", "USD");
    body["paymentMethodId"] = DECLINED.into();
    let key = new_key();
    let charge = || {
        api.post(CHARGE)
            .token(&person.token)
            .key(&key)
            .json(&body)
            .expect(402)
    };
    let declined = charge().await?;
    declined.has("/status", "failed")?;
    declined.has("/failureCode", "card_declined")?;
    declined.ensure(
        declined.at("/failureMessage").is_string(),
        "there is no failureMessage",
    )?;
    declined.has("/completedAt", Value::Null)?;
    let again = charge().await?;
    again.same("the payment", &again.json, &declined.json)?;
    again.same(
        "Idempotent-Replayed",
        again.header("idempotent-replayed"),
        Some("true"),
    )
}

async fn a_refused_card_is_402_with_the_payment(api: Api) -> Verdict {
    let person = api.person().await?;
    let mut body = order("10.00", "USD");
    body["paymentMethodId"] = REFUSED.into();
    let refused = api.charge(&person, &body).expect(402).await?;
    refused.has("/status", "failed")?;
    refused.has("/failureCode", "card_declined")?;
    refused.has("/paymentMethodId", Value::Null)
}

async fn a_lost_answer_is_202_and_is_found_again(api: Api) -> Verdict {
    let person = api.person().await?;
    let key = new_key();
    api.lose_answer(&format!("charge:{}:{key}", person.id)).await?;
    let body = order("10.00", "USD");
    let charge = || api.post(CHARGE).token(&person.token).key(&key).json(&body);
    let unknown = charge().expect(202).await?;
    unknown.has("/status", "pending")?;
    let path = format!("/api/payments/{}", unknown.id("/id")?);
    // What is undecided cannot be refunded; but Stripe's own event may decide it at any moment.
    let refund = api
        .post(&format!("{path}/refunds"))
        .token(&person.token)
        .key(&new_key())
        .json(&json!({}))
        .expect_one_of(&[201, 409])
        .await?;
    let decided = if refund.status == 201 {
        "refunded"
    } else {
        refund.has("/type", "urn:banyan:problem:invalid-state")?;
        "completed"
    };
    let again = charge().expect_one_of(&[201, 202, 409]).await?;
    if again.status != 409 {
        again.same("the payment's id", again.at("/id"), unknown.at("/id"))?;
    }
    let found = async {
        loop {
            let payment = api.payment(&person, &path).await?;
            if payment.at("/status") == decided {
                return Ok::<_, Difference>(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_| Difference::new(format!("GET {path}: still not {decided} after {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, found).await.map_err(late)??;
    if refund.status == 201 {
        let payment = api.payment(&person, &path).await?;
        let (decided_at, refunded_at) = (payment.at("/completedAt"), refund.at("/createdAt"));
        payment.ensure(
            moment(decided_at).is_some_and(|decided_at| moment(refunded_at) >= Some(decided_at)),
            &format!("refunded at {refunded_at}, before it was decided at {decided_at}"),
        )?;
    }
    let settled = charge().expect(201).await?;
    settled.same("the payment's id", settled.at("/id"), unknown.at("/id"))?;
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 1)
}

/// RFC 3339, whatever the number of digits.
fn moment(text: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.as_str()?, &Rfc3339).ok()
}
