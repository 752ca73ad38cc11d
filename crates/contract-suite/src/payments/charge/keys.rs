//! Idempotency keys.

use serde_json::{Value, json};

use super::super::{CHARGE, order};
use crate::api::{Answer, Api, Call};
use crate::check::{Check, Verdict, checks};
use crate::people::{Person, new_key};

/// How many send the same request at once.
const BURST: usize = 50;

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/charge":
        a_key_is_needed_and_has_a_form,
        a_repetition_is_answered_alike,
        the_same_meaning_is_the_same_request,
        another_request_under_the_key_is_refused,
        a_refused_request_does_not_use_its_key_up,
        keys_belong_to_their_user,
        of_many_at_once_one_charges,
    )
}

fn charge(api: &Api, person: &Person, key: &str, body: &Value) -> Call {
    api.post(CHARGE).token(&person.token).key(key).json(body)
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn a_key_is_needed_and_has_a_form(api: Api) -> Verdict {
    let person = api.person().await?;
    let body = order("10.00", "USD");
    api.post(CHARGE)
        .token(&person.token)
        .json(&body)
        .problem(400, "idempotency-key-missing")
        .await?;
    charge(&api, &person, "", &body)
        .problem(400, "idempotency-key-missing")
        .await?;
    charge(&api, &person, "   ", &body)
        .problem(400, "idempotency-key-missing")
        .await?;
    charge(&api, &person, &"k".repeat(256), &body)
        .problem(400, "idempotency-key-invalid")
        .await?;
    charge(&api, &person, "schlüssel", &body)
        .problem(400, "idempotency-key-invalid")
        .await?;
    charge(&api, &person, &"k".repeat(255), &body).expect(201).await?;
    charge(&api, &person, "a key: with ~everything~ \"printable\"", &body)
        .expect(201)
        .await?;
    Ok(())
}

async fn a_repetition_is_answered_alike(api: Api) -> Verdict {
    let person = api.person().await?;
    let (key, body) = (new_key(), order("10.00", "USD"));
    let first = charge(&api, &person, &key, &body).expect(201).await?;
    first.ensure(!replayed(&first), "the first answer says that it is replayed")?;
    for _ in 0..2 {
        let again = charge(&api, &person, &key, &body).expect(201).await?;
        again.same("the payment", &again.json, &first.json)?;
        again.same("Location", again.header("location"), first.header("location"))?;
        again.ensure(replayed(&again), "Idempotent-Replayed is missing")?;
    }
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 1)
}

async fn the_same_meaning_is_the_same_request(api: Api) -> Verdict {
    let person = api.person().await?;
    let key = new_key();
    let first = charge(&api, &person, &key, &order("10.00", "USD"))
        .expect(201)
        .await?;
    let alike = [
        r#"{"paymentMethodId": "pm_card_visa", "currency": "USD", "amount": "10"}"#,
        r#"{"amount": 10.0, "currency": "USD", "paymentMethodId": "pm_card_visa", "capture": true, "description": ""}"#,
    ];
    for text in alike {
        let again = api
            .post(CHARGE)
            .token(&person.token)
            .key(&key)
            .json_text(text)
            .expect(201)
            .await?;
        again.same("the payment's id", again.at("/id"), first.at("/id"))?;
    }
    Ok(())
}

async fn another_request_under_the_key_is_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    let key = new_key();
    charge(&api, &person, &key, &order("10.00", "USD"))
        .expect(201)
        .await?;
    let changes = [
        ("amount", json!("10.01")),
        ("currency", json!("EUR")),
        ("capture", json!(false)),
        ("description", json!("x")),
    ];
    for (field, value) in changes {
        let mut body = order("10.00", "USD");
        body[field] = value;
        charge(&api, &person, &key, &body)
            .problem(422, "idempotency-key-reused")
            .await?;
    }
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 1)
}

async fn a_refused_request_does_not_use_its_key_up(api: Api) -> Verdict {
    let person = api.person().await?;
    let key = new_key();
    charge(&api, &person, &key, &order("0", "USD"))
        .invalid(&["amount"])
        .await?;
    let mended = charge(&api, &person, &key, &order("10.00", "USD"))
        .expect(201)
        .await?;
    mended.ensure(!replayed(&mended), "the answer says that it is replayed")
}

async fn keys_belong_to_their_user(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let (key, body) = (new_key(), order("10.00", "USD"));
    let first = charge(&api, &person, &key, &body).expect(201).await?;
    let second = charge(&api, &other, &key, &body).expect(201).await?;
    second.ensure(!replayed(&second), "the answer says that it is replayed")?;
    second.ensure(second.at("/id") != first.at("/id"), "both have the same payment")?;
    second.has("/userId", other.id)
}

async fn of_many_at_once_one_charges(api: Api) -> Verdict {
    let person = api.person().await?;
    // The card is there already, so that the charges are all that happens at once.
    let method = api
        .paid(&person, "1.00", "USD")
        .await?
        .at("/paymentMethodId")
        .clone();
    let key = new_key();
    let body = json!({"amount": "10.00", "currency": "USD", "paymentMethodId": method});
    let calls = (0..BURST).map(|_| async {
        charge(&api, &person, &key, &body)
            .expect_one_of(&[201, 202, 409])
            .await
    });
    let answers = futures::future::try_join_all(calls).await?;
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        answer.has("/type", "urn:banyan:problem:idempotency-key-in-use")?;
    }
    let fresh = answers
        .iter()
        .filter(|answer| answer.status == 201 && !replayed(answer))
        .count();
    answers[0].same("the number of answers that are no replays", fresh, 1)?;
    let settled = charge(&api, &person, &key, &body).expect(201).await?;
    for answer in answers.iter().filter(|answer| answer.status != 409) {
        answer.same("the payment's id", answer.at("/id"), settled.at("/id"))?;
    }
    let list = api.get("/api/payments/").token(&person.token).expect(200).await?;
    list.same("the number of payments", list.items()?.len(), 2)
}
