//! Charges, refunds, payment methods, subscriptions, invoices, balances.

mod balance;
mod cancel;
mod capture;
mod charge;
mod invoices;
mod listing;
mod methods;
mod refunds;
mod subscriptions;
mod webhooks;

use serde_json::{Value, json};

use crate::api::{Answer, Api, Call, Difference};
use crate::check::Check;
use crate::people::{Person, new_key};

/// A card that works, and one that is declined when it is charged.
const VISA: &str = "pm_card_visa";
const DECLINED: &str = "pm_card_chargeDeclined";
/// A card that is declined already when it is attached.
const REFUSED: &str = "pm_card_visa_chargeDeclined";

const CHARGE: &str = "/api/payments/charge";

pub(crate) fn checks() -> Vec<Check> {
    let groups = [
        charge::checks(),
        listing::lists(),
        listing::one(),
        capture::checks(),
        cancel::checks(),
        refunds::making(),
        refunds::listing(),
        methods::adding(),
        methods::listing(),
        methods::removing(),
        subscriptions::making(),
        subscriptions::ending(),
        invoices::checks(),
        balance::checks(),
        webhooks::checks(),
    ];
    groups.into_iter().flatten().collect()
}

/// A charge of this amount with a card that works.
fn order(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency, "paymentMethodId": VISA})
}

impl Api {
    /// A charge under a new key.
    fn charge(&self, person: &Person, body: &Value) -> Call {
        self.post(CHARGE).token(&person.token).key(&new_key()).json(body)
    }

    /// A payment that was charged, or reserved.
    pub(crate) async fn paid(
        &self,
        person: &Person,
        amount: &str,
        currency: &str,
    ) -> Result<Answer, Difference> {
        self.charge(person, &order(amount, currency)).expect(201).await
    }

    /// The path of a payment whose money is reserved.
    async fn reserved(&self, person: &Person, amount: &str, currency: &str) -> Result<String, Difference> {
        let mut body = order(amount, currency);
        body["capture"] = false.into();
        let answer = self.charge(person, &body).expect(201).await?;
        answer.has("/status", "requires_capture")?;
        Ok(format!("/api/payments/{}", answer.id("/id")?))
    }

    async fn payment(&self, person: &Person, path: &str) -> Result<Answer, Difference> {
        self.get(path).token(&person.token).expect(200).await
    }
}
