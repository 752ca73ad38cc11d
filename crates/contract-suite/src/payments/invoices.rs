//! GET /api/payments/invoices

use serde_json::{Value, json};

use super::VISA;
use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::new_key;

const PATH: &str = "/api/payments/invoices";

pub(super) fn checks() -> Vec<Check> {
    checks!("GET /api/payments/invoices": lists_the_callers_invoices_newest_first_in_their_currency)
}

async fn lists_the_callers_invoices_newest_first_in_their_currency(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let empty = api.get(PATH).token(&person.token).expect(200).await?;
    empty.has("/items", Value::Array(Vec::new()))?;
    for (plan, who) in [(4, &person), (5, &person), (3, &person), (1, &other)] {
        let body = json!({"planId": plan, "paymentMethodId": VISA});
        let subscribe = api
            .post("/api/payments/subscriptions")
            .token(&who.token)
            .key(&new_key())
            .json(&body);
        subscribe.expect(201).await?;
    }
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    let expected = [
        ("EUR", "290.00", "0.00"),
        ("KWD", "3.500", "0.000"),
        ("JPY", "980", "0"),
    ];
    list.same("the number of invoices", list.items()?.len(), expected.len())?;
    for (number, (currency, total, discount)) in expected.into_iter().enumerate() {
        let at = |field: &str| format!("/items/{number}/{field}");
        for (field, value) in [
            ("currency", currency),
            ("subtotal", total),
            ("total", total),
            ("discount", discount),
            ("status", "paid"),
        ] {
            list.has(&at(field), value)?;
        }
        list.has(&at("lines/0/amount"), total)?;
        list.has(&at("lines/0/proration"), false)?;
        list.ensure(!list.at(&at("paidAt")).is_null(), "a paid invoice has no paidAt")?;
    }
    let numbers: Vec<&Value> = list.items()?.iter().map(|invoice| &invoice["number"]).collect();
    list.ensure(
        numbers[0] != numbers[1] && numbers[1] != numbers[2],
        "two invoices have the same number",
    )?;
    let mut following = String::new();
    let mut seen = Vec::new();
    for _ in 0..expected.len() {
        let page = api
            .get(&format!("{PATH}?limit=1{following}"))
            .token(&person.token)
            .expect(200)
            .await?;
        seen.extend(page.ids()?);
        following = format!("&cursor={}", page.at("/nextCursor").as_str().unwrap_or_default());
    }
    list.same("the pages' ids", seen, list.ids()?)
}
