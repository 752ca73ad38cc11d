//! What Stripe's answer means for a payment.

use crate::domain::money::Minor;
use crate::domain::payment::{ChargeResult, Outcome, Payment};
use crate::stripe::{
    CaptureMethod, CreatePaymentIntent, IdempotencyKey, IntentOutcome, PaymentIntent, StripeError,
};
use crate::use_cases::Env;

/// What the user is told when a bank gave no words of its own.
const DECLINED: &str = "Your card was declined.";
/// What the user is told when Stripe took the request for wrong.
const REFUSED: &str = "The payment could not be processed.";

/// Asks Stripe to charge a payment that is noted, with its ids of customer and card: the same request under the same key each time.
pub async fn ask(env: &Env, payment: &Payment, customer: &str, payment_method: &str) -> Outcome {
    let currency = payment.currency.to_string();
    let request = CreatePaymentIntent {
        payment_id: payment.id,
        amount: payment.amount.0,
        currency: &currency,
        customer,
        payment_method,
        capture: if payment.capture {
            CaptureMethod::Automatic
        } else {
            CaptureMethod::Manual
        },
        off_session: payment.off_session,
    };
    match IdempotencyKey::charge(payment.user_id, &payment.idempotency_key) {
        Ok(key) => outcome_of(
            &env.stripe
                .create_payment_intent(&request, &key, env.deadline())
                .await,
        ),
        // A key that no client of ours could have sent: Stripe is not asked, and what became of it stays unknown.
        Err(_) => Outcome::of(ChargeResult::Unknown),
    }
}

/// The outcome of a call that charges. Whatever is not certain is unknown, never failed; and what is certainly not done, such as a
/// request that was never sent, is unknown too: the payment stays `pending` and is tried again under its key.
pub fn outcome_of(answer: &Result<PaymentIntent, StripeError>) -> Outcome {
    match answer {
        Ok(intent) => of_intent(intent),
        Err(StripeError::Declined(decline)) => Outcome {
            intent_id: decline.payment_intent.clone(),
            code: Some(code_or(decline.answer.code.as_ref(), "card_declined")),
            message: Some(decline.message.clone().unwrap_or_else(|| DECLINED.to_owned())),
            ..Outcome::of(ChargeResult::Declined)
        },
        Err(StripeError::Refused(refusal)) => Outcome {
            code: Some(code_or(refusal.answer.code.as_ref(), "invalid_request")),
            message: Some(REFUSED.to_owned()),
            ..Outcome::of(ChargeResult::Declined)
        },
        Err(error) => {
            tracing::warn!(%error, "the outcome at Stripe is unknown");
            Outcome {
                code: Some(unknown_code(error).to_owned()),
                ..Outcome::of(ChargeResult::Unknown)
            }
        }
    }
}

/// The outcome that a PaymentIntent stands for.
pub fn of_intent(intent: &PaymentIntent) -> Outcome {
    let of = |result| Outcome {
        intent_id: Some(intent.id.clone()),
        received: intent.amount_received.map(Minor),
        ..Outcome::of(result)
    };
    match intent.outcome() {
        IntentOutcome::Succeeded { .. } => of(ChargeResult::Succeeded),
        IntentOutcome::RequiresAction => of(ChargeResult::RequiresAction),
        IntentOutcome::RequiresCapture => of(ChargeResult::RequiresCapture),
        IntentOutcome::Canceled => of(ChargeResult::Canceled),
        IntentOutcome::Declined(error) => Outcome {
            code: Some(code_or(error.code.as_ref(), "card_declined")),
            message: error.message,
            ..of(ChargeResult::Declined)
        },
        IntentOutcome::Undecided => of(ChargeResult::Unknown),
    }
}

fn code_or(code: Option<&String>, otherwise: &str) -> String {
    code.cloned().unwrap_or_else(|| otherwise.to_owned())
}

fn unknown_code(error: &StripeError) -> &'static str {
    match error {
        StripeError::RateLimited(_) => "rate_limited",
        StripeError::Unauthorized(_) => "unauthorized",
        StripeError::NotSent(_) => "not_sent",
        _ => "unknown",
    }
}
