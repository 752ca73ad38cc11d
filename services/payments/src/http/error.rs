//! Every way in which an operation can fail, and what it answers then.

use axum::response::{IntoResponse, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::problem::{FORBIDDEN, Kind, UNAVAILABLE};

use crate::use_cases::change::ChangeError;
use crate::use_cases::charge::ChargeError;
use crate::use_cases::payment_methods::MethodError;
use crate::use_cases::refund::RefundError;
use crate::use_cases::subscribe::SubscribeError;
use crate::use_cases::webhooks::WebhookError;

/// What the present state of a thing does not allow.
pub(super) static INVALID_STATE: Kind = Kind {
    slug: "invalid-state",
    status: 409,
    title: "Invalid state",
    meaning: "Not possible as things stand. With `Retry-After`, something undecided is in the way and will pass.",
};

/// The bank does not accept the card.
pub(super) static PAYMENT_METHOD_DECLINED: Kind = Kind {
    slug: "payment-method-declined",
    status: 402,
    title: "Payment method declined",
    meaning: "The bank refused the payment method. Use another one.",
};

/// The user has what is asked for.
pub(super) static ALREADY_SUBSCRIBED: Kind = Kind {
    slug: "already-subscribed",
    status: 409,
    title: "Already subscribed",
    meaning: "There is a subscription to this plan already.",
};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body, or a parameter.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// `userId` is not the caller's.
    #[error("userId is somebody else's")]
    ForeignUser,
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Not possible as things stand.
    #[error("{detail}")]
    InvalidState {
        /// Why.
        detail: &'static str,
        /// Whether it will be possible in a moment.
        retry: bool,
    },
    /// A charge.
    #[error(transparent)]
    Charge(#[from] ChargeError),
    /// A capture or a cancellation.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A subscription.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// A payment method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// A refund.
    #[error(transparent)]
    Refund(#[from] RefundError),
    /// An event of Stripe's.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Problem(problem) => problem,
            ApiError::ForeignUser => Self::new(&FORBIDDEN).detail("userId must be the caller's own."),
            ApiError::Missing(what) => Self::not_found(format!("There is no such {what}.")),
            ApiError::InvalidState { detail, retry } => invalid_state(detail, retry),
            ApiError::Charge(error) => of_charge(error),
            ApiError::Change(error) => of_change(error),
            ApiError::Subscribe(error) => of_subscribe(error),
            ApiError::Method(error) => of_method(error, "stripePaymentMethodId"),
            ApiError::Refund(error) => of_refund(error),
            ApiError::Webhook(error) => of_webhook(&error),
            ApiError::Database(error) => Self::database(&error),
        }
    }
}

fn of_charge(error: ChargeError) -> Problem {
    match error {
        ChargeError::Closed => Problem::new(&FORBIDDEN).detail("This account cannot be charged."),
        ChargeError::NotYourMethod => {
            Problem::invalid("paymentMethodId", "is not one of your payment methods")
        }
        ChargeError::Method(error) => of_method(error, "paymentMethodId"),
        ChargeError::StripeAway => nothing_charged(),
        ChargeError::Database(error) => Problem::database(&error),
        ChargeError::Answer(error) => Problem::internal(&error),
    }
}

fn of_change(error: ChangeError) -> Problem {
    match error {
        ChangeError::NoPayment => ApiError::Missing("payment").into(),
        ChangeError::MoreThanAuthorised => Problem::invalid("amount", error.to_string()),
        ChangeError::Undecided | ChangeError::BeingCaptured => Problem::new(&INVALID_STATE)
            .detail(error.to_string())
            .retry_after(1),
        ChangeError::Impossible { .. }
        | ChangeError::CaptureRefused
        | ChangeError::WasCanceled
        | ChangeError::CancelRefused(_) => Problem::new(&INVALID_STATE).detail(error.to_string()),
        ChangeError::Database(error) => Problem::database(&error),
    }
}

fn of_refund(error: RefundError) -> Problem {
    match error {
        RefundError::NoPayment => ApiError::Missing("payment").into(),
        RefundError::Impossible(_) => Problem::new(&INVALID_STATE).detail(error.to_string()),
        RefundError::MoreThanLeft => Problem::invalid("amount", error.to_string()),
        RefundError::Database(error) => Problem::database(&error),
        RefundError::Answer(error) => Problem::internal(&error),
    }
}

fn of_subscribe(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::Closed => Problem::new(&FORBIDDEN).detail("This account cannot subscribe."),
        SubscribeError::NoSuchPlan => Problem::invalid("planId", "is not a plan that can be subscribed to"),
        SubscribeError::NotYourMethod => {
            Problem::invalid("paymentMethodId", "is not one of your payment methods")
        }
        SubscribeError::Method(error) => of_method(error, "paymentMethodId"),
        SubscribeError::Coupon(refusal) => Problem::invalid("couponCode", refusal.to_string()),
        SubscribeError::AlreadySubscribed => {
            Problem::new(&ALREADY_SUBSCRIBED).detail("There is a subscription to this plan already.")
        }
        SubscribeError::Undecided => invalid_state(
            "The outcome of an earlier subscription's payment is not known yet.",
            true,
        ),
        SubscribeError::PastDue => invalid_state("The current subscription has an unpaid invoice.", false),
        SubscribeError::WouldPayOut => invalid_state(
            "The unused time of the current plan is worth more than the new plan.",
            false,
        ),
        SubscribeError::StripeAway => nothing_charged(),
        SubscribeError::Database(error) => Problem::database(&error),
        SubscribeError::Answer(error) => Problem::internal(&error),
    }
}

