//! Delivering the notification of one event.
//!
//! 1. Open: lock the event, read what is needed (one round trip shared with other deliveries, see [`Sessions`]).
//! 2. Decide, render, send; no transaction is open meanwhile.
//! 3. Record audit row, inbox row and outgoing event in one statement (shared likewise, see [`Journal`]).
//!
//! A mail that was accepted but could not be recorded, because the database went away in between, is remembered: the next try of
//! the same event in this process records it and sends nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use banyan_events::payloads::Channel;
use banyan_tracing_setup::db;
use sqlx::PgPool;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Clock,
    conclusion::{Attempt, Verdict, base, conclude, payload},
};
use crate::{
    channels::{Channels, Outgoing, SendError},
    config::DeliverySettings,
    domain::{
        bounce,
        notification::Status,
        occasion::Occasion,
        routing::{Route, Target, route},
    },
    storage::{
        StoreError,
        journal::{Entry, Journal},
        session::{Opened, Opening, Sessions},
        templates,
    },
    templates::{Catalogue, Rendered, View},
};

/// Delivers notifications.
pub struct Deliver {
    pool: PgPool,
    sessions: Sessions,
    journal: Journal,
    catalogue: Catalogue,
    reloading: tokio::sync::Mutex<()>,
    channels: Channels,
    settings: DeliverySettings,
    clock: Clock,
    unrecorded: Mutex<HashMap<Uuid, (Entry, Verdict)>>,
}

impl Deliver {
    /// Starts the database workers; must be called inside a runtime.
    pub fn new(pool: PgPool, channels: Channels, settings: DeliverySettings, clock: Clock) -> Self {
        Self {
            sessions: Sessions::start(pool.clone()),
            journal: Journal::start(pool.clone()),
            pool,
            catalogue: Catalogue::default(),
            reloading: tokio::sync::Mutex::new(()),
            channels,
            settings,
            clock,
            unrecorded: Mutex::new(HashMap::new()),
        }
    }

    /// The channels.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Now, UTC.
    pub fn now(&self) -> time::OffsetDateTime {
        (self.clock)()
    }

    /// The database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The settings.
    pub fn settings(&self) -> &DeliverySettings {
        &self.settings
    }

    /// Tries to deliver. Whatever the verdict, it is recorded when this returns.
    ///
    /// # Errors
    /// The database's; then nothing is known to be recorded, and the event must be handled again.
    pub async fn run(&self, occasion: &Occasion) -> Result<Verdict, StoreError> {
        let unrecorded = self.unrecorded().remove(&occasion.event_id);
        if let Some((entry, verdict)) = unrecorded {
            return self.record(entry, verdict).await;
        }
        let opening = self
            .sessions
            .open(occasion.event_id, occasion.user_id(), occasion.notice.category)
            .instrument(db::span("SELECT", "contact"))
            .await?;
        let (opened, _claim) = match opening {
            Opening::Busy => {
                return Ok(Verdict::Again(
                    "another delivery of this event is under way".into(),
                ));
            }
            Opening::Ready(opened, claim) => (opened, claim),
        };
        if opened.seen {
            return Ok(Verdict::Done);
        }
        self.refresh(opened.template_generation).await?;
        let (entry, verdict) = self.attempt(occasion, &opened).await;
        self.record(entry, verdict).await
    }

    /// Records that the monolith performs the effect of this event.
    ///
    /// # Errors
    /// The database's.
    pub async fn skip(&self, occasion: &Occasion) -> Result<(), StoreError> {
        let entry = Entry {
            status: Status::SkippedLegacy.name(),
            settles: true,
            // The monolith knows no other channel.
            ..base(occasion, None, Channel::Email)
        };
        self.record(entry, Verdict::Done).await.map(|_| ())
    }

    /// Renders a template in the user's language.
    ///
    /// # Errors
    /// Which template is missing or broken, and where.
    pub fn render(
        &self,
        template: &str,
        locale: Option<&str>,
        view: impl FnOnce(&str) -> Option<minijinja::Value>,
    ) -> Result<(Rendered, i32), String> {
        let found = self
            .catalogue
            .find(template, locale)
            .ok_or_else(|| format!("template {template}: no version is active"))?;
        let compiled = found.compiled.as_ref().map_err(ToString::to_string)?;
        let view = view(&found.locale).ok_or_else(|| format!("template {template}: not for this event"))?;
        let rendered = compiled.render(&view).map_err(|error| error.to_string())?;
        Ok((rendered, found.version))
    }

