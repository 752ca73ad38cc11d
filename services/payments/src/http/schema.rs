//! The bodies of answers.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::customer::PaymentMethod;
use crate::domain::money::Currency;
use crate::domain::payment::Payment;
use crate::domain::refund::{Refund, RefundReason};
use crate::use_cases::balance::Balance;

/// A payment as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentBody {
    id: i64,
    user_id: i64,
    /// In major units, with the currency's own number of decimals.
    #[schema(example = "10.00")]
    amount: String,
    #[schema(example = "USD")]
    currency: String,
    #[schema(example = "completed")]
    status: &'static str,
    payment_method_id: Option<i64>,
    stripe_payment_intent_id: Option<String>,
    amount_refunded: String,
    failure_code: Option<String>,
    failure_message: Option<String>,
    description: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    completed_at: Option<OffsetDateTime>,
}

impl PaymentBody {
    /// Of a payment in its currency.
    pub(super) fn new(payment: Payment, currency: Currency) -> Self {
        Self {
            id: payment.id,
            user_id: payment.user_id,
            amount: payment.amount.format(currency),
            currency: currency.code.to_string(),
            status: payment.status.name(),
            payment_method_id: payment.payment_method_id,
            stripe_payment_intent_id: payment.stripe_payment_intent_id,
            amount_refunded: payment.amount_refunded.format(currency),
            failure_code: payment.failure_code,
            failure_message: payment.failure_message,
            description: payment.description,
            created_at: payment.created_at,
            completed_at: payment.completed_at,
        }
    }
}

/// A refund as the payment's user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefundBody {
    id: i64,
    payment_id: i64,
    /// In major units, with the currency's own number of decimals.
    #[schema(example = "10.00")]
    amount: String,
    #[schema(example = "USD")]
    currency: String,
    #[schema(example = "succeeded")]
    status: &'static str,
    reason: Option<&'static str>,
    stripe_refund_id: Option<String>,
    failure_code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    completed_at: Option<OffsetDateTime>,
}

impl RefundBody {
    /// Of a refund in its currency.
    pub(super) fn new(refund: Refund, currency: Currency) -> Self {
        Self {
            id: refund.id,
            payment_id: refund.payment_id,
            amount: refund.amount.format(currency),
            currency: currency.code.to_string(),
            status: refund.status.name(),
            reason: refund.reason.map(RefundReason::name),
            stripe_refund_id: refund.stripe_refund_id,
            failure_code: refund.failure_code,
            created_at: refund.created_at,
            completed_at: refund.completed_at,
        }
    }
}

/// A card as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentMethodBody {
    id: i64,
    brand: String,
    last4: String,
    exp_month: i16,
    exp_year: i16,
    is_default: bool,
}

impl From<PaymentMethod> for PaymentMethodBody {
    fn from(method: PaymentMethod) -> Self {
        Self {
            id: method.id,
            brand: method.brand,
            last4: method.last4,
            exp_month: method.exp_month,
            exp_year: method.exp_year,
            is_default: method.is_default,
        }
    }
}

/// What the caller has paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balances)]
pub(super) struct BalancesBody {
    balances: Vec<BalanceBody>,
}

/// What the caller has paid in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalanceBody {
    currency: String,
    paid: String,
    refunded: String,
    disputed: String,
    /// Paid, less refunded, less disputed and not won.
    net: String,
    /// Asked for and not decided.
    pending: String,
}

impl From<Vec<Balance>> for BalancesBody {
    fn from(balances: Vec<Balance>) -> Self {
        let balance = |balance: Balance| {
            let currency = balance.currency;
            BalanceBody {
                currency: currency.code.to_string(),
                paid: balance.paid.format(currency),
                refunded: balance.refunded.format(currency),
                disputed: balance.disputed.format(currency),
                net: balance.net().format(currency),
                pending: balance.pending.format(currency),
            }
        };
        Self {
            balances: balances.into_iter().map(balance).collect(),
        }
    }
}
