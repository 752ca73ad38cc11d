//! `GET /api/notifications/`

use axum::extract::State;
use banyan_service_kit::{
    Position,
    auth::Caller,
    extract::Json,
    page::{List, Page, PageParams},
    problem::ProblemBody,
};
use sqlx::PgPool;

use super::{ApiError, schema::NotificationBody};
use crate::use_cases;

/// The caller's notifications, newest first
#[utoipa::path(
    get,
    path = "/api/notifications/",
    operation_id = "listNotifications",
    tag = "notifications",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "A page of the caller's notifications", body = List<NotificationBody>),
        (status = 400, description = "A bad `limit` or `cursor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_notifications(
    caller: Caller,
    page: Page<Position>,
    State(pool): State<PgPool>,
) -> Result<Json<List<NotificationBody>>, ApiError> {
    let after = page.after.and_then(Position::get);
    let rows = use_cases::list_notifications::run(&pool, caller.user_id, after, page.fetch()).await?;
    let position = |row: &crate::domain::notification::Notification| Position::new(row.created_at, row.id);
    Ok(Json(List::new(rows, &page, position, NotificationBody::from)))
}
