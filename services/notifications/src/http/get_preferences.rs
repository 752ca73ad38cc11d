//! `GET /api/notifications/preferences`

use axum::extract::State;
use banyan_service_kit::{auth::Caller, extract::Json, problem::ProblemBody};
use sqlx::PgPool;

use super::{ApiError, schema::PreferencesBody};
use crate::use_cases;

/// What the caller wants to be told, for every category
#[utoipa::path(
    get,
    path = "/api/notifications/preferences",
    operation_id = "getPreferences",
    tag = "notifications",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "One entry for every category", body = PreferencesBody),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_preferences(
    caller: Caller,
    State(pool): State<PgPool>,
) -> Result<Json<PreferencesBody>, ApiError> {
    let choices = use_cases::preferences::get(&pool, caller.user_id).await?;
    Ok(Json(choices.into()))
}
