//! GET /api/notifications/

use std::time::Duration;

use serde_json::Value;

use crate::api::{Answer, Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::Person;

const PATH: &str = "/api/notifications/";
/// Notifications are sent in the background.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(300);

pub(super) fn checks() -> Vec<Check> {
    checks!("GET /api/notifications/":
        tells_of_the_sign_up_and_of_payments,
        lists_the_callers_own_page_by_page,
    )
}

/// Waits until so many notifications have been dealt with.
async fn settled(api: &Api, person: &Person, count: usize) -> Result<Answer, Difference> {
    let wait = async {
        loop {
            let list = api.get(PATH).token(&person.token).expect(200).await?;
            let waiting = list
                .items()?
                .iter()
                .filter(|one| one["status"] == "queued")
                .count();
            if list.items()?.len() >= count && waiting == 0 {
                return Ok::<_, Difference>(list);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_| {
        Difference::new(format!(
            "GET {PATH}: not {count} notifications sent within {PATIENCE:?}"
        ))
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(late)?
}

async fn tells_of_the_sign_up_and_of_payments(api: Api) -> Verdict {
    let person = api.person().await?;
    settled(&api, &person, 1).await?;
    api.paid(&person, "10.00", "USD").await?;
    let list = settled(&api, &person, 2).await?;
    list.same("the number of notifications", list.items()?.len(), 2)?;
    for (at, kind, template) in [
        (0, "payment.completed", "payment-completed"),
        (1, "user.signup", "user-signup"),
    ] {
        let field = |name: &str| format!("/items/{at}/{name}");
        list.has(&field("eventType"), kind)?;
        list.has(&field("template"), template)?;
        list.has(&field("channel"), "email")?;
        list.has(&field("status"), "delivered")?;
        list.has(&field("error"), Value::Null)?;
        list.ensure(
            !list.at(&field("sentAt")).is_null(),
            "a delivered notification has no sentAt",
        )?;
    }
    list.ensure(
        list.at("/items/0/eventId") != list.at("/items/1/eventId"),
        "both have the same event",
    )
}

async fn lists_the_callers_own_page_by_page(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    for _ in 0..2 {
        api.paid(&person, "1.00", "USD").await?;
    }
    let all = settled(&api, &person, 3).await?;
    let mut following = String::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = api
            .get(&format!("{PATH}?limit=1{following}"))
            .token(&person.token)
            .expect(200)
            .await?;
        page.same("the number of items", page.items()?.len(), 1)?;
        seen.extend(page.ids()?);
        following = format!("&cursor={}", page.at("/nextCursor").as_str().unwrap_or_default());
    }
    all.same("the pages' ids", seen, all.ids()?)?;
    let theirs = settled(&api, &other, 1).await?;
    let mixed = theirs
        .ids()?
        .iter()
        .any(|id| all.ids().is_ok_and(|ids| ids.contains(id)));
    theirs.ensure(!mixed, "it lists somebody else's")
}
