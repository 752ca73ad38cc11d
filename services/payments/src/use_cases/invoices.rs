//! A user's invoices.

use time::OffsetDateTime;

use crate::domain::invoice::{Invoice, InvoiceLine};
use crate::domain::money::Currency;
use crate::storage::invoice;
use crate::use_cases::Env;

/// An invoice as it is shown.
#[derive(Clone, Debug)]
pub struct FullInvoice {
    /// The invoice.
    pub invoice: Invoice,
    /// Its currency.
    pub currency: Currency,
    /// Its positions, in their order.
    pub lines: Vec<InvoiceLine>,
}

/// A user's invoices, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn list(
    env: &Env,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<FullInvoice>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let invoices = invoice::of_user(&mut connection, user_id, after, limit).await?;
    let ids: Vec<i64> = invoices.iter().map(|invoice| invoice.id).collect();
    let mut lines = invoice::lines_of(&mut connection, &ids).await?;
    drop(connection);
    let mut full = Vec::with_capacity(invoices.len());
    for invoice in invoices {
        full.push(FullInvoice {
            currency: env.currencies.of(invoice.currency).await?,
            lines: lines.remove(&invoice.id).unwrap_or_default(),
            invoice,
        });
    }
    Ok(full)
}