fn invalid_state(detail: &'static str, retry: bool) -> Problem {
    let problem = Problem::new(&INVALID_STATE).detail(detail);
    if retry { problem.retry_after(1) } else { problem }
}

fn nothing_charged() -> Problem {
    Problem::new(&UNAVAILABLE).retry_after(2).detail(
        "The payment provider does not answer, nothing was charged. Try again with the same Idempotency-Key.",
    )
}

fn of_method(error: MethodError, field: &str) -> Problem {
    match error {
        MethodError::Declined { message, .. } => Problem::new(&PAYMENT_METHOD_DECLINED).detail(message),
        MethodError::NotUsable(why) => Problem::invalid(field, why),
        MethodError::Stripe(error) => {
            tracing::warn!(%error, "Stripe does not answer");
            Problem::new(&UNAVAILABLE)
                .retry_after(2)
                .detail("The payment provider does not answer. Try again in a moment.")
        }
        MethodError::Database(error) => Problem::database(&error),
    }
}

/// Stripe sends again what is not answered with 2xx.
fn of_webhook(error: &WebhookError) -> Problem {
    if let WebhookError::Database(error) = error {
        return Problem::database(error);
    }
    tracing::warn!(%error, "event not handled");
    Problem::new(&UNAVAILABLE)
        .retry_after(10)
        .detail("The event could not be handled now. Send it again.")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::coupon::CouponRefusal;
    use crate::domain::payment::PaymentStatus;
    use crate::stripe::{NotSent, StripeError};

    #[test]
    fn every_error_has_its_status() {
        let away = || StripeError::NotSent(NotSent::BreakerOpen);
        let declined = MethodError::Declined {
            code: "card_declined".to_owned(),
            message: "No.".to_owned(),
        };
        for (error, status, slug) in [
            (ApiError::ForeignUser, 403, "forbidden"),
            (ApiError::Missing("payment"), 404, "not-found"),
            (
                ApiError::InvalidState {
                    detail: "no",
                    retry: false,
                },
                409,
                "invalid-state",
            ),
            (ChargeError::Closed.into(), 403, "forbidden"),
            (ChargeError::NotYourMethod.into(), 422, "invalid"),
            (
                ChargeError::Method(MethodError::NotUsable("is not a card")).into(),
                422,
                "invalid",
            ),
            (ChargeError::StripeAway.into(), 503, "unavailable"),
            (
                ChargeError::Database(sqlx::Error::PoolTimedOut).into(),
                503,
                "unavailable",
            ),
            (ChangeError::NoPayment.into(), 404, "not-found"),
            (ChangeError::MoreThanAuthorised.into(), 422, "invalid"),
            (ChangeError::Undecided.into(), 409, "invalid-state"),
            (ChangeError::CaptureRefused.into(), 409, "invalid-state"),
            (RefundError::NoPayment.into(), 404, "not-found"),
            (
                RefundError::Impossible(PaymentStatus::Refunded).into(),
                409,
                "invalid-state",
            ),
            (RefundError::MoreThanLeft.into(), 422, "invalid"),
            (declined.into(), 402, "payment-method-declined"),
            (SubscribeError::Closed.into(), 403, "forbidden"),
            (SubscribeError::NoSuchPlan.into(), 422, "invalid"),
            (SubscribeError::NotYourMethod.into(), 422, "invalid"),
            (
                SubscribeError::Method(MethodError::NotUsable("is not a card")).into(),
                422,
                "invalid",
            ),
            (SubscribeError::Coupon(CouponRefusal::Used).into(), 422, "invalid"),
            (
                SubscribeError::AlreadySubscribed.into(),
                409,
                "already-subscribed",
            ),
            (SubscribeError::Undecided.into(), 409, "invalid-state"),
            (SubscribeError::PastDue.into(), 409, "invalid-state"),
            (SubscribeError::WouldPayOut.into(), 409, "invalid-state"),
            (SubscribeError::StripeAway.into(), 503, "unavailable"),
            (MethodError::Stripe(away()).into(), 503, "unavailable"),
            (WebhookError::Stripe(away()).into(), 503, "unavailable"),
            (WebhookError::NotNow.into(), 503, "unavailable"),
            (
                WebhookError::Database(sqlx::Error::PoolTimedOut).into(),
                503,
                "unavailable",
            ),
            (sqlx::Error::RowNotFound.into(), 500, "internal"),
        ] {
            let text = error.to_string();
            let problem = Problem::from(error);
            assert_eq!(problem.status().as_u16(), status, "{text}");
            assert_eq!(problem.kind().slug, slug, "{text}");
        }
    }
}
