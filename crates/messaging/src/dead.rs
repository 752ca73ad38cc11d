//! Dead events: looked at, sent back to their service, or thrown away with a reason.
//!
//! All of it works on `<service>.events.dead` over AMQP while consumers run. A [`DeadQueue`] takes the messages out without
//! acknowledging them; what it does not replay or discard goes back, in order, when it is closed or its process dies. While
//! one is open, another one sees only what the first has not taken.

use std::time::Duration;

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    },
    types::FieldTable,
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Broker, BrokerConfig, BrokerError,
    broker::{answered, lost, queue_depth},
    headers::{self, names},
    topology,
};

const TAG: &str = "dead";

/// A queue that gives nothing for so long has nothing more.
const QUIET: Duration = Duration::from_secs(1);

/// Why dead events could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The broker is away, or an operation failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No consumer of that name ever ran against this broker.
    #[error("{queue} does not exist: is `{service}` the name of a service, and has it ever run here?")]
    NoQueue {
        /// The dead queue asked for.
        queue: String,
        /// The service asked for.
        service: String,
    },
    /// The main queue did not take a replayed event, which is still dead.
    #[error("{queue} did not take event {id}; it is still dead: is the queue full, or deleted?")]
    NotTaken {
        /// The main queue.
        queue: String,
        /// The event.
        id: String,
    },
    /// A discard without a reason.
    #[error("say why the events are discarded")]
    NoReason,
}

impl From<lapin::Error> for DeadError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

/// One dead event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadEvent {
    /// The CloudEvents id, or a name given when it died where the message had none.
    pub id: String,
    /// The event type, where known.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// How often it was replayed before.
    pub replays: u32,
    /// When the first attempt failed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_failed_at: Option<OffsetDateTime>,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339::option")]
    pub dead_at: Option<OffsetDateTime>,
    /// Trace of the last attempt.
    pub trace_id: Option<String>,
    /// The message as it was published. Holds personal data: shown only when asked for.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// Which dead events. An empty filter means all of them; every part given must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// These ids.
    pub ids: Vec<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// With this text in the reason.
    pub reason: Option<String>,
    /// Dead for at least this long.
    pub older_than: Option<Duration>,
    /// At most this many, the oldest first.
    pub limit: Option<usize>,
}

impl Filter {
    /// One event by its id.
    pub fn id(id: impl Into<String>) -> Self {
        Self {
            ids: vec![id.into()],
            ..Self::default()
        }
    }

    fn fits(&self, event: &DeadEvent, now: OffsetDateTime) -> bool {
        let old_enough = |limit: Duration| event.dead_at.is_some_and(|dead_at| now - dead_at >= limit);
        (self.ids.is_empty() || self.ids.contains(&event.id))
            && self
                .kind
                .as_ref()
                .is_none_or(|kind| event.kind.as_ref() == Some(kind))
            && self
                .reason
                .as_ref()
                .is_none_or(|text| event.reason.as_ref().is_some_and(|reason| reason.contains(text)))
            && self.older_than.is_none_or(old_enough)
    }
}

/// The dead queue of one service, opened.
pub struct DeadQueue {
    broker: Broker,
    channel: Channel,
    service: String,
    taken: Vec<(DeadEvent, Delivery)>,
}

impl DeadQueue {
    /// Opens the dead queue of `service` and takes what is in it.
    ///
    /// # Errors
    /// [`DeadError::NoQueue`] where there is none, [`DeadError::Broker`] where the broker is away.
    pub async fn open(config: &BrokerConfig, service: &str) -> Result<Self, DeadError> {
        let broker = Broker::connect(config, "dead").await?;
        let queue = topology::dead_queue(service);
        let Ok(depth) = queue_depth(&broker.channel().await?, &queue).await else {
            return Err(DeadError::NoQueue {
                queue,
                service: service.to_owned(),
            });
        };
        let channel = broker.confirm_channel().await?;
        let taken = take(&channel, &queue, depth).await?;
        Ok(Self {
            broker,
            channel,
            service: service.to_owned(),
            taken,
        })
    }

    /// The events that fit, the longest dead first.
    pub fn list(&self, filter: &Filter) -> Vec<DeadEvent> {
        self.chosen(filter)
            .into_iter()
            .map(|index| self.taken[index].0.clone())
            .collect()
    }

    /// Sends the events that fit back to the service's main queue, with their attempts counted anew.
    ///
    /// An event leaves the dead queue only after the broker confirmed it in the main queue. A crash in between leaves it in
    /// both, and the consumer's inbox drops the second.
    ///
    /// # Errors
    /// [`DeadError`]; the events before the one it names are replayed, the others are still dead.
    pub async fn replay(&mut self, filter: &Filter) -> Result<Vec<DeadEvent>, DeadError> {
        let queue = topology::queue(&self.service);
        let mut replayed = Vec::new();
        for index in self.chosen(filter) {
            let (event, message) = &self.taken[index];
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let confirm = self
                .channel
                .basic_publish(
                    "".into(),
                    queue.as_str().into(),
                    options,
                    &message.data,
                    as_new(&message.properties),
                )
                .await?
                .await?;
            if !matches!(confirm, Confirmation::Ack(None)) {
                return Err(DeadError::NotTaken {
                    queue,
                    id: event.id.clone(),
                });
            }
            remove(message).await?;
            tracing::info!(service = self.service, id = event.id, "dead event replayed");
            replayed.push(event.clone());
        }
        self.forget(&replayed);
        Ok(replayed)
    }

