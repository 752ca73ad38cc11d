//! Parameters as Stripe wants them: `application/x-www-form-urlencoded`, nested names in brackets.
//!
//! Stripe compares the parameters of requests under one idempotency key, so names and texts are exactly those of the
//! monolith's library: `payment_method_types[0]`, `metadata[payment_id]`, `true`.

use std::fmt::Display;

use url::form_urlencoded::Serializer;

/// Parameters in the order in which they were added. Not `Debug`: they may tell who the customer is.
#[derive(Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds `name=value`.
    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds `name[key]=value`.
    pub(super) fn nested(self, name: &str, key: impl Display, value: impl Display) -> Self {
        self.with(&format!("{name}[{key}]"), value)
    }

    /// Those of the parameters that ask for objects in the place of ids (<https://docs.stripe.com/api/expanding_objects>).
    pub(super) fn expansions(&self) -> Self {
        let kept = self.0.iter().filter(|(name, _)| name.starts_with("expand["));
        Self(kept.cloned().collect())
    }

    /// The encoded text; empty without parameters.
    pub(super) fn encode(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_names_are_in_brackets_and_everything_is_escaped() {
        let form = Form::new()
            .with("amount", 1250)
            .with("confirm", true)
            .nested("payment_method_types", 0, "card")
            .nested("metadata", "reason", "a&b=c d+é%");
        let pairs: Vec<_> = url::form_urlencoded::parse(form.encode().as_bytes())
            .into_owned()
            .collect();
        let expected = [
            ("amount", "1250"),
            ("confirm", "true"),
            ("payment_method_types[0]", "card"),
            ("metadata[reason]", "a&b=c d+é%"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(
            form.encode(),
            "amount=1250&confirm=true&payment_method_types%5B0%5D=card&metadata%5Breason%5D=a%26b%3Dc+d%2B%C3%A9%25"
        );
    }

    #[test]
    fn no_parameters_are_an_empty_text() {
        assert_eq!(Form::new().encode(), "");
    }
}
