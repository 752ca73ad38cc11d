//! The operations with their paths, and the document that describes them.

use axum::{Router, middleware};
use banyan_idempotency::{Idempotency, Options};
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authorizations::{__path_cancel, __path_capture, cancel, capture};
use super::charge::{__path_charge, charge};
use super::get_balance::{__path_get_balance, get_balance};
use super::get_payment::{__path_get_payment, get_payment};
use super::list_invoices::{__path_list_invoices, list_invoices};
use super::list_payments::{__path_list_payments, list_payments};
use super::payment_methods::{
    __path_add_method, __path_delete_method, __path_list_methods, add_method, delete_method, list_methods,
};
use super::refunds::{__path_list_refunds, __path_refund, list_refunds, refund};
use super::stripe_webhook::{__path_stripe_webhook, stripe_webhook};
use super::subscriptions::{
    __path_create_subscription, __path_delete_subscription, create_subscription, delete_subscription,
};
use super::to_its_end::to_its_end;
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

/// The routes whose requests carry a key of one payment.
fn keyed_by_payment() -> OpenApiRouter<Env> {
    OpenApiRouter::new().routes(routes!(refund))
}

/// The route that subscribes, with keys of its own.
fn subscribing() -> OpenApiRouter<Env> {
    OpenApiRouter::new().routes(routes!(create_subscription))
}

/// The routes without a key that run to their end when the client hangs up.
fn to_the_end() -> OpenApiRouter<Env> {
    OpenApiRouter::new()
        .routes(routes!(capture))
        .routes(routes!(cancel))
}

fn others() -> OpenApiRouter<Env> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(list_payments))
        .routes(routes!(get_payment))
        .routes(routes!(get_balance))
        .routes(routes!(list_methods, add_method))
        .routes(routes!(delete_method))
        .routes(routes!(list_refunds))
        .routes(routes!(delete_subscription))
        .routes(routes!(list_invoices))
        .routes(routes!(stripe_webhook))
}

/// The public API. `tasks` are those that a shutdown waits for: a charge runs to its end when its client hangs up.
pub fn router(env: Env, tasks: TaskTracker) -> Router {
    let options = Options {
        lease: env.charge.lease(),
        retention: env.charge.retention(),
        ..Options::new("charge")
    };
    let refund = Options {
        operation: "refund",
        per_path: true,
        ..options
    };
    let subscribe = Options {
        operation: "subscribe",
        ..options
    };
    let once = |options| Idempotency::by_handler(tasks.clone(), env.new_id, options);
    let keyed = keyed().split_for_parts().0.layer(once(options));
    let by_payment = keyed_by_payment().split_for_parts().0.layer(once(refund));
    let subscribing = subscribing().split_for_parts().0.layer(once(subscribe));
    let ends = middleware::from_fn_with_state(tasks, to_its_end);
    let to_the_end = to_the_end().split_for_parts().0.layer(ends);
    let others = others().split_for_parts().0;
    let ours = (env.ownership, env.pool.clone());
    let ours = middleware::from_fn_with_state(ours, banyan_ownership::only_ours);
    others
        .merge(keyed)
        .merge(by_payment)
        .merge(subscribing)
        .merge(to_the_end)
        .layer(ours)
        .with_state(env)
}

/// The OpenAPI 3.1 document of exactly these routes.
pub fn openapi() -> Document {
    let all = others()
        .merge(keyed())
        .merge(keyed_by_payment())
        .merge(subscribing())
        .merge(to_the_end());
    let mut document = all.split_for_parts().1;
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".into());
    document
        .components
        .get_or_insert_with(Default::default)
        .add_security_scheme("bearer", SecurityScheme::Http(http));
    document
}
