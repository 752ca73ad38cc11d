//! GET /api/reports/users

use serde_json::{Value, json};

use super::{days_ago, is_for_staff, refuses_bad_ranges, today};
use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::PASSWORD;

const PATH: &str = "/api/reports/users";

pub(super) fn checks() -> Vec<Check> {
    checks!("GET /api/reports/users":
        only_staff_sees_it,
        bad_ranges_are_400 needs Staff,
        counts_sign_ups_and_deletions needs Staff,
        lists_every_day_newest_first_page_by_page needs Staff,
    )
}

async fn only_staff_sees_it(api: Api) -> Verdict {
    is_for_staff(&api, PATH).await
}

async fn bad_ranges_are_400(api: Api) -> Verdict {
    refuses_bad_ranges(&api, PATH).await
}

async fn counts_sign_ups_and_deletions(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let of_today = || {
        api.get(&format!("{PATH}?from={}", today()))
            .token(&staff)
            .expect(200)
    };
    let before = of_today().await?;
    let person = api.person().await?;
    let between = of_today().await?;
    api.delete("/api/users/me")
        .token(&person.token)
        .json(&json!({"password": PASSWORD}))
        .expect(204)
        .await?;
    let after = of_today().await?;
    let count = |answer: &crate::api::Answer, field: &str| {
        answer
            .at(&format!("/items/0/{field}"))
            .as_i64()
            .unwrap_or_default()
    };
    // Other checks sign people up meanwhile.
    between.ensure(
        count(&between, "signups") > count(&before, "signups"),
        "a sign-up is not counted",
    )?;
    between.ensure(count(&between, "active") >= 1, "nobody is active")?;
    after.ensure(
        count(&after, "deleted") > count(&between, "deleted"),
        "a deletion is not counted",
    )?;
    after.has("/items/0/date", today().to_string())
}

async fn lists_every_day_newest_first_page_by_page(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let expected: Vec<Value> = (0..5).map(|days| json!(days_ago(days).to_string())).collect();
    let range = format!("from={}&to={}", days_ago(4), today());
    let mut following = String::new();
    let mut seen = Vec::new();
    for number in 0..3 {
        let page = api
            .get(&format!("{PATH}?{range}&limit=2{following}"))
            .token(&staff)
            .expect(200)
            .await?;
        seen.extend(page.items()?.iter().map(|day| day["date"].clone()));
        page.same(
            "whether there is a next page",
            page.at("/nextCursor").is_string(),
            number < 2,
        )?;
        following = format!("&cursor={}", page.at("/nextCursor").as_str().unwrap_or_default());
    }
    crate::api::same("the days", seen, expected)?;
    let default = api.get(PATH).token(&staff).expect(200).await?;
    default.same("the number of days", default.items()?.len(), 30)
}
