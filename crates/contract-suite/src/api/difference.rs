//! Where the system is not as it should be.

use std::fmt;

/// One difference, in words: `GET /api/payments/: status 200, expected 401`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Difference(String);

impl Difference {
    /// A difference in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Difference {
    fn from(words: String) -> Self {
        Self(words)
    }
}

/// A difference unless the condition holds.
pub(crate) fn ensure(holds: bool, words: impl FnOnce() -> String) -> Result<(), Difference> {
    if holds { Ok(()) } else { Err(Difference(words())) }
}

/// A difference unless both are the same.
#[expect(
    clippy::needless_pass_by_value,
    reason = "values made for the comparison read better at the caller"
)]
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Difference> {
    ensure(found == expected, || {
        format!("{what}: {found:?}, expected {expected:?}")
    })
}
