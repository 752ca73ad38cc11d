//! What a notification is about, as users choose it in their preferences.

use serde::{Deserialize, Serialize};

/// A group of notifications that a user switches, routes and digests together.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Receipts, failed payments, refunds.
    Payments,
    /// The account itself: sign-up, address, password.
    Account,
    /// Exports.
    Reports,
}

impl Category {
    /// Every category, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Payments, Self::Account, Self::Reports];

    /// Its name in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Account => "account",
            Self::Reports => "reports",
        }
    }

    /// The category with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}
