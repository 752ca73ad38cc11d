//! Messages that are on their way, and what the broker says of them.

use banyan_tracing_setup::amqp;
use lapin::{Channel, Confirmation, PublisherConfirm, options::BasicPublishOptions};
use tracing::Span;
use uuid::Uuid;

use super::{RelayError, row::Row};
use crate::topology::DOMAIN_EVENTS;

/// Published, not yet confirmed.
#[derive(Default)]
pub(super) struct Batch {
    ids: Vec<Uuid>,
    confirms: Vec<(PublisherConfirm, Span)>,
}

/// What the broker said of a batch.
#[derive(Default)]
pub(super) struct Settled {
    /// Safe with the broker.
    pub(super) confirmed: Vec<Uuid>,
    /// Refused, or lost with the connection.
    pub(super) refused: usize,
}

impl Batch {
    /// Publishes rows in their order, without waiting for a confirm.
    ///
    /// # Errors
    /// The broker is lost. Nothing of the batch is marked then; what did arrive is published a second time.
    pub(super) async fn publish(channel: &Channel, rows: Vec<Row>, source: &str) -> Result<Self, RelayError> {
        let mut batch = Self::default();
        for row in rows {
            let (id, kind) = (row.id, row.kind.clone());
            let message = match row.into_message(source) {
                Ok(message) => message,
                Err(error) => {
                    // Cannot be: the column is jsonb. One row must not stop the others, so it stays and is counted.
                    metrics::counter!("banyan_outbox_unpublishable_total").increment(1);
                    tracing::error!(%id, %error, "an outbox row cannot be made a message");
                    continue;
                }
            };
            // Not mandatory: what no queue wants goes to the alternate exchange and is confirmed there.
            let confirm = channel
                .basic_publish(
                    DOMAIN_EVENTS.into(),
                    kind.into(),
                    BasicPublishOptions::default(),
                    &message.body,
                    message.properties,
                )
                .await?;
            batch.ids.push(id);
            batch.confirms.push((confirm, message.span));
        }
        Ok(batch)
    }

    /// Rows that are under way.
    pub(super) fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// Waits for the broker's word on every message.
    pub(super) async fn settle(self) -> Settled {
        let mut settled = Settled::default();
        for (id, (confirm, span)) in self.ids.into_iter().zip(self.confirms) {
            match confirm.await {
                // Only this is success: a returned message comes as an acknowledgement too.
                Ok(Confirmation::Ack(None)) => settled.confirmed.push(id),
                Ok(_) | Err(_) => {
                    amqp::record_error(&span, "refused");
                    settled.refused += 1;
                }
            }
        }
        settled
    }
}
