//! Rows between their reading and their mark: waiting for an earlier one of their subject, under way, confirmed.
//!
//! One event of a subject is under way at a time. With more, a broker that refuses one (a full queue) and takes the
//! next, which it may do when a consumer made room in between, would turn their order around.

use std::collections::{HashSet, VecDeque};

use banyan_fail_points::fail_points;
use banyan_tracing_setup::amqp;
use futures::FutureExt;
use lapin::{Channel, Confirmation, PublisherConfirm, options::BasicPublishOptions};
use tracing::Span;

use super::row::Row;
use crate::{lanes::Lanes, topology::DOMAIN_EVENTS};

/// Published, not yet confirmed.
struct UnderWay {
    sequence: i64,
    subject: String,
    confirm: PublisherConfirm,
    span: Span,
}

/// The rows that this relay has read and not yet marked.
#[derive(Default)]
pub(super) struct Pipeline {
    waiting: Lanes<Row>,
    under_way: VecDeque<UnderWay>,
    confirmed: Vec<i64>,
    /// All of the above, and what was refused.
    known: HashSet<i64>,
    refused: usize,
}

impl Pipeline {
    /// Adds rows in their order.
    pub(super) fn read(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.known.insert(row.sequence);
            self.waiting.push(Some(row.subject.clone()), row);
        }
    }

    /// Publishes every row whose subject has nothing under way, without waiting for a confirm.
    ///
    /// # Errors
    /// The broker is lost.
    pub(super) async fn publish_ready(
        &mut self,
        channel: &Channel,
        source: &str,
    ) -> Result<(), lapin::Error> {
        while let Some((_, row)) = self.waiting.pop() {
            let (sequence, subject, kind) = (row.sequence, row.subject.clone(), row.kind.clone());
            let message = match row.into_message(source) {
                Ok(message) => message,
                Err(error) => {
                    // Cannot be: the column is jsonb. The row stays, and counts as refused; so does what follows it.
                    tracing::error!(sequence, subject, %error, "an outbox row cannot be made a message");
                    self.refused += 1;
                    continue;
                }
            };
            // Not mandatory: what no queue wants goes to the alternate exchange and is confirmed there.
            let publish = channel.basic_publish(
                DOMAIN_EVENTS.into(),
                kind.into(),
                BasicPublishOptions::default(),
                &message.body,
                message.properties,
            );
            let confirm = fail_points!("relay.publish", publish.await)?;
            self.under_way.push_back(UnderWay {
                sequence,
                subject,
                confirm,
                span: message.span,
            });
        }
        Ok(())
    }

    /// Waits for the oldest confirm, and takes every other that is there.
    ///
    /// # Errors
    /// The broker is lost.
    pub(super) async fn settle_some(&mut self) -> Result<(), lapin::Error> {
        let mut first = true;
        // In place, so that a wait that is given up loses nothing.
        while let Some(oldest) = self.under_way.front_mut() {
            let answer = if first {
                Some(fail_points!("relay.confirm", (&mut oldest.confirm).await))
            } else {
                (&mut oldest.confirm).now_or_never()
            };
            first = false;
            let Some(answer) = answer else { break };
            let Some(settled) = self.under_way.pop_front() else {
                break;
            };
            match answer {
                // Only this is success: a returned message comes as an acknowledgement too.
                Ok(Confirmation::Ack(None)) => {
                    self.confirmed.push(settled.sequence);
                    self.waiting.finished(Some(settled.subject));
                }
                Ok(_) => {
                    // Its subject stays taken: nothing newer goes before it.
                    amqp::record_error(&settled.span, "refused");
                    self.refused += 1;
                }
                Err(error) => {
                    amqp::record_error(&settled.span, "connection_lost");
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sequence numbers to be marked; they are no longer known afterwards.
    pub(super) fn take_confirmed(&mut self) -> Vec<i64> {
        let confirmed = std::mem::take(&mut self.confirmed);
        for sequence in &confirmed {
            self.known.remove(sequence);
        }
        confirmed
    }

    /// Rows that must not be read a second time.
    pub(super) fn known(&self) -> Vec<i64> {
        self.known.iter().copied().collect()
    }

    /// How many rows are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many rows wait for their mark.
    pub(super) fn unmarked(&self) -> usize {
        self.confirmed.len()
    }

    /// Whether there is nothing to do but to read on.
    pub(super) fn is_idle(&self) -> bool {
        self.is_settled() && self.waiting.len() == 0
    }

    /// Whether the broker owes no answer.
    pub(super) fn is_settled(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many rows were refused.
    pub(super) fn refused(&self) -> usize {
        self.refused
    }
}
