//! The operations with their paths, and the document that describes them.

use axum::Router;
use sqlx::PgPool;
use utoipa::{
    OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    get_preferences::__path_get_preferences, get_preferences::get_preferences,
    list_notifications::__path_list_notifications, list_notifications::list_notifications,
    put_preferences::__path_put_preferences, put_preferences::put_preferences,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Banyan notifications", description = "What users were told, and what they want to be told."),
    tags((name = "notifications", description = "The caller's own notifications and preferences"))
)]
struct Base;

fn routes() -> OpenApiRouter<PgPool> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(list_notifications))
        .routes(routes!(get_preferences, put_preferences))
}

/// The public API.
pub fn router(pool: PgPool) -> Router {
    routes().split_for_parts().0.with_state(pool)
}

/// The OpenAPI 3.1 document of exactly these routes.
pub fn openapi() -> Document {
    let mut document = routes().split_for_parts().1;
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".into());
    document
        .components
        .get_or_insert_with(Default::default)
        .add_security_scheme("bearer", SecurityScheme::Http(http));
    document
}
