//! What Stripe keeps of a payment.

use super::money::Minor;

/// The fee of an amount: `percent_bp` basis points of it (1/100 %), rounded half up to whole minor units, and a fixed part.
///
/// [`crate::storage::charge::settle`] computes the same in SQL, in the statement that completes the payment.
pub fn fee(amount: Minor, percent_bp: i32, fixed: Minor) -> Minor {
    // Within an i64: amounts have at most 15 digits, the percentage five.
    Minor((amount.0 * i64::from(percent_bp) + 5_000).div_euclid(10_000) + fixed.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden;

    #[test]
    fn fees_are_the_monoliths() {
        for vector in golden::vectors("fees") {
            let amount = Minor(golden::integer(&vector, "amount"));
            let fixed = Minor(golden::integer(&vector, "fixed"));
            let kept = fee(amount, golden::small(&vector, "percentBp"), fixed);
            assert_eq!(kept, Minor(golden::integer(&vector, "fee")), "{vector}");
        }
    }
}
