//! Events of other domains.

use banyan_db::ErrorClass;
use banyan_events::{Event, EventKind};
use banyan_messaging::{Delivery, Handler, HandlerError};

use crate::use_cases::{Env, erase_user};

/// What this service wants to hear of. Of users it needs to know no more than that one is gone.
pub const CONSUMED: &[EventKind] = &[EventKind::UserDeleted];

/// Handles every event this service consumes.
#[derive(Clone, Debug)]
pub struct Events {
    env: Env,
}

impl Events {
    /// A handler that works with these.
    pub fn new(env: Env) -> Self {
        Self { env }
    }
}

impl Handler for Events {
    async fn handle(&self, delivery: &Delivery) -> Result<(), HandlerError> {
        let envelope = &delivery.envelope;
        let handled = match &envelope.data {
            Event::UserDeleted(erased) => erase_user::run(&self.env, envelope, erased).await,
            // The queue is bound to nothing else; a binding of an earlier version may be there still.
            _ => Ok(()),
        };
        handled.map_err(|error| hold(&error))
    }
}

/// A database that is away stops the consumer without using up the ladder; anything else it says is about this event.
fn hold(error: &sqlx::Error) -> HandlerError {
    match banyan_db::classify(error) {
        ErrorClass::Unavailable => HandlerError::Unavailable(error.to_string()),
        _ => HandlerError::Retry(error.to_string()),
    }
}
