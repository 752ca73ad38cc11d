//! POST and GET /api/payments/methods, DELETE /api/payments/methods/{id}

use serde_json::{Value, json};

use super::{REFUSED, VISA};
use crate::api::{Answer, Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};

const PATH: &str = "/api/payments/methods";

pub(super) fn adding() -> Vec<Check> {
    checks!("POST /api/payments/methods":
        the_first_card_becomes_the_default,
        a_refused_card_is_402,
        bad_input_is_refused,
    )
}

pub(super) fn listing() -> Vec<Check> {
    checks!("GET /api/payments/methods": lists_the_callers_cards_newest_first)
}

pub(super) fn removing() -> Vec<Check> {
    checks!("DELETE /api/payments/methods/{id}":
        a_removed_card_is_gone_and_the_newest_other_is_the_default,
        a_card_that_a_subscription_uses_stays,
        somebody_elses_is_not_there,
    )
}

async fn add(api: &Api, person: &Person, card: &str) -> Result<Answer, Difference> {
    api.post(PATH)
        .token(&person.token)
        .json(&json!({"stripePaymentMethodId": card}))
        .expect(201)
        .await
}

async fn the_first_card_becomes_the_default(api: Api) -> Verdict {
    let person = api.person().await?;
    let first = add(&api, &person, VISA).await?;
    first.has("/brand", "visa")?;
    first.has("/last4", "4242")?;
    first.has("/isDefault", true)?;
    let second = add(&api, &person, VISA).await?;
    second.has("/isDefault", false)
}

async fn a_refused_card_is_402(api: Api) -> Verdict {
    let person = api.person().await?;
    let add = api
        .post(PATH)
        .token(&person.token)
        .json(&json!({"stripePaymentMethodId": REFUSED}));
    add.problem(402, "payment-method-declined").await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.has("/items", Value::Array(Vec::new()))
}

async fn bad_input_is_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    let bad = [
        json!(null),
        json!(7),
        json!(""),
        json!("card_visa"),
        json!("pm_nobody_has_this_one"),
        json!("pm_card_visa\n/../x"),
        json!(format!("pm_{}", "x".repeat(62))),
        json!("pm_../customers"),
        json!("pm_\u{0}"),
    ];
    for id in bad {
        let add = api
            .post(PATH)
            .token(&person.token)
            .json(&json!({"stripePaymentMethodId": id}));
        add.invalid(&["stripePaymentMethodId"]).await?;
    }
    Ok(())
}

async fn lists_the_callers_cards_newest_first(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let first = add(&api, &person, VISA).await?;
    let second = add(&api, &person, VISA).await?;
    add(&api, &other, VISA).await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.same(
        "the cards",
        list.items()?,
        &vec![second.json.clone(), first.json.clone()],
    )?;
    let page = api
        .get(&format!("{PATH}?limit=1"))
        .token(&person.token)
        .expect(200)
        .await?;
    let cursor = page.at("/nextCursor").as_str().unwrap_or_default();
    let next = api
        .get(&format!("{PATH}?limit=1&cursor={cursor}"))
        .token(&person.token)
        .expect(200)
        .await?;
    next.same("the ids", next.ids()?, vec![first.id("/id")?])
}

async fn a_removed_card_is_gone_and_the_newest_other_is_the_default(api: Api) -> Verdict {
    let person = api.person().await?;
    let first = add(&api, &person, VISA).await?.id("/id")?;
    let second = add(&api, &person, VISA).await?.id("/id")?;
    let third = add(&api, &person, VISA).await?.id("/id")?;
    let remove = |id: i64| api.delete(&format!("{PATH}/{id}")).token(&person.token);
    remove(first).expect(204).await?;
    remove(first).problem(404, "not-found").await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.same("the ids", list.ids()?, vec![third, second])?;
    list.has("/items/0/isDefault", true)?;
    list.has("/items/1/isDefault", false)?;
    let body = json!({"amount": "1.00", "currency": "USD", "paymentMethodId": first});
    let charge = api
        .post("/api/payments/charge")
        .token(&person.token)
        .key(&new_key())
        .json(&body);
    charge.invalid(&["paymentMethodId"]).await?;
    Ok(())
}

async fn a_card_that_a_subscription_uses_stays(api: Api) -> Verdict {
    let person = api.person().await?;
    let card = add(&api, &person, VISA).await?.id("/id")?;
    let body = json!({"planId": 1, "paymentMethodId": card});
    let subscribe = api
        .post("/api/payments/subscriptions")
        .token(&person.token)
        .key(&new_key())
        .json(&body);
    subscribe.expect(201).await?;
    let remove = api.delete(&format!("{PATH}/{card}")).token(&person.token);
    remove.problem(409, "invalid-state").await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.same("the ids", list.ids()?, vec![card])
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let card = add(&api, &person, VISA).await?.id("/id")?;
    api.delete(&format!("{PATH}/{card}"))
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.same("the ids", list.ids()?, vec![card])
}
