//! `GET /api/payments/invoices`

use axum::extract::State;
use banyan_service_kit::Position;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::Json;
use banyan_service_kit::page::{List, Page, PageParams};
use banyan_service_kit::problem::ProblemBody;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::ApiError;
use crate::domain::invoice::InvoiceLine;
use crate::domain::money::Currency;
use crate::use_cases::Env;
use crate::use_cases::invoices::{self, FullInvoice};

/// An invoice as its user sees it. Amounts are in major units, with the currency's own number of decimals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvoiceBody {
    id: i64,
    #[schema(example = "INV-00000007")]
    number: String,
    subscription_id: i64,
    #[schema(example = "paid")]
    status: &'static str,
    #[schema(example = "USD")]
    currency: String,
    /// Price and credit.
    subtotal: String,
    discount: String,
    /// To be paid.
    total: String,
    #[serde(with = "time::serde::rfc3339")]
    period_start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    period_end: OffsetDateTime,
    payment_id: Option<i64>,
    lines: Vec<InvoiceLineBody>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    paid_at: Option<OffsetDateTime>,
}

/// A position of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvoiceLineBody {
    description: String,
    /// Below zero in a credit.
    amount: String,
    #[serde(with = "time::serde::rfc3339")]
    period_start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    period_end: OffsetDateTime,
    /// Whether it is a credit for unused time.
    proration: bool,
}

impl InvoiceLineBody {
    fn new(line: InvoiceLine, currency: Currency) -> Self {
        Self {
            description: line.description,
            amount: line.amount.format(currency),
            period_start: line.period_start,
            period_end: line.period_end,
            proration: line.proration,
        }
    }
}

impl From<FullInvoice> for InvoiceBody {
    fn from(full: FullInvoice) -> Self {
        let FullInvoice {
            invoice,
            currency,
            lines,
        } = full;
        Self {
            id: invoice.id,
            number: invoice.number,
            subscription_id: invoice.subscription_id,
            status: invoice.status.name(),
            currency: currency.code.to_string(),
            subtotal: invoice.totals.subtotal.format(currency),
            discount: invoice.totals.discount.format(currency),
            total: invoice.totals.total.format(currency),
            period_start: invoice.period_start,
            period_end: invoice.period_end,
            payment_id: invoice.payment_id,
            lines: lines
                .into_iter()
                .map(|line| InvoiceLineBody::new(line, currency))
                .collect(),
            created_at: invoice.created_at,
            paid_at: invoice.paid_at,
        }
    }
}

/// The caller's invoices, newest first
#[utoipa::path(
    get,
    path = "/api/payments/invoices",
    operation_id = "listInvoices",
    tag = "payments",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "A page of the caller's invoices", body = List<InvoiceBody>),
        (status = 400, description = "A bad `limit` or `cursor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_invoices(
    caller: Caller,
    page: Page<Position>,
    State(env): State<Env>,
) -> Result<Json<List<InvoiceBody>>, ApiError> {
    let after = page.after.and_then(Position::get);
    let rows = invoices::list(&env, caller.user_id, after, page.fetch()).await?;
    let position = |full: &FullInvoice| Position::new(full.invoice.created_at, full.invoice.id);
    Ok(Json(List::new(rows, &page, position, InvoiceBody::from)))
}
