//! Figures and exports, for members of staff.

mod exports;
mod revenue;
mod users;

use time::{Date, Duration, OffsetDateTime};

use crate::api::{Api, Difference};
use crate::check::{Check, Verdict};

pub(crate) fn checks() -> Vec<Check> {
    [
        revenue::checks(),
        users::checks(),
        exports::making(),
        exports::reading(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

fn days_ago(days: i64) -> Date {
    today() - Duration::days(days)
}

/// Ranges that no report takes, as queries.
fn bad_ranges() -> Vec<String> {
    let mut ranges: Vec<String> = [
        "from=yesterday",
        "to=2026-02-30",
        "from=2026-1-1",
        "from=01.02.2026",
        "to=",
        "from=2026-01-01T00:00:00Z",
    ]
    .map(str::to_owned)
    .to_vec();
    ranges.push(format!("from={}&to={}", today(), days_ago(1)));
    ranges.push(format!("from={}&to={}", days_ago(366), today()));
    ranges
}

/// Only staff sees a report; bad ranges are refused.
async fn is_for_staff(api: &Api, path: &str) -> Verdict {
    let person = api.person().await?;
    api.get(path)
        .token(&person.token)
        .problem(403, "forbidden")
        .await?;
    api.get(&format!("{path}?from=nonsense"))
        .token(&person.token)
        .problem(403, "forbidden")
        .await?;
    Ok(())
}

async fn refuses_bad_ranges(api: &Api, path: &str) -> Result<(), Difference> {
    let staff = api.staff().await?;
    for range in bad_ranges() {
        api.get(&format!("{path}?{range}"))
            .token(&staff)
            .problem(400, "bad-request")
            .await?;
    }
    let year = format!("{path}?from={}&to={}", days_ago(365), today());
    api.get(&year).token(&staff).expect(200).await?;
    Ok(())
}
