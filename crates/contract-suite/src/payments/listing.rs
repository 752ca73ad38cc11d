//! GET /api/payments/ and /api/payments/{id}

use serde_json::Value;

use crate::api::{Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::Person;

const PATH: &str = "/api/payments/";
/// How many items a page has where no limit is sent.
const DEFAULT: usize = 50;

pub(super) fn lists() -> Vec<Check> {
    checks!("GET /api/payments/":
        is_empty_for_somebody_new,
        shows_own_payments_newest_first,
        pages_are_stable_while_payments_arrive,
        a_page_is_bounded_without_a_limit,
    )
}

pub(super) fn one() -> Vec<Check> {
    checks!("GET /api/payments/{id}": shows_ones_own_and_hides_somebody_elses)
}

async fn is_empty_for_somebody_new(api: Api) -> Verdict {
    let person = api.person().await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.has("/items", Value::Array(Vec::new()))?;
    list.has("/nextCursor", Value::Null)
}

async fn pay(api: &Api, person: &Person, count: usize) -> Result<Vec<i64>, Difference> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.insert(0, api.paid(person, "1.00", "USD").await?.id("/id")?);
    }
    Ok(ids)
}

async fn shows_own_payments_newest_first(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let ids = pay(&api, &person, 3).await?;
    pay(&api, &other, 1).await?;
    let list = api.get(PATH).token(&person.token).expect(200).await?;
    list.same("the ids", list.ids()?, ids.clone())?;
    list.has("/nextCursor", Value::Null)?;
    let times: Vec<&str> = list
        .items()?
        .iter()
        .filter_map(|payment| payment["createdAt"].as_str())
        .collect();
    list.ensure(
        times.is_sorted_by(|newer, older| newer >= older),
        "the times are not in order",
    )?;
    for (item, id) in list.items()?.iter().zip(ids) {
        let one = api.payment(&person, &format!("/api/payments/{id}")).await?;
        one.same("the payment", &one.json, item)?;
    }
    Ok(())
}

async fn pages_are_stable_while_payments_arrive(api: Api) -> Verdict {
    let person = api.person().await?;
    let before = pay(&api, &person, 5).await?;
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    for expected in [2, 2, 1] {
        let query = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let page = api
            .get(&format!("{PATH}?limit=2{query}"))
            .token(&person.token)
            .expect(200)
            .await?;
        let ids = page.ids()?;
        page.same("the number of items", ids.len(), expected)?;
        seen.extend(ids);
        cursor = page.at("/nextCursor").as_str().map(str::to_owned);
        page.same("whether there is a next page", cursor.is_some(), expected == 2)?;
        // One more comes in front, and must neither move nor repeat what follows.
        pay(&api, &person, 1).await?;
    }
    crate::api::same("the ids of all pages", seen, before)
}

async fn a_page_is_bounded_without_a_limit(api: Api) -> Verdict {
    let person = api.person().await?;
    let ids = pay(&api, &person, DEFAULT + 1).await?;
    let page = api.get(PATH).token(&person.token).expect(200).await?;
    page.same("the ids", page.ids()?, ids[..DEFAULT].to_vec())?;
    let cursor = page.at("/nextCursor").as_str().unwrap_or_default();
    let last = api
        .get(&format!("{PATH}?cursor={cursor}"))
        .token(&person.token)
        .expect(200)
        .await?;
    last.same("the ids", last.ids()?, ids[DEFAULT..].to_vec())?;
    let all = api
        .get(&format!("{PATH}?limit=200"))
        .token(&person.token)
        .expect(200)
        .await?;
    all.same("the ids", all.ids()?, ids)
}

async fn shows_ones_own_and_hides_somebody_elses(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let path = format!(
        "/api/payments/{}",
        api.paid(&person, "10.00", "USD").await?.id("/id")?
    );
    api.payment(&person, &path).await?.has("/amount", "10.00")?;
    let hidden = api
        .get(&path)
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    let missing = api
        .get("/api/payments/9007199254740991")
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    for member in ["/title", "/detail"] {
        hidden.same(member, hidden.at(member), missing.at(member))?;
    }
    Ok(())
}