    /// Reads the templates again if the database has newer ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn refresh(&self, generation: i64) -> Result<(), StoreError> {
        if self.catalogue.generation() >= generation {
            return Ok(());
        }
        let _one_at_a_time = self.reloading.lock().await;
        if self.catalogue.generation() >= generation {
            return Ok(());
        }
        let (generation, sources) = templates::active(&self.pool)
            .instrument(db::span("SELECT", "template"))
            .await?;
        for error in self.catalogue.replace(generation, sources) {
            tracing::error!(%error, "a template is broken: its notifications wait until it is mended");
        }
        Ok(())
    }

    async fn attempt(&self, occasion: &Occasion, opened: &Opened) -> (Entry, Verdict) {
        let mut devices = opened.devices.clone();
        if !self.channels.has(Channel::Sms) {
            devices.phone = None;
        }
        let contact = opened.contact.as_ref();
        match route(
            occasion.notice,
            occasion.address(),
            contact,
            &opened.choice,
            &devices,
        ) {
            Route::Now(target) => {
                let attempt = self.send(occasion, opened, &target).await;
                conclude(&self.settings, self.now(), occasion, opened, attempt)
            }
            Route::NoContact => {
                let outcome = Err(SendError::Transient("no address is known of the user yet".into()));
                let attempt = Attempt {
                    channel: Channel::Email,
                    template_version: None,
                    message_id: None,
                    outcome,
                };
                conclude(&self.settings, self.now(), occasion, opened, attempt)
            }
            Route::Suppress(reason) => {
                let entry = Entry {
                    status: Status::Suppressed.name(),
                    error: Some(reason.into()),
                    settles: true,
                    ..base(occasion, Some(opened), Channel::Email)
                };
                (entry, Verdict::Done)
            }
            Route::Digest => {
                let entry = Entry {
                    status: Status::Queued.name(),
                    digest: true,
                    payload: Some(payload(occasion)),
                    settles: true,
                    ..base(occasion, Some(opened), Channel::Email)
                };
                (entry, Verdict::Done)
            }
        }
    }

    async fn send(&self, occasion: &Occasion, opened: &Opened, target: &Target) -> Attempt {
        let channel = target.channel();
        let contact = opened.contact.as_ref();
        let name = match &occasion.event {
            banyan_events::Event::UserSignup(data) => Some(data.display_name.as_str()),
            _ => contact.and_then(|contact| contact.display_name.as_deref()),
        };
        let locale = match &occasion.event {
            banyan_events::Event::UserSignup(data) => Some(data.locale.as_str()),
            _ => contact.and_then(|contact| contact.locale.as_deref()),
        };
        let rendered = self.render(occasion.notice.template, locale, |locale| {
            View {
                locale,
                name,
                links: &self.settings.links,
            }
            .of(&occasion.event)
        });
        let (rendered, version) = match rendered {
            Ok(rendered) => rendered,
            Err(reason) => {
                let outcome = Err(SendError::Transient(reason));
                return Attempt {
                    channel,
                    template_version: None,
                    message_id: None,
                    outcome,
                };
            }
        };
        let message_id = self.message_id(occasion.event_id, channel);
        let data = match channel {
            Channel::Webhook => serde_json::to_value(&occasion.event).unwrap_or_default(),
            Channel::Email | Channel::Sms => serde_json::Value::Null,
        };
        let outgoing = Outgoing {
            event_id: occasion.event_id,
            event_type: occasion.notice.kind.name(),
            message_id: &message_id,
            rendered: &rendered,
            data: &data,
            optional: !occasion.notice.mandatory,
            now: self.now(),
        };
        let span = tracing::info_span!(
            "send",
            otel.name = format!("send {}", channel.name()),
            otel.kind = "client"
        );
        let outcome = self.channels.send(target, &outgoing).instrument(span).await;
        Attempt {
            channel,
            template_version: Some(version),
            message_id: Some(message_id),
            outcome,
        }
    }

    /// The same at every try, so that whoever gets a repeated one can tell.
    fn message_id(&self, event_id: Uuid, channel: Channel) -> String {
        match channel {
            Channel::Email => bounce::message_id(event_id, &self.settings.message_id_domain),
            Channel::Sms | Channel::Webhook => format!("{event_id}.{}", channel.name()),
        }
    }

    async fn record(&self, entry: Entry, verdict: Verdict) -> Result<Verdict, StoreError> {
        let (kind, outcome, channel) = (entry.event_type, entry.status, entry.channel);
        let written = self
            .journal
            .record(entry.clone())
            .instrument(db::span("INSERT", "notification_log"))
            .await;
        match written {
            Ok(()) => {
                metrics::counter!("banyan_notifications_total", "type" => kind, "channel" => channel, "status" => outcome)
                    .increment(1);
                Ok(verdict)
            }
            Err(error) => {
                // What was sent must be recorded, not sent again, however the statement failed. Everything else is decided anew.
                if entry.sent_at.is_some() {
                    self.unrecorded().insert(entry.event_id, (entry, verdict));
                }
                Err(error)
            }
        }
    }

    fn unrecorded(&self) -> MutexGuard<'_, HashMap<Uuid, (Entry, Verdict)>> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
