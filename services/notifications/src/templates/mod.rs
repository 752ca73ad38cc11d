//! Templates: the committed files, compiling and checking, and the catalogue that renders.

mod catalogue;
mod compiled;
mod files;
mod view;

pub use catalogue::{Catalogue, Found};
pub use compiled::{Compiled, Rendered, TemplateError};
pub use files::{RELEASED, Released};
pub use view::{DigestItem, Links, View};

use sha2::{Digest, Sha256};

/// The four texts of one template in one language.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Name: `payment-completed` …
    pub name: String,
    /// BCP 47 language tag.
    pub locale: String,
    /// Subject line.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Plain text part.
    pub text: String,
    /// Text message.
    pub sms: String,
}

impl Source {
    /// SHA-256 over the four texts, in hex: equal texts need no new version.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for text in [&self.subject, &self.html, &self.text, &self.sms] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                use std::fmt::Write as _;
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }
}
