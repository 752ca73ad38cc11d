//! The problems that a key can have. Their texts are those of the monolith, so that a client cannot tell who answers.

use banyan_service_kit::Problem;
use banyan_service_kit::problem::Kind;

/// Seconds after which a client may ask again for a request that is running.
const RETRY_AFTER_SECONDS: u32 = 1;

/// No key where one is demanded.
pub static KEY_MISSING: Kind = Kind {
    slug: "idempotency-key-missing",
    status: 400,
    title: "Idempotency key missing",
    meaning: "The operation needs an `Idempotency-Key` header. Make a key, such as a UUID, once per intent, and send it again with every retry.",
};

/// A key that cannot be one.
pub static KEY_INVALID: Kind = Kind {
    slug: "idempotency-key-invalid",
    status: 400,
    title: "Idempotency key invalid",
    meaning: "The `Idempotency-Key` is longer than 255 characters, is not printable ASCII, or was sent twice.",
};

/// The key is that of a request that still runs.
pub static KEY_IN_USE: Kind = Kind {
    slug: "idempotency-key-in-use",
    status: 409,
    title: "Idempotency key in use",
    meaning: "The first request with this key is still running. Send it again after `Retry-After` seconds, with the same key.",
};

/// The key is that of another request.
pub static KEY_REUSED: Kind = Kind {
    slug: "idempotency-key-reused",
    status: 422,
    title: "Idempotency key reused",
    meaning: "The key was used with another request. Use a new key for a new intent.",
};

pub(crate) fn missing() -> Problem {
    Problem::new(&KEY_MISSING).detail("Send an Idempotency-Key header, such as a UUID made once per payment.")
}

pub(crate) fn invalid() -> Problem {
    Problem::new(&KEY_INVALID).detail("An Idempotency-Key has at most 255 printable ASCII characters.")
}

pub(crate) fn in_use() -> Problem {
    Problem::new(&KEY_IN_USE)
        .detail("A request with this Idempotency-Key is still running.")
        .retry_after(RETRY_AFTER_SECONDS)
}

pub(crate) fn reused() -> Problem {
    Problem::new(&KEY_REUSED)
        .detail("This Idempotency-Key was used with another request. Use a new key for a new payment.")
}
