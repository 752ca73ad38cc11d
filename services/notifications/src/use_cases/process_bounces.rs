//! Reading delivery reports from a Maildir.
//!
//! A report counts only if it returns a Message-ID of a mail that this service delivered, and only for the address that this mail
//! went to: anybody can write a report, but the Message-ID is known to its recipient and the servers between alone.

use std::path::Path;

use banyan_events::payloads::{Channel, NotificationFailed};
use banyan_messaging::outbox;
use sqlx::PgPool;

use crate::{
    domain::bounce::{self, Bounce, NotABounce},
    storage::{contacts, notifications},
};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum BouncesError {
    /// The Maildir.
    #[error("the Maildir {path} ([jobs.process_bounces] maildir): {source}")]
    Maildir {
        /// Its path.
        path: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Files read.
    pub read: u32,
    /// Addresses marked.
    pub marked: u32,
}

/// Works off up to `limit` files in `new/`; each is moved to `cur/` after its effect is committed, so a crash repeats it, which
/// changes nothing.
///
/// # Errors
/// The Maildir's or the database's.
pub async fn run(
    pool: &PgPool,
    maildir: &Path,
    mail_domain: &str,
    limit: u32,
) -> Result<Tally, BouncesError> {
    let named = |source| BouncesError::Maildir {
        path: maildir.display().to_string(),
        source,
    };
    let mut files = tokio::fs::read_dir(maildir.join("new")).await.map_err(named)?;
    let mut tally = Tally::default();
    while tally.read < limit {
        let Some(file) = files.next_entry().await.map_err(named)? else {
            break;
        };
        let mail = tokio::fs::read(file.path()).await.map_err(named)?;
        tally.read += 1;
        match bounce::parse(&mail, mail_domain) {
            Ok(bounces) => {
                for bounce in bounces {
                    tally.marked += u32::from(apply(pool, &bounce).await?);
                }
            }
            Err(NotABounce::NotPermanent) => {}
            Err(reason) => {
                // The name of the file, not its content: that is personal.
                tracing::warn!(file = ?file.file_name(), %reason, "a mail in the bounce Maildir is none");
            }
        }
        let mut seen = file.file_name();
        seen.push(":2,S");
        tokio::fs::rename(file.path(), maildir.join("cur").join(seen))
            .await
            .map_err(named)?;
    }
    Ok(tally)
}

/// One failure, in one transaction; answers whether it marked an address.
async fn apply(pool: &PgPool, bounce: &Bounce) -> Result<bool, sqlx::Error> {
    let reason = format!("bounced with status {}", bounce.status);
    let mut transaction = pool.begin().await?;
    let Some(returned) = notifications::return_mail(&mut transaction, bounce.event_id, &reason).await? else {
        return Ok(false);
    };
    let marked = contacts::mark_bounced(
        &mut transaction,
        returned.user_id,
        &bounce.recipient,
        &bounce.status,
    )
    .await?;
    let failed = NotificationFailed {
        notification_id: returned.id,
        user_id: returned.user_id,
        channel: Channel::Email,
        template: returned.template,
        event_id: bounce.event_id,
        reason,
        attempts: returned.attempts,
    };
    outbox::publish(&mut transaction, super::conclusion::announce(returned.id, failed)).await?;
    transaction.commit().await?;
    Ok(marked)
}
