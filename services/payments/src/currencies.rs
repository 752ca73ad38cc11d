//! The currencies, in memory: every amount needs one, and they change a few times a year.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::domain::money::{Currency, CurrencyCode};
use crate::storage::currency::{self, KnownCurrency};

/// After this long they are read again.
const FRESH: Duration = Duration::from_mins(1);

type Known = Arc<HashMap<CurrencyCode, KnownCurrency>>;

/// The currencies of the database, read again every minute.
#[derive(Debug)]
pub struct Currencies {
    pool: PgPool,
    kept: RwLock<Option<(Instant, Known)>>,
}

impl Currencies {
    /// Reads them when they are first asked for.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            kept: RwLock::default(),
        }
    }

    /// The currency with this code, and whether it can be charged.
    ///
    /// # Errors
    /// The database's, where nothing was read yet or it is time to read again.
    pub async fn find(&self, code: CurrencyCode) -> Result<Option<KnownCurrency>, sqlx::Error> {
        Ok(self.all().await?.get(&code).copied())
    }

    /// The currency of a stored amount, whose row has a foreign key to it.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, code: CurrencyCode) -> Result<Currency, sqlx::Error> {
        let known = self.find(code).await?;
        known
            .map(|known| known.currency)
            .ok_or_else(|| sqlx::Error::Decode(format!("there is no currency {code}").into()))
    }

    /// All of them, by code.
    ///
    /// # Errors
    /// The database's.
    pub async fn all(&self) -> Result<Known, sqlx::Error> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let mut connection = self.pool.acquire().await?;
        let known: Known = Arc::new(
            currency::all(&mut connection)
                .await?
                .into_iter()
                .map(|known| (known.currency.code, known))
                .collect(),
        );
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }

    fn fresh(&self) -> Option<Known> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (read_at, known) = kept.as_ref()?;
        (read_at.elapsed() < FRESH).then(|| Arc::clone(known))
    }
}
