//! The operations with their paths, and the document that describes them.

use axum::Router;
use banyan_idempotency::{Idempotency, Options};
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::charge::{__path_charge, charge};
use super::get_balance::{__path_get_balance, get_balance};
use super::get_payment::{__path_get_payment, get_payment};
use super::list_invoices::{__path_list_invoices, list_invoices};
use super::list_payments::{__path_list_payments, list_payments};
use super::payment_methods::{
    __path_add_method, __path_delete_method, __path_list_methods, add_method, delete_method, list_methods,
};
use super::subscriptions::{
    __path_create_subscription, __path_delete_subscription, create_subscription, delete_subscription,
};
use crate::use_cases::Env;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Banyan payments",
        description = "Charges cards, keeps the ledger and tells the other domains what was paid."
    ),
    tags((name = "payments", description = "The caller's own payments"))
)]
struct Base;

/// The routes whose requests carry a key.
fn keyed() -> OpenApiRouter<Env> {
    OpenApiRouter::new().routes(routes!(charge))
}

/// The same, with keys of their own.
fn subscribing() -> OpenApiRouter<Env> {
    OpenApiRouter::new().routes(routes!(create_subscription))
}

fn others() -> OpenApiRouter<Env> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(list_payments))
        .routes(routes!(get_payment))
        .routes(routes!(get_balance))
        .routes(routes!(list_methods, add_method))
        .routes(routes!(delete_method))
        .routes(routes!(delete_subscription))
        .routes(routes!(list_invoices))
}

/// The public API. `tasks` are those that a shutdown waits for: a charge runs to its end when its client hangs up.
pub fn router(env: Env, tasks: TaskTracker) -> Router {
    let options = Options {
        lease: env.charge.lease(),
        retention: env.charge.retention(),
        ..Options::new("charge")
    };
    let once = Idempotency::by_handler(tasks.clone(), env.new_id, options);
    let keyed = keyed().split_for_parts().0.layer(once);
    let options = Options {
        operation: "subscribe",
        ..options
    };
    let once = Idempotency::by_handler(tasks, env.new_id, options);
    let subscribing = subscribing().split_for_parts().0.layer(once);
    let others = others().split_for_parts().0;
    others.merge(keyed).merge(subscribing).with_state(env)
}

/// The OpenAPI 3.1 document of exactly these routes.
pub fn openapi() -> Document {
    let mut document = others().merge(keyed()).merge(subscribing()).split_for_parts().1;
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".into());
    document
        .components
        .get_or_insert_with(Default::default)
        .add_security_scheme("bearer", SecurityScheme::Http(http));
    document
}
