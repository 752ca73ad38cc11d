//! `/api/sync`

use axum::extract::State;
use banyan_service_kit::Problem;
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::problem::ProblemBody;
use banyan_table_sync::{Direction, state};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Api;
use super::access::{Changer, Viewer};
use crate::sync;
use crate::validation::Side;

/// How a sync is started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// `forward`, `back` or `both`.
    #[schema(example = "forward")]
    ways: String,
}

/// Which conflict, and who wins it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    /// By its name in the service.
    table: String,
    /// The primary key, as texts.
    key: Vec<String>,
    /// Whose version both sides have from now on.
    keep: Side,
}

#[utoipa::path(get, path = "/api/sync", operation_id = "listSyncs", tag = "sync", security(("bearer" = [])),
    responses(
        (status = 200, description = "All domains, as `cutover sync status --json` prints them", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(_: Viewer, State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let mut states = Vec::new();
    for name in api.domains.names() {
        states.push(sync::state(&api.pool, api.domains.link(name)?).await?);
    }
    Ok(Json(json!(states)))
}

#[utoipa::path(get, path = "/api/sync/{domain}", operation_id = "showSync", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    responses(
        (status = 200, description = "How far it is", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(
    _: Viewer,
    State(api): State<Api>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(
        sync::state(&api.pool, api.domains.link(&domain)?).await?
    )))
}

#[utoipa::path(post, path = "/api/sync/{domain}/check", operation_id = "checkSync", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    responses(
        (status = 200, description = "What would go wrong, and what would be written", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn check(
    _: Viewer,
    State(api): State<Api>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    let link = api.domains.link(&domain)?;
    let findings = sync::check(link).await?;
    let planned = banyan_table_sync::check::planned(link)
        .await
        .map_err(crate::error::Error::from)?;
    let ok = findings.iter().all(|finding| !finding.is_fatal);
    Ok(Json(json!({ "ok": ok, "findings": findings, "tables": planned })))
}

#[utoipa::path(post, path = "/api/sync/{domain}/start", operation_id = "startSync", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    request_body = Start,
    responses(
        (status = 200, description = "Whether it was started, and what stands against it", body = Value),
        (status = 400, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Unknown ways", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn start(
    Changer(actor): Changer,
    State(api): State<Api>,
    Path(domain): Path<String>,
    Json(body): Json<Start>,
) -> Result<Json<Value>, Problem> {
    let link = api.domains.link(&domain)?;
    let ways =
        sync::ways(&body.ways).map_err(|error| Problem::invalid("ways", error.root_cause().to_string()))?;
    let findings = sync::start(&api.pool, link, ways, &actor).await?;
    Ok(Json(
        json!({ "started": findings.is_empty(), "findings": findings }),
    ))
}

#[utoipa::path(post, path = "/api/sync/{domain}/pause", operation_id = "pauseSync", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    responses(
        (status = 200, description = "The order is given", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "There is no sync", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn pause(
    Changer(actor): Changer,
    State(api): State<Api>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    let link = api.domains.link(&domain)?;
    sync::pause(&api.pool, link, &actor).await?;
    Ok(Json(json!(sync::state(&api.pool, link).await?)))
}

#[utoipa::path(post, path = "/api/sync/{domain}/resume", operation_id = "resumeSync", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    responses(
        (status = 200, description = "The order is given", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "There is no sync", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn resume(
    Changer(actor): Changer,
    State(api): State<Api>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    let link = api.domains.link(&domain)?;
    sync::resume(&api.pool, link, &actor).await?;
    Ok(Json(json!(sync::state(&api.pool, link).await?)))
}

#[utoipa::path(get, path = "/api/sync/{domain}/conflicts", operation_id = "listConflicts", tag = "sync", security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    responses(
        (status = 200, description = "Rows that both sides wrote, without their values", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn conflicts(
    _: Viewer,
    State(api): State<Api>,
    Path(domain): Path<String>,
) -> Result<Json<Value>, Problem> {
    let conflicts = state::conflicts(api.domains.link(&domain)?).await;
    let conflicts = conflicts.map_err(crate::error::Error::from)?;
    Ok(Json(json!(sync::told(&conflicts, false))))
}

#[utoipa::path(post, path = "/api/sync/{domain}/conflicts/resolve", operation_id = "resolveConflict", tag = "sync",
    security(("bearer" = [])),
    params(("domain" = String, Path, description = "payments ...")),
    request_body = Resolve,
    responses(
        (status = 200, description = "Both sides have it alike", body = Value),
        (status = 400, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain, or no such conflict", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not as it should be", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away, or the sync does not run", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn resolve(
    Changer(actor): Changer,
    State(api): State<Api>,
    Path(domain): Path<String>,
    Json(body): Json<Resolve>,
) -> Result<Json<Value>, Problem> {
    let link = api.domains.link(&domain)?;
    let keep = Direction::from(body.keep);
    sync::resolve(&api.pool, link, &body.table, &body.key, keep, &actor).await?;
    Ok(Json(json!({ "resolved": true })))
}
