//! GET /api/reports/revenue

use serde_json::{Value, json};

use super::{days_ago, is_for_staff, refuses_bad_ranges, today};
use crate::api::{Answer, Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::new_key;

const PATH: &str = "/api/reports/revenue";
/// No other check charges in this currency.
const CURRENCY: &str = "BHD";

pub(super) fn checks() -> Vec<Check> {
    checks!("GET /api/reports/revenue":
        only_staff_sees_it,
        bad_ranges_and_currencies_are_400 needs Staff,
        counts_what_was_paid_today needs Staff,
        lists_days_newest_first_then_by_currency needs Staff,
    )
}

async fn only_staff_sees_it(api: Api) -> Verdict {
    is_for_staff(&api, PATH).await
}

async fn bad_ranges_and_currencies_are_400(api: Api) -> Verdict {
    refuses_bad_ranges(&api, PATH).await?;
    let staff = api.staff().await?;
    for currency in ["usd", "XXX", "US", "USDX", "%00"] {
        api.get(&format!("{PATH}?currency={currency}"))
            .token(&staff)
            .problem(400, "bad-request")
            .await?;
    }
    Ok(())
}

async fn of_today(api: &Api, staff: &str) -> Result<Answer, Difference> {
    let path = format!("{PATH}?from={}&currency={CURRENCY}", today());
    api.get(&path).token(staff).expect(200).await
}

/// Thousandths, which the currency has.
fn thousandths(answer: &Answer, field: &str) -> i64 {
    let text = answer
        .at(&format!("/items/0/{field}"))
        .as_str()
        .unwrap_or("0.000");
    text.replace('.', "").parse().unwrap_or_default()
}

async fn counts_what_was_paid_today(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let person = api.person().await?;
    let before = of_today(&api, &staff).await?;
    let paid = api.paid(&person, "12.345", CURRENCY).await?.id("/id")?;
    let refund = api
        .post(&format!("/api/payments/{paid}/refunds"))
        .token(&person.token)
        .key(&new_key());
    refund.json(&json!({"amount": "2.300"})).expect(201).await?;
    let after = of_today(&api, &staff).await?;
    let grown = |field: &str| thousandths(&after, field) - thousandths(&before, field);
    after.same("what gross grew by", grown("gross"), 12_345)?;
    after.same("what refunds grew by", grown("refunds"), 2_300)?;
    let fees = grown("fees");
    after.ensure(fees >= 0, "fees shrank")?;
    after.same("what net grew by", grown("net"), 12_345 - 2_300 - fees)?;
    let count = |answer: &Answer| answer.at("/items/0/payments").as_i64().unwrap_or_default();
    after.same("what payments grew by", count(&after) - count(&before), 1)?;
    after.has("/items/0/date", today().to_string())
}

async fn lists_days_newest_first_then_by_currency(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let person = api.person().await?;
    for (amount, currency) in [("1.00", "SEK"), ("100", "KRW"), ("1.00", "CHF")] {
        api.paid(&person, amount, currency).await?;
    }
    let range = format!("from={}&to={}", days_ago(29), today());
    let all = api
        .get(&format!("{PATH}?{range}&limit=200"))
        .token(&staff)
        .expect(200)
        .await?;
    let keys = |items: &[Value]| -> Vec<(String, String)> {
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        items
            .iter()
            .map(|item| (text(item, "date"), text(item, "currency")))
            .collect()
    };
    let found = keys(all.items()?);
    let sorted = found.is_sorted_by(|one, next| one.0 > next.0 || (one.0 == next.0 && one.1 < next.1));
    all.ensure(sorted, "the items are not newest first, then by currency")?;
    let mut seen = Vec::new();
    let mut following = String::new();
    while seen.len() < found.len() {
        let page = api
            .get(&format!("{PATH}?{range}&limit=2{following}"))
            .token(&staff)
            .expect(200)
            .await?;
        let items = keys(page.items()?);
        page.ensure((1..=2).contains(&items.len()), "a page has not 1 or 2 items")?;
        seen.extend(items);
        let Some(cursor) = page.at("/nextCursor").as_str() else {
            break;
        };
        following = format!("&cursor={cursor}");
    }
    // Charges of other checks may bring a currency in between.
    let missing: Vec<_> = found.iter().filter(|key| !seen.contains(key)).collect();
    all.ensure(missing.is_empty(), &format!("the pages miss {missing:?}"))?;
    let repeated = seen.iter().enumerate().any(|(at, key)| seen[..at].contains(key));
    all.ensure(!repeated, "the pages repeat an item")?;
    // 30 days that end today are the default.
    let default = api
        .get(&format!("{PATH}?limit=1"))
        .token(&staff)
        .expect(200)
        .await?;
    default.same(
        "the first item's date",
        default.at("/items/0/date"),
        all.at("/items/0/date"),
    )
}
