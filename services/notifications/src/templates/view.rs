//! What a template sees of an event.
//!
//! Every field is always there (an absent value is `none`), so a template that renders its sample renders every event of the
//! kind; amounts and times are text already, in the reader's language.

use banyan_events::Event;
use minijinja::{Value, context};
use serde::Deserialize;
use time::{OffsetDateTime, macros::format_description};

use crate::domain::{locale, money};

/// Where the links in mails lead.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Link of the verification mail; `{token}` is replaced.
    pub verify_email: String,
    /// Link of the password mail; `{token}` is replaced.
    pub reset_password: String,
    /// Link to an export; `{id}` is replaced.
    pub export: String,
}

/// One line of the daily summary.
#[derive(Clone, Debug)]
pub struct DigestItem {
    /// What happened: the subject the single mail would have had.
    pub title: String,
    /// When.
    pub at: String,
}

/// Everything around the event itself.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Language to render in.
    pub locale: &'a str,
    /// Name to greet by.
    pub name: Option<&'a str>,
    /// Links.
    pub links: &'a Links,
}

impl View<'_> {
    /// The view of an event; `None` for an event that notifies nobody.
    pub fn of(&self, event: &Event) -> Option<Value> {
        let special = match event {
            Event::PaymentCompleted(data) => context! { payment => context! {
                id => data.payment_id,
                amount => self.amount(data.amount_minor, &data.currency),
                currency => data.currency.as_str(),
                completed_at => moment(data.completed_at),
            }},
            Event::PaymentFailed(data) => context! { payment => context! {
                id => data.payment_id,
                amount => self.amount(data.amount_minor, &data.currency),
                currency => data.currency.as_str(),
                failure_code => data.failure_code.as_str(),
                failure_message => data.failure_message.as_str(),
                failed_at => moment(data.failed_at),
            }},
            Event::PaymentRefunded(data) => context! { payment => context! {
                id => data.payment_id,
                refund_id => data.refund_id,
                amount => self.amount(data.amount_minor, &data.currency),
                currency => data.currency.as_str(),
                refunded_at => moment(data.refunded_at),
            }},
            Event::UserSignup(data) => context! { links => context! {
                verify_email => fill(&self.links.verify_email, "{token}", &data.verification_token),
            }},
            Event::UserPasswordReset(data) => context! {
                links => context! { reset_password => fill(&self.links.reset_password, "{token}", &data.reset_token) },
                reset => context! { expires_at => moment(data.expires_at) },
            },
            Event::UserEmailVerified(data) => context! { verified_at => moment(data.verified_at) },
            Event::ReportExportReady(data) => context! {
                links => context! { export => fill(&self.links.export, "{id}", &data.export_id.to_string()) },
                export => context! { id => data.export_id, rows => data.rows, bytes => data.bytes },
            },
            _ => return None,
        };
        Some(self.around(special))
    }

    /// The view of a daily summary.
    pub fn of_digest(&self, items: &[DigestItem]) -> Value {
        let items: Vec<Value> = items
            .iter()
            .map(|item| context! { title => item.title.as_str(), at => item.at.as_str() })
            .collect();
        self.around(context! { items })
    }

    /// A moment as summaries show it.
    pub fn moment(at: OffsetDateTime) -> String {
        moment(at)
    }

    fn around(&self, special: Value) -> Value {
        context! { locale => self.locale, user => context! { name => self.name }, ..special }
    }

    fn amount(&self, minor: i64, currency: &str) -> String {
        money::format(minor, currency, locale::decimal_mark(self.locale))
    }
}

/// Puts a value into a link, percent-encoded so that it stays one part of it.
fn fill(link: &str, placeholder: &str, value: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    link.replace(placeholder, &encoded)
}

/// The same in every language, and unmistakable.
fn moment(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.to_offset(time::UtcOffset::UTC)
        .format(&format)
        .unwrap_or_default()
}
