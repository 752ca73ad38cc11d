//! GET and PUT /api/notifications/preferences

use serde_json::{Value, json};

use crate::api::{Api, Call};
use crate::check::{Check, Verdict, checks};
use crate::people::Person;

const PATH: &str = "/api/notifications/preferences";

pub(super) fn reading() -> Vec<Check> {
    checks!("GET /api/notifications/preferences": everything_is_wanted_by_default)
}

pub(super) fn replacing() -> Vec<Check> {
    checks!("PUT /api/notifications/preferences":
        replaces_all_choices,
        choices_are_the_callers_own,
        bad_choices_are_named_and_change_nothing,
        unknown_keys_are_refused,
    )
}

fn preference(category: &str, enabled: bool, channel: Option<&str>, digest: bool) -> Value {
    json!({"category": category, "enabled": enabled, "channel": channel, "digest": digest})
}

fn defaults() -> Value {
    let categories: Vec<Value> = ["payments", "account", "reports"]
        .into_iter()
        .map(|category| preference(category, true, None, false))
        .collect();
    json!({ "categories": categories })
}

fn put(api: &Api, person: &Person, categories: &Value) -> Call {
    api.put(PATH)
        .token(&person.token)
        .json(&json!({"categories": categories}))
}

async fn everything_is_wanted_by_default(api: Api) -> Verdict {
    let person = api.person().await?;
    let answer = api.get(PATH).token(&person.token).expect(200).await?;
    answer.same("the preferences", &answer.json, &defaults())
}

async fn replaces_all_choices(api: Api) -> Verdict {
    let person = api.person().await?;
    let sent = json!([{"category": "reports", "enabled": false}, {"category": "payments", "channel": "sms", "digest": true}]);
    let expected = json!({"categories": [
        preference("payments", true, Some("sms"), true),
        preference("account", true, None, false),
        preference("reports", false, None, false),
    ]});
    let answer = put(&api, &person, &sent).expect(200).await?;
    answer.same("the preferences", &answer.json, &expected)?;
    let read = api.get(PATH).token(&person.token).expect(200).await?;
    read.same("the preferences", &read.json, &expected)?;
    let again = put(&api, &person, &expected["categories"]).expect(200).await?;
    again.same("the preferences sent back", &again.json, &expected)?;
    // What is left out goes back to its default.
    let cleared = put(&api, &person, &json!([])).expect(200).await?;
    cleared.same("the preferences", &cleared.json, &defaults())
}

async fn choices_are_the_callers_own(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    put(
        &api,
        &person,
        &json!([{"category": "payments", "enabled": false}]),
    )
    .expect(200)
    .await?;
    let theirs = api.get(PATH).token(&other.token).expect(200).await?;
    theirs.same("somebody else's preferences", &theirs.json, &defaults())
}

async fn bad_choices_are_named_and_change_nothing(api: Api) -> Verdict {
    let person = api.person().await?;
    let bad = [
        json!([{"category": "weather"}]),
        json!([{"category": "payments"}, {"category": "payments"}]),
        json!([{"category": "payments", "channel": "pigeon"}]),
        json!([{"category": "payments", "enabled": "yes"}]),
        json!([{"category": "payments", "digest": 1}]),
        json!([{"category": 7}]),
        json!([{}]),
        json!(["payments"]),
        json!({}),
        Value::Null,
    ];
    for categories in bad {
        let answer = put(&api, &person, &categories).problem(422, "invalid").await?;
        let named = answer.list("/errors")?.iter().all(|error| {
            let field = error["field"].as_str().unwrap_or_default();
            field.starts_with("categories")
        });
        answer.ensure(named, "an error names another field than categories")?;
    }
    let read = api.get(PATH).token(&person.token).expect(200).await?;
    read.same("the preferences", &read.json, &defaults())
}

async fn unknown_keys_are_refused(api: Api) -> Verdict {
    let person = api.person().await?;
    let body = json!({"categories": [], "channels": []});
    api.put(PATH)
        .token(&person.token)
        .json(&body)
        .problem(422, "invalid")
        .await?;
    api.put(PATH)
        .token(&person.token)
        .json(&json!({}))
        .problem(422, "invalid")
        .await?;
    Ok(())
}
