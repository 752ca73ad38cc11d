//! What an invoice says: price, credit for unused time, discount. All in whole minor units of one currency.

use time::OffsetDateTime;
use uuid::Uuid;

use super::money::{CurrencyCode, Minor};

named! {
    /// Where an invoice stands, in Stripe's words.
    InvoiceStatus {
        /// Not sent yet.
        Draft = "draft",
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Given up after the last try.
        Uncollectible = "uncollectible",
        /// Not to be paid any more.
        Void = "void",
    }
}

/// What a coupon takes off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discount {
    /// Per cent of the price, 1 to 100.
    Percent(i16),
    /// An amount of the price's currency.
    Amount(Minor),
}

impl Discount {
    /// What it takes off a price, at most all of it; parts of a minor unit in the customer's favour.
    pub fn of(self, price: Minor) -> Minor {
        match self {
            // Rounded up.
            Self::Percent(percent) => Minor(-(-price.0 * i64::from(percent)).div_euclid(100)),
            Self::Amount(amount) => price.min(amount),
        }
    }
}

/// The sums of an invoice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Totals {
    /// Price and credit.
    pub subtotal: Minor,
    /// What the coupon takes off.
    pub discount: Minor,
    /// What is to be paid; zero is paid without a payment.
    pub total: Minor,
}

impl Totals {
    /// For a price with a credit of zero or less. `None` where the credit is worth more than what is left of the price.
    pub fn new(price: Minor, credit: Minor, discount: Option<Discount>) -> Option<Self> {
        let discount = discount.map_or(Minor::ZERO, |discount| discount.of(price));
        let subtotal = Minor(price.0 + credit.0);
        let total = Minor(subtotal.0 - discount.0);
        (total >= Minor::ZERO).then_some(Self {
            subtotal,
            discount,
            total,
        })
    }
}

/// What a subscription costs for a period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invoice {
    /// Id of the row.
    pub id: i64,
    /// [`number`]
    pub number: String,
    /// Who is to pay.
    pub user_id: i64,
    /// What for.
    pub subscription_id: i64,
    /// The latest payment; one that failed is followed by another. `None` for an invoice of nothing.
    pub payment_id: Option<i64>,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// Currency of every amount here.
    pub currency: CurrencyCode,
    /// The sums.
    pub totals: Totals,
    /// Start of the period, UTC.
    pub period_start: OffsetDateTime,
    /// Its end.
    pub period_end: OffsetDateTime,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
    /// When it was paid, UTC.
    pub paid_at: Option<OffsetDateTime>,
}

/// A position of an invoice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvoiceLine {
    /// The plan that is charged or credited.
    pub plan_id: i64,
    /// In words.
    pub description: String,
    /// In the invoice's currency; below zero in a credit.
    pub amount: Minor,
    /// From when, UTC.
    pub period_start: OffsetDateTime,
    /// Until when.
    pub period_end: OffsetDateTime,
    /// Whether it is a credit for unused time.
    pub proration: bool,
}

/// The idempotency key of a payment of an invoice, the monolith's. `id` is not to be guessed: a client could otherwise use the same key
/// for a payment of its own.
pub fn payment_key(invoice_id: i64, id: Uuid) -> String {
    format!("invoice:{invoice_id}:{id}")
}

/// The invoice that a payment with such a key was made for.
pub fn of_payment_key(key: &str) -> Option<i64> {
    let (invoice_id, _) = key.strip_prefix("invoice:")?.split_once(':')?;
    invoice_id.parse().ok()
}

/// The number of an invoice, from the sequence of numbers.
pub fn number(sequence: i64) -> String {
    format!("INV-{sequence:08}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::golden;

    #[test]
    fn discounts_are_the_monoliths() {
        for vector in golden::vectors("discounts") {
            let discount = match vector["off"].as_i64() {
                Some(off) => Discount::Amount(Minor(off)),
                None => Discount::Percent(golden::small(&vector, "percent")),
            };
            let off = discount.of(Minor(golden::integer(&vector, "price")));
            assert_eq!(off, Minor(golden::integer(&vector, "discount")), "{vector}");
        }
    }

    proptest! {
        #[test]
        fn the_total_is_what_is_left_and_never_below_zero(
            price in 1..=99_999_999_999_999_i64, percent in 1..=100_i16, credit in -99_999_999_999_999_i64..=0,
        ) {
            let off = Discount::Percent(percent).of(Minor(price));
            prop_assert!(off > Minor::ZERO && off <= Minor(price));
            match Totals::new(Minor(price), Minor(credit), Some(Discount::Percent(percent))) {
                Some(totals) => {
                    prop_assert!(totals.total >= Minor::ZERO);
                    prop_assert_eq!(totals.total.0, price + credit - off.0);
                    prop_assert_eq!(totals.total.0, totals.subtotal.0 - totals.discount.0);
                }
                None => prop_assert!(price + credit - off.0 < 0),
            }
        }
    }

    #[test]
    fn the_key_of_a_payment_names_its_invoice() {
        let key = payment_key(1_099_511_627_776, Uuid::nil());
        assert_eq!(key, "invoice:1099511627776:00000000-0000-0000-0000-000000000000");
        assert_eq!(of_payment_key(&key), Some(1_099_511_627_776));
        for other in ["invoice:7", "invoice::x", "invoice:7x:y", "order:7:x", ""] {
            assert_eq!(of_payment_key(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_have_eight_digits_or_more() {
        assert_eq!(number(7), "INV-00000007");
        assert_eq!(number(1_099_511_627_776), "INV-1099511627776");
    }
}
