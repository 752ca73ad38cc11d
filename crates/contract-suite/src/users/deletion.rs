//! DELETE /api/users/me

use serde_json::json;

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::PASSWORD;

const PATH: &str = "/api/users/me";

pub(super) fn checks() -> Vec<Check> {
    checks!("DELETE /api/users/me":
        erases_the_account_and_frees_the_address,
        a_wrong_or_missing_password_erases_nothing,
    )
}

async fn erases_the_account_and_frees_the_address(api: Api) -> Verdict {
    let person = api.person().await?;
    let other = api.log_in(&person.email, PASSWORD).await?;
    api.delete(PATH)
        .token(&person.token)
        .json(&json!({"password": PASSWORD}))
        .expect(204)
        .await?;
    for token in [&person.token, &other.token] {
        for path in [PATH, "/api/payments/", "/api/notifications/"] {
            api.get(path).token(token).problem(401, "unauthenticated").await?;
        }
    }
    let refresh = json!({"refreshToken": person.refresh_token});
    api.post("/api/users/token/refresh")
        .json(&refresh)
        .problem(401, "invalid-token")
        .await?;
    let login = json!({"email": person.email, "password": PASSWORD});
    api.post("/api/users/login")
        .json(&login)
        .problem(401, "invalid-credentials")
        .await?;
    let again = json!({"email": person.email, "password": PASSWORD, "displayName": "Somebody new"});
    let answer = api.post("/api/users/signup").json(&again).expect(201).await?;
    answer.ensure(answer.id("/user/id")? != person.id, "the id is the erased one's")
}

async fn a_wrong_or_missing_password_erases_nothing(api: Api) -> Verdict {
    let person = api.person().await?;
    api.delete(PATH)
        .token(&person.token)
        .json(&json!({}))
        .invalid(&["password"])
        .await?;
    api.delete(PATH)
        .token(&person.token)
        .json(&json!({"password": 7}))
        .invalid(&["password"])
        .await?;
    let wrong = json!({"password": "not-the-password"});
    api.delete(PATH)
        .token(&person.token)
        .json(&wrong)
        .problem(403, "forbidden")
        .await?;
    api.get(PATH)
        .token(&person.token)
        .expect(200)
        .await?
        .has("/email", person.email)
}
