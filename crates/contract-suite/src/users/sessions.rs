//! GET /api/users/sessions and DELETE /api/users/sessions/{id}

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::PASSWORD;

const PATH: &str = "/api/users/sessions";

pub(super) fn listing() -> Vec<Check> {
    checks!("GET /api/users/sessions": lists_the_callers_sessions_newest_first_page_by_page)
}

pub(super) fn ending() -> Vec<Check> {
    checks!("DELETE /api/users/sessions/{id}":
        ends_a_session_once,
        somebody_elses_is_not_there,
    )
}

async fn lists_the_callers_sessions_newest_first_page_by_page(api: Api) -> Verdict {
    let person = api.person().await?;
    let second = api.log_in(&person.email, PASSWORD).await?;
    let third = api.log_in(&person.email, PASSWORD).await?;
    let all = api.get(PATH).token(&second.token).expect(200).await?;
    let current: Vec<bool> = all
        .items()?
        .iter()
        .map(|session| session["current"] == true)
        .collect();
    all.same(
        "which session is the current one",
        current,
        vec![false, true, false],
    )?;
    all.has("/items/0/userAgent", "contract-suite")?;
    let mut following = String::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = api
            .get(&format!("{PATH}?limit=1{following}"))
            .token(&third.token)
            .expect(200)
            .await?;
        seen.extend(page.ids()?);
        following = format!("&cursor={}", page.at("/nextCursor").as_str().unwrap_or_default());
    }
    all.same("the pages' ids", seen, all.ids()?)?;
    // A session that has ended is no longer listed.
    api.post("/api/users/logout")
        .token(&person.token)
        .expect(204)
        .await?;
    let left = api.get(PATH).token(&third.token).expect(200).await?;
    left.same("the number of sessions", left.items()?.len(), 2)
}

async fn ends_a_session_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let other = api.log_in(&person.email, PASSWORD).await?;
    let sessions = api.get(PATH).token(&person.token).expect(200).await?;
    let other_id = sessions.id("/items/0/id")?;
    let path = format!("{PATH}/{other_id}");
    api.delete(&path).token(&person.token).expect(204).await?;
    api.get("/api/users/me")
        .token(&other.token)
        .problem(401, "unauthenticated")
        .await?;
    api.delete(&path)
        .token(&person.token)
        .problem(404, "not-found")
        .await?;
    let own = format!("{PATH}/{}", sessions.id("/items/1/id")?);
    api.delete(&own).token(&person.token).expect(204).await?;
    api.get("/api/users/me")
        .token(&person.token)
        .problem(401, "unauthenticated")
        .await?;
    Ok(())
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let sessions = api.get(PATH).token(&other.token).expect(200).await?;
    let path = format!("{PATH}/{}", sessions.id("/items/0/id")?);
    api.delete(&path)
        .token(&person.token)
        .problem(404, "not-found")
        .await?;
    api.get("/api/users/me").token(&other.token).expect(200).await?;
    Ok(())
}
