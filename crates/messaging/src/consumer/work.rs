//! From one delivery to its outcome.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use banyan_events::{DecodeError, Envelope, Event, EventKind};
use banyan_tracing_setup::{amqp, context};
use futures::FutureExt;
use lapin::{message, options::BasicAckOptions, types::FieldTable};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{Delivery, Handler, HandlerError, Shared, ladder::Ladder};
use crate::{
    backoff::Backoff,
    broker::answered,
    headers::{self, names},
};

/// A delivery with what could be read of it.
pub(super) struct Job {
    pub(super) message: message::Delivery,
    pub(super) decoded: Result<Envelope<Event>, DecodeError>,
}

/// How many deliveries wait for something that every event needs.
#[derive(Default)]
pub(super) struct Hold {
    waiting: AtomicUsize,
    better: Notify,
}

impl Hold {
    /// Whether the consumer holds still.
    pub(super) fn active(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts one waiting delivery for as long as it lives.
struct Waiting<'a>(&'a Hold);

impl<'a> Waiting<'a> {
    fn new(hold: &'a Hold) -> Self {
        hold.waiting.fetch_add(1, Ordering::Relaxed);
        Self(hold)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Outcome {
    Done,
    Retry(String),
    Dead(String),
    /// The session ended while the event waited. It stays unacknowledged, so the broker gives it out again.
    GivenBack,
}

/// Handles a delivery and disposes of it: acknowledged, in a retry queue, dead, or given back.
pub(super) async fn settle<H: Handler>(
    shared: &Shared<H>,
    ladder: &Ladder,
    job: Job,
    over: &CancellationToken,
) {
    let Job { message, decoded } = job;
    let started = Instant::now();
    let kind = decoded
        .as_ref()
        .ok()
        .map_or("unknown", |envelope| envelope_kind(envelope));
    let no_headers = FieldTable::default();
    let trace = amqp::extract(message.properties.headers().as_ref().unwrap_or(&no_headers));
    let id = message
        .properties
        .message_id()
        .as_ref()
        .map_or("", |id| id.as_str());
    let span = amqp::process_span(&shared.queue, kind, id);
    context::set_parent(&span, &trace);
    let trace_id = context::trace_id(&span).or_else(|| trace.trace_id());

    let outcome = async {
        let outcome = match decoded {
            Err(error) => Outcome::Dead(unreadable(&error)),
            Ok(envelope) => {
                let delivery = Delivery {
                    envelope,
                    attempt: made(&message).saturating_add(1),
                    redelivered: message.redelivered,
                    trace_id: trace_id.clone(),
                };
                handle(shared, &delivery, over).await
            }
        };
        dispose(ladder, &message, outcome, trace_id.as_deref(), over).await
    }
    .instrument(span)
    .await;

    let queue = shared.queue.clone();
    metrics::counter!("banyan_consumer_events_total", "consumer" => queue.clone(), "type" => kind, "outcome" => outcome)
        .increment(1);
    metrics::histogram!("banyan_consumer_duration_seconds", "consumer" => queue, "type" => kind)
        .record(started.elapsed());
}

/// How many attempts were made before this one.
fn made(message: &message::Delivery) -> u32 {
    headers::count(&message.properties, names::ATTEMPT).unwrap_or(0)
}

/// The type as a static name: a label and a span attribute without a copy.
fn envelope_kind(envelope: &Envelope<Event>) -> &'static str {
    envelope.data.kind().name()
}

/// Why a message cannot be read, without the values in it: the reason is shown where the payload is not.
fn unreadable(error: &DecodeError) -> String {
    tracing::warn!("an unreadable event goes to the dead queue");
    error.to_string()
}

async fn handle<H: Handler>(shared: &Shared<H>, delivery: &Delivery, over: &CancellationToken) -> Outcome {
    let kind: EventKind = delivery.envelope.data.kind();
    if !shared.kinds.contains(&kind) {
        // A process of another version, running beside this one, bound the queue to a type that it knows how to handle.
        return Outcome::Retry(format!(
            "this version of {} does not handle {}",
            shared.service,
            kind.name()
        ));
    }
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut waiting = None;
    loop {
        let handled = AssertUnwindSafe(shared.handler.handle(delivery))
            .catch_unwind()
            .await;
        let reason = match handled {
            Ok(Err(HandlerError::Unavailable(reason))) => reason,
            settled => {
                if waiting.take().is_some() {
                    // What was away is back: the others need not wait their time out.
                    shared.hold.better.notify_waiters();
                }
                return outcome(settled);
            }
        };
        if over.is_cancelled() {
            return Outcome::GivenBack;
        }
        if waiting.is_none() {
            tracing::warn!(queue = shared.queue, id = %delivery.envelope.id, reason, "consumer holds still");
            waiting = Some(Waiting::new(&shared.hold));
        }
        tokio::select! {
            () = over.cancelled() => return Outcome::GivenBack,
            () = shared.hold.better.notified() => {}
            () = tokio::time::sleep(backoff.next()) => {}
        }
    }
}

fn outcome(handled: Result<Result<(), HandlerError>, Box<dyn Any + Send>>) -> Outcome {
    match handled {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(HandlerError::Permanent(reason))) => Outcome::Dead(reason),
        Ok(Err(HandlerError::Retry(reason) | HandlerError::Unavailable(reason))) => Outcome::Retry(reason),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".into());
            tracing::error!(panic = text, "a handler panicked");
            Outcome::Retry(format!("the handler panicked: {text}"))
        }
    }
}

/// Sees to it that the event is somewhere safe, then acknowledges it. Returns the outcome's name for the metrics.
async fn dispose(
    ladder: &Ladder,
    message: &message::Delivery,
    outcome: Outcome,
    trace_id: Option<&str>,
    over: &CancellationToken,
) -> &'static str {
    let failed = matches!(outcome, Outcome::Retry(_) | Outcome::Dead(_));
    if failed && !message.acker.usable() {
        // The connection is lost, the broker gives the event out again: a copy would be one too many.
        return "given_back";
    }
    let name = match outcome {
        Outcome::Done => "ok",
        Outcome::GivenBack => return "given_back",
        Outcome::Retry(reason) => {
            amqp::record_error(&Span::current(), "retry");
            match ladder.fail(message, &reason, trace_id, false, over).await {
                Some(name) => name,
                None => return "given_back",
            }
        }
        Outcome::Dead(reason) => {
            amqp::record_error(&Span::current(), "permanent");
            match ladder.fail(message, &reason, trace_id, true, over).await {
                Some(name) => name,
                None => return "given_back",
            }
        }
    };
    match answered(message.ack(BasicAckOptions::default())).await {
        Ok(true) => {}
        // It comes again; the inbox, or the retry queue's copy with the same id, makes that harmless.
        Ok(false) => tracing::debug!("acknowledged too late: the connection was lost"),
        Err(error) => tracing::debug!(%error, "acknowledgement failed: the connection was lost"),
    }
    name
}
