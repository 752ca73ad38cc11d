//! Users as Stripe's customers, and their cards.

use std::fmt;

use time::OffsetDateTime;

/// A user at Stripe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Customer {
    /// Id of the row.
    pub id: i64,
    /// The user.
    pub user_id: i64,
    /// Stripe's id.
    pub stripe_customer_id: String,
}

/// A card of a customer. Its number is Stripe's to keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentMethod {
    /// Id of the row.
    pub id: i64,
    /// Whose it is.
    pub customer_id: i64,
    /// Stripe's id.
    pub stripe_payment_method_id: String,
    /// `visa` …
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// Month of expiry, 1 to 12.
    pub exp_month: i16,
    /// Year of expiry, four digits.
    pub exp_year: i16,
    /// Whether it is the one charged where none is named.
    pub is_default: bool,
    /// When it was added, UTC.
    pub created_at: OffsetDateTime,
}

/// Which payment method a client names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WantedMethod {
    /// By its id here.
    Id(i64),
    /// By Stripe's id, to be attached on the fly.
    Stripe(String),
}

impl fmt::Display for WantedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Stripe(id) => f.write_str(id),
        }
    }
}
