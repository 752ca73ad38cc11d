//! POST /api/users/login

use serde_json::json;

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::{PASSWORD, new_email};

const PATH: &str = "/api/users/login";
/// How many wrong passwords an account takes before the next try has to wait.
const ALLOWED: usize = 10;

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/users/login":
        opens_another_session,
        the_address_is_found_in_any_case,
        a_wrong_password_and_an_unknown_address_look_alike,
        too_many_wrong_passwords_must_wait,
        fields_are_checked,
    )
}

async fn opens_another_session(api: Api) -> Verdict {
    let person = api.person().await?;
    let again = api.log_in(&person.email, PASSWORD).await?;
    for token in [&person.token, &again.token] {
        let me = api.get("/api/users/me").token(token).expect(200).await?;
        me.has("/id", person.id)?;
    }
    let sessions = api
        .get("/api/users/sessions")
        .token(&again.token)
        .expect(200)
        .await?;
    sessions.same("the number of sessions", sessions.items()?.len(), 2)
}

async fn the_address_is_found_in_any_case(api: Api) -> Verdict {
    let person = api.person().await?;
    let again = api
        .log_in(&format!(" {} ", person.email.to_uppercase()), PASSWORD)
        .await?;
    crate::api::same("the user's id", again.id, person.id)
}

async fn a_wrong_password_and_an_unknown_address_look_alike(api: Api) -> Verdict {
    let person = api.person().await?;
    let attempt = |email: String| {
        api.post(PATH)
            .json(&json!({"email": email, "password": "not-the-password"}))
    };
    let wrong = attempt(person.email).problem(401, "invalid-credentials").await?;
    let unknown = attempt(new_email()).problem(401, "invalid-credentials").await?;
    for member in ["/title", "/detail", "/errors"] {
        unknown.same(member, unknown.at(member), wrong.at(member))?;
    }
    unknown.same(
        "WWW-Authenticate",
        unknown.header("www-authenticate"),
        wrong.header("www-authenticate"),
    )
}

async fn too_many_wrong_passwords_must_wait(api: Api) -> Verdict {
    let person = api.person().await?;
    let attempt = |password: &str| {
        api.post(PATH)
            .json(&json!({"email": person.email, "password": password}))
    };
    for _ in 0..ALLOWED {
        attempt("not-the-password")
            .problem(401, "invalid-credentials")
            .await?;
    }
    // The right one has to wait too: otherwise the answer would tell that it is right.
    for password in ["not-the-password", PASSWORD] {
        let answer = attempt(password).problem(429, "too-many-attempts").await?;
        let wait: Option<u32> = answer.header("retry-after").and_then(|value| value.parse().ok());
        answer.ensure(
            wait.is_some_and(|wait| (1..=3600).contains(&wait)),
            &format!("Retry-After is {wait:?}"),
        )?;
    }
    // Whoever is logged in stays so.
    api.get("/api/users/me").token(&person.token).expect(200).await?;
    Ok(())
}

async fn fields_are_checked(api: Api) -> Verdict {
    api.post(PATH)
        .json(&json!({}))
        .invalid(&["email", "password"])
        .await?;
    api.post(PATH)
        .json(&json!({"email": [], "password": 7}))
        .invalid(&["email", "password"])
        .await?;
    let long = json!({"email": new_email(), "password": "x".repeat(257)});
    api.post(PATH).json(&long).invalid(&["password"]).await?;
    let control = json!({"email": new_email(), "password": "a\u{0}b-long-enough"});
    api.post(PATH).json(&control).invalid(&["password"]).await?;
    Ok(())
}
