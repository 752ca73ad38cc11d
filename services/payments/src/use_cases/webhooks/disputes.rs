//! A payment is disputed, or its dispute has a new state.

use banyan_db::retry_serialization;
use banyan_events::payloads::PaymentDisputed;
use banyan_messaging::outbox::{self, NewEvent};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{WebhookError, payments};
use crate::domain::dispute::{self, DisputeStatus, Effect};
use crate::domain::money::{Currency, Minor};
use crate::domain::payment::Payment;
use crate::domain::webhook::WebhookStatus;
use crate::storage::dispute::{self as rows, Found};
use crate::storage::ledger::{self, About, Booking};
use crate::storage::payment;
use crate::stripe::{self, Event};
use crate::use_cases::{EFFECT_OWNER, Env};

/// The most characters of Stripe's reason that are kept.
const MAX_REASON: usize = 60;

/// Brings a dispute to where Stripe has it.
pub(super) async fn changed(env: &Env, event: &Event) -> Result<WebhookStatus, WebhookError> {
    let found = match env
        .stripe
        .retrieve_dispute(&event.object_id, env.deadline())
        .await?
    {
        Some(found) => Some(found),
        None => event.object::<stripe::Dispute>().ok(),
    };
    let Some((status, sent)) = found.and_then(|sent| Some((status_of(sent.status)?, sent))) else {
        tracing::warn!(
            stripe_event_id = event.id,
            "a dispute that cannot be understood was ignored"
        );
        return Ok(WebhookStatus::Ignored);
    };
    let Some(payment) = payment_of(env, &sent).await? else {
        return Ok(WebhookStatus::Ignored);
    };
    let in_currency = sent
        .currency
        .as_deref()
        .is_none_or(|code| code.eq_ignore_ascii_case(payment.currency.as_str()));
    if !in_currency || sent.amount <= 0 {
        // Nothing that could be booked on the payment; the tie-out tells of it.
        tracing::error!(
            payment_id = payment.id,
            stripe_event_id = event.id,
            "a dispute does not fit its payment"
        );
        return Ok(WebhookStatus::Ignored);
    }
    let reason = sent.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason: String = reason.unwrap_or("general").chars().take(MAX_REASON).collect();
    let found = Found {
        stripe_id: &sent.id,
        amount: Minor(sent.amount),
        reason: &reason,
        status,
        due_by: sent
            .due_by()
            .and_then(|due_by| OffsetDateTime::from_unix_timestamp(due_by).ok()),
        at: event.created,
    };
    let currency = env.currencies.of(payment.currency).await?;
    retry_serialization(|| apply(env, payment.id, currency, &found)).await?;
    Ok(WebhookStatus::Processed)
}

async fn payment_of(env: &Env, sent: &stripe::Dispute) -> Result<Option<Payment>, WebhookError> {
    let intent_id = match (&sent.payment_intent, &sent.charge) {
        (Some(intent_id), _) => Some(intent_id.clone()),
        (None, Some(charge)) => {
            let charge = env.stripe.retrieve_charge(charge, env.deadline()).await?;
            charge.and_then(|charge| charge.payment_intent)
        }
        (None, None) => None,
    };
    match intent_id {
        Some(intent_id) => payments::completed_of(env, &intent_id).await,
        None => Ok(None),
    }
}

/// Writes a dispute down, with what moves; what is older than what we know changes nothing.
async fn apply(
    env: &Env,
    payment_id: i64,
    currency: Currency,
    found: &Found<'_>,
) -> Result<(), WebhookError> {
    let now = env.now();
    let mut transaction = env.pool.begin().await?;
    let Some(payment) = payment::lock(&mut transaction, payment_id).await? else {
        return Ok(());
    };
    let known = rows::known(&mut transaction, found.stripe_id).await?;
    let is_news = known.is_none_or(|known| {
        known.payment_id == payment.id
            && !known.status.is_closed()
            && known.effect <= Effect::new(found.at, found.status)
    });
    if !is_news {
        return Ok(());
    }
    let (is_withdrawn, kinds) = found
        .status
        .movements(known.is_some_and(|known| known.is_withdrawn));
    let (dispute_id, amount) = if let Some(known) = known {
        rows::advance(&mut transaction, known.id, found, is_withdrawn, now).await?;
        (known.id, known.amount)
    } else {
        let id = rows::open(&mut transaction, &payment, found, is_withdrawn, now).await?;
        let refunds = rows::refunds_of(&mut transaction, payment.id).await?;
        let evidence = dispute::evidence(&payment, currency, &refunds);
        rows::keep_evidence(&mut transaction, id, &evidence, now).await?;
        (id, found.amount)
    };
    for kind in kinds {
        let booking = Booking {
            kind: *kind,
            amount,
            currency: payment.currency,
            customer_id: payment.customer_id,
            about: About::Dispute {
                payment_id: payment.id,
                dispute_id,
            },
        };
        ledger::book(&mut transaction, &booking, now).await?;
    }
    let is_disputed = rows::is_disputed(&mut transaction, payment.id).await?;
    let status = dispute::payment_status(&payment, is_disputed);
    rows::show(&mut transaction, &payment, status, now).await?;
    if known.is_none() {
        announce(env, &mut transaction, &payment, dispute_id, found).await?;
    }
    Ok(transaction.commit().await?)
}

async fn announce(
    env: &Env,
    connection: &mut PgConnection,
    payment: &Payment,
    dispute_id: i64,
    found: &Found<'_>,
) -> Result<(), sqlx::Error> {
    let event = PaymentDisputed {
        payment_id: payment.id,
        dispute_id,
        user_id: payment.user_id,
        amount_minor: found.amount.0,
        currency: payment.currency.to_string(),
        reason: found.reason.to_owned(),
        due_by: found.due_by,
    };
    let event = NewEvent {
        id: (env.new_id)(),
        effect_owner: EFFECT_OWNER,
        ..NewEvent::new(format!("payment/{}", payment.id), event)
    };
    outbox::publish(connection, event).await?;
    Ok(())
}

/// `None` for a status that Stripe has made since.
fn status_of(status: stripe::DisputeStatus) -> Option<DisputeStatus> {
    use stripe::DisputeStatus as Sent;
    Some(match status {
        Sent::WarningNeedsResponse => DisputeStatus::WarningNeedsResponse,
        Sent::WarningUnderReview => DisputeStatus::WarningUnderReview,
        Sent::WarningClosed => DisputeStatus::WarningClosed,
        Sent::NeedsResponse => DisputeStatus::NeedsResponse,
        Sent::UnderReview => DisputeStatus::UnderReview,
        Sent::Won => DisputeStatus::Won,
        Sent::Lost => DisputeStatus::Lost,
        Sent::Prevented => DisputeStatus::Prevented,
        Sent::Other => return None,
    })
}
