//! What the service decides, without a database, a broker or a socket.
//!
//! The rules are the monolith's, so that a request gets the same answer on either side. What the monolith's own code answered is kept
//! in `golden/vectors.json`, and the tests here compare with it.

/// An enum whose values have fixed names, the same in JSON, in the database and at the monolith.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in JSON and in the database.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub mod attempt;
pub mod coupon;
pub mod customer;
pub mod dispute;
pub mod fee;
pub mod fingerprint;
pub mod invoice;
pub mod ledger;
pub mod money;
pub mod payment;
pub mod payout;
pub mod period;
pub mod proration;
pub mod refund;
pub mod stripe_key;
pub mod subscription;
pub mod tie_out;
pub mod webhook;

/// `Some` of a text that is not empty, cut to what its column holds: nothing stands for an empty one.
pub(crate) fn text(text: Option<&str>, most_chars: usize) -> Option<&str> {
    let text = text.filter(|text| !text.is_empty())?;
    let end = text
        .char_indices()
        .nth(most_chars)
        .map_or(text.len(), |(end, _)| end);
    Some(&text[..end])
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn texts_are_cut_by_characters_and_nothing_is_null() {
        assert_eq!(text(Some("äöü"), 2), Some("äö"));
        assert_eq!(text(Some("ab"), 2), Some("ab"));
        assert_eq!(text(Some(""), 2), None);
        assert_eq!(text(None, 2), None);
    }
}
