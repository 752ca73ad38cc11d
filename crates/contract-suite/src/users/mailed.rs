//! What needs a link from a mail: password resets, and proving an address.

use serde_json::{Value, json};

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::{PASSWORD, new_email};

const RESET: &str = "/api/users/password-reset";
const CONFIRM: &str = "/api/users/password-reset/confirm";
const VERIFY: &str = "/api/users/verify-email";
const NEW_PASSWORD: &str = "battery-horse-correct";

pub(super) fn reset() -> Vec<Check> {
    checks!("POST /api/users/password-reset": does_not_tell_whether_there_is_an_account)
}

pub(super) fn confirm() -> Vec<Check> {
    checks!("POST /api/users/password-reset/confirm":
        sets_the_password_and_ends_every_session needs Mail,
        an_unknown_link_is_400_and_bad_fields_422,
    )
}

pub(super) fn verify() -> Vec<Check> {
    checks!("POST /api/users/verify-email":
        proves_the_address_once needs Mail,
        a_link_to_an_address_that_was_changed_proves_nothing needs Mail,
        an_unknown_link_proves_nothing,
    )
}

async fn does_not_tell_whether_there_is_an_account(api: Api) -> Verdict {
    let person = api.person().await?;
    let known = api
        .post(RESET)
        .json(&json!({"email": person.email}))
        .expect(202)
        .await?;
    let unknown = api
        .post(RESET)
        .json(&json!({"email": new_email()}))
        .expect(202)
        .await?;
    unknown.same("the answer", &unknown.json, &known.json)?;
    for bad in [json!({}), json!({"email": "nonsense"}), json!({"email": 7})] {
        api.post(RESET).json(&bad).invalid(&["email"]).await?;
    }
    // Asking changes nothing.
    api.log_in(&person.email, PASSWORD).await?;
    Ok(())
}

fn confirmation(token: &str, password: &str) -> Value {
    json!({"token": token, "password": password})
}

async fn sets_the_password_and_ends_every_session(api: Api) -> Verdict {
    let person = api.person().await?;
    api.post(RESET)
        .json(&json!({"email": person.email}))
        .expect(202)
        .await?;
    let token = api.mailed_token(&person.email, "reset-password").await?;
    // A weak one uses the link not up.
    api.post(CONFIRM)
        .json(&confirmation(&token, "short"))
        .invalid(&["password"])
        .await?;
    api.post(CONFIRM)
        .json(&confirmation(&token, NEW_PASSWORD))
        .expect(204)
        .await?;
    api.post(CONFIRM)
        .json(&confirmation(&token, PASSWORD))
        .problem(400, "invalid-token")
        .await?;
    api.get("/api/users/me")
        .token(&person.token)
        .problem(401, "unauthenticated")
        .await?;
    let old = json!({"email": person.email, "password": PASSWORD});
    api.post("/api/users/login")
        .json(&old)
        .problem(401, "invalid-credentials")
        .await?;
    let again = api.log_in(&person.email, NEW_PASSWORD).await?;
    // Whoever got the mail owns the address.
    api.get("/api/users/me")
        .token(&again.token)
        .expect(200)
        .await?
        .has("/emailVerified", true)
}

async fn an_unknown_link_is_400_and_bad_fields_422(api: Api) -> Verdict {
    api.post(CONFIRM)
        .json(&confirmation("unknown", NEW_PASSWORD))
        .problem(400, "invalid-token")
        .await?;
    api.post(CONFIRM)
        .json(&json!({}))
        .invalid(&["password", "token"])
        .await?;
    api.post(CONFIRM)
        .json(&confirmation(&"x".repeat(201), NEW_PASSWORD))
        .invalid(&["token"])
        .await?;
    api.post(CONFIRM)
        .json(&json!({"token": 7, "password": NEW_PASSWORD}))
        .invalid(&["token"])
        .await?;
    Ok(())
}

async fn proves_the_address_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let token = api.mailed_token(&person.email, "verify-email").await?;
    api.post(VERIFY)
        .json(&json!({"token": token}))
        .expect(204)
        .await?;
    api.get("/api/users/me")
        .token(&person.token)
        .expect(200)
        .await?
        .has("/emailVerified", true)?;
    api.post(VERIFY)
        .json(&json!({"token": token}))
        .problem(400, "invalid-token")
        .await?;
    Ok(())
}

async fn a_link_to_an_address_that_was_changed_proves_nothing(api: Api) -> Verdict {
    let person = api.person().await?;
    let token = api.mailed_token(&person.email, "verify-email").await?;
    let change = json!({"email": new_email(), "currentPassword": PASSWORD});
    api.patch("/api/users/me")
        .token(&person.token)
        .json(&change)
        .expect(200)
        .await?;
    api.post(VERIFY)
        .json(&json!({"token": token}))
        .problem(400, "invalid-token")
        .await?;
    api.get("/api/users/me")
        .token(&person.token)
        .expect(200)
        .await?
        .has("/emailVerified", false)
}

async fn an_unknown_link_proves_nothing(api: Api) -> Verdict {
    api.post(VERIFY)
        .json(&json!({"token": "unknown"}))
        .problem(400, "invalid-token")
        .await?;
    for bad in [
        json!({}),
        json!({"token": ""}),
        json!({"token": "x".repeat(201)}),
        json!({"token": ["x"]}),
    ] {
        api.post(VERIFY).json(&bad).invalid(&["token"]).await?;
    }
    Ok(())
}
