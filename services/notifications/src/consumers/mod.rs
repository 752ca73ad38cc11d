//! What an event does here. The nine events are one shape: what it tells of a user is learned first, then its notification is
//! delivered, if it has one. Which event does what is in [`Notice`](crate::domain::notice::Notice) and
//! [`ContactChange`], so there is one handler and no file per event.

use std::sync::Arc;

use banyan_events::{EffectOwner, Envelope, Event};
use banyan_messaging::{Delivery, Handler, HandlerError};
use banyan_tracing_setup::db;
use tracing::Instrument;

use crate::{
    domain::{contact::ContactChange, occasion::Occasion},
    storage::{StoreError, contacts},
    use_cases::{conclusion::Verdict, deliver::Deliver, erase_user},
};

/// Handles every event this service consumes.
#[derive(Clone)]
pub struct Events {
    deliver: Arc<Deliver>,
    /// Tries that the retry ladder gives an event in all.
    tries: u32,
}

impl Events {
    /// A handler behind a retry ladder of that many rungs.
    pub fn new(deliver: Arc<Deliver>, rungs: usize) -> Self {
        Self {
            deliver,
            tries: u32::try_from(rungs).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    /// Learns what the event tells of a user. It is kept whatever becomes of the notification.
    async fn learn(&self, envelope: &Envelope<Event>, notifies: bool) -> Result<(), StoreError> {
        let Some(change) = ContactChange::from_event(envelope) else {
            return Ok(());
        };
        let pool = self.deliver.pool();
        if change.deleted_at.is_some() {
            return erase_user::run(pool, &change, envelope)
                .instrument(db::span("UPDATE", "contact"))
                .await;
        }
        let handled = (!notifies).then_some(envelope);
        contacts::apply(pool, &change, handled)
            .instrument(db::span("INSERT", "contact"))
            .await
    }
}

impl Handler for Events {
    async fn handle(&self, delivery: &Delivery) -> Result<(), HandlerError> {
        let envelope = &delivery.envelope;
        let last_try = delivery.attempt >= self.tries;
        let occasion = Occasion::of(envelope, delivery.trace_id.clone(), last_try);
        self.learn(envelope, occasion.is_some())
            .await
            .map_err(|error| hold(&error))?;
        let Some(occasion) = occasion else { return Ok(()) };
        if envelope.effectowner == Some(EffectOwner::Legacy) {
            return self.deliver.skip(&occasion).await.map_err(|error| hold(&error));
        }
        match self.deliver.run(&occasion).await.map_err(|error| hold(&error))? {
            Verdict::Done => Ok(()),
            Verdict::Again(reason) => Err(HandlerError::Retry(reason)),
            Verdict::Never(reason) => Err(HandlerError::Permanent(reason)),
        }
    }
}

/// A database that is away stops the consumer without using up the ladder; anything else it says is about this event.
fn hold(error: &StoreError) -> HandlerError {
    if error.is_unavailable() {
        HandlerError::Unavailable(error.to_string())
    } else {
        HandlerError::Retry(error.to_string())
    }
}
