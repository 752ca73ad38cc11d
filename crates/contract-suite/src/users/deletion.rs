//! DELETE /api/users/me

use std::time::Duration;

use serde_json::json;

use crate::api::{Api, Difference};
use crate::check::{Check, Verdict, checks};
use crate::people::PASSWORD;

const PATH: &str = "/api/users/me";
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

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
        api.get(PATH).token(token).problem(401, "unauthenticated").await?;
        for path in ["/api/payments/", "/api/notifications/"] {
            refused_soon(&api, path, token).await?;
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

/// Another domain learns of it by an event.
async fn refused_soon(api: &Api, path: &str, token: &str) -> Result<(), Difference> {
    let refused = async {
        while api
            .get(path)
            .token(token)
            .expect_one_of(&[200, 401])
            .await?
            .status
            != 401
        {
            tokio::time::sleep(PAUSE).await;
        }
        api.get(path).token(token).problem(401, "unauthenticated").await
    };
    let late = |_| Difference::new(format!("GET {path}: not refused within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, refused)
        .await
        .map_err(late)?
        .map(drop)
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
