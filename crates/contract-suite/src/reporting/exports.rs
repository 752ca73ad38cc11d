//! POST /api/reports/exports and GET /api/reports/exports/{id}

use std::time::Duration;

use serde_json::{Value, json};

use super::{days_ago, today};
use crate::api::{Answer, Api, Difference};
use crate::check::{Check, Verdict, checks};

const PATH: &str = "/api/reports/exports";
/// Exports are built in the background.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn making() -> Vec<Check> {
    checks!("POST /api/reports/exports":
        only_staff_may_ask,
        is_queued_and_can_be_found needs Staff,
        bad_input_is_refused needs Staff,
    )
}

pub(super) fn reading() -> Vec<Check> {
    checks!("GET /api/reports/exports/{id}":
        only_staff_may_look,
        the_file_has_a_line_for_each_row needs Staff,
        no_cell_is_a_formula needs Staff,
    )
}

fn wanted(kind: &str) -> Value {
    json!({"kind": kind, "from": today().to_string(), "to": today().to_string()})
}

async fn only_staff_may_ask(api: Api) -> Verdict {
    let person = api.person().await?;
    api.post(PATH)
        .token(&person.token)
        .json(&wanted("payments"))
        .problem(403, "forbidden")
        .await?;
    Ok(())
}

async fn only_staff_may_look(api: Api) -> Verdict {
    let person = api.person().await?;
    api.get(&format!("{PATH}/1"))
        .token(&person.token)
        .problem(403, "forbidden")
        .await?;
    Ok(())
}

async fn is_queued_and_can_be_found(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let asked = api
        .post(PATH)
        .token(&staff)
        .json(&wanted("revenue"))
        .expect(202)
        .await?;
    for (field, value) in [("kind", "revenue"), ("format", "csv")] {
        asked.has(&format!("/{field}"), value)?;
    }
    asked.has("/from", today().to_string())?;
    asked.has("/to", today().to_string())?;
    let path = format!("{PATH}/{}", asked.id("/id")?);
    asked.same("Location", asked.header("location"), Some(path.as_str()))?;
    let found = api.get(&path).token(&staff).expect(200).await?;
    found.same("the id", found.at("/id"), asked.at("/id"))?;
    // Too early for the file, or just in time.
    let file = api
        .get(&path)
        .token(&staff)
        .header("accept", "text/csv")
        .expect_one_of(&[200, 409])
        .await?;
    if file.status == 409 {
        file.has("/type", "urn:banyan:problem:export-not-ready")?;
    }
    Ok(())
}

async fn bad_input_is_refused(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let send = |body: Value| api.post(PATH).token(&staff).json(&body);
    send(json!({})).invalid(&["from", "kind", "to"]).await?;
    let with = |field: &str, value: Value| {
        let mut body = wanted("payments");
        body[field] = value;
        body
    };
    for kind in [json!("secrets"), json!(7), json!([]), json!(null)] {
        send(with("kind", kind)).invalid(&["kind"]).await?;
    }
    for format in [json!("xlsx"), json!(7)] {
        send(with("format", format)).invalid(&["format"]).await?;
    }
    for date in [
        json!("yesterday"),
        json!("2026-02-30"),
        json!(20_260_101),
        json!(""),
        json!("2026-01-01\u{0}"),
    ] {
        send(with("from", date.clone())).invalid(&["from"]).await?;
        send(with("to", date)).invalid(&["to"]).await?;
    }
    for (from, to) in [(today(), days_ago(1)), (days_ago(366), today())] {
        let body = json!({"kind": "users", "from": from.to_string(), "to": to.to_string()});
        let refused = send(body).problem(422, "invalid").await?;
        let field = refused.at("/errors/0/field");
        refused.ensure(
            field == "from" || field == "to",
            "errors names neither from nor to",
        )?;
    }
    Ok(())
}

/// Asks for an export and waits until it is ready; its description and its file.
async fn export(api: &Api, staff: &str, kind: &str) -> Result<(Answer, Answer), Difference> {
    let asked = api
        .post(PATH)
        .token(staff)
        .json(&wanted(kind))
        .expect(202)
        .await?;
    let path = format!("{PATH}/{}", asked.id("/id")?);
    let wait = async {
        loop {
            let found = api.get(&path).token(staff).expect(200).await?;
            if found.at("/status") == "ready" {
                return Ok::<_, Difference>(found);
            }
            found.ensure(found.at("/status") != "failed", "the export failed")?;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_| Difference::new(format!("GET {path}: not ready within {PATIENCE:?}"));
    let ready = tokio::time::timeout(PATIENCE, wait).await.map_err(late)??;
    let file = api
        .get(&path)
        .token(staff)
        .header("accept", "text/csv")
        .expect(200)
        .await?;
    let media_type = file.header("content-type").unwrap_or_default().to_owned();
    file.ensure(
        media_type.starts_with("text/csv"),
        &format!("Content-Type is {media_type}"),
    )?;
    let name = file.header("content-disposition").unwrap_or_default().to_owned();
    file.ensure(
        name.starts_with("attachment") && name.contains(".csv"),
        &format!("Content-Disposition is {name:?}"),
    )?;
    Ok((ready, file))
}

async fn the_file_has_a_line_for_each_row(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let person = api.person().await?;
    api.paid(&person, "10.00", "USD").await?;
    for kind in ["payments", "revenue", "users"] {
        let (ready, file) = export(&api, &staff, kind).await?;
        for filled in ["/completedAt", "/expiresAt"] {
            ready.ensure(!ready.at(filled).is_null(), &format!("{filled} is null"))?;
        }
        ready.has("/error", Value::Null)?;
        let text = file.text();
        let rows = text.matches("\r\n").count().saturating_sub(1);
        file.ensure(rows >= 1, "there is nothing but a heading")?;
        ready.has("/rows", rows)?;
        ready.has("/bytes", text.len())?;
    }
    Ok(())
}

async fn no_cell_is_a_formula(api: Api) -> Verdict {
    let staff = api.staff().await?;
    let person = api.person().await?;
    let formula = format!("=HYPERLINK(\"{}\")", person.id);
    let body = json!({"amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa", "description": formula});
    api.post("/api/payments/charge")
        .token(&person.token)
        .key(&crate::people::new_key())
        .json(&body)
        .expect(201)
        .await?;
    let (_, file) = export(&api, &staff, "payments").await?;
    let text = file.text();
    let quoted = formula.replace('"', "\"\"");
    let shown = text.contains(&format!("'{quoted}"));
    file.ensure(shown, "the description is not there with an apostrophe before it")
}
