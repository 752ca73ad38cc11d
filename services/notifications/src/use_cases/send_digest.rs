//! Sending the daily summaries: one mail per user with everything that was kept for it.

use banyan_events::{
    Event,
    payloads::{Channel, NotificationDelivered, NotificationFailed},
};
use banyan_messaging::outbox;
use time::Duration;
use uuid::Uuid;

use super::deliver::Deliver;
use crate::{
    channels::{Outgoing, SendError},
    domain::{
        bounce,
        notice::DIGEST_TEMPLATE,
        notification::{Status, scrub},
        routing::Target,
    },
    storage::{
        StoreError,
        digests::{self, Ending, Item, Reader},
    },
    templates::{DigestItem, View},
};

/// Longer than one mail can take.
const LEASE: Duration = Duration::minutes(10);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Summaries sent.
    pub sent: u32,
    /// Summaries not sent now.
    pub unsent: u32,
}

/// Bounds of the job.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a summary that could not be sent is tried again.
    pub retry_after: Duration,
    /// Tries after which a summary is given up.
    pub max_attempts: u16,
}

/// Sends every summary that waits. `new_id` makes the id of a summary.
///
/// # Errors
/// The database's.
pub async fn run(deliver: &Deliver, limits: Limits, new_id: fn() -> Uuid) -> Result<Tally, StoreError> {
    let generation = crate::storage::templates::active(deliver.pool()).await?.0;
    deliver.refresh(generation).await?;
    let mut tally = Tally::default();
    while let Some((digest_id, reader, items)) =
        digests::claim(deliver.pool(), deliver.now(), LEASE, new_id()).await?
    {
        if one(deliver, limits, digest_id, &reader, &items).await? {
            tally.sent += 1;
        } else {
            tally.unsent += 1;
        }
    }
    Ok(tally)
}

async fn one(
    deliver: &Deliver,
    limits: Limits,
    digest_id: Uuid,
    reader: &Reader,
    items: &[Item],
) -> Result<bool, StoreError> {
    let now = deliver.now();
    let Some(address) = &reader.email else {
        let ending = Ending {
            status: Status::Suppressed.name(),
            error: Some("no working address is known"),
            sent_at: None,
            message_id: None,
            template_version: None,
        };
        end(deliver, digest_id, reader, items, ending).await?;
        return Ok(false);
    };
    let message_id = bounce::message_id(digest_id, &deliver.settings().message_id_domain);
    let (version, outcome) = match send(deliver, digest_id, reader, items, address, &message_id).await {
        Ok(version) => (Some(version), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let tries = items.iter().map(|item| item.attempts).max().unwrap_or(0) + 1;
    let ending = match &outcome {
        Ok(()) => Ending {
            status: Status::Delivered.name(),
            error: None,
            sent_at: Some(now),
            message_id: Some(&message_id),
            template_version: version,
        },
        Err(SendError::Permanent(reason)) => {
            end(deliver, digest_id, reader, items, failed(&scrub(reason))).await?;
            return Ok(false);
        }
        Err(error) if tries >= i32::from(limits.max_attempts) => {
            let reason = scrub(&error.to_string());
            end(deliver, digest_id, reader, items, failed(&reason)).await?;
            return Ok(false);
        }
        Err(error) => {
            let reason = scrub(&error.to_string());
            digests::postpone(deliver.pool(), digest_id, &reason, now + limits.retry_after).await?;
            return Ok(false);
        }
    };
    end(deliver, digest_id, reader, items, ending).await?;
    Ok(outcome.is_ok())
}

fn failed(reason: &str) -> Ending<'_> {
    Ending {
        status: Status::Failed.name(),
        error: Some(reason),
        sent_at: None,
        message_id: None,
        template_version: None,
    }
}

async fn send(
    deliver: &Deliver,
    digest_id: Uuid,
    reader: &Reader,
    items: &[Item],
    address: &str,
    message_id: &str,
) -> Result<i32, SendError> {
    let locale = reader.locale.as_deref();
    let links = &deliver.settings().links;
    let name = reader.display_name.as_deref();
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let kind = super::conclusion::kind(&item.event_type);
        let event =
            kind.and_then(|kind| Event::decode(kind.name(), &kind.dataschema(), &item.payload.data).ok());
        let event = event
            .ok_or_else(|| SendError::Permanent("an event of the digest cannot be read any more".into()))?;
        let (rendered, _) = deliver
            .render(&item.template, locale, |locale| {
                View { locale, name, links }.of(&event)
            })
            .map_err(SendError::Transient)?;
        entries.push(DigestItem {
            title: rendered.subject,
            at: View::moment(item.created_at),
        });
    }
    let (rendered, version) = deliver
        .render(DIGEST_TEMPLATE, locale, |locale| {
            Some(View { locale, name, links }.of_digest(&entries))
        })
        .map_err(SendError::Transient)?;
    let outgoing = Outgoing {
        event_id: digest_id,
        event_type: DIGEST_TEMPLATE,
        message_id,
        rendered: &rendered,
        data: &serde_json::Value::Null,
        optional: true,
        now: deliver.now(),
    };
    deliver
        .channels()
        .send(&Target::Email(address.to_owned()), &outgoing)
        .await?;
    Ok(version)
}

/// Ends every row of the digest and tells of each, in one transaction.
async fn end(
    deliver: &Deliver,
    digest_id: Uuid,
    reader: &Reader,
    items: &[Item],
    ending: Ending<'_>,
) -> Result<(), StoreError> {
    let mut transaction = deliver.pool().begin().await?;
    let ended = digests::finish(&mut transaction, digest_id, ending).await?;
    // Sorted by subject, so that two transactions take the outbox's locks in one order.
    let mut items: Vec<&Item> = items.iter().filter(|item| ended.contains(&item.id)).collect();
    items.sort_by_key(|item| item.id);
    for item in items {
        let (notification_id, user_id, channel) = (item.id, reader.user_id, Channel::Email);
        let (template, event_id) = (item.template.clone(), item.event_id);
        let event: Event = match (ending.sent_at, ending.status == Status::Failed.name()) {
            (Some(delivered_at), _) => NotificationDelivered {
                notification_id,
                user_id,
                channel,
                template,
                event_id,
                delivered_at,
            }
            .into(),
            (None, true) => {
                let reason = ending.error.unwrap_or_default().to_owned();
                let attempts = item.attempts + 1;
                NotificationFailed {
                    notification_id,
                    user_id,
                    channel,
                    template,
                    event_id,
                    reason,
                    attempts,
                }
                .into()
            }
            (None, false) => continue,
        };
        outbox::publish(
            &mut transaction,
            super::conclusion::announce(notification_id, event),
        )
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}
