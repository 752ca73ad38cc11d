//! What an invoice says: price, credit for unused time, discount. All in whole minor units of one currency.

use super::money::Minor;

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

named! {
    /// Which invoices a coupon lowers.
    Duration {
        /// The first.
        Once = "once",
        /// Every one.
        Forever = "forever",
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
    fn numbers_have_eight_digits_or_more() {
        assert_eq!(number(7), "INV-00000007");
        assert_eq!(number(1_099_511_627_776), "INV-1099511627776");
    }
}
