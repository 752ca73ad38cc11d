//! POST /api/payments/{id}/cancel

use serde_json::json;

use crate::api::Api;
use crate::check::{Check, Verdict, checks};

pub(super) fn checks() -> Vec<Check> {
    checks!("POST /api/payments/{id}/cancel":
        releases_reserved_money_once,
        what_is_paid_cannot_be_canceled,
        of_capture_and_cancel_at_once_one_wins,
        somebody_elses_is_not_there,
    )
}

async fn releases_reserved_money_once(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let cancel = || api.post(&format!("{path}/cancel")).token(&person.token);
    let canceled = cancel().expect(200).await?;
    canceled.has("/status", "canceled")?;
    canceled.has("/amount", "10.00")?;
    let again = cancel().json(&json!({})).expect(200).await?;
    again.same("the payment", &again.json, &canceled.json)?;
    let capture = api
        .post(&format!("{path}/capture"))
        .token(&person.token)
        .json(&json!({}));
    capture.problem(409, "invalid-state").await?;
    Ok(())
}

async fn what_is_paid_cannot_be_canceled(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = format!(
        "/api/payments/{}",
        api.paid(&person, "10.00", "USD").await?.id("/id")?
    );
    api.post(&format!("{path}/cancel"))
        .token(&person.token)
        .problem(409, "invalid-state")
        .await?;
    api.payment(&person, &path).await?.has("/status", "completed")
}

async fn of_capture_and_cancel_at_once_one_wins(api: Api) -> Verdict {
    let person = api.person().await?;
    let path = api.reserved(&person, "10.00", "USD").await?;
    let call = |what: &str| {
        api.post(&format!("{path}/{what}"))
            .token(&person.token)
            .json(&json!({}))
    };
    let (captured, canceled) = tokio::join!(
        async { call("capture").expect_one_of(&[200, 409]).await },
        async { call("cancel").expect_one_of(&[200, 409]).await },
    );
    let (captured, canceled) = (captured?, canceled?);
    captured.ensure(
        (captured.status == 200) != (canceled.status == 200),
        &format!(
            "capture is {}, cancel is {}: one must win",
            captured.status, canceled.status
        ),
    )?;
    let expected = if captured.status == 200 {
        "completed"
    } else {
        "canceled"
    };
    api.payment(&person, &path).await?.has("/status", expected)
}

async fn somebody_elses_is_not_there(api: Api) -> Verdict {
    let (person, other) = (api.person().await?, api.person().await?);
    let path = api.reserved(&person, "10.00", "USD").await?;
    api.post(&format!("{path}/cancel"))
        .token(&other.token)
        .problem(404, "not-found")
        .await?;
    api.payment(&person, &path)
        .await?
        .has("/status", "requires_capture")
}