    /// Throws the events that fit away. The reason goes to the log with each event's id, type and trace.
    ///
    /// # Errors
    /// [`DeadError::NoReason`] for an empty reason; [`DeadError::Broker`] where the broker was lost: the event that it came to
    /// then, and those after it, are dead still.
    pub async fn discard(&mut self, filter: &Filter, reason: &str) -> Result<Vec<DeadEvent>, DeadError> {
        if reason.trim().is_empty() {
            return Err(DeadError::NoReason);
        }
        let mut discarded = Vec::new();
        for index in self.chosen(filter) {
            let (event, message) = &self.taken[index];
            tracing::warn!(
                service = self.service,
                id = event.id,
                kind = event.kind,
                died_of = event.reason,
                trace_id = event.trace_id,
                reason,
                "dead event discarded"
            );
            remove(message).await?;
            discarded.push(event.clone());
        }
        self.forget(&discarded);
        Ok(discarded)
    }

    /// Puts back what was neither replayed nor discarded.
    pub async fn close(self) {
        // An unacknowledged message goes back to its place when its channel closes.
        let _ = self.channel.close(200, "OK".into()).await;
        self.broker.close().await;
    }

    fn chosen(&self, filter: &Filter) -> Vec<usize> {
        let now = OffsetDateTime::now_utc();
        let fitting = self
            .taken
            .iter()
            .enumerate()
            .filter(|(_, (event, _))| filter.fits(event, now));
        fitting
            .map(|(index, _)| index)
            .take(filter.limit.unwrap_or(usize::MAX))
            .collect()
    }

    fn forget(&mut self, done: &[DeadEvent]) {
        self.taken
            .retain(|(event, _)| !done.iter().any(|done| done.id == event.id));
    }
}

/// Acknowledges a message, or says that the broker did not hear of it: the event is dead still.
async fn remove(message: &Delivery) -> Result<(), DeadError> {
    if answered(message.ack(BasicAckOptions::default())).await? {
        return Ok(());
    }
    Err(lost().into())
}

/// Takes what is in the queue now, unacknowledged.
///
/// By a consumer, not by single gets: the broker keeps each get as a consumer of its own and puts their messages back in
/// the order of those consumers' names, "1", "10", "11", "2"; the messages of one consumer go back in their own order,
/// also when this process dies.
async fn take(channel: &Channel, queue: &str, depth: u32) -> Result<Vec<(DeadEvent, Delivery)>, DeadError> {
    let mut taken = Vec::new();
    if depth == 0 {
        return Ok(taken);
    }
    // Not more than are there: events that die meanwhile would keep this going. 0 would be without bound, which is right
    // where a u16 cannot hold the number: what comes beyond it goes back too.
    let prefetch = u16::try_from(depth).unwrap_or(0);
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let mut deliveries = channel
        .basic_consume(
            queue.into(),
            TAG.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    while taken.len() < depth as usize {
        match tokio::time::timeout(QUIET, deliveries.next()).await {
            Ok(Some(message)) => {
                let message = message?;
                taken.push((describe(&message), message));
            }
            Ok(None) => return Err(lost().into()),
            // Somebody else took some in between.
            Err(_) => break,
        }
    }
    channel
        .basic_cancel(TAG.into(), BasicCancelOptions::default())
        .await?;
    Ok(taken)
}

fn describe(message: &Delivery) -> DeadEvent {
    let properties = &message.properties;
    let time = |name| OffsetDateTime::parse(&headers::text(properties, name)?, &Rfc3339).ok();
    let id = properties.message_id().as_ref().map(ToString::to_string);
    DeadEvent {
        id: id
            .or_else(|| headers::text(properties, names::DEAD_ID))
            .unwrap_or_else(|| "unknown".into()),
        kind: properties.kind().as_ref().map(ToString::to_string),
        reason: headers::text(properties, names::REASON),
        attempts: headers::count(properties, names::ATTEMPT).unwrap_or(0),
        replays: headers::count(properties, names::REPLAYS).unwrap_or(0),
        first_failed_at: time(names::FIRST_FAILED_AT),
        dead_at: time(names::DEAD_AT),
        trace_id: headers::text(properties, names::TRACE_ID),
        body: message.data.clone(),
    }
}

/// The properties of a replayed event: as it first came, and how often it was replayed.
fn as_new(properties: &BasicProperties) -> BasicProperties {
    let replays = headers::count(properties, names::REPLAYS)
        .unwrap_or(0)
        .saturating_add(1);
    let mut table = FieldTable::default();
    for (name, value) in headers::without_brokers_own(properties).inner() {
        if ![
            names::ATTEMPT,
            names::REASON,
            names::FIRST_FAILED_AT,
            names::DEAD_AT,
        ]
        .contains(&name.as_str())
        {
            table.insert(name.clone(), value.clone());
        }
    }
    headers::set_count(&mut table, names::REPLAYS, replays);
    properties.clone().with_headers(table)
}
