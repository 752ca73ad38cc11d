//! POST /api/users/token/refresh and /api/users/logout

use serde_json::{Value, json};

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::PASSWORD;

const REFRESH: &str = "/api/users/token/refresh";
const LOGOUT: &str = "/api/users/logout";

pub(super) fn refresh() -> Vec<Check> {
    checks!("POST /api/users/token/refresh":
        trades_a_token_for_new_ones,
        a_token_used_twice_ends_its_session,
        unknown_tokens_are_401_and_bad_ones_422,
    )
}

pub(super) fn logout() -> Vec<Check> {
    checks!("POST /api/users/logout": ends_this_session_at_once_and_no_other)
}

fn token(text: &str) -> Value {
    json!({"refreshToken": text})
}

async fn trades_a_token_for_new_ones(api: Api) -> Verdict {
    let person = api.person().await?;
    let answer = api
        .post(REFRESH)
        .json(&token(&person.refresh_token))
        .expect(200)
        .await?;
    answer.has("/expiresIn", 900)?;
    let fresh = answer.at("/refreshToken").as_str().unwrap_or_default();
    answer.ensure(fresh != person.refresh_token, "the refresh token is the old one")?;
    let access = answer.at("/accessToken").as_str().unwrap_or_default();
    api.get("/api/users/me")
        .token(access)
        .expect(200)
        .await?
        .has("/id", person.id)?;
    // The session stays the same one.
    let sessions = api.get("/api/users/sessions").token(access).expect(200).await?;
    sessions.same("the number of sessions", sessions.items()?.len(), 1)?;
    api.post(REFRESH).json(&token(fresh)).expect(200).await?;
    Ok(())
}

async fn a_token_used_twice_ends_its_session(api: Api) -> Verdict {
    let person = api.person().await?;
    let answer = api
        .post(REFRESH)
        .json(&token(&person.refresh_token))
        .expect(200)
        .await?;
    let fresh = answer.at("/refreshToken").as_str().unwrap_or_default();
    let access = answer.at("/accessToken").as_str().unwrap_or_default();
    api.post(REFRESH)
        .json(&token(&person.refresh_token))
        .problem(401, "invalid-token")
        .await?;
    // It is in two hands now, so neither keeps the session.
    api.post(REFRESH)
        .json(&token(fresh))
        .problem(401, "invalid-token")
        .await?;
    api.get("/api/users/me")
        .token(access)
        .problem(401, "unauthenticated")
        .await?;
    Ok(())
}

async fn unknown_tokens_are_401_and_bad_ones_422(api: Api) -> Verdict {
    api.post(REFRESH)
        .json(&token("unknown"))
        .problem(401, "invalid-token")
        .await?;
    api.post(REFRESH)
        .json(&token(&"x".repeat(200)))
        .problem(401, "invalid-token")
        .await?;
    for bad in [
        json!({}),
        token(""),
        token(&"x".repeat(201)),
        json!({"refreshToken": 7}),
        token("a\u{0}"),
    ] {
        api.post(REFRESH).json(&bad).invalid(&["refreshToken"]).await?;
    }
    Ok(())
}

async fn ends_this_session_at_once_and_no_other(api: Api) -> Verdict {
    let person = api.person().await?;
    let other = api.log_in(&person.email, PASSWORD).await?;
    api.post(LOGOUT).token(&person.token).expect(204).await?;
    api.get("/api/users/me")
        .token(&person.token)
        .problem(401, "unauthenticated")
        .await?;
    api.post(LOGOUT)
        .token(&person.token)
        .problem(401, "unauthenticated")
        .await?;
    api.post(REFRESH)
        .json(&token(&person.refresh_token))
        .problem(401, "invalid-token")
        .await?;
    api.get("/api/users/me").token(&other.token).expect(200).await?;
    Ok(())
}
