//! Templates: the committed files, compiling and checking, and the catalogue that renders.

mod catalogue;
mod compiled;
mod files;
mod view;

pub use catalogue::{Catalogue, Found};
pub use compiled::{Compiled, Rendered, TemplateError};
pub use files::{RELEASED, Released};
pub use view::{DigestItem, Links, View};

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
