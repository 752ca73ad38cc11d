//! POST /api/users/signup

use serde_json::{Value, json};

use crate::api::Api;
use crate::check::{Check, Verdict, checks};
use crate::people::{PASSWORD, Person, new_email};

const PATH: &str = "/api/users/signup";

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/users/signup":
        answers_with_the_account_and_working_tokens,
        keeps_what_was_sent,
        a_taken_address_is_409_in_any_case,
        one_of_many_at_once_gets_the_address,
        missing_and_mistyped_fields_are_all_named,
        texts_have_bounds,
        control_characters_are_refused,
        weak_passwords_are_refused,
        unknown_fields_are_ignored,
    )
}

fn body() -> Value {
    json!({"email": new_email(), "password": PASSWORD, "displayName": "Ada Lovelace"})
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = body();
    body[field] = value.into();
    body
}

async fn answers_with_the_account_and_working_tokens(api: Api) -> Verdict {
    let body = body();
    let answer = api.post(PATH).json(&body).expect(201).await?;
    answer.has("/user/email", body["email"].clone())?;
    answer.has("/user/displayName", "Ada Lovelace")?;
    answer.has("/user/locale", "en")?;
    answer.has("/user/preferredChannel", "email")?;
    answer.has("/user/emailVerified", false)?;
    answer.has("/expiresIn", 900)?;
    let person = Person::of(&answer)?;
    let me = api.get("/api/users/me").token(&person.token).expect(200).await?;
    me.same("the user", &me.json, answer.at("/user"))
}

async fn keeps_what_was_sent(api: Api) -> Verdict {
    let email = new_email();
    let body = json!({
        "email": format!("  {}  ", email.to_uppercase()), "password": PASSWORD, "displayName": "  Zoë 李 🦀  ",
        "locale": "pt-BR", "preferredChannel": "sms",
    });
    let answer = api.post(PATH).json(&body).expect(201).await?;
    answer.has("/user/email", email)?;
    answer.has("/user/displayName", "Zoë 李 🦀")?;
    answer.has("/user/locale", "pt-BR")?;
    answer.has("/user/preferredChannel", "sms")
}

async fn a_taken_address_is_409_in_any_case(api: Api) -> Verdict {
    let person = api.person().await?;
    for email in [person.email.clone(), person.email.to_uppercase()] {
        api.post(PATH)
            .json(&with("email", email))
            .problem(409, "email-taken")
            .await?;
    }
    Ok(())
}

async fn one_of_many_at_once_gets_the_address(api: Api) -> Verdict {
    let body = body();
    let attempts = (0..4).map(|_| async { api.post(PATH).json(&body).expect_one_of(&[201, 409]).await });
    let answers = futures::future::try_join_all(attempts).await?;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    answers[0].same("the number of accounts made", made, 1)
}

async fn missing_and_mistyped_fields_are_all_named(api: Api) -> Verdict {
    let required = ["displayName", "email", "password"];
    api.post(PATH).json(&json!({})).invalid(&required).await?;
    api.post(PATH)
        .json(&json!({"email": null, "password": null, "displayName": null}))
        .invalid(&required)
        .await?;
    let mistyped =
        json!({"email": 7, "password": ["x"], "displayName": {}, "locale": 1, "preferredChannel": true});
    api.post(PATH)
        .json(&mistyped)
        .invalid(&["displayName", "email", "locale", "password", "preferredChannel"])
        .await?;
    for email in [
        "x",
        "@example.com",
        "a@",
        "a b@example.com",
        "a@b@example.com",
        "",
    ] {
        api.post(PATH)
            .json(&with("email", email))
            .invalid(&["email"])
            .await?;
    }
    api.post(PATH)
        .json(&with("preferredChannel", "pigeon"))
        .invalid(&["preferredChannel"])
        .await?;
    for locale in ["x", "english", "en_US", "en-", "é"] {
        api.post(PATH)
            .json(&with("locale", locale))
            .invalid(&["locale"])
            .await?;
    }
    Ok(())
}

async fn texts_have_bounds(api: Api) -> Verdict {
    api.post(PATH)
        .json(&with("displayName", "é".repeat(100)))
        .expect(201)
        .await?;
    api.post(PATH)
        .json(&with("displayName", "é".repeat(101)))
        .invalid(&["displayName"])
        .await?;
    api.post(PATH)
        .json(&with("displayName", ""))
        .invalid(&["displayName"])
        .await?;
    api.post(PATH)
        .json(&with("displayName", "   "))
        .invalid(&["displayName"])
        .await?;
    let long = format!("{}@example.com", "a".repeat(250));
    api.post(PATH)
        .json(&with("email", long))
        .invalid(&["email"])
        .await?;
    api.post(PATH)
        .json(&with("password", "aB3$".repeat(65)))
        .invalid(&["password"])
        .await?;
    api.post(PATH)
        .json(&with("locale", "en-abcdefgh-abcdefgh-abcdefgh-abcdefgh"))
        .invalid(&["locale"])
        .await?;
    Ok(())
}

async fn control_characters_are_refused(api: Api) -> Verdict {
    for name in ["a\0b", "a\nb", "a\u{1b}b", "a\u{7f}b", "a\u{2028}b"] {
        api.post(PATH)
            .json(&with("displayName", name))
            .invalid(&["displayName"])
            .await?;
    }
    // Half of a pair is no character: refused as text, or with the whole body.
    let body = body().to_string().replace("Ada Lovelace", r"a\ud800b");
    api.post(PATH).json_text(body).expect_one_of(&[400, 422]).await?;
    Ok(())
}

async fn weak_passwords_are_refused(api: Api) -> Verdict {
    for password in [
        "short",
        "password12",
        "1234567890",
        "AdaLovelace1",
        "ada lovelace!",
    ] {
        let mut body = with("password", password);
        body["displayName"] = if password.contains(' ') {
            "Ada Lovelace"
        } else {
            "AdaLovelace"
        }
        .into();
        api.post(PATH).json(&body).invalid(&["password"]).await?;
    }
    Ok(())
}

async fn unknown_fields_are_ignored(api: Api) -> Verdict {
    let answer = api.post(PATH).json(&with("isStaff", true)).expect(201).await?;
    let token = Person::of(&answer)?.token;
    api.get("/api/reports/users")
        .token(&token)
        .problem(403, "forbidden")
        .await?;
    Ok(())
}
