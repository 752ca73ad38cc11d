//! GET and PATCH /api/users/me

use serde_json::{Value, json};

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::{PASSWORD, new_email};

const PATH: &str = "/api/users/me";

pub(super) fn reading() -> Vec<Check> {
    checks!("GET /api/users/me": shows_the_caller)
}

pub(super) fn changing() -> Vec<Check> {
    checks!("PATCH /api/users/me":
        changes_what_is_sent_and_leaves_the_rest,
        a_new_address_needs_the_password_and_is_not_verified,
        a_wrong_password_changes_nothing,
        a_taken_address_is_422,
        null_and_bad_values_are_refused,
        consent_can_be_given_and_taken_back,
    )
}

async fn shows_the_caller(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    for one in [person, other] {
        let me = api.get(PATH).token(&one.token).expect(200).await?;
        me.has("/id", one.id)?;
        me.has("/email", one.email)?;
    }
    Ok(())
}

async fn changes_what_is_sent_and_leaves_the_rest(api: Api) -> Verdict {
    let person = api.person().await?;
    let before = api.get(PATH).token(&person.token).expect(200).await?;
    let nothing = api
        .patch(PATH)
        .token(&person.token)
        .json(&json!({}))
        .expect(200)
        .await?;
    nothing.same("the user", &nothing.json, &before.json)?;
    for (field, value) in [
        ("displayName", "Grace 🦀 Hopper"),
        ("locale", "de"),
        ("preferredChannel", "webhook"),
    ] {
        let changed = api
            .patch(PATH)
            .token(&person.token)
            .json(&json!({field: value}))
            .expect(200)
            .await?;
        changed.has(&format!("/{field}"), value)?;
    }
    let after = api.get(PATH).token(&person.token).expect(200).await?;
    let mut expected = before.json.clone();
    expected["displayName"] = "Grace 🦀 Hopper".into();
    expected["locale"] = "de".into();
    expected["preferredChannel"] = "webhook".into();
    after.same("the user", &after.json, &expected)
}

async fn a_new_address_needs_the_password_and_is_not_verified(api: Api) -> Verdict {
    let person = api.person().await?;
    let email = new_email();
    api.patch(PATH)
        .token(&person.token)
        .json(&json!({"email": email}))
        .invalid(&["currentPassword"])
        .await?;
    let body = json!({"email": email.to_uppercase(), "currentPassword": PASSWORD});
    let changed = api
        .patch(PATH)
        .token(&person.token)
        .json(&body)
        .expect(200)
        .await?;
    changed.has("/email", email.clone())?;
    changed.has("/emailVerified", false)?;
    api.log_in(&email, PASSWORD).await?;
    let old = json!({"email": person.email, "password": PASSWORD});
    api.post("/api/users/login")
        .json(&old)
        .problem(401, "invalid-credentials")
        .await?;
    Ok(())
}

async fn a_wrong_password_changes_nothing(api: Api) -> Verdict {
    let person = api.person().await?;
    let body = json!({"email": new_email(), "currentPassword": "not-the-password", "displayName": "Changed"});
    api.patch(PATH)
        .token(&person.token)
        .json(&body)
        .problem(403, "forbidden")
        .await?;
    let me = api.get(PATH).token(&person.token).expect(200).await?;
    me.has("/email", person.email)?;
    me.has("/displayName", "Contract Check")
}

async fn a_taken_address_is_422(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let body = json!({"email": other.email.to_uppercase(), "currentPassword": PASSWORD});
    api.patch(PATH)
        .token(&person.token)
        .json(&body)
        .invalid(&["email"])
        .await?;
    Ok(())
}

async fn null_and_bad_values_are_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    for field in ["displayName", "locale", "preferredChannel", "marketingConsent"] {
        for value in [Value::Null, json!([]), json!(7), json!("\u{0}")] {
            api.patch(PATH)
                .token(&person.token)
                .json(&json!({field: value}))
                .invalid(&[field])
                .await?;
        }
    }
    let several = json!({"displayName": "x".repeat(101), "locale": "x", "preferredChannel": "pigeon"});
    api.patch(PATH)
        .token(&person.token)
        .json(&several)
        .invalid(&["displayName", "locale", "preferredChannel"])
        .await?;
    let email = json!({"email": "nonsense", "currentPassword": PASSWORD});
    api.patch(PATH)
        .token(&person.token)
        .json(&email)
        .invalid(&["email"])
        .await?;
    api.get(PATH)
        .token(&person.token)
        .expect(200)
        .await?
        .has("/displayName", "Contract Check")
}

async fn consent_can_be_given_and_taken_back(api: Api) -> Verdict {
    let person = api.person().await?;
    for consent in [true, false, true] {
        api.patch(PATH)
            .token(&person.token)
            .json(&json!({"marketingConsent": consent}))
            .expect(200)
            .await?;
    }
    Ok(())
}
