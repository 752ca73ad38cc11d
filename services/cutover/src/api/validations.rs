//! `/api/validations`

use std::num::NonZeroU32;

use axum::extract::State;
use axum::http::StatusCode;
use banyan_service_kit::Problem;
use banyan_service_kit::extract::{Json, Path, Query};
use banyan_service_kit::problem::ProblemBody;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Api;
use super::access::{Changer, Viewer};
use crate::storage::orders;
use crate::storage::runs::{self, Asked};
use crate::validation::{Repair, Side, Wanted, answer, repair as mend};

/// What is compared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    /// payments ...
    domain: String,
    /// Rows of a sample; without it, all rows are compared.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    sample_size: Option<NonZeroU32>,
    /// Names of tables in the service; none for all.
    #[serde(default)]
    tables: Vec<String>,
}

/// Whose runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfDomain {
    /// payments ...
    domain: String,
}

/// What is repaired, and how much of it at most.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mend {
    /// Whose version is right; not needed where rows go one way only.
    #[serde(default)]
    from: Option<Side>,
    /// Names of tables in the service; none for all.
    #[serde(default)]
    tables: Vec<String>,
    /// More rows than this are refused.
    #[serde(default = "budget")]
    budget: usize,
    /// Without it, only what would be done is answered.
    #[serde(default)]
    apply: bool,
}

fn budget() -> usize {
    1000
}

#[utoipa::path(post, path = "/api/validations", operation_id = "beginValidation", tag = "validation", security(("bearer" = [])),
    request_body = Begin,
    responses(
        (status = 202, description = "It has begun; the list of runs shows it", body = Value),
        (status = 400, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not as it should be", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn begin(
    Changer(actor): Changer,
    State(api): State<Api>,
    Json(body): Json<Begin>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let link = api.domains.link(&body.domain)?.clone();
    let (validator, shutdown) = (api.validator.clone(), api.shutdown.clone());
    // It takes longer than a request may.
    api.tasks.spawn(async move {
        let asked = Asked {
            domain: &body.domain,
            by: &actor,
            sample_size: body.sample_size.map(NonZeroU32::get),
            tables: &body.tables,
        };
        let done = validator
            .validate(&link, &asked, false, &mut |_| {}, &shutdown)
            .await;
        if let Err(error) = done {
            tracing::error!(domain = body.domain, %error, "not validated");
        }
    });
    Ok((StatusCode::ACCEPTED, Json(json!({ "begun": true }))))
}

#[utoipa::path(get, path = "/api/validations", operation_id = "listValidations", tag = "validation", security(("bearer" = [])),
    params(OfDomain),
    responses(
        (status = 200, description = "The newest runs of a domain", body = Value),
        (status = 400, description = "No domain", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    _: Viewer,
    State(api): State<Api>,
    Query(of): Query<OfDomain>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(runs::runs(&api.pool, &of.domain, 50).await?)))
}

#[utoipa::path(get, path = "/api/validations/{run}", operation_id = "showValidation", tag = "validation", security(("bearer" = [])),
    params(("run" = Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "As `cutover validate --json` prints it", body = Value),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(
    _: Viewer,
    State(api): State<Api>,
    Path(run): Path<Uuid>,
) -> Result<Json<Value>, Problem> {
    let mut connection = api.pool.acquire().await?;
    let found = runs::run(&mut connection, run).await?;
    drop(connection);
    Ok(Json(answer(&found, &runs::differences(&api.pool, run).await?)))
}

#[utoipa::path(post, path = "/api/validations/{run}/repair", operation_id = "repair", tag = "validation", security(("bearer" = [])),
    params(("run" = Uuid, Path, description = "Its id")),
    request_body = Mend,
    responses(
        (status = 200, description = "What was done, or would be", body = Repair),
        (status = 400, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A viewer's token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "More rows than the budget has, or the sync does not run that way", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not as it should be", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A database is away", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn repair(
    Changer(actor): Changer,
    State(api): State<Api>,
    Path(run): Path<Uuid>,
    Json(body): Json<Mend>,
) -> Result<Json<Repair>, Problem> {
    let mut connection = api.pool.acquire().await?;
    let found = runs::run(&mut connection, run).await?;
    drop(connection);
    let order = orders::order(&api.pool, &found.domain).await?;
    let ways = order.filter(orders::Order::is_running).map(|order| order.ways());
    let wanted = Wanted {
        run,
        from: body.from,
        tables: body.tables,
        budget: body.budget,
        dry_run: !body.apply,
    };
    let link = api.domains.link(&found.domain)?;
    Ok(Json(mend(&api.validator, link, ways, &wanted, &actor).await?))
}
