//! `PUT /api/notifications/preferences`

use std::collections::BTreeMap;

use axum::extract::State;
use banyan_service_kit::{auth::Caller, extract::Json, problem::ProblemBody};
use sqlx::PgPool;

use super::{ApiError, schema::PreferencesBody};
use crate::{
    domain::{category::Category, routing::Choice},
    use_cases::{self, preferences::PutError},
};

/// Replaces the caller's choices; a category that is left out goes back to its default
#[utoipa::path(
    put,
    path = "/api/notifications/preferences",
    operation_id = "putPreferences",
    tag = "notifications",
    security(("bearer" = [])),
    request_body = PreferencesBody,
    responses(
        (status = 200, description = "One entry for every category", body = PreferencesBody),
        (status = 400, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The account is closed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "An unknown category or channel, or a category twice", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_preferences(
    caller: Caller,
    State(pool): State<PgPool>,
    Json(body): Json<PreferencesBody>,
) -> Result<Json<PreferencesBody>, ApiError> {
    let choices = choices(body)?;
    let choices = use_cases::preferences::put(&pool, caller.user_id, &choices)
        .await
        .map_err(|error| match error {
            PutError::Erased => ApiError::AccountClosed,
            PutError::Database(error) => ApiError::Database(error),
        })?;
    Ok(Json(choices.into()))
}

fn choices(body: PreferencesBody) -> Result<BTreeMap<Category, Choice>, ApiError> {
    let mut choices = BTreeMap::new();
    for (index, entry) in body.categories.into_iter().enumerate() {
        let choice = Choice {
            enabled: entry.enabled,
            channel: entry.channel,
            digest: entry.digest,
        };
        if choices.insert(entry.category, choice).is_some() {
            return Err(ApiError::TwiceTheCategory { index });
        }
    }
    Ok(choices)
}
