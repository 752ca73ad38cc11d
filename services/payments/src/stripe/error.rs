//! What became of a call that did not give what was asked for.
//!
//! The table of `classify.rs` follows Stripe's own libraries (<https://docs.stripe.com/api/errors>), and with them the
//! monolith. Where it differs it is stricter about what counts as certain, never laxer.

use std::fmt;

use reqwest::StatusCode;

/// Why a call gave no result. The texts name no customer, no card and no parameter's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// Certain: the card's bank, or Stripe for it, said no (402).
    #[error("declined: {0}")]
    Declined(Box<Decline>),
    /// Certain: Stripe took the request for wrong (400, 404) and did nothing; sent again it would be refused again.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// Certain: Stripe had no time for it (429) and did nothing.
    #[error("rate limited: {0}")]
    RateLimited(Answer),
    /// Certain: Stripe did not take our key for it (401, 403) and did nothing. Somebody has to mend the configuration;
    /// the customer is not to blame, so it is no reason to fail a payment.
    #[error("not authorized: {0}")]
    Unauthorized(Answer),
    /// Certain: no byte of the request has left this process.
    #[error("not sent: {0}")]
    NotSent(NotSent),
    /// Stripe may or may not have done it. Never to be taken for a failure.
    #[error("unknown outcome: {0}")]
    Unknown(Unknown),
}

/// Which answer it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Stripe's code, such as `resource_missing`.
    pub code: Option<String>,
    /// The header `Request-Id`, by which Stripe's dashboard and support find the request.
    pub request_id: Option<String>,
}

/// A decline.
#[derive(Clone, PartialEq, Eq)]
pub struct Decline {
    /// Which answer it was. Its code is, for instance, `card_declined` or `authentication_required`.
    pub answer: Answer,
    /// What the bank said, such as `insufficient_funds`.
    pub decline_code: Option<String>,
    /// Stripe's text for the customer. Not logged: it is about the customer's card.
    pub message: Option<String>,
    /// The PaymentIntent that was declined, where Stripe names it.
    pub payment_intent: Option<String>,
}

/// A refusal. Stripe's text is left out: it quotes parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Which answer it was.
    pub answer: Answer,
    /// The parameter at fault.
    pub param: Option<String>,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// No connection: refused, no such host, no TLS, or not in time.
    #[error("no connection")]
    NoConnection,
    /// Stripe is left alone for now, because it did not answer before.
    #[error("the circuit breaker is open")]
    BreakerOpen,
    /// The caller's deadline had passed.
    #[error("the deadline had passed")]
    DeadlinePassed,
}

/// Why an outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What happened.
    pub reason: UnknownReason,
    /// The answer, where there was one.
    pub answer: Option<Answer>,
}

/// What makes an outcome unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection ended before the answer did.
    #[error("the connection broke")]
    ConnectionLost,
    /// 5xx.
    #[error("a server error")]
    ServerError,
    /// 409: a request with this idempotency key is being worked on.
    #[error("another request with this key is running")]
    Conflict,
    /// 400 `idempotency_error`: the key was used for another request, whose outcome this says nothing about. It happens when
    /// monolith and service make one charge each for one client's key.
    #[error("the key was used for another request")]
    KeyReused,
    /// Neither what Stripe documents for the call nor an error as Stripe words it.
    #[error("an answer that cannot be read")]
    Unreadable,
}

impl StripeError {
    /// Whether Stripe may have done what was asked for.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The header `Request-Id` of the answer, where there was one.
    pub fn request_id(&self) -> Option<&str> {
        self.answer()?.request_id.as_deref()
    }

    /// Which answer it was, where there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Declined(decline) => Some(&decline.answer),
            Self::Refused(refusal) => Some(&refusal.answer),
            Self::RateLimited(answer) | Self::Unauthorized(answer) => Some(answer),
            Self::Unknown(unknown) => unknown.answer.as_ref(),
            Self::NotSent(_) => None,
        }
    }

    /// The label of metrics and of `error.type`.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Declined(_) => "declined",
            Self::Refused(_) => "refused",
            Self::RateLimited(_) => "rate_limited",
            Self::Unauthorized(_) => "unauthorized",
            Self::NotSent(_) => "not_sent",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether Stripe has no such object.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.answer.status == StatusCode::NOT_FOUND.as_u16())
    }

    /// This error, unless an earlier try of the same request may have done what this one did not do.
    pub(super) fn after(self, earlier: Option<Self>) -> Self {
        let did_nothing = matches!(
            self,
            Self::NotSent(_) | Self::RateLimited(_) | Self::Unauthorized(_)
        );
        match earlier {
            Some(earlier) if did_nothing && earlier.is_unknown() => earlier,
            _ => self,
        }
    }

    /// An outcome without an answer.
    pub(super) fn no_answer(reason: UnknownReason) -> Self {
        Self::Unknown(Unknown { reason, answer: None })
    }

    /// An id that cannot be one of Stripe's: refused here, in the way in which Stripe refuses what it does not know.
    pub(super) fn no_such_id() -> Self {
        Self::Refused(Box::new(Refusal {
            answer: Answer {
                status: StatusCode::NOT_FOUND.as_u16(),
                code: Some("resource_missing".to_owned()),
                request_id: None,
            },
            param: None,
        }))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", code {code}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

// Without the message.
impl fmt::Debug for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decline")
            .field("answer", &self.answer)
            .field("decline_code", &self.decline_code)
            .field("payment_intent", &self.payment_intent)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)?;
        match &self.param {
            Some(param) => write!(f, ", parameter {param}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        match &self.answer {
            Some(answer) => write!(f, " ({answer})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_that_did_nothing_does_not_make_an_earlier_one_certain() {
        let lost = StripeError::no_answer(UnknownReason::ConnectionLost);
        for nothing in [
            StripeError::NotSent(NotSent::NoConnection),
            StripeError::NotSent(NotSent::BreakerOpen),
            StripeError::RateLimited(Answer::default()),
            StripeError::Unauthorized(Answer::default()),
        ] {
            assert_eq!(nothing.clone().after(Some(lost.clone())), lost);
            assert_eq!(nothing.clone().after(None), nothing);
            let calm = StripeError::RateLimited(Answer::default());
            assert_eq!(nothing.clone().after(Some(calm)), nothing);
        }
        // Under the same key these are Stripe's word on the first try as well.
        let refused = StripeError::no_such_id();
        assert_eq!(refused.clone().after(Some(lost)), refused);
    }
}
